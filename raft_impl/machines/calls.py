"""What clients ask for, as bytes: `(f, key, value)` in msgpack; how it is read, and what may be in it.

Whatever was committed is applied by every replica at every start, so a command that one of them cannot apply would stop
them all, each time. Two rules, one function (`read_call`):

* A **leader appends** only what passes `objection`: JSON's types (integers of 64 bits, finite floats, text keys),
  nested at most `DEPTH_MAX` deep, at most `CALL_BYTES_MAX` long. This is the leader's own judgement and no part of the
  replicated state: it may change from version to version.
* **Applying** accepts more, in all versions: whatever an earlier one could acknowledge, and that was all that msgpack
  holds, down to `APPLIED_DEPTH_MAX`. Deeper commands stand in old logs only; they stopped who applied them, so no
  client was told that they took effect. They are malformed, for every replica alike. This bound *is* part of the
  replicated state: another value would let replicas of two versions answer differently, so to change it takes a feature
  level.

Readers of nested msgpack recurse, and Python counts that against the depth of their caller. So that the bound is
the same in a shallow server and in a deep test, the session layer applies commands by `deeply`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from .base import MALFORMED, is_integer, unpack

TOO_LARGE: Final = "too-large"
"""Says that a call is longer than a leader appends."""

DEPTH_MAX: Final = 64
"""Lists and objects within one another in a key or a value. Real data needs a dozen; readers in other languages refuse
from 100 (protobuf) or 128 (serde) on."""
APPLIED_DEPTH_MAX: Final = 977
"""The deepest value that a server ever acknowledged: with one more, its own recursion limit of 1,000 stopped it."""
CALL_BYTES_MAX: Final = 32 * 1024 * 1024
"""Half of what fits in a frame (`runtime.transport`): the entry goes to followers in one append."""

_ROOM: Final = 2 * APPLIED_DEPTH_MAX
"""Levels of recursion for the deepest value, and for the lists that an answer puts around it."""

_LIST_OF_THREE: Final = 0x93
_CONTAINERS: Final = bytes((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))
"""First bytes of arrays and maps in msgpack."""
_UNUSUAL: Final = bytes((*range(0x80, 0x90), 0xDE, 0xDF, *range(0xC4, 0xCC), 0xCF, *range(0xD4, 0xD9)))
"""First bytes of what may be outside JSON: maps (by their keys), binary, extensions, floats, unsigned 64 bits."""

Call = tuple[Any, Any, Any]
"""(f, key, value)"""


def read_call(call: bytes, depth_max: int = APPLIED_DEPTH_MAX) -> Call | None:
    """The parts of a call, or None if it is none or nests deeper than `depth_max`."""
    try:
        if _is_surely_shallow(call):
            f, key, value = unpack(call)
            return f, key, value
        f, key, value = deeply(unpack, call)
    except (msgspec.MsgspecError, RecursionError, TypeError, ValueError):
        return None
    return (f, key, value) if _depth(key) <= depth_max and _depth(value) <= depth_max else None


def objection(call: bytes) -> str:
    """Why a leader does not append this call, as a word; `""` if it does."""
    if len(call) > CALL_BYTES_MAX:
        return TOO_LARGE
    found = read_call(call, DEPTH_MAX)
    if found is None or type(found[0]) is not str or call[0] != _LIST_OF_THREE:
        return MALFORMED
    if _count(call, _UNUSUAL) and not all(_is_json(part) for part in found):
        return MALFORMED
    return ""


def deeply(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` with room for values as deep as any that is applied, however deep the caller stands."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + _ROOM)
    try:
        return function(*arguments)
    finally:
        sys.setrecursionlimit(limit)


def _is_surely_shallow(call: bytes) -> bool:
    """Whether the call has too few bytes that could begin a container to be nested deeply. Nearly every call has."""
    return len(call) <= DEPTH_MAX or _count(call, _CONTAINERS) <= DEPTH_MAX


def _count(data: bytes, kinds: bytes) -> int:
    """How many bytes of `data` are among `kinds`, at the speed of C."""
    return len(data) - len(data.translate(None, kinds))


def _depth(value: Any) -> int:
    """How many lists and objects stand within one another, found without recursion."""
    depth = 0
    level = [value]
    while level := [part for found in level if isinstance(found, list | tuple | dict) for part in _parts(found)]:
        depth += 1
    return depth


def _parts(container: Any) -> list[Any]:
    """What a container holds, and something for an empty one: it counts as a level."""
    if isinstance(container, dict):
        return [*container, *container.values()] or [None]
    return list(container) or [None]


def _is_json(value: Any) -> bool:
    """Whether JSON can hold the value, and any reader of 64-bit integers can read it."""
    kind = type(value)
    if kind is list:
        return all(map(_is_json, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_json, value.values()))
    if kind is int:
        return is_integer(value)
    if kind is float:
        return math.isfinite(value)
    return value is None or kind is str or kind is bool
