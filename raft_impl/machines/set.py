"""Sets by key: add, remove, read. An element is in or not; adding it again changes nothing."""

from __future__ import annotations

from typing import Any, Final

from .base import MALFORMED, OK, Answer, Image, Table, pack, pack_list, since_first_level, unpack


class Set:
    """Elements by key. Reading lists them in the order of their encoded bytes, which is the same everywhere."""

    commands: Final = since_first_level("add", "remove", "read", "size")

    def __init__(self) -> None:
        self._elements = Table()  # (key, element) -> nothing
        self._members: dict[bytes, dict[bytes, None]] = {}  # the same by key, for reading

    @property
    def digest(self) -> int:
        """Sum of the digests of the elements."""
        return self._elements.digest

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        name, element = pack(key), pack(value)
        match f:
            case "add":
                self._elements.put(name + element, b"")
                self._members.setdefault(name, {})[element] = None
                return OK, value
            case "remove":
                if self._elements.pop(name + element) is None:
                    return "absent", None
                del self._members[name][element]
                return OK, value
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The elements, or how many there are."""
        members = self._members.get(pack(key), {})
        match f:
            case "read":
                return OK, [unpack(element) for element in sorted(members)]
            case "size":
                return OK, len(members)
            case _:
                return MALFORMED, None

    def image(self) -> Image:
        """All sets."""
        sets = [(name, list(members)) for name, members in self._members.items() if members]
        return lambda: pack_list([[name, sorted(members)] for name, members in sorted(sets)])

    def restore(self, data: bytes) -> None:
        """Replace all sets."""
        self._elements = Table()
        self._members = {}
        for name, members in unpack(data):
            self._members[name] = dict.fromkeys(members)
            for element in members:
                self._elements.put(name + element, b"")
