"""The recorder: history and trace in one sequence, on the world's true clock.

Everything that happens becomes a row of the log, which is hashed as it happens. Lines of the history are rows too
(kind `op`), so both share one index. Invariants are told of the few kinds that concern them, at once, with the index
of the row.

The history is kept in columns, and hashed when rows are; whoever wants to store a run is given both streams (`Sink`) as
they are hashed, so that no run is ever in memory as a whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from checkers.lines import Lines
from checkers.op import OpType
from checkers.trace import Row

from .kernel.fingerprint import Log

Handler = Callable[[int, Row], None]


class Sink(Protocol):
    """Who takes down a run while it goes on: all of both streams, in order."""

    def rows(self, first: int, rows: list[Row]) -> None:
        """Take rows of the trace, the first of which has this index."""
        ...

    def lines(self, lines: bytes) -> None:
        """Take lines of the history, as JSON."""
        ...


class Clock(Protocol):
    """The clock of a world, and the log of what happens there."""

    log: Log

    @property
    def now(self) -> int:
        """Nanoseconds since the run began."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        ...


class Recorder:
    """Collects what happens in one run."""

    def __init__(self, kernel: Clock, handlers: Mapping[str, Handler], sink: Sink | None = None) -> None:
        self._kernel = kernel
        self._log = kernel.log
        self._handlers = dict(handlers)
        self._sink = sink
        self.history = Lines()
        self._add = self.history.add
        self._hash = hashlib.sha256()  # of the first lines
        self._hashed = 0  # how many these are
        self._log.takers.append(self._on_rows)
        self.marks: Counter[str] = Counter()

    def also(self, kind: str, handler: Handler) -> None:
        """Tell one more who wants to know of rows of a kind, after the others."""
        first = self._handlers.get(kind)
        self._handlers[kind] = handler if first is None else both(first, handler)

    @property
    def index(self) -> int:
        """The index that the next row gets."""
        return self._log.index

    def row(self, kind: str, actor: str, *fields: Any) -> None:
        """Record one event."""
        kernel, log = self._kernel, self._log
        if kernel.closed:
            return
        row = (kernel.now, kind, actor, *fields)
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(log.base + len(log.rows), row)
        elif kind == "mark":
            self.marks[fields[0]] += 1
        log.append(row)

    def notes(self, actor: str, notes: list[tuple[Any, ...]]) -> None:
        """Record what a replica said of itself, rows without time and actor, and empty the list."""
        kernel, log, handlers = self._kernel, self._log, self._handlers
        if kernel.closed:
            notes.clear()
            return
        now, append = kernel.now, log.append
        for index, note in enumerate(notes, log.base + len(log.rows)):
            kind = note[0]
            row = (now, kind, actor, *note[1:])
            handler = handlers.get(kind)
            if handler is not None:
                handler(index, row)
            elif kind == "mark":
                self.marks[note[1]] += 1
            append(row)
        notes.clear()

    def op(
        self, process: int | str, type: OpType, f: str, key: str | None, value: Any, error: str | None = None
    ) -> None:
        """Record one line of the history."""
        kernel = self._kernel
        if kernel.closed:
            return
        log = self._log
        index = log.base + len(log.rows)
        self._add((index, kernel.now, process, type, f, key, value, error))
        log.append((kernel.now, "op", "", (process, type, f, key, value, error)))

    def close(self) -> str:
        """Pass on what is left of the history, and return its digest in hexadecimal. Nothing is added later."""
        self._hash_lines()
        return self._hash.hexdigest()

    def _on_rows(self, first: int, rows: list[Row]) -> None:
        if self._sink is not None:
            self._sink.rows(first, rows)
        self._hash_lines()

    def _hash_lines(self) -> None:
        lines = self.history.to_jsonl(self._hashed)
        self._hashed = len(self.history)
        self._hash.update(lines)
        if self._sink is not None:
            self._sink.lines(lines)


def both(first: Handler, second: Handler) -> Handler:
    """One handler that calls two."""

    def handle(index: int, row: Row) -> None:
        first(index, row)
        second(index, row)

    return handle
