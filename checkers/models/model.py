"""What a model is: a sequential object, as a record of functions over hashable states.

A model says what one client alone would see. `step(state, operation)` returns the state after the operation, or
`ILLEGAL` when the operation's outcome cannot have been observed in that state (never None or False, see below).

* `ok`: compare `operation.result` with what the object would have answered.
* `fail` (only negative answers reach a model): legal exactly in the states in which the object would have said no.
* `info`: apply the effect, whatever the answer would have been; where the object would have refused, keep the state.

Writing one's own takes a name, an initial state and a step:

    def step(state, operation):
        if operation.f == "push":
            return (*state, operation.value)
        if operation.type == "info":
            return state[:-1]
        return state[:-1] if state and state[-1] == operation.result else ILLEGAL

    stack = Model(name="stack", init=(), step=step)

A step that forgets to return, or returns False, is a slip that would otherwise pass for a state: both are refused as
`MalformedHistory`, unless the model says with `any_state=True` that None and False are states of it. So is a state that
is changed in place, or is compared by identity.

Engines take operations of one `identity` for one another. Without one of its own that is what was asked and told, and a
step cannot read `process`, `call`, `ret` or the times of an operation: it is refused. A lock with an owner says
`identity=lambda operation: (asked_and_told(operation), operation.process)`.

The rest makes checking faster or messages better: `functions` validates histories and says which functions only look,
`keys` says which independent objects an operation touches, `identity` what `step` depends on, and `access` what an
operation needs and leaves where it behaves like a register: (ANYTHING, v) is a blind write, (v, KEEPS) a read, and
(u, v) a cas. `state_of` makes a state of a JSON value, `restrict` the part of a state that has some keys, and `adapt`
chooses the initial state by what a history holds.

Where the answers that come later say much of the state now, `can_reach(state, later)` makes searching fast: it returns
False where no order of operations leads from the state through all completed operations of `later`. A text that is no
prefix of what a later read returned is such a state, where nothing but appends can come between. Besides the completed
ones, which all have to come, `later` has crashed ones, which may. It has every operation that can come before a
completed one, but for those that `foresees` says may be left out. In doubt say True: a False that is wrong makes a
wrong verdict, where a True only costs time. `checkers.linearizability.search.look_ahead` says what engines make of it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NoReturn, TypeVar

from checkers.malformed import MalformedHistory
from checkers.operation import INF, Operation
from checkers.values import freeze, show

State = Hashable

S = TypeVar("S", str, tuple[Any, ...])
T = TypeVar("T")


class Illegal(enum.Enum):
    """The answer of a step that cannot have happened."""

    ILLEGAL = "illegal"

    def __repr__(self) -> str:
        return "ILLEGAL"


ILLEGAL: Final[Literal[Illegal.ILLEGAL]] = Illegal.ILLEGAL


class Unsaid(enum.Enum):
    """What `access` says where there is no one state to name."""

    ANYTHING = "anything"  # needs: legal in every state
    SOMETHING = "something"  # needs, sets: depends on what only `step` knows
    KEEPS = "keeps"  # sets: leaves the state as it is

    def __repr__(self) -> str:
        return self.name


ANYTHING: Final = Unsaid.ANYTHING
SOMETHING: Final = Unsaid.SOMETHING
KEEPS: Final = Unsaid.KEEPS


@dataclass(frozen=True, slots=True)
class OtherThan:
    """What `access` says of a refusal: legal in every state but this one."""

    state: State


Access = tuple[Any, Any]
"""(the one state it needs, the state it leaves), each a state or `Unsaid`; needs may be `OtherThan` a state"""

Step = Callable[[Any, Operation], Any]
"""(state, operation) -> state or ILLEGAL"""

ALL_KEYS: Final = None
"""What `keys` returns for an operation that touches every key there is."""


def own_key(operation: Operation) -> tuple[Hashable, ...] | None:
    """Say that an operation touches the one key it names."""
    return (operation.key,)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value must look like: the words for a person, and the test."""

    words: str
    fits: Callable[[Any], bool]


