"""Values of operations: made hashable for states of models, written as JSON again, printed for people.

Lists become tuples, and JSON objects `FrozenObject`. Numbers and booleans compare as Python compares them; what that
would confuse is refused (`kinds`), and so is NaN, which equals nothing, and infinity, which JSON has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import isfinite
from typing import Any, Final

import msgspec

from .malformed import MalformedHistory

SHOWN_DEPTH: Final = 200
"""Levels of nesting that are printed: twice what is judged, so that no two values in a verdict are printed alike."""


class FrozenObject:
    """A JSON object as a value of a state: hashable, equal to equal objects only, and written as an object again."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self.pairs = tuple(sorted(pairs, key=repr))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenObject) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"FrozenObject({self.pairs!r})"


class NotFinite(MalformedHistory):
    """A number that is none of JSON's, in a value."""


def freeze(value: Any) -> Any:
    """Make a JSON value hashable: lists become tuples, objects become `FrozenObject`. Raises `NotFinite`."""
    kind = type(value)
    if kind is list or kind is tuple:
        return tuple(map(freeze, value))
    if kind is dict:
        return FrozenObject((name, freeze(item)) for name, item in value.items())
    if kind is float and not isfinite(value):
        raise NotFinite(f"the number {value}", "a finite number", "a value")
    return value


def thaw(value: Any) -> Any:
    """Say as what a value that JSON does not have is written: an object as one, a state of a model as its text."""
    if isinstance(value, FrozenObject):
        return dict(value.pairs)
    return str(value) if isinstance(value, Fraction) else repr(value)


def show(value: Any, depth: int = 0) -> str:
    """Print a value for people, as JSON where it is JSON; what is nested deeper than `SHOWN_DEPTH` is three dots."""
    if depth > SHOWN_DEPTH:
        return "..."
    depth += 1
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(show(item, depth) for item in value)) + "}"
    if isinstance(value, FrozenObject):
        value = dict(value.pairs)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{show(key, depth)}: {show(item, depth)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(show(item, depth) for item in value) + "]"
    if isinstance(value, bool | int | float | str) or value is None:
        return msgspec.json.encode(value).decode()
    return str(value) if isinstance(value, Fraction) else repr(value)
