"""Random schedules with every fault the core must survive; safety is checked at every step, liveness at the end.

The network loses, duplicates and reorders; disks lag and forget what they had not finished; nodes crash, clocks run, leaders
transfer, members come and go, logs are compacted under slow followers. `Cluster` compares what is applied and
who leads; here reads are checked against what had been acknowledged before they were asked.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from raft_impl.protocol.ready import Proposed, ReadAt
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster

NODES = "abcde"

STEPS = 1000


class Chaos:
    """One random life of a cluster."""

    def __init__(self, seed: int, **options: Any) -> None:
        self.random = random.Random(seed)
        self.cluster = Cluster(
            NODES[: self.random.choice([1, 2, 3, 3, 3, 4, 5])],
            spare="xy",
            seed=seed,
            max_entries_per_append=self.random.choice([1, 2, 64]),
            max_inflight=self.random.choice([1, 3, 64]),
            snapshot_chunk_bytes=self.random.choice([3, 10, 1000]),
            pre_vote=self.random.random() < 0.8,
            **options,
        )
        self.acknowledged = 0  # the highest index that anybody was told is committed
        self.proposals: dict[Any, str] = {}
        self.reads: dict[Any, tuple[str, int]] = {}

    def step(self) -> None:
        """One random thing happens."""
        cluster, rng = self.cluster, self.random
        name = rng.choice(list(cluster.nodes))
        alive = cluster.nodes[name].core is not None
        action = rng.choices(
            ["deliver", "time", "propose", "read", "crash", "disk", "network", "compact", "transfer", "change"],
            [60, 12, 10, 8, 2, 6, 2, 2, 1, 2],
        )[0]
        if action == "deliver":
            self._deliver(rng.randint(1, 8))
        elif action == "time":
            self._pass_time(rng.randrange(HEARTBEAT_NS))
        elif action == "crash":
            if alive and sum(node.core is None for node in cluster.nodes.values()) < 2:
                cluster.crash(name)
            elif not alive:
                cluster.restart(name)
        elif action == "network":
            cluster.cut_links.clear()
            if rng.random() < 0.6:
                side = [node for node in cluster.nodes if rng.random() < 0.4]
                (cluster.cut if rng.random() < 0.6 else cluster.cut_one_way)("".join(side), self._others(side))
        elif alive:
            self._request(action, name)
        self._judge()

    def _others(self, side: list[str]) -> str:
        return "".join(name for name in self.cluster.nodes if name not in side)

    def _request(self, action: str, name: str) -> None:
        cluster, rng = self.cluster, self.random
        if action == "propose":
            target = rng.choice(cluster.leaders() or [name])
            tag = cluster.propose(target, f"{rng.randrange(1000)}", settle=False)
            self.proposals[tag] = target
        elif action == "read":
            self.reads[cluster.read(name, settle=False)] = (name, self.acknowledged)
        elif action == "disk":
            cluster.nodes[name].slow = rng.random() < 0.5
            cluster.flush(name)
        elif action == "compact":
            cluster.compact(name, keep=rng.choice([0, 1, 3]))
        elif action == "transfer":
            cluster.transfer(rng.choice(cluster.leaders() or [name]), rng.choice(list(cluster.nodes)), settle=False)
        elif action == "change":
            what = rng.choice(["vote", "vote", "listen", "leave"])
            leader = rng.choice(cluster.leaders() or [name])
            cluster.change(leader, settle=False, **{what: [rng.choice(list(cluster.nodes))]})

    def _deliver(self, count: int) -> None:
        network, rng = self.cluster.network, self.random
        for _ in range(min(count, len(network))):
            if rng.random() < 0.4:
                network.insert(0, network.pop(rng.randrange(len(network))))
            if rng.random() < 0.05:
                network.append(network[0])
            if rng.random() < 0.05:
                network.pop(0)
            else:
                self.cluster.deliver_one()
            if not network:
                return

    def _pass_time(self, duration_ns: int) -> None:
        cluster = self.cluster
        cluster.now += duration_ns
        for name, node in cluster.nodes.items():
            if node.core is not None and node.wake_at_ns <= cluster.now:
                cluster.wake(name)

    def _judge(self) -> None:
        cluster = self.cluster
        for tag, name in list(self.proposals.items()):
            answer = cluster.answer(name, tag)
            if isinstance(answer, Proposed):
                core = cluster.nodes[name].core
                if core is None or core.status().applied < answer.index:
                    continue
                if core.term_at(answer.index) == answer.term:
                    self.acknowledged = max(self.acknowledged, answer.index)
            if answer is not None:
                del self.proposals[tag]
        for tag, (name, before) in list(self.reads.items()):
            answer = cluster.answer(name, tag)
            if isinstance(answer, ReadAt):
                assert answer.index >= before, f"a read at {name} saw {answer.index}, {before} was acknowledged before"
            if answer is not None:
                del self.reads[tag]

    def recover(self) -> None:
        """Heal everything, and demand progress that reaches every member."""
        cluster = self.cluster
        cluster.cut_links.clear()
        for name, node in cluster.nodes.items():
            node.slow = False
            if node.core is None:
                cluster.restart(name)
            cluster.flush(name)
        cluster.run(20 * T_NS)
        leader = cluster.leader()
        cluster.propose(leader, "last")
        cluster.run(10 * T_NS)
        self._judge()
        membership = cluster.status(leader).membership
        for name in [*membership.voters, *membership.learners]:
            assert cluster.applied(name) == cluster.applied(leader)
            assert cluster.applied(name)[-1] == "last"


@pytest.mark.parametrize("reads", ["quorum", "lease"])
@pytest.mark.parametrize("seed", range(60))
def test_random_faults_break_no_promise(seed: int, reads: str) -> None:
    """Whatever happens: one leader a term, one history applied, no stale read; and afterwards the group works."""
    chaos = Chaos(seed, reads=reads)

    for _ in range(STEPS):
        chaos.step()

    chaos.recover()
