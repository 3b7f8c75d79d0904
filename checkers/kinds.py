"""Values of two kinds that Python takes for one: `true` and 1, and in EDN 1.0 and 1.

Models, engines and columns compare values as Python does, for which `true`, 1 and 1.0 are equal. JSON has one kind of
number, so there 1 and 1.0 are one value; but a store that answers `true` where 1 was written has changed the value, and
in Clojure `(= 1 1.0)` is false too. A history in which two such values meet cannot be judged: it is refused, with the
place of the second one. (`importers.edn` does so with names: `:x`, `"x"`.)

What meets is what a model compares: values that are written and read, elements of sets and lists, and keys among
themselves. An answer like `true` to a write only says that it happened, and a lock looks at no value. What models of
other people compare is theirs to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from checkers.malformed import MalformedHistory
from checkers.models import Model, maps, mutexes
from checkers.models.model import INTEGER, LIST, PAIR, answers_cas, repeats
from checkers.operation import Operation
from checkers.values import FrozenObject, show

FLOATS_DIFFER: Final = ("edn", "jepsen-log")
"""Sources in which a float is never equal to an integer."""

_PLAIN: Final = frozenset({int, str, type(None)})
"""Types whose values are taken for others only if one of another type is there too."""

DEPTH_MAX: Final = 100
"""Values nested deeper than this are refused: to compare and print them would exhaust the stack."""

Seen = dict[Any, Any]
"""A value -> its kinds, as `_kinds` tells them, and the value as it was first. None that cannot be confused is kept."""


class TooDeep(MalformedHistory):
    """A value that is nested too deep, wherever it stands."""


def require_one_kind(operations: Sequence[Operation], model: Model, source: str, where: Callable[[int], str]) -> None:
    """Raise `MalformedHistory` where two values are equal here that were not equal in the source."""
    watch = Watch(model, source)
    is_odd = watch.begins_odd
    for o in operations:
        if not (o.value.__class__ in _PLAIN and o.result.__class__ in _PLAIN and o.key.__class__ in _PLAIN):
            is_odd = watch.is_odd(o, where) or is_odd
    if is_odd:
        for operation in operations:
            watch.note(operation, where)


class Watch:
    """Notes the kinds of what a model compares, operation by operation."""

    def __init__(self, model: Model, source: str) -> None:
        self.model = model
        self.odd: set[type] = {bool, float} if source in FLOATS_DIFFER else {bool}
        self.keys: Seen = {}
        self.values: Seen = {}
        functions = model.functions.items()
        self.tells = {f for f, function in functions if function.answers_invoke not in (repeats, answers_cas)}
        self.tells -= {f for f, function in functions if function.result is INTEGER}
        self.looks_at_values = model.step not in (mutexes.step_mutex, mutexes.step_owned_mutex)
        self.begins_odd = False
        if functions:
            self._begin(model)

    def _begin(self, model: Model) -> None:
        """Take the state at the start."""
        keys: list[Any] = []
        values = list(_members(model.init))
        if model.restrict is maps.restrict:  # a state of pairs
            keys, values = [key for key, _ in values], [value for _, value in values]
        if model.name == "list-append":
            values = [member for value in values for member in _members(value)]
        self.begins_odd = any(_has(self.odd, value) for value in (*keys, *values))
        _note(keys, self.odd, self.keys, lambda _: "--initial", 0)
        _note(values, self.odd, self.values, lambda _: "--initial", 0)

    def is_odd(self, operation: Operation, where: Callable[[int], str]) -> bool:
        """Whether it holds a value that could be taken for another one; raises `MalformedHistory` for a deep one."""
        odd, result = self.odd, operation.result
        try:
            is_told = _has(odd, result) and operation.f in self.tells
            return _has(odd, operation.value) or _has(odd, operation.key) or is_told
        except TooDeep as error:
            index = operation.call if operation.is_crashed else operation.ret
            raise MalformedHistory(error.found, error.expected, where(index)) from None

    def note(self, operation: Operation, where: Callable[[int], str]) -> None:
        """Take what it asked and was told; raises `MalformedHistory` where that was of another kind before."""
        self.is_odd(operation, where)
        function = self.model.functions.get(operation.f)
        if function is None:
            return
        told = (operation.result,) if operation.f in self.tells else ()
        asked: Iterable[Any] = (operation.value,)
        keys = [operation.key]
        if operation.f == "txn":
            micro = [*_micro(operation.value), *_micro(operation.result)]
            keys = [key for _, key, _ in micro]
            asked, told = (), tuple(member for _, _, value in micro for member in _members(value))
        elif not self.looks_at_values:
            asked, told = (), ()
        elif function.value is PAIR:
            asked = operation.value
        if function.result is LIST:
            told = tuple(member for value in told for member in _members(value))
        _note(keys, self.odd, self.keys, where, operation.call)
        _note(asked, self.odd, self.values, where, operation.call)
        _note(told, self.odd, self.values, where, operation.call if operation.is_crashed else operation.ret)


def _micro(value: Any) -> Sequence[Any]:
    return value if value.__class__ is tuple else ()


def _members(value: Any) -> Iterable[Any]:
    return value if value.__class__ in (tuple, frozenset) else (value,)


def _has(odd: set[type], value: Any, depth: int = 0) -> bool:
    """Whether there is a value of these types in it. Raises `TooDeep`."""
    kind = value.__class__
    if kind is tuple:
        kinds = set(map(type, value))
        found = not odd.isdisjoint(kinds)
        if tuple in kinds or FrozenObject in kinds:
            found = _any_has(odd, value, depth) or found
        return found
    return kind in odd or (kind is FrozenObject and _any_has(odd, [item for _, item in value.pairs], depth))


def _any_has(odd: set[type], values: Iterable[Any], depth: int) -> bool:
    if depth >= DEPTH_MAX - 1:
        raise TooDeep(f"a value nested deeper than {DEPTH_MAX}", "a value that can be judged", "a value")
    found = False
    for value in values:
        found = _has(odd, value, depth + 1) or found
    return found


def _note(values: Iterable[Any], odd: set[type], seen: Seen, where: Callable[[int], str], index: int) -> None:
    for value in values:
        if kinds := tuple(_kinds(value, odd)):
            before, first = seen.setdefault(value, (kinds, value))
            if before != kinds:
                found = f"{show(value)} in a value, and {show(first)} in another, which would compare as equal"
                raise MalformedHistory(found, "values that differ in more than their kind", where(index))


def _kinds(value: Any, odd: set[type]) -> Iterator[Any]:
    """Tell the kinds of those numbers in a value that can be taken for another one, in its order."""
    kind = value.__class__
    if kind in (bool, int, float):
        if float in odd or value in (0, 1):
            yield kind if kind in odd else int
    elif kind is tuple:
        for item in value:
            yield from _kinds(item, odd)
    elif kind is FrozenObject:
        for _, item in value.pairs:
            yield from _kinds(item, odd)
