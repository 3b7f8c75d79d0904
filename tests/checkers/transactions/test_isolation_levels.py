"""Stores that keep an isolation level are never accused of breaking it; and weaker ones are found out.

Each store is a few lines that implement a level by its textbook mechanism, run under random interleavings.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from checkers.history import History
from checkers.op import Op
from checkers.transactions import list_append

KEYS = "xyz"
Lists = dict[str, list[int]]


class Store:
    """Committed lists, and transactions that run one micro-operation at a time."""

    def __init__(self) -> None:
        self.committed: Lists = {key: [] for key in KEYS}

    def begin(self) -> Any:
        """Open a transaction."""
        return Lists()

    def read(self, transaction: Any, key: str) -> list[int]:
        """Read a list, with the transaction's own appends."""
        raise NotImplementedError

    def append(self, transaction: Any, key: str, element: int) -> None:
        """Append to a list."""
        transaction.setdefault(key, []).append(element)

    def commit(self, transaction: Any) -> bool:
        """Make the appends visible, or refuse."""
        for key, elements in transaction.items():
            self.committed[key] += elements
        return True


class ReadCommitted(Store):
    """Appends are buffered until commit; each read sees what is committed just then."""

    def read(self, transaction: Any, key: str) -> list[int]:
        return [*self.committed[key], *transaction.get(key, [])]


class SnapshotIsolation(Store):
    """Reads see the state at the beginning; the first committer of a key wins."""

    def begin(self) -> Any:
        return {"snapshot": {key: list(value) for key, value in self.committed.items()}, "own": {}}

    def read(self, transaction: Any, key: str) -> list[int]:
        return [*transaction["snapshot"][key], *transaction["own"].get(key, [])]

    def append(self, transaction: Any, key: str, element: int) -> None:
        super().append(transaction["own"], key, element)

    def commit(self, transaction: Any) -> bool:
        if any(self.committed[key] != transaction["snapshot"][key] for key in transaction["own"]):
            return False
        return super().commit(transaction["own"])


class Serializable(SnapshotIsolation):
    """Optimistic: what was read must not have changed either."""

    def begin(self) -> Any:
        return {**super().begin(), "read": {}}

    def read(self, transaction: Any, key: str) -> list[int]:
        transaction["read"][key] = True
        return super().read(transaction, key)

    def commit(self, transaction: Any) -> bool:
        if any(self.committed[key] != transaction["snapshot"][key] for key in transaction["read"]):
            return False
        return super().commit(transaction)


class StaleSerializable(Serializable):
    """Read-only transactions may see an old state: serializable, not strictly so."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[Lists] = [{key: [] for key in KEYS}]

    def begin(self) -> Any:
        return {**super().begin(), "old": self.states[-8:][0]}

    def read_only(self, transaction: Any) -> None:
        transaction["snapshot"] = transaction["old"]

    def commit(self, transaction: Any) -> bool:
        if not transaction["own"]:
            return True
        done = super().commit(transaction)
        if done:
            self.states.append({key: list(value) for key, value in self.committed.items()})
        return done


class ReadUncommitted(Store):
    """Appends are visible at once, aborted or not."""

    def read(self, transaction: Any, key: str) -> list[int]:
        return list(self.committed[key])

    def append(self, transaction: Any, key: str, element: int) -> None:
        self.committed[key].append(element)

    def commit(self, transaction: Any) -> bool:
        return True


def run(store: Store, seed: int, *, count: int = 60, clients: int = 4) -> History:
    """Run transactions of several clients, interleaved at random."""
    rng = random.Random(seed)
    ops: list[Op] = []
    running: dict[int, tuple[list[list[Any]], list[list[Any]], Any]] = {}
    elements = dict.fromkeys(KEYS, 0)
    begun = 0

    def add(process: int, type: Any, value: Any) -> None:
        ops.append(Op(index=len(ops), time=len(ops), process=process, type=type, f="txn", value=value))

    while begun < count or running:
        process = rng.randrange(clients)
        if process not in running:
            if begun < count:
                begun += 1
                asked = _program(rng, elements)
                add(process, "invoke", asked)
                transaction = store.begin()
                if isinstance(store, StaleSerializable) and all(f == "r" for f, _, _ in asked):
                    store.read_only(transaction)
                running[process] = (asked, [], transaction)
            continue
        asked, done, transaction = running[process]
        if len(done) < len(asked):
            f, key, value = asked[len(done)]
            if f == "append":
                store.append(transaction, key, value)
            done.append([f, key, store.read(transaction, key) if f == "r" else value])
        else:
            del running[process]
            committed = store.commit(transaction)
            add(process, "ok" if committed else "fail", done if committed else asked)
    return History(ops)


def _program(rng: random.Random, elements: dict[str, int]) -> list[list[Any]]:
    only_reads = rng.random() < 0.3
    program: list[list[Any]] = []
    for _ in range(rng.randint(1, 4)):
        key = rng.choice(KEYS)
        if only_reads or rng.random() < 0.5:
            program.append(["r", key, None])
        else:
            elements[key] += 1
            program.append(["append", key, elements[key]])
    return program


@pytest.mark.parametrize(
    ("store", "keeps"),
    [
        (ReadCommitted, "read-committed"),
        (SnapshotIsolation, "strong-snapshot-isolation"),
        (Serializable, "strict-serializable"),
        (StaleSerializable, "serializable"),
    ],
)
def test_a_store_that_keeps_its_level_is_never_accused(store: Callable[[], Store], keeps: str) -> None:
    verdicts = [list_append.check(run(store(), seed), expect=(keeps,)) for seed in range(40)]

    assert {verdict.validity for verdict in verdicts} == {"valid"}


@pytest.mark.parametrize(
    ("store", "lacks", "anomalies"),
    [
        (ReadUncommitted, "read-committed", {"G1b", "G1c", "G0"}),
        (ReadCommitted, "consistent-view", {"G-single", "lost-update"}),
        (ReadCommitted, "read-atomic", {"internal"}),
        (SnapshotIsolation, "serializable", {"G2-item"}),
        (StaleSerializable, "strong-snapshot-isolation", {"G-single-process"}),
    ],
)
def test_a_store_that_lacks_a_level_is_found_out(store: Callable[[], Store], lacks: str, anomalies: set[str]) -> None:
    verdicts = [list_append.check(run(store(), seed), expect=(lacks,)) for seed in range(40)]
    found = {anomaly.kind for verdict in verdicts for anomaly in verdict.anomalies}

    assert "invalid" in {verdict.validity for verdict in verdicts}
    assert anomalies <= found


def test_work_grows_with_the_number_of_transactions_and_not_with_its_square() -> None:
    """Real time alone orders nearly all pairs; barriers keep the graph at a few edges a transaction."""
    few, many = (list_append.check(run(Serializable(), 1, count=count)).steps for count in (300, 1200))

    assert many < 5 * few
