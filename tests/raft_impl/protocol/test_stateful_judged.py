"""The core under Hypothesis once more, judged by the very invariants that judge a simulated run.

`CoreMachine` compares whole logs of the running cores. Here what the cores note, what their disks made durable and
what their machines applied become rows of a trace, so that also what a crash has taken, what was durable when, and
entries that never met in two logs at a time are judged. And the other way round: a hundred odd incarnations of a
correct core must not look wrong to `checkers.raft`.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from checkers.raft.invariants import Invariants
from raft_impl.protocol.ready import Ready
from raft_impl.protocol.state import Entry
from raft_impl.runtime.applier import payload_digest
from tests.raft_impl.protocol.cluster import Cluster, Node
from tests.raft_impl.protocol.test_stateful import CoreMachine

GROUP = "g0"


class JudgedCluster(Cluster):
    """A cluster that tells the invariants of everything; what belongs to one step of a node happens at one instant."""

    def __init__(self, voters: str, **options: Any) -> None:
        self.invariants = Invariants({GROUP: tuple(voters)})
        self._instant = 0
        self._index = 0
        super().__init__(voters, **options)

    def restart(self, name: str) -> None:
        self._instant += 1
        self._row("start", name, self.nodes[name].incarnations + 1, "default")
        super().restart(name)

    def crash(self, name: str) -> None:
        self._row("crash", name, self.nodes[name].incarnations, "power")
        super().crash(name)

    def _obey(self, node: Node, ready: Ready) -> None:
        self._instant += 1
        for word, *fields in ready.notes:
            if word == "log-append":
                fields[1] = tuple((entry.term, payload_digest(entry.kind, entry.data)) for entry in fields[1])
            self._row(word, node.name, GROUP, *fields)
        super()._obey(node, ready)

    def _finish(self, node: Node, ready: Ready) -> None:
        self._instant += 1
        disk = node.disk
        if ready.persist is not None:
            # A copy of the disk says what the write makes durable, before anything rests on it.
            after = copy(disk)
            after.entries = list(disk.entries)
            after.commit(ready.persist)
            covered = after.snapshot.meta if after.snapshot is not None else None
            last, last_term = (covered.index, covered.term) if covered is not None else (0, 0)
            if after.entries and after.entries[-1].index > last:
                last, last_term = after.entries[-1].index, after.entries[-1].term
            durable = (GROUP, last, after.hard_state.term, after.hard_state.vote, last_term)
            self._row("fsync", node.name, ("log",), (durable,))
        super()._finish(node, ready)

    def _apply(self, node: Node, entry: Entry) -> None:
        super()._apply(node, entry)
        self._row(
            "apply",
            node.name,
            GROUP,
            entry.index,
            payload_digest(entry.kind, entry.data),
            msgspec.msgpack.encode(node.machine),
        )

    def _row(self, kind: str, name: str, *fields: Any) -> None:
        self.invariants.observe(self._index, (self._instant, kind, name, *fields))
        self._index += 1


class JudgedMachine(CoreMachine):
    """The same rules, over a cluster that is judged."""

    cluster: JudgedCluster
    new_cluster = JudgedCluster

    @invariant()
    def nothing_looks_wrong_to_the_checkers(self) -> None:
        assert [anomaly.message for anomaly in self.cluster.invariants.anomalies] == []

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "cluster"):
            self.nothing_looks_wrong_to_the_checkers()


JudgedMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestJudged = JudgedMachine.TestCase