ANY = Shape("any value", lambda value: True)
NOTHING = Shape("null", lambda value: value is None)
INTEGER = Shape("an integer", lambda value: type(value) is int)
PAIR = Shape("[old, new]", lambda value: type(value) is tuple and len(value) == 2)
INTEGERS = Shape("[old, new], integers", lambda value: PAIR.fits(value) and all(map(INTEGER.fits, value)))
LIST = Shape("a list", lambda value: type(value) is tuple)


def state_like(shape: Shape) -> Callable[[Any], State]:
    """Make states of JSON values of this shape, and refuse others: a state that is none would make a verdict wrong."""

    def state_of(value: Any) -> State:
        state: State = freeze(value)
        if not shape.fits(state):
            raise MalformedHistory(f"initial state {show(state)}", shape.words, "--initial")
        return state

    return state_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """One function of an object: the shape of what is asked and told, the words with which it says no."""

    value: Shape = ANY
    result: Shape = ANY
    answers: frozenset[str] = frozenset()
    only_looks: bool = False
    answers_invoke: Callable[[Any, Any], bool] = lambda value, result: True
    """Whether an ok result can be the answer to what was asked, whatever the state was."""


def repeats(value: Any, result: Any) -> bool:
    """Whether a completion repeats what was asked, or says nothing but that it happened."""
    return result is None or result is True or bool(result == value)


def answers_cas(value: Any, result: Any) -> bool:
    """Whether a completion can be that of a cas: it repeats [old, new], or tells the new value."""
    return repeats(value, result) or bool(result == value[1])


class Later:
    """Operations that are still to come: completed ones, which must, and crashed ones, which may."""

    __slots__ = ("_found", "operations")

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self._found: Any = None

    def once(self, work: Callable[[tuple[Operation, ...]], T]) -> T:
        """Return what a model's one way of reading these operations makes of them, worked out once."""
        if self._found is None:
            self._found = (work(self.operations),)
        found: T = self._found[0]
        return found


def common_prefix(texts: Sequence[S]) -> S:
    """Return the longest beginning that texts, or tuples, have in common; there is at least one of them."""
    prefix = min(texts, key=len)
    for text in texts:
        while text[: len(prefix)] != prefix:
            differs = next((place for place, item in enumerate(prefix) if text[place] != item), len(prefix))
            prefix = prefix[:differs]
    return prefix


CanReach = Callable[[Any, Later], bool]
"""(state, later) -> whether some order of operations leads from the state through all completed ones of `later`"""


def unsaid(operation: Operation) -> Access:
    """Say nothing about what an operation needs and sets: engines ask `step`."""
    return SOMETHING, SOMETHING


ACKNOWLEDGED: Final = frozenset({"write", "cas", "add", "append", "enqueue", "put-if-absent", "set", "create", "order"})
"""Functions of which an answer of null, as an empty cell of a table, says no more than that they happened."""


def describe(operation: Operation) -> str:
    """Say what an operation asked and what it was told, without saying who and when."""
    asked = operation.f if operation.value is None else f"{operation.f} {show(operation.value)}"
    if operation.type == "fail":
        return f"{asked} -> no ({show(operation.error)[1:-1]})"
    if operation.ret == INF:
        return f"{asked} -> ?"
    if operation.result == operation.value and operation.value is not None:
        return asked
    if operation.result is None and operation.f in ACKNOWLEDGED:
        return asked
    return f"{asked} -> {show(operation.result)}"


class MalformedModel(MalformedHistory):
    """A model is none: its state, or what its step does, can be judged by nobody. One line, for people."""


def asked_and_told(operation: Operation) -> Hashable:
    """Say that a step depends on what was asked and told, and not on who asked, or when."""
    return (
        operation.f,
        operation.key,
        operation.value,
        operation.result,
        operation.type,
        operation.error,
    )


def unsaid_identity(operation: Operation) -> Hashable:
    """As `asked_and_told`, of a model that says nothing: its step is kept from reading anything else."""
    return asked_and_told(operation)


def _unread(name: str) -> Any:
    """A field that cannot be read."""

    def refuse(_: Operation) -> NoReturn:
        expected = f"what was asked and told alone, or Model(identity=...) with operation.{name} in it"
        raise MalformedModel(f"a step that reads operation.{name}", expected, "model")

    return property(refuse)


