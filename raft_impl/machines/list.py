"""Lists by key: append and read; and `txn`, several appends and reads as one command.

Each element is a record of its own, so an append costs the same however long the list is.
"""

from __future__ import annotations

from typing import Any, Final

from .base import MALFORMED, OK, Answer, Image, Table, pack, pack_list, since_first_level, unpack


class List:
    """Lists that grow at their ends."""

    commands: Final = since_first_level("append", "read", "size", "txn")

    def __init__(self) -> None:
        self._elements = Table()  # (key, position) -> element
        self._lists: dict[bytes, list[bytes]] = {}  # the same by key, for reading

    @property
    def digest(self) -> int:
        """Sum of the digests of the elements and their positions."""
        return self._elements.digest

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        match f:
            case "append":
                self._append(pack(key), pack(value))
                return OK, value
            case "txn":
                return self._txn(value)
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The elements, first to last, or how many there are."""
        match f:
            case "read":
                return OK, self._read(pack(key))
            case "size":
                return OK, len(self._lists.get(pack(key), ()))
            case _:
                return MALFORMED, None

    def image(self) -> Image:
        """All lists."""
        lists = [[name, elements.copy()] for name, elements in self._lists.items()]
        return lambda: pack_list(sorted(lists))

    def restore(self, data: bytes) -> None:
        """Replace all lists."""
        self._elements = Table()
        self._lists = {}
        for name, elements in unpack(data):
            for element in elements:
                self._append(name, element)

    def _append(self, name: bytes, element: bytes) -> None:
        elements = self._lists.setdefault(name, [])
        self._elements.put(name + pack(len(elements)), element)
        elements.append(element)

    def _read(self, name: bytes) -> list[Any]:
        return [unpack(element) for element in self._lists.get(name, ())]

    def _txn(self, value: Any) -> Answer:
        if not _is_transaction(value):
            return MALFORMED, None
        done = []
        for f, key, argument in value:
            if f == "append":
                self._append(pack(key), pack(argument))
                done.append([f, key, argument])
            else:
                done.append([f, key, self._read(pack(key))])
        return OK, done


def _is_transaction(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, list) and len(step) == 3 and step[0] in ("r", "append") for step in value
    )
