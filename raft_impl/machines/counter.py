"""Counters by name: create, read, set, add, add-and-get, cas.

Two variants, chosen when the group is made. Plain: a counter that was never changed is 0. Explicit: a counter has
to be created first, and until then every command but `create` is answered `absent`.
"""

from __future__ import annotations

from typing import Any, Final

from .base import MALFORMED, OK, Answer, Image, Table, is_integer, pack, pair, since_first_level, unpack


class Counter:
    """An integer a name, 64 bits and signed; a command that would leave that range is malformed and changes nothing."""

    commands: Final = since_first_level("create", "read", "set", "add", "add-and-get", "cas")

    def __init__(self, *, explicit: bool = False) -> None:
        self._table = Table()
        self._explicit = explicit

    @property
    def digest(self) -> int:
        """Sum of the digests of the counters."""
        return self._table.digest

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        name = pack(key)
        current = self._current(name)
        if f == "create":
            return self._create(name, value)
        if current is None:
            return "absent", None
        match f:
            case "add" if is_integer(value):
                return self._set(name, current + value, value)
            case "add-and-get" if is_integer(value):
                return self._set(name, current + value, [value, current + value])
            case "set" if is_integer(value):
                return self._set(name, value, value)
            case "cas":
                return self._cas(name, current, value)
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The value of a counter."""
        if f != "read":
            return MALFORMED, None
        current = self._current(pack(key))
        return ("absent", None) if current is None else (OK, current)

    def image(self) -> Image:
        """All counters."""
        return self._table.image()

    def restore(self, data: bytes) -> None:
        """Replace all counters."""
        self._table.restore(data)

    def _current(self, name: bytes) -> int | None:
        found = self._table.get(name)
        if found is not None:
            return int(unpack(found))
        return None if self._explicit else 0

    def _create(self, name: bytes, value: Any) -> Answer:
        if self._table.get(name) is not None:
            return "exists", None
        return self._set(name, 0 if value is None else value, value)

    def _cas(self, name: bytes, current: int, value: Any) -> Answer:
        wanted = pair(value)
        if wanted is None or not is_integer(wanted[0]):
            return MALFORMED, None
        if wanted[0] != current:
            return "precondition-failed", None
        return self._set(name, wanted[1], value)

    def _set(self, name: bytes, number: Any, answer: Any) -> Answer:
        if not is_integer(number):
            return MALFORMED, None
        self._table.put(name, pack(number))
        return OK, answer
