"""Random schedules with every fault the core must survive; safety is checked at every step, liveness at the end.

The network loses, duplicates and reorders; disks lag and forget what they had not finished; nodes crash, clocks run,
leaders transfer, members come and go, logs are compacted under slow followers. `Cluster` compares what is applied and
who leads; here reads are checked against what had been acknowledged before they were asked.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from raft_impl.protocol.ready import Proposed, ReadAt
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster, Packet

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
        self.weights = [60, 12, 8, 8] + [self.random.choice([0, weight]) for weight in (2, 6, 3, 2, 1, 2)]
        self.disorder = self.random.choice([0.0, 0.1, 0.5])
        self.batching = self.random.choice([0.0, 0.1, 0.7])
        self.late: list[Packet] = []
        self.acknowledged = 0  # the highest index that a client was told is committed
        self.proposals: dict[Any, str] = {}
        self.reads: dict[Any, tuple[str, int]] = {}

    def step(self) -> None:
        """One random thing happens."""
        cluster, rng = self.cluster, self.random
        name = rng.choice(list(cluster.nodes))
        alive = cluster.nodes[name].core is not None
        action = rng.choices(
            ["deliver", "time", "propose", "read", "crash", "disk", "network", "compact", "transfer", "change"],
            self.weights,
        )[0]
        if action == "deliver":
            self._deliver(rng.randint(1, 8))
        elif action == "time":
            self._pass_time(rng.randrange(HEARTBEAT_NS))
        elif action == "crash":
            self._crash_or_restart(self._choose_target(name))
        elif action == "network":
            self._change_network()
        elif alive:
            self._request(action, name)
        self._judge()

    def _choose_target(self, name: str) -> str:
        """Prefer a leader: that is where a fault matters most."""
        leaders = self.cluster.leaders()
        return self.random.choice(leaders) if leaders and self.random.random() < 0.5 else name

    def _crash_or_restart(self, name: str) -> None:
        cluster = self.cluster
        down = [other for other, node in cluster.nodes.items() if node.core is None]
        if down and self.random.random() < 0.6:
            cluster.restart(self.random.choice(down))
        elif name not in down and len(down) < 3:
            cluster.crash(name)

    def _change_network(self) -> None:
        """Heal everything, or cut a side off, often one with a leader and one ally, at times one way only."""
        cluster, rng = self.cluster, self.random
        cluster.cut_links.clear()
        if rng.random() < 0.4:
            return
        names = list(cluster.nodes)
        side = [self._choose_target(rng.choice(names))] + [name for name in names if rng.random() < 0.25]
        others = self._others(side)
        if rng.random() < 0.7:
            cluster.cut("".join(side), others)
        elif rng.random() < 0.5:
            cluster.cut_one_way("".join(side), others)
        else:
            cluster.cut_one_way(others, "".join(side))

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
        """Move some packets, mostly in order; lose some, and keep copies of others for much later."""
        network, rng = self.cluster.network, self.random
        if network and rng.random() < self.batching:
            self.cluster.deliver_batch(network[0][1])
            return
        for _ in range(count):
            if self.late and rng.random() < 0.05:
                network.insert(0, self.late.pop(rng.randrange(len(self.late))))
            if not network:
                return
            if rng.random() < self.disorder:
                network.insert(0, network.pop(rng.randrange(len(network))))
            fate = rng.random()
            if fate < 0.1:
                self.late.append(network[0] if fate < 0.05 else network.pop(0))
            elif fate < 0.15:
                network.pop(0)
            else:
                self.cluster.deliver_one()

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
