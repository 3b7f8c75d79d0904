"""Brute force for transactions: every order of every small history, for each model that can be put as one.

Random histories of registers or lists are judged for each model by the checker and by trying all orders. Both must say
the same, and the checker may not say `unknown`. The orders know nothing of graphs:

* serializable: a permutation of the transactions in which each reads the latest value,
* strong-session-, strict serializable: one that keeps the order of each process, of time,
* the forms of snapshot isolation: a row of starts and commits, reads at the start, writers of a key not overlapping,
* read atomic: a permutation, and for each transaction some of those before it that it sees: of each key it reads what
  the last of them that wrote it left (Cerone, Bernardi and Gotsman: visibility within arbitration, INT and EXT),
* read committed: a permutation in which each value that was read is the last that a committed transaction wrote to the
  key, and was written before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

from checkers.admission import NOTHING_JUDGED
from checkers.history import History
from checkers.op import Op
from checkers.operation import Operation
from checkers.transactions import check

KEYS = ("x", "y")

SERIAL = {"serializable": "", "strong-session-serializable": "process", "strict-serializable": "time"}
SNAPSHOTS = {
    "snapshot-isolation": "",
    "strong-session-snapshot-isolation": "process",
    "strong-snapshot-isolation": "time",
}
MODELS = (*SERIAL, *SNAPSHOTS, "read-atomic", "read-committed")

SNAPSHOT_TRANSACTIONS_MAX = 4
"""Rows of starts and commits are many: 2,520 of four transactions, 113,400 of five."""


def explained(history: History, model: str) -> bool:
    """Whether some order of the transactions that happened, with some of those that may have, explains the history."""
    operations = history.operations(with_void=True)
    surely = [operation for operation in operations if operation.type == "ok"]
    maybe = [operation for operation in operations if operation.type == "info"]
    for size in range(len(maybe) + 1):
        for some in combinations(maybe, size):
            chosen = [*surely, *some]
            if model in SERIAL:
                rows: Iterator[Any] = permutations(chosen)
                if any(_is_serial(row, SERIAL[model]) for row in rows):
                    return True
            elif model in SNAPSHOTS:
                if any(_is_of_snapshots(row, SNAPSHOTS[model]) for row in _rows(chosen, [])):
                    return True
            elif any(ONE_BY_ONE[model](row) for row in permutations(chosen)):
                return True
    return False


def _done(operation: Operation) -> Any:
    return operation.result if operation.type == "ok" else operation.value


def _before(one: Operation, other: Operation, order: str) -> bool:
    """Whether the order of processes or of time puts one before the other."""
    if order == "process":
        return one.process == other.process and one.call < other.call
    return order == "time" and one.ret < other.call


def _is_serial(row: Sequence[Operation], order: str) -> bool:
    if order and any(_before(b, a, order) for place, a in enumerate(row) for b in row[place + 1 :]):
        return False
    state: dict[str, Any] = {}
    return all(_run(operation, state, state) for operation in row)


def _run(operation: Operation, sees: dict[str, Any], writes: dict[str, Any]) -> bool:
    """Run a transaction; `sees` and `writes` are one where it works on the state itself."""
    for f, key, value in _done(operation):
        present = sees.get(key)
        if f == "w":
            sees[key] = writes[key] = value
        elif f == "append":
            sees[key] = (*(present or ()), value)
            writes[key] = (*(writes.get(key) or ()), value)
            if sees is writes:
                sees[key] = (*(present or ()), value)
        elif operation.type == "ok" and _shown(value) != _shown(present):
            return False
    return True


def _shown(value: Any) -> Any:
    return None if value == () else value


def _rows(waiting: list[Operation], running: list[Operation]) -> Iterator[list[tuple[Operation, bool]]]:
    """List all rows of starts and commits."""
    if not waiting and not running:
        yield []
    for place, operation in enumerate(waiting):
        for rest in _rows(waiting[:place] + waiting[place + 1 :], [*running, operation]):
            yield [(operation, False), *rest]
    for place, operation in enumerate(running):
        for rest in _rows(waiting, running[:place] + running[place + 1 :]):
            yield [(operation, True), *rest]


def _is_of_snapshots(row: Sequence[tuple[Operation, bool]], order: str) -> bool:
    committed: dict[str, Any] = {}
    writes_of: dict[int, list[tuple[str, Any]]] = {}
    open_keys: set[str] = set()
    for place, (operation, is_commit) in enumerate(row):
        keys = {key for f, key, _ in _done(operation) if f != "r"}
        if is_commit:
            open_keys -= keys
            committed.update(writes_of[operation.call])
            continue
        if open_keys & keys:
            return False
        open_keys |= keys
        if order and any(is_end and _before(other, operation, order) for other, is_end in row[place + 1 :]):
            return False
        own = dict(committed)
        if not _run(operation, own, own):
            return False
        writes_of[operation.call] = [(key, own[key]) for key in keys]
    return True


def _is_atomic(row: Sequence[Operation]) -> bool:
    """Whether each transaction sees some of those before it, and of each key what the last of them left."""
    left: list[dict[str, Any]] = []  # what each of the transactions so far left, of a list all up to its own element
    latest: dict[str, Any] = {}
    for place, operation in enumerate(row):
        before = range(place)
        if operation.type == "ok" and not any(
            _run(operation, state, {})
            for size in range(place + 1)
            for seen in combinations(before, size)
            for state in [{key: value for number in seen for key, value in left[number].items()}]
        ):
            return False
        wrote = {key: latest.get(key) for f, key, _ in _done(operation) if f != "r"}
        for f, key, value in _done(operation):
            if f != "r":
                wrote[key] = value if f == "w" else (*(wrote[key] or ()), value)
        latest.update(wrote)
        left.append(wrote)
    return True


def _is_committed(row: Sequence[Operation]) -> bool:
    """Registers only."""
    seen: dict[tuple[str, Any], int] = {}
    for place, operation in enumerate(row):
        last = {key: value for f, key, value in _done(operation) if f == "w"}
        own = {}
        for f, key, value in _done(operation):
            if f == "w":
                own[key, value] = True
            elif operation.type == "ok" and value is not None and (key, value) not in own and (key, value) not in seen:
                return False
        for item in last.items():
            seen[item] = place
    return True


ONE_BY_ONE = {"read-atomic": _is_atomic, "read-committed": _is_committed}


def random_history(rng: random.Random, *, lists: bool = False, largest: int = 5) -> History:
    """Draw transactions that read any value written to the key, at random times; a process may run several."""
    count = rng.randint(1, largest)
    outcomes = [rng.choice(("ok", "ok", "ok", "ok", "ok", "info", "fail")) for _ in range(count)]
    write = "append" if lists else "w"
    written: dict[str, list[int]] = {key: [] for key in KEYS}
    asked: list[list[list[Any]]] = []
    for _ in range(count):
        asked.append([])
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(KEYS)
            if rng.random() < 0.45:
                written[key].append(len(written[key]) + 1)
                asked[-1].append([write, key, written[key][-1]])
            else:
                asked[-1].append(["r", key, None])
    shown = {key: [v for v in values if rng.random() < 0.95 or v] for key, values in written.items()}
    for key in KEYS:
        aborted = {
            v for number, value in enumerate(asked) for _, k, v in value if k == key and outcomes[number] == "fail"
        }
        shown[key] = [v for v in shown[key] if v not in aborted or rng.random() < 0.1]
        rng.shuffle(shown[key])
    done = [_answer(rng, value, shown, lists=lists) for value in asked]
    ops: list[Op] = []
    waiting, running, free = list(range(count)), [], list(range(3))
    process_of: dict[int, int] = {}
    while waiting or running:
        if waiting and (not running or rng.random() < 0.5):
            number = waiting.pop(0)
            process_of[number] = free.pop(rng.randrange(len(free))) if free else 100 + number
            running.append(number)
            kind, value = "invoke", asked[number]
        else:
            number = running.pop(rng.randrange(len(running)))
            kind = outcomes[number]
            value = done[number] if kind == "ok" else asked[number]
            if process_of[number] < 3 and kind != "info":
                free.append(process_of[number])
        type: Any = kind
        ops.append(Op(index=len(ops), time=len(ops), process=process_of[number], type=type, f="txn", value=value))
    return History(ops)


def _answer(rng: random.Random, value: list[list[Any]], shown: dict[str, list[int]], *, lists: bool) -> list[list[Any]]:
    met: dict[str, Any] = {}
    answered = []
    for f, key, what in value:
        if f == "append":
            if key not in met:
                met[key] = _some_list(rng, value, key, shown)
            met[key] = [*met[key], what]
        elif f == "w":
            met[key] = what
        elif key not in met or rng.random() < 0.03:
            met[key] = _some_list(rng, value, key, shown) if lists else rng.choice([None, *shown[key]])
        answered.append([f, key, what if f != "r" else met[key]])
    return answered


def _some_list(rng: random.Random, value: list[list[Any]], key: str, shown: dict[str, list[int]]) -> list[int]:
    own = [] if rng.random() < 0.03 else [e for f, k, e in value if f == "append" and k == key]
    others = [e for e in shown[key] if e not in own]
    return others[: rng.randint(0, len(others))]


def compare(history: History, *, lists: bool) -> Iterator[tuple[str, bool, str]]:
    """Yield, for each model: its name, whether an order explains the history, and the verdict."""
    count = sum(operation.type != "fail" for operation in history.operations(with_void=True))
    for model in MODELS:
        if (model in SNAPSHOTS and count > SNAPSHOT_TRANSACTIONS_MAX) or (model == "read-committed" and lists):
            continue
        verdict = check(history, "list-append" if lists else "rw-register", expect=[model])
        if verdict.reason == NOTHING_JUDGED:
            return
        yield model, explained(history, model), verdict.validity
