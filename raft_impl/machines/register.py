"""Registers by key: read, write, compare-and-set; and `txn`, several reads and writes as one command."""

from __future__ import annotations

from typing import Any, Final

from .base import MALFORMED, OK, Answer, Image, Table, pack, pair, since_first_level, unpack


class Register:
    """A register a key. A key that was never written reads as null, and null is what a cas compares it with."""

    commands: Final = since_first_level("read", "write", "cas", "txn")

    def __init__(self) -> None:
        self._table = Table()

    @property
    def digest(self) -> int:
        """Sum of the digests of the registers."""
        return self._table.digest

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        match f:
            case "write":
                self._table.put(pack(key), pack(value))
                return OK, value
            case "cas":
                return self._cas(pack(key), value)
            case "txn":
                return self._txn(value)
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The value of a register."""
        if f != "read":
            return MALFORMED, None
        return OK, self._value(pack(key))

    def image(self) -> Image:
        """All registers."""
        return self._table.image()

    def restore(self, data: bytes) -> None:
        """Replace all registers."""
        self._table.restore(data)

    def _value(self, key: bytes) -> Any:
        found = self._table.get(key)
        return None if found is None else unpack(found)

    def _cas(self, key: bytes, value: Any) -> Answer:
        wanted = pair(value)
        if wanted is None:
            return MALFORMED, None
        current = self._table.get(key)
        if pack(wanted[0]) != (pack(None) if current is None else current):
            return "precondition-failed", None
        self._table.put(key, pack(wanted[1]))
        return OK, value

    def _txn(self, value: Any) -> Answer:
        if not _is_transaction(value):
            return MALFORMED, None
        done = []
        for f, key, argument in value:
            if f == "w":
                self._table.put(pack(key), pack(argument))
                done.append([f, key, argument])
            else:
                done.append([f, key, self._value(pack(key))])
        return OK, done


def _is_transaction(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, list) and len(step) == 3 and step[0] in ("r", "w") for step in value
    )