class AskedAndTold(Operation, frozen=True, gc=False):
    """An operation as a step sees it that has no identity of its own: who asked, and when, cannot be read.

    Engines take operations of several processes for one another.
    """

    process = _unread("process")
    call = _unread("call")
    ret = _unread("ret")
    call_time = _unread("call_time")
    ret_time = _unread("ret_time")


class ModelFailed(RuntimeError):
    """A function of a model raised: nothing can be said of the history. One line, for people."""

    def __init__(self, error: Exception, doing: str, where: str) -> None:
        super().__init__(f"{where} raised {type(error).__name__}: {error} {doing}".replace("\n", " "))


_OURS: Final = __name__.rpartition(".")[0] + "."

STEPPED_TWICE: Final = 1_000
"""Steps of a model that are taken twice and compared: a state changed in place differs at once."""


class _Guarded:
    """A step of another author, which refuses slips that would otherwise pass for states, and names the model."""

    __slots__ = ("any_state", "is_bare", "left", "name", "step")

    def __init__(self, name: str, step: Step, *, any_state: bool, is_bare: bool) -> None:
        self.name = name
        self.step = step
        self.any_state = any_state
        self.is_bare = is_bare
        self.left = STEPPED_TWICE

    def __call__(self, state: Any, operation: Operation) -> Any:
        seen = operation
        if self.is_bare:
            o = operation
            seen = AskedAndTold(-1, o.f, o.key, o.value, o.result, o.type, o.error, 0, 0)
        before = hash(state)
        after = self._once(state, seen, operation)
        if not self.any_state and (after is None or after is False):
            expected = "a state, or ILLEGAL (any_state=True where None and False are states)"
            raise self._refusal(f"{after} as the state", expected, state, operation)
        is_same = True
        if self.left:
            self.left -= 1
            if wrong := no_state(after):
                raise self._refusal(wrong, _COMPARED, state, operation)
            again = self._once(state, seen, operation)
            is_same = after is again or after == again
        if not is_same or hash(state) != before:
            found = "a state changed in place, or another one the second time,"
            expected = "a step that returns a new state and leaves the one it was given as it is"
            raise self._refusal(found, expected, state, operation)
        return after

    def _once(self, state: Any, seen: Operation, operation: Operation) -> Any:
        try:
            return self.step(state, seen)
        except MalformedModel as error:
            raise MalformedModel(error.found, error.expected, self._place()) from error
        except (MalformedHistory, MemoryError):
            raise
        except Exception as error:
            raise ModelFailed(error, f"of {describe(operation)} in state {show(state)}", self._place()) from error

    def _refusal(self, found: str, expected: str, state: Any, operation: Operation) -> MalformedModel:
        found = f"{found} after {describe(operation)} in state {show(state)}"
        return MalformedModel(found, expected, self._place())

    def _place(self) -> str:
        return f"{_where(self.step)}step of model {self.name}"


class _GuardedLook:
    """A `can_reach` of another author: what it raises is told of the model, in one line."""

    __slots__ = ("can_reach", "name")

    def __init__(self, name: str, can_reach: CanReach) -> None:
        self.name = name
        self.can_reach = can_reach

    def __call__(self, state: Any, later: Later) -> bool:
        try:
            return self.can_reach(state, later)
        except (MalformedHistory, MemoryError):
            raise
        except Exception as error:
            where = f"{_where(self.can_reach)}can_reach of model {self.name}"
            raise ModelFailed(error, f"in state {show(state)}", where) from error


def _where(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}: "


def no_state(value: Any) -> str:
    """Say why a value can be no state of a model; empty if it can: its hash and its equality must be of its content."""
    kind: Any = type(value)
    if kind in (tuple, frozenset):
        return next(filter(None, map(no_state, value)), "")
    if kind.__hash__ is None:
        return f"{kind.__name__}, which cannot be hashed,"
    if kind.__eq__ is object.__eq__ and not isinstance(value, enum.Enum | type) and kind not in _SINGLE:
        return f"{kind.__name__}, of which each object equals only itself,"
    try:
        hash(value)
    except TypeError as error:
        return f"{kind.__name__}, which cannot be hashed ({error}),"
    return ""


