"""What both analyses of transactions do: who wrote what, anomalies that are no cycles, and evidence of edges.

An analysis takes the micro-operations of each transaction key by key, infers an order of each key's versions, adds the
dependencies to the graph, and can find and tell the evidence of an edge again when a cycle has to be explained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from checkers.verdict import Anomaly

from .graph import Graph
from .nodes import Transactions, micro
from .search import Reads


class Key:
    """What was written to one object."""

    __slots__ = ("_written", "aborted", "name", "usable", "writers")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.writers: dict[Hashable, int] = {}  # value -> 2 * transaction, + 1 if it is the last one it wrote here
        self.aborted: dict[Hashable, int] = {}  # value -> position in Transactions.aborted
        self.usable = True  # whether the order of versions is beyond doubt
        self._written: dict[int, list[Any]] = {}

    @property
    def writing(self) -> dict[int, list[Any]]:
        """What each transaction wrote here."""
        if not self._written:
            for value, entry in self.writers.items():
                self._written.setdefault(entry >> 1, []).append(value)
        return self._written

    def written_by(self, transaction: int) -> list[Any]:
        """List what a transaction wrote here."""
        return self.writing.get(transaction, [])

    @property
    def shown(self) -> Iterable[Hashable]:
        """The values that some read shows."""
        raise NotImplementedError


K = TypeVar("K", bound=Key)


class Analysis(ABC, Generic[K]):
    """The versions of each key as far as reads reveal them. A subclass reads them from lists or from registers."""

    CHECKER: str
    WRITE: str  # the name of the micro-operation that writes
    knows_versions: bool  # whether a graph without circles proves that there is an order

    def __init__(self, transactions: Transactions) -> None:
        self.transactions = transactions
        self.anomalies: dict[str, Anomaly] = {}
        self.notes: list[str] = []
        self.keys: dict[Hashable, K] = {}
        self.happened: list[bool] = []  # of each transaction, whether it certainly took effect
        for number, operation in enumerate(transactions.aborted):
            for f, key, value in operation.value:
                if f == self.WRITE:
                    self.key(key).aborted[value] = number

    @abstractmethod
    def new_key(self, name: Hashable) -> K:
        """Make the record of a key that was not met before."""

    @abstractmethod
    def add_edges(self, graph: Graph) -> None:
        """Add the dependencies that the reads reveal."""

    @property
    @abstractmethod
    def leaves_open(self) -> bool:
        """Whether some versions of an object are in no known order."""

    @abstractmethod
    def sources(self, key: K) -> Iterable[tuple[int, int]]:
        """List the reads of a key as (reader, writer of what it saw), the writer -1 for the initial version."""

    def reads(self) -> Reads:
        """Say what each transaction read and wrote, for the search for an order."""
        size = len(self.transactions)
        read: list[list[tuple[int, int]]] = [[] for _ in range(size)]
        wrote: list[list[int]] = [[] for _ in range(size)]
        for number, key in enumerate(self.keys.values()):
            for reader, writer in self.sources(key):
                read[reader].append((number, writer))
            for writer in dict.fromkeys(entry >> 1 for entry in key.writers.values()):
                wrote[writer].append(number)
        return Reads(self.happened, read, wrote, len(self.keys))

    @abstractmethod
    def evidence(self, kind: int, source: int, target: int, key: K) -> Iterable[dict[str, Any]]:
        """Find what orders two transactions by this key, as data; `how` is "next" for neighbouring versions."""

    @abstractmethod
    def say(self, evidence: dict[str, Any]) -> str:
        """Put evidence into words; it holds the names of the two transactions."""

    @abstractmethod
    def claim(self, evidence: dict[str, Any]) -> str:
        """Say what happened in a few words, without the reason of the order: for the first sentence."""

    def name(self, cycle: str) -> str:
        """Name a cycle of this class, more cautiously where the edges rest on more than what was read."""
        return cycle

    def key(self, name: Hashable) -> K:
        """Return the record of a key."""
        key = self.keys.get(name)
        if key is None:
            key = self.keys[name] = self.new_key(name)
        return key

    def find_happened(self) -> list[bool]:
        """Say of each transaction whether it certainly took effect: it committed, or a read shows what it wrote."""
        happened = list(self.transactions.committed)
        if not all(happened):
            for key in self.keys.values():
                for value in key.shown:
                    entry = key.writers.get(value)
                    if entry is not None:
                        happened[entry >> 1] = True
        return happened

    def found(self, kind: str, what: str, who: Sequence[int], *, because: Sequence[str] = (), **evidence: Any) -> None:
        """Record an anomaly that is no cycle, the first of its kind: `what` is said of the first of `who`.

        `because` are further sentences, which follow what the transactions did.
        """
        if kind in self.anomalies:
            return
        transactions = self.transactions
        lines = [f"{kind}: {transactions.name(who[0])} {what}."]
        lines += [f"Let {transactions.name(one)} = {micro(transactions.done[one])}." for one in who]
        if "writer" in evidence:
            lines.append(f"Let {evidence['writer']['name']} = {micro(evidence['writer']['value'])}, which failed.")
        self.anomalies[kind] = Anomaly(
            checker=self.CHECKER,
            kind=kind,
            index=transactions.certain_at(who),
            message="\n".join([*lines, *because]),
            evidence={**evidence, "transactions": [transactions.describe(transaction) for transaction in who]},
        )

    def why(self, kind: int, source: int, target: int) -> dict[str, Any] | None:
        """Find why `source` comes before `target`: by neighbouring versions, else by the first key that says so."""
        best: dict[str, Any] | None = None
        for name in dict.fromkeys(name for _, name, _ in self.transactions.done[source]):
            evidence = next(iter(self.evidence(kind, source, target, self.key(name))), None)
            if evidence is not None and (best is None or evidence["how"] == "next"):
                best = {"key": name, **evidence}
        return best
