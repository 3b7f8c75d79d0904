"""A map: write, read, cas, put-if-absent, replace and remove by key, and the size of the whole.

A key whose value is null is a key that is missing: writing null removes it.
"""

from __future__ import annotations

from typing import Any, Final

from .base import MALFORMED, OK, Answer, Image, Table, pack, pair, since_first_level, unpack


class Map:
    """Values by key."""

    commands: Final = since_first_level("read", "write", "cas", "put-if-absent", "replace", "remove", "size")

    def __init__(self) -> None:
        self._table = Table()

    @property
    def digest(self) -> int:
        """Sum of the digests of the keys and their values."""
        return self._table.digest

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        name = pack(key)
        current = self._value(name)
        match f:
            case "write":
                return self._set(name, value, value)
            case "put-if-absent":
                return ("exists", None) if current is not None else self._set(name, value, value)
            case "replace":
                return ("absent", None) if current is None else self._set(name, value, current)
            case "remove":
                return self._set(name, None, current)
            case "cas":
                return self._cas(name, current, value)
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The value of a key, or how many keys there are."""
        match f:
            case "read":
                return OK, self._value(pack(key))
            case "size":
                return OK, len(self._table)
            case _:
                return MALFORMED, None

    def image(self) -> Image:
        """The whole map."""
        return self._table.image()

    def restore(self, data: bytes) -> None:
        """Replace the whole map."""
        self._table.restore(data)

    def _value(self, name: bytes) -> Any:
        found = self._table.get(name)
        return None if found is None else unpack(found)

    def _cas(self, name: bytes, current: Any, value: Any) -> Answer:
        wanted = pair(value)
        if wanted is None:
            return MALFORMED, None
        if pack(wanted[0]) != pack(current):
            return "precondition-failed", None
        return self._set(name, wanted[1], value)

    def _set(self, name: bytes, value: Any, answer: Any) -> Answer:
        if value is None:
            self._table.pop(name)
        else:
            self._table.put(name, pack(value))
        return OK, answer