_COMPARED: Final = "a state that is compared by its content, as a tuple, a frozenset or a frozen dataclass"

_SINGLE: Final = (object, type(None))
"""Types whose objects have no content that could change, so that each may stand for a state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A sequential object. See the head of this module for what `step` must do."""

    name: str
    init: State
    step: Step
    functions: Mapping[str, Function] = field(default_factory=dict)
    keys: Callable[[Operation], tuple[Hashable, ...] | None] = own_key
    identity: Callable[[Operation], Hashable] = unsaid_identity
    access: Callable[[Operation], Access] = unsaid
    describe: Callable[[Operation], str] = describe
    describe_state: Callable[[Any], str] = show
    adapt: Callable[[Model, list[Operation]], Model] = lambda model, operations: model
    state_of: Callable[[Any], State] = freeze
    restrict: Callable[[Any, tuple[Hashable, ...]], State] = lambda state, keys: state
    can_reach: CanReach | None = None
    foresees: Callable[[Operation], bool] = lambda operation: True
    any_state: bool = False
    """Whether None and False are states, and not slips of the author of `step`."""

    def __post_init__(self) -> None:
        step = self.step.step if isinstance(self.step, _Guarded) else self.step
        if (getattr(step, "__module__", None) or "").startswith(_OURS):
            return  # tested beside all orders, and kept fast
        if wrong := no_state(self.init):
            found = f"{wrong} as the initial state"
            raise MalformedModel(found, _COMPARED, f"{_where(step)}model {self.name}")
        is_bare = self.identity is unsaid_identity
        guarded = _Guarded(self.name, step, any_state=self.any_state, is_bare=is_bare)
        object.__setattr__(self, "step", guarded)
        if self.can_reach is not None and not isinstance(self.can_reach, _GuardedLook):
            object.__setattr__(self, "can_reach", _GuardedLook(self.name, self.can_reach))

    def starting_at(self, init: State) -> Model:
        """Return the same model with another initial state."""
        return replace(self, init=init, adapt=lambda model, operations: model)

    def starting_at_json(self, value: Any) -> Model:
        """Return the same model with another initial state, given as a JSON value."""
        return self.starting_at(self.state_of(value))

    def within(self, keys: tuple[Hashable, ...]) -> Model:
        """Return the model of the part of the object that has these keys."""
        init = self.restrict(self.init, keys)
        return self if init == self.init else replace(self, init=init)

    def only_looks(self, operation: Operation) -> bool:
        """Whether this operation can never change a state."""
        function = self.functions.get(operation.f)
        return operation.type == "fail" or (function is not None and function.only_looks)

    def answers(self, operation: Operation) -> bool:
        """Whether the error of this negative answer is a word that the object says to this function."""
        function = self.functions.get(operation.f)
        return not self.functions or (function is not None and operation.error in function.answers)

    def as_data(self, operation: Operation) -> dict[str, Any]:
        """Return an operation as a JSON object, with its sentence."""
        return {
            "process": operation.process,
            "f": operation.f,
            "key": operation.key,
            "value": operation.value,
            "result": operation.result,
            "type": operation.type,
            "error": operation.error,
            "call": operation.call,
            "ret": None if operation.ret == INF else operation.ret,
            "text": self.describe(operation),
        }

    def validate(self, operation: Operation, where: Callable[[int], str]) -> None:
        """Raise `MalformedHistory` where the operation is none of this object's."""
        if not self.functions:
            return
        function = self.functions.get(operation.f)
        if function is None:
            known = ", ".join(self.functions)
            raise MalformedHistory(f"f {operation.f!r}", f"one of {known} (model {self.name})", where(operation.call))
        if not function.value.fits(operation.value):
            found = f"{operation.f} of {show(operation.value)}"
            raise MalformedHistory(found, f"{function.value.words} (model {self.name})", where(operation.call))
        if operation.type == "ok" and not function.result.fits(operation.result):
            found = f"{operation.f} answered {show(operation.result)}"
            raise MalformedHistory(found, f"{function.result.words} (model {self.name})", where(operation.ret))
