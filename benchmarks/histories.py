"""Synthetic histories of any length: what a correct object under load would have recorded.

A real object runs under a random schedule: `concurrency` clients, each with one operation at a time. Of all operations
a stated share never return; half of those took effect. The same arguments give the same history in every process.

A `Recording` is columns of plain values, which cost little; from it come the columns that fast paths take, the
`Operation`s that engines take, and the lines of a history.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from checkers.history import History
from checkers.linearizability.fast import counters, zones
from checkers.op import Op
from checkers.operation import INF, Operation
from checkers.values import freeze


class Machine(Protocol):
    """An object, and what clients ask of it."""

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        """Draw what a client asks: key, f, value."""

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        """Do it: ok and a result, or fail and an error."""


class Registers:
    """`keys` registers. A client that asks for a cas expects the value that it saw or wrote last.

    With `values` unset each written value is new; else values are drawn from this number.
    """

    def __init__(self, weights: tuple[int, int, int], *, keys: int = 1, values: int | None = None) -> None:
        self.weights = weights
        self.names: list[Any] = [None] if keys == 1 else [f"k{number}" for number in range(keys)]
        self.values = values
        self.state: dict[Any, Any] = dict.fromkeys(self.names)
        self.last: dict[tuple[Any, int], Any] = {}

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        key = rng.choice(self.names)
        f = rng.choices(("read", "write", "cas"), self.weights)[0]
        if f == "read":
            return key, f, None
        new = number if self.values is None else rng.randrange(self.values)
        if f == "write":
            return key, f, new
        old = self.last.get((key, client)) if self.values is None else rng.randrange(self.values)
        return key, f, (old, new)

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        state = self.state[key]
        if f == "read":
            self.last[key, client] = state
            return "ok", state
        if f == "cas":
            if state != value[0]:
                return "fail", "precondition-failed"
            self.state[key] = self.last[key, client] = value[1]
        else:
            self.state[key] = self.last[key, client] = value
        return "ok", value


class Counter:
    """A counter: functions with their weights, and how a delta is drawn."""

    def __init__(self, functions: dict[str, int], draw_delta: Callable[[random.Random], int]) -> None:
        self.names, self.weights = list(functions), list(functions.values())
        self.draw_delta = draw_delta
        self.state = 0

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        f = rng.choices(self.names, self.weights)[0]
        return None, f, None if f == "read" else self.draw_delta(rng)

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        if f == "read":
            return "ok", self.state
        self.state += value
        return "ok", (value, self.state) if f == "add-and-get" else value


class Lists:
    """Transactions of one to four reads and appends over lists; a list is replaced by a new one when it has grown."""

    def __init__(self, *, keys: int = 10, longest: int = 100) -> None:
        self.keys, self.longest = list(range(keys)), longest
        self.lists: dict[int, list[int]] = {}
        self.asked: dict[int, int] = {}
        self.next_element = 0

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        body: list[tuple[str, int, Any]] = []
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(self.keys))
            key = self.keys[place]
            if rng.random() < 0.5:
                body.append(("r", key, None))
                continue
            self.next_element += 1
            body.append(("append", key, self.next_element))
            self.asked[key] = self.asked.get(key, 0) + 1
            if self.asked[key] == self.longest:
                self.keys[place] = max(self.keys) + 1
        return None, "txn", tuple(body)

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        answer = []
        for kind, name, element in value:
            content = self.lists.setdefault(name, [])
            if kind == "append":
                content.append(element)
                answer.append((kind, name, element))
            else:
                answer.append((kind, name, tuple(content)))
        return "ok", tuple(answer)


class Texts:
    """Texts by key that are appended to and read, and now and then written anew: what many clients do to a store."""

    def __init__(self, *, keys: int = 10, written: float = 0.1) -> None:
        self.names = [f"k{number}" for number in range(keys)]
        self.written = written
        self.texts: dict[Any, str] = {}

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        key, draw = rng.choice(self.names), rng.random()
        if draw < 0.5:
            return key, "read", None
        return key, "write" if draw < 0.5 + self.written else "append", f"x {client} {number} y"

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        if f == "read":
            return "ok", self.texts.get(key, "")
        self.texts[key] = value if f == "write" else self.texts.get(key, "") + value
        return "ok", value


def make_misread(made: Recording, at: float = 0.9) -> None:
    """Change one letter at the end of what one read returned."""
    row = next(
        row
        for row in range(int(len(made.calls) * at), len(made.calls))
        if made.functions[row] == "read" and made.outcomes[row] == "ok" and made.told[row]
    )
    made.told[row] = made.told[row][:-1] + "z"


class RegisterTransactions(Lists):
    """The same over registers: writes of unique values, and reads of the latest."""

    def ask(self, rng: random.Random, number: int, client: int) -> tuple[Any, str, Any]:
        key, f, body = super().ask(rng, number, client)
        return key, f, tuple(("w" if kind == "append" else kind, name, value) for kind, name, value in body)

    def run(self, key: Any, f: str, value: Any, client: int) -> tuple[str, Any]:
        answer = []
        for kind, name, written in value:
            if kind == "w":
                self.lists[name] = [written]
            answer.append((kind, name, self.lists.get(name, [None])[0]))
        return "ok", tuple(answer)


class Recording:
    """The operations in the order of their calls, one column for each of their fields.

    `outcomes` are ok, fail or info, `told` the result of an ok and the error of a fail; the return of an info is INF.
    """

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.returns: list[int] = []
        self.keys: list[Any] = []
        self.functions: list[str] = []
        self.values: list[Any] = []
        self.outcomes: list[str] = []
        self.told: list[Any] = []

    def operations(self) -> list[Operation]:
        """Make an `Operation` of each row, each of a process of its own."""
        return [
            Operation(
                row,
                f,
                key,
                value,
                told if outcome == "ok" else None,
                outcome,
                told if outcome == "fail" else None,
                call,
                ret,
            )
            for row, (call, ret, key, f, value, outcome, told) in enumerate(self._rows())
        ]

    def history(self) -> History:
        """Make the lines of a history, each operation of a process of its own."""
        lines: list[Op] = []
        for row, (call, ret, key, f, value, outcome, told) in enumerate(self._rows()):
            lines.append(Op(index=call, time=call, process=row, type="invoke", f=f, key=key, value=value))
            if ret < INF:
                kind: Any = outcome
                done, error = (told, None) if outcome == "ok" else (value, told)
                lines.append(
                    Op(index=ret, time=ret, process=row, type=kind, f=f, key=key, value=freeze(done), error=error)
                )
        lines.sort(key=lambda op: op.index)
        return History(lines)

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        columns = (self.calls, self.returns, self.keys, self.functions, self.values, self.outcomes, self.told)
        return list(zip(*columns))

    def registers(self) -> tuple[list[Any], zones.Columns]:
        """Make the columns of registers, and the key of each row."""
        keys: list[Any] = []
        rows: list[tuple[int, int, int, Any, Any]] = []
        for call, ret, key, f, value, outcome, told in self._rows():
            if f == "read":
                if outcome != "ok":
                    continue
                rows.append((call, ret, zones.READ, told, None))
            elif f == "write":
                rows.append((call, ret, zones.WRITE, None, value))
            else:
                rows.append((call, ret, zones.REFUSED if outcome == "fail" else zones.CAS, *value))
            keys.append(key)
        calls, returns, kinds, olds, news = map(list, zip(*rows))
        return keys, zones.Columns(calls, returns, bytes(kinds), olds, news)

    def counter(self) -> counters.Columns:
        """Make the columns of a counter."""
        rows: list[tuple[int, int, int, int, int]] = []
        for call, ret, _, f, value, outcome, told in self._rows():
            if f == "read":
                if outcome == "ok":
                    rows.append((call, ret, counters.READ, 0, told))
            elif f == "add" or outcome == "info":
                rows.append((call, ret, counters.ADD, value, 0))
            else:
                rows.append((call, ret, counters.GET, value, told[1]))
        calls, returns, kinds, deltas, values = map(list, zip(*rows))
        return counters.Columns(calls, returns, bytes(kinds), deltas, values)


def record(machine: Machine, size: int, *, concurrency: int, crashed: float, seed: int = 1) -> Recording:
    """Run a machine under a random schedule until `size` operations have been called and the others have returned."""
    rng = random.Random(f"{size}/{concurrency}/{crashed}/{seed}")
    made = Recording()
    idle = list(range(concurrency))
    running: list[tuple[int, int, bool]] = []  # client, row, whether it has taken effect
    index = 0
    while len(made.calls) < size or running:
        if idle and len(made.calls) < size and (not running or rng.random() < 0.5):
            client = idle.pop(rng.randrange(len(idle)))
            key, f, value = machine.ask(rng, len(made.calls), client)
            running.append((client, len(made.calls), False))
            made.calls.append(index)
            made.returns.append(INF)
            made.keys.append(key)
            made.functions.append(f)
            made.values.append(value)
            made.outcomes.append("info")
            made.told.append(None)
            index += 1
            continue
        place = rng.randrange(len(running))
        client, row, is_done = running[place]
        if is_done:
            made.returns[row] = index
            index += 1
        elif rng.random() >= crashed:
            running[place] = (client, row, True)
            request = made.keys[row], made.functions[row], made.values[row]
            made.outcomes[row], made.told[row] = machine.run(*request, client)
            continue
        elif rng.random() < 0.5:
            machine.run(made.keys[row], made.functions[row], made.values[row], client)
        del running[place]
        idle.append(client)
    return made


def make_stale(made: Recording, at: float = 0.9, behind: int = 500) -> None:
    """Let the first read after a share `at` of the history see what a read `behind` rows before saw."""
    reads = [row for row, f in enumerate(made.functions) if f == "read" and made.outcomes[row] == "ok"]
    victim = next(row for row in reads if row >= at * len(made.calls))
    same_key = [row for row in reads if row <= victim - behind and made.keys[row] == made.keys[victim]]
    made.told[victim] = made.told[same_key[-1]]


def make_read_skew(made: Recording, at: float = 0.9) -> None:
    """Let one transaction see half of what another one, at the same time, appended to two new lists: a G-single."""
    rows = [row for row, outcome in enumerate(made.outcomes) if outcome == "ok" and row >= at * len(made.calls)]
    writer, reader = next(
        (one, other) for one, other in pairwise(rows) if made.calls[other] < made.returns[one] < made.returns[other]
    )
    wrote = (("append", "p", 1), ("append", "q", 1))
    made.values[writer] += wrote
    made.told[writer] += wrote
    made.values[reader] += (("r", "p", None), ("r", "q", None))
    made.told[reader] += (("r", "p", ()), ("r", "q", (1,)))


def flip_failed_cas(made: Recording, rng: random.Random, count: int = 1) -> None:
    """Let this number of refused cas have succeeded."""
    refused = [row for row, outcome in enumerate(made.outcomes) if outcome == "fail"]
    for row in rng.sample(refused, count):
        made.outcomes[row], made.told[row] = "ok", made.values[row]
