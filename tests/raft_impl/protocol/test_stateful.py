"""The whole core under Hypothesis: it chooses every delivery, loss, crash, write and request, and shrinks what breaks.

After every step the five properties of figure 3 and the bounds of the indexes are checked on the cores themselves, by
comparing whole logs: slow, and obvious.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raft_impl.protocol.ready import ReadAt
from raft_impl.protocol.state import Entry, Index
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster

NAMES = "abcx"
LAST = Index(1 << 40)

names = st.sampled_from(NAMES)


class CoreMachine(RuleBasedStateMachine):
    """Three voters and a spare node, at the mercy of the strategy."""

    new_cluster: type[Cluster] = Cluster

    def __init__(self) -> None:
        super().__init__()
        self.cluster: Cluster
        self.count = 0
        self.committed: dict[int, Entry] = {}
        self.reads: dict[Any, tuple[str, int]] = {}
        self.terms: dict[str, int] = dict.fromkeys(NAMES, 0)

    @initialize(
        entries=st.sampled_from([1, 64]),
        chunk=st.sampled_from([4, 1000]),
        reads=st.sampled_from(["quorum", "lease"]),
        pre_vote=st.booleans(),
    )
    def start(self, entries: int, chunk: int, reads: str, pre_vote: bool) -> None:
        self.cluster = self.new_cluster(
            "abc",
            spare="x",
            max_entries_per_append=entries,
            snapshot_chunk_bytes=chunk,
            reads=reads,
            pre_vote=pre_vote,
        )

    # what may happen

    def is_up(self, name: str) -> bool:
        return self.cluster.nodes[name].core is not None

    @precondition(lambda self: self.cluster.network)
    @rule(data=st.data(), fate=st.sampled_from(["deliver", "deliver", "deliver", "lose", "duplicate"]))
    def move_a_packet(self, data: st.DataObject, fate: str) -> None:
        network = self.cluster.network
        network.insert(0, network.pop(data.draw(st.integers(0, len(network) - 1))))
        if fate == "lose":
            network.pop(0)
        else:
            if fate == "duplicate":
                network.append(network[0])
            self.cluster.deliver_one()

    @rule(name=names)
    def deliver_an_inbox(self, name: str) -> None:
        self.cluster.deliver_batch(name)

    @rule()
    def deliver_everything(self) -> None:
        self.cluster.settle()

    @rule(duration_ns=st.sampled_from([1, HEARTBEAT_NS // 2, HEARTBEAT_NS, T_NS, 2 * T_NS]))
    def pass_time(self, duration_ns: int) -> None:
        self.cluster.now += duration_ns
        for name, node in self.cluster.nodes.items():
            if node.core is not None and node.wake_at_ns <= self.cluster.now:
                self.cluster.wake(name)

    @rule(name=names)
    def fire_election_timer(self, name: str) -> None:
        if self.is_up(name):
            self.cluster.campaign(name)

    @rule(name=names)
    def crash_or_restart(self, name: str) -> None:
        if self.is_up(name):
            self.cluster.crash(name)
        else:
            self.cluster.restart(name)

    @rule(name=names, slow=st.booleans())
    def disk(self, name: str, slow: bool) -> None:
        if self.is_up(name):
            self.cluster.nodes[name].slow = slow
            self.cluster.flush(name)

    @rule(name=names)
    def propose(self, name: str) -> None:
        if self.is_up(name):
            self.count += 1
            self.cluster.propose(name, f"{self.count}", settle=False)

    @rule(name=names)
    def read(self, name: str) -> None:
        if self.is_up(name):
            self.reads[self.cluster.read(name, settle=False)] = (name, self.acknowledged())

    @rule(name=names, keep=st.integers(0, 2))
    def compact(self, name: str, keep: int) -> None:
        if self.is_up(name):
            self.cluster.compact(name, keep=keep)

    @rule(name=names, successor=names)
    def transfer(self, name: str, successor: str) -> None:
        if self.is_up(name):
            self.cluster.transfer(name, successor, settle=False)

    @rule(name=names, what=st.sampled_from(["vote", "listen", "leave"]), whom=names)
    def change(self, name: str, what: str, whom: str) -> None:
        if self.is_up(name):
            self.cluster.change(name, settle=False, **{what: whom})

    # what must hold

    def logs(self) -> dict[str, dict[int, Entry]]:
        running = [name for name in NAMES if self.is_up(name)]
        return {
            name: {entry.index: entry for entry in self.cluster.core(name).entries(Index(0), LAST)} for name in running
        }

    def acknowledged(self) -> int:
        """The highest index that a leader has applied: its client may know."""
        applied = [self.cluster.status(name).applied for name in self.cluster.leaders()]
        return max([*applied, *[index for _, index in self.reads.values()]], default=0)

    @invariant()
    def logs_match(self) -> None:
        """Log Matching: two logs with an equal entry are equal up to it, as far as both still hold them."""
        logs = self.logs()
        for one in logs.values():
            for other in logs.values():
                common = [index for index in one if index in other and one[index].term == other[index].term]
                for index in one:
                    if common and index <= max(common) and index in other:
                        assert one[index] == other[index]

    @invariant()
    def leaders_have_everything_committed(self) -> None:
        """Leader Completeness and State Machine Safety, against all that any node ever knew to be committed."""
        for name, log in self.logs().items():
            for index in range(1, self.cluster.status(name).commit + 1):
                if index in log:
                    assert self.committed.setdefault(index, log[index]) == log[index]
        newest = max((self.cluster.status(name).term for name in self.cluster.leaders()), default=0)
        for name in self.cluster.leaders():
            status = self.cluster.status(name)
            if status.term == newest:
                log = self.logs()[name]
                for index, entry in self.committed.items():
                    if index >= status.first and entry.term <= status.term:
                        assert log.get(index) == entry, f"{name} leads without entry {index}"

    @invariant()
    def indexes_are_in_order_and_terms_never_fall(self) -> None:
        for name in self.logs():
            status = self.cluster.status(name)
            assert status.snapshot <= status.commit or status.commit == 0
            assert status.applied <= status.commit <= status.last
            assert status.durable <= status.last
            assert status.first <= status.commit + 1
            assert status.term >= self.cluster.nodes[name].disk.hard_state.term >= self.terms[name]
            self.terms[name] = self.cluster.nodes[name].disk.hard_state.term
            for peer in status.peers.values():
                assert peer.match < peer.next <= status.last + 1

    @invariant()
    def reads_are_fresh(self) -> None:
        for tag, (name, before) in list(self.reads.items()):
            answer = self.cluster.answer(name, tag)
            if answer is not None:
                del self.reads[tag]
            if isinstance(answer, ReadAt):
                assert answer.index >= before

    def teardown(self) -> None:
        """Whatever happened, with everything healed the group finds a leader and works."""
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        for name, node in cluster.nodes.items():
            node.slow = False
            if node.core is None:
                cluster.restart(name)
            cluster.flush(name)
        cluster.run(20 * T_NS)
        leader = cluster.leader()
        cluster.propose(leader, "last")
        cluster.run(10 * T_NS)
        membership = cluster.status(leader).membership
        for name in [*membership.voters, *membership.learners]:
            assert cluster.applied(name) == cluster.applied(leader)
        assert cluster.applied(leader)[-1] == "last"


CoreMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestCore = CoreMachine.TestCase
