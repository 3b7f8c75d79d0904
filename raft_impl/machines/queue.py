"""Queues by key: enqueue at the end, dequeue from the head, `empty` when there is nothing."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from .base import MALFORMED, MASK, OK, Answer, Image, Table, pack, pack_list, since_first_level, unpack


class Queue:
    """First in, first out. Positions only count up, and the next ones are part of the state."""

    commands: Final = since_first_level("enqueue", "dequeue", "read", "size")

    def __init__(self) -> None:
        self._elements = Table()  # (key, position) -> element
        self._heads = Table()  # key -> position of the head, once something was dequeued
        self._queues: dict[bytes, tuple[int, deque[bytes]]] = {}  # the same by key, for dequeuing

    @property
    def digest(self) -> int:
        """Sum of the digests of the elements with their positions, and of the positions of the heads."""
        return (self._elements.digest + self._heads.digest) & MASK

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        """Execute one committed command."""
        name = pack(key)
        match f:
            case "enqueue":
                self._enqueue(name, pack(value))
                return OK, value
            case "dequeue":
                return self._dequeue(name)
            case _:
                return self.read(f, key, value)

    def read(self, f: str, key: Any, value: Any) -> Answer:
        """The elements, head first, or how many there are."""
        _, elements = self._queues.get(pack(key), (0, deque()))
        match f:
            case "read":
                return OK, [unpack(element) for element in elements]
            case "size":
                return OK, len(elements)
            case _:
                return MALFORMED, None

    def image(self) -> Image:
        """All queues, each with its next positions."""
        queues = [[name, head, list(elements)] for name, (head, elements) in self._queues.items()]
        return lambda: pack_list(sorted(queues))

    def restore(self, data: bytes) -> None:
        """Replace all queues."""
        self._elements, self._heads = Table(), Table()
        self._queues = {}
        for name, head, elements in unpack(data):
            self._move_head(name, head, deque())
            for element in elements:
                self._enqueue(name, element)

    def _enqueue(self, name: bytes, element: bytes) -> None:
        head, elements = self._queues.setdefault(name, (0, deque()))
        self._elements.put(name + pack(head + len(elements)), element)
        elements.append(element)

    def _dequeue(self, name: bytes) -> Answer:
        head, elements = self._queues.get(name, (0, deque()))
        if not elements:
            return "empty", None
        element = elements.popleft()
        self._elements.pop(name + pack(head))
        self._move_head(name, head + 1, elements)
        return OK, unpack(element)

    def _move_head(self, name: bytes, head: int, elements: deque[bytes]) -> None:
        if head:
            self._heads.put(name, pack(head))
        self._queues[name] = (head, elements)
