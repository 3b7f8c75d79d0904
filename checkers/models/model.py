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
`MalformedHistory`, unless the model says with `any_state=True` that None and False are states of it.

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
from typing import Any, Final, Literal, TypeVar

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
    """A model's step returned what can be no state. One line, for people."""


class _Guarded:
    """A step that refuses None and False, which a step returns by a slip, instead of taking them for states."""

    __slots__ = ("name", "step")

    def __init__(self, name: str, step: Step) -> None:
        self.name = name
        self.step = step

    def __call__(self, state: Any, operation: Operation) -> Any:
        after = self.step(state, operation)
        if after is None or after is False:
            found = f"{after} as the state after {describe(operation)} in state {show(state)}"
            expected = "a state, or ILLEGAL (any_state=True where None and False are states)"
            raise MalformedModel(found, expected, f"step of model {self.name}")
        return after


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A sequential object. See the head of this module for what `step` must do."""

    name: str
    init: State
    step: Step
    functions: Mapping[str, Function] = field(default_factory=dict)
    keys: Callable[[Operation], tuple[Hashable, ...] | None] = own_key
    identity: Callable[[Operation], Hashable] = lambda operation: (
        operation.f,
        operation.key,
        operation.value,
        operation.result,
        operation.type,
        operation.error,
    )
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
        if not self.any_state and not isinstance(self.step, _Guarded):
            object.__setattr__(self, "step", _Guarded(self.name, self.step))

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
