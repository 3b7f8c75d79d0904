"""Invokes and their completions, found in one pass over the lines that also checks their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NoReturn

import msgspec

from .malformed import MalformedHistory
from .op import NEMESIS, Op
from .operation import INF, Operation, other_operation, pair
from .values import NotFinite


class Pairing:
    """One pass over the lines that checks their order and pairs invokes with completions."""

    def __init__(self, ops: Sequence[Op], where: Callable[[int], str], *, lenient: bool, counted: Counter[str]) -> None:
        self.ops = ops
        self.where = where  # position of an op -> its place, for messages
        self.lenient = lenient
        self.counted = counted
        self.paired: list[Operation | None] = []
        self.open: dict[int, tuple[Op, int, int]] = {}  # process -> invoke, position in `paired`, position of its line
        self.ended: dict[int, int] = {}  # process -> position of the line of its info
        self.headless: list[Operation] = []  # completions without invoke (lenient)

    def run(self) -> tuple[Operation, ...]:
        index, time = -1, None
        for position, op in enumerate(self.ops):
            if op.index <= index:
                self.refuse(position, f"index {op.index} after {index}", "indexes that increase")
            if op.index >= INF:
                self.refuse(position, f"index {op.index}", f"indexes below {INF}, which stands for never")
            if time is not None and op.time < time and not self.lenient:
                self.refuse(position, f"time {op.time} after {time}", "times that never decrease")
            index, time = op.index, op.time
            if op.extra:
                for name in op.extra:
                    self.counted[f"field {name!r}, which is none of a history's: not judged"] += 1
            process = op.process
            if type(process) is int:
                try:
                    if op.type == "invoke":
                        self.invoke(position, op, process)
                    else:
                        self.complete(position, op, process)
                except NotFinite as error:
                    self.refuse(position, error.found, error.expected)
            elif process != NEMESIS:
                self.refuse(position, f"process {process!r}", 'an integer or "nemesis"')
        for invoke, slot, position in self.open.values():
            try:
                self.paired[slot] = pair(invoke, None)
            except NotFinite as error:
                self.refuse(position, error.found, error.expected)
            except RecursionError:
                self.refuse(position, "a value that is nested without end", "a value that can be judged")
        return (*reversed(self.headless), *(operation for operation in self.paired if operation is not None))

    def invoke(self, position: int, op: Op, process: int) -> None:
        if not self.lenient:
            if process in self.open:
                where = self.where(self.open[process][2])
                found = f"an invoke of process {process} whose invoke at {where} has no completion"
                self.refuse(position, found, "one completion between two invokes of a process")
            if process in self.ended:
                where = self.where(self.ended[process])
                found = f"an op of process {process} after its info at {where}"
                self.refuse(position, found, "a new process number after an info")
        elif process in self.open:
            earlier, slot, _ = self.open[process]
            self.paired[slot] = pair(earlier, None)
            self.counted["invoke without completion before the next one of its process: its outcome is unknown"] += 1
        elif process in self.ended:
            del self.ended[process]
            self.counted["op of a process after its info: taken as an operation of its own"] += 1
        self.open[process] = (op, len(self.paired), position)
        self.paired.append(None)

    def complete(self, position: int, op: Op, process: int) -> None:
        entry = self.open.pop(process, None)
        if entry is None:
            if not self.lenient:
                found = f"a completion ({op.type}) of process {process} without invoke"
                self.refuse(position, found, "an invoke of the same process before each completion")
            # Called before the first line: the widest interval that it can have had.
            self.counted["completion without invoke: called before the first line"] += 1
            start = msgspec.structs.replace(op, index=-1 - len(self.headless), type="invoke", error=None)
            self.headless.append(pair(start, op))
            return
        invoke, slot, _ = entry
        if found := other_operation(invoke, op):
            if not self.lenient:
                self.refuse(position, found, "the f and key of the invoke")
            self.counted["completion with another f or key than its invoke, whose outcome is unknown"] += 1
            self.paired[slot] = pair(invoke, None)
            return
        self.paired[slot] = pair(invoke, op)
        if op.type == "info":
            self.ended[process] = position

    def refuse(self, position: int, found: str, expected: str) -> NoReturn:
        raise MalformedHistory(found, expected, self.where(position))
