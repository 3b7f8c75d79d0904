"""The situations of the MIT 6.5840 Raft lab, in our own words: elections, agreement, persistence, snapshots.

Each is a short scenario played on a cluster; `Cluster` itself checks at every step that no two nodes apply different
entries and that no term has two leaders.
"""

from __future__ import annotations

import random

import pytest

from raft_impl.protocol.messages import Append, AppendReply
from raft_impl.protocol.ready import Proposed
from tests.raft_impl.protocol.cluster import HEARTBEAT_NS, T_NS, Cluster

ELECTION = 4 * T_NS
"""Ample time for an election with instant packets."""


def started(size: int = 3, **options: object) -> Cluster:
    """A cluster that has found its leader by its own timers."""
    cluster = Cluster("abcdefg"[:size], **options)  # type: ignore[arg-type]
    cluster.run(ELECTION)
    assert len(cluster.leaders()) == 1
    return cluster


def others(cluster: Cluster, name: str) -> str:
    """All nodes but one."""
    return "".join(node for node in cluster.nodes if node != name)


def agree(cluster: Cluster, command: str, names: str | None = None) -> None:
    """Have the leader take a command, and find it applied at these nodes."""
    cluster.propose(cluster.leader(), command)
    cluster.run(4 * HEARTBEAT_NS)
    for name in names or "".join(cluster.nodes):
        assert cluster.applied(name)[-1] == command


# elections


def test_one_leader_and_a_term_that_stays() -> None:
    """InitialElection: with nothing wrong there is one leader, and two timeouts later the same."""
    cluster = started()
    before = (cluster.leaders(), [cluster.status(name).term for name in "abc"])

    cluster.run(ELECTION)

    assert (cluster.leaders(), [cluster.status(name).term for name in "abc"]) == before


def test_a_new_leader_when_the_old_one_is_cut_off_and_peace_when_it_returns() -> None:
    """ReElection: disconnect, reconnect, then lose the quorum, then have it again."""
    cluster = started()
    first = cluster.leader()
    cluster.cut(first)
    cluster.run(ELECTION)
    second = cluster.leader()
    assert second != first

    cluster.heal()
    cluster.run(ELECTION)
    assert cluster.leaders() == [second]

    third = next(name for name in "abc" if name not in (first, second))
    cluster.cut(second)
    cluster.cut(third)
    cluster.cut(first)
    cluster.run(ELECTION)
    assert cluster.leaders() == []

    cluster.heal()
    cluster.run(ELECTION)
    assert len(cluster.leaders()) == 1


def test_many_elections_among_seven() -> None:
    """ManyElections: three of seven are cut off again and again; the rest always has or finds one leader."""
    cluster = started(7)
    rng = random.Random(3)

    for _ in range(10):
        away = rng.sample("abcdefg", 3)
        for name in away:
            cluster.cut(name)
        cluster.run(ELECTION)
        connected = [name for name in cluster.leaders() if name not in away]
        assert len(connected) == 1
        cluster.heal()


# agreement


def test_basic_agreement() -> None:
    """BasicAgree: commands are applied everywhere, in the order in which they were taken."""
    cluster = started(5)

    for number in range(3):
        agree(cluster, f"{number}")

    assert [cluster.applied(name) for name in "abcde"] == [["0", "1", "2"]] * 5


def test_followers_fail_one_by_one() -> None:
    """FollowerFailure: with one gone there is agreement, with two of three there is none."""
    cluster = started()
    leader = cluster.leader()
    one, two = others(cluster, leader)
    cluster.cut(one)
    agree(cluster, "x", leader + two)
    cluster.cut(two)

    cluster.propose(leader, "y")
    cluster.run(ELECTION)

    assert all("y" not in cluster.applied(name) for name in "abc")


def test_leaders_fail_one_by_one() -> None:
    """LeaderFailure: the second leader goes on; after that no node can."""
    cluster = started()
    first = cluster.leader()
    cluster.cut(first)
    cluster.run(ELECTION)
    second = cluster.leader()
    agree(cluster, "x", others(cluster, first))
    cluster.cut(second)

    cluster.propose(second, "y")
    cluster.run(ELECTION)

    assert all("y" not in cluster.applied(name) for name in "abc")


def test_a_follower_that_returns_agrees_again() -> None:
    """FailAgree: what was agreed without it, and what is agreed after."""
    cluster = started()
    leader = cluster.leader()
    away = others(cluster, leader)[0]
    cluster.cut(away)
    for number in range(4):
        agree(cluster, f"{number}", "".join(name for name in "abc" if name != away))

    cluster.heal()
    agree(cluster, "after")

    assert cluster.applied(away) == ["0", "1", "2", "3", "after"]


def test_no_agreement_without_a_majority_and_the_tail_is_not_missed() -> None:
    """FailNoAgree: three of five away; what the minority's leader took may be lost, and then is nowhere."""
    cluster = started(5)
    leader = cluster.leader()
    away = others(cluster, leader)[:3]
    cluster.cut(away)
    cluster.propose(leader, "lost?")
    assert cluster.applied(leader) == []

    cluster.run(ELECTION)
    cluster.heal()
    cluster.run(ELECTION)
    agree(cluster, "kept")

    assert len({tuple(cluster.applied(name)) for name in "abcde"}) == 1


def test_concurrent_proposals_all_get_different_indexes() -> None:
    """ConcurrentStarts: one batch, five commands, five places."""
    cluster = started()
    leader = cluster.leader()

    tags = [cluster.propose(leader, f"{number}", settle=False) for number in range(5)]
    cluster.run(2 * HEARTBEAT_NS)

    answers = [cluster.answer(leader, tag) for tag in tags]
    assert len({answer.index for answer in answers if isinstance(answer, Proposed)}) == 5
    assert [cluster.applied(name) for name in "abc"] == [["0", "1", "2", "3", "4"]] * 3


def test_a_deposed_leader_with_commands_of_its_own_rejoins() -> None:
    """Rejoin: it took commands alone; they vanish. Then the next leader is cut off, and the first one helps out."""
    cluster = started()
    first = cluster.leader()
    agree(cluster, "101")
    cluster.cut(first)
    for number in (102, 103, 104):
        cluster.propose(first, f"{number}")
    cluster.run(ELECTION)
    second = cluster.leader()
    cluster.propose(second, "105")

    cluster.cut_links.clear()
    cluster.cut(second)
    cluster.run(2 * ELECTION)
    agree(cluster, "106", others(cluster, second))
    cluster.heal()
    agree(cluster, "107")

    assert [cluster.applied(name) for name in "abc"] == [["101", "105", "106", "107"]] * 3


def test_long_divergent_logs_are_brought_back_quickly() -> None:
    """Backup: three terms of fifty lost commands each; whole terms are skipped, so refusals are few."""
    cluster = started(5)
    for _ in range(3):
        leader = cluster.leader()
        ally = others(cluster, leader)[0]
        cluster.cut(leader + ally)
        for number in range(50):
            cluster.propose(leader, f"lost {number}")
        cluster.run(ELECTION)
        assert cluster.leader() not in leader + ally
        for number in range(50):
            cluster.propose(cluster.leader(), f"kept {number}")
        cluster.log_of_messages.clear()
        cluster.heal()
        cluster.run(4 * HEARTBEAT_NS)
        assert len(cluster.sent("append-reject")) <= 8

    agree(cluster, "last")
    assert len({tuple(cluster.applied(name)) for name in "abcde"}) == 1
    assert len(cluster.applied("a")) == 151


# persistence


def test_agreement_over_restarts_of_all_leaders_and_followers() -> None:
    """Persist1: all nodes restart at once, then the leader, then a follower; nothing agreed is lost."""
    cluster = started()
    agree(cluster, "11")
    for name in "abc":
        cluster.crash(name)
        cluster.restart(name)
    cluster.run(ELECTION)
    agree(cluster, "12")

    leader = cluster.leader()
    cluster.crash(leader)
    cluster.restart(leader)
    cluster.run(ELECTION)
    agree(cluster, "13")

    leader = cluster.leader()
    follower = others(cluster, leader)[0]
    cluster.crash(follower)
    agree(cluster, "14", others(cluster, follower))
    cluster.restart(follower)
    agree(cluster, "15")

    assert [cluster.applied(name) for name in "abc"] == [["11", "12", "13", "14", "15"]] * 3


def test_five_nodes_restart_in_rotating_minorities() -> None:
    """Persist2: groups leave and come back in another composition, five times over."""
    cluster = started(5)
    for turn in range(5):
        agree(cluster, f"all {turn}")
        leader = cluster.leader()
        away = others(cluster, leader)[:2]
        for name in away:
            cluster.crash(name)
        agree(cluster, f"three {turn}", "".join(name for name in "abcde" if name not in away))
        rest = [name for name in "abcde" if name not in away]
        for name in rest:
            cluster.crash(name)
        for name in [*away, rest[1]]:
            cluster.restart(name)
        cluster.run(2 * ELECTION)
        assert cluster.leader() == rest[1], "only it has everything"
        for name in (rest[0], rest[2]):
            cluster.restart(name)
        cluster.run(ELECTION)

    agree(cluster, "1000")
    assert len(cluster.applied("a")) == 11


def test_a_partitioned_leader_and_a_follower_crash_and_come_back_in_turn() -> None:
    """Persist3: with the leader away and back, the latest log wins."""
    cluster = started()
    agree(cluster, "101")
    leader = cluster.leader()
    away, partner = others(cluster, leader)
    cluster.cut(away)
    agree(cluster, "102", leader + partner)
    cluster.crash(leader)
    cluster.crash(partner)
    cluster.cut_links.clear()
    cluster.restart(leader)
    cluster.run(2 * ELECTION)
    assert cluster.leader() == leader
    agree(cluster, "103", leader + away)
    cluster.restart(partner)
    agree(cluster, "104")

    assert [cluster.applied(name) for name in "abc"] == [["101", "102", "103", "104"]] * 3


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("unreliable", [False, True])
def test_leaders_crash_at_awkward_moments(seed: int, unreliable: bool) -> None:
    """Figure8, Figure8Unreliable: a leader takes a command, often crashes right after, and three of five are kept
    alive."""
    cluster = Cluster("abcde", seed=seed, max_entries_per_append=1)
    rng = random.Random(seed)
    for _ in range(60):
        if unreliable and rng.random() < 0.3:
            rng.shuffle(cluster.network)
        for name in cluster.leaders():
            cluster.propose(name, f"{rng.randrange(1000)}", settle=False)
            for _ in range(rng.randrange(12)):
                if cluster.network:
                    cluster.deliver_one()
            if rng.random() < 0.5:
                cluster.crash(name)
        down = [name for name, node in cluster.nodes.items() if node.core is None]
        if len(down) >= 2:
            cluster.restart(rng.choice(down))
        if unreliable:
            cluster.lose = lambda packet: rng.random() < 0.2
        cluster.run(rng.randrange(ELECTION))
    cluster.lose = lambda packet: False
    for name, node in cluster.nodes.items():
        if node.core is None:
            cluster.restart(name)
    cluster.run(4 * ELECTION)

    agree(cluster, "last")
    assert len({tuple(cluster.applied(name)) for name in "abcde"}) == 1


def test_agreement_over_an_unreliable_network() -> None:
    """UnreliableAgree: a third of all packets is lost, and all commands are agreed on in the end."""
    cluster = started(5)
    rng = random.Random(7)
    cluster.lose = lambda packet: rng.random() < 0.3
    taken = 0
    for number in range(40):
        for name in cluster.leaders():
            taken += isinstance(cluster.answer(name, cluster.propose(name, f"{name}{number}")), Proposed)
        cluster.run(HEARTBEAT_NS)
    cluster.lose = lambda packet: False
    cluster.run(2 * ELECTION)

    agree(cluster, "last")
    assert taken >= len(cluster.applied("a")) - 1 > 20


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(6))
def test_churn(seed: int, loss: float) -> None:
    """ReliableChurn, UnreliableChurn: crashes, cuts and restarts under constant load; what was acknowledged stays."""
    cluster = Cluster("abcde", seed=seed)
    rng = random.Random(seed)
    cluster.lose = lambda packet: rng.random() < loss
    acknowledged: list[str] = []
    for number in range(120):
        for name in cluster.leaders():
            command = f"{name}{number}"
            tag = cluster.propose(name, command)
            answer = cluster.answer(name, tag)
            if isinstance(answer, Proposed) and command in cluster.applied(name):
                acknowledged.append(command)
        name = rng.choice("abcde")
        fate = rng.random()
        down = [node for node in "abcde" if cluster.nodes[node].core is None]
        if fate < 0.1 and len(down) < 2:
            cluster.crash(name)
        elif fate < 0.3 and down:
            cluster.restart(down[0])
        elif fate < 0.4:
            cluster.cut(name)
        elif fate < 0.6:
            cluster.cut_links.clear()
        cluster.run(rng.randrange(2 * T_NS))
    cluster.cut_links.clear()
    cluster.lose = lambda packet: False
    for node in "abcde":
        if cluster.nodes[node].core is None:
            cluster.restart(node)
    cluster.run(4 * ELECTION)

    agree(cluster, "last")
    for node in "abcde":
        assert [command for command in acknowledged if command not in cluster.applied(node)] == []
    assert len(acknowledged) > 20


# snapshots


@pytest.mark.parametrize("disturbance", ["none", "cut", "crash"])
@pytest.mark.parametrize("unreliable", [False, True])
@pytest.mark.parametrize("all_crash", [False, True])
def test_snapshots_under(disturbance: str, unreliable: bool, all_crash: bool) -> None:
    """SnapshotBasic, Install, InstallUnreliable, InstallCrash, InstallUnCrash, AllCrash: a node misses more than the
    others keep, again and again."""
    cluster = started(snapshot_chunk_bytes=16)
    rng = random.Random(5)
    for turn in range(8):
        victim = rng.choice(others(cluster, cluster.leader()))
        if disturbance == "cut":
            cluster.cut(victim)
        elif disturbance == "crash":
            cluster.crash(victim)
        if unreliable:
            cluster.lose = lambda packet: rng.random() < 0.1
        for number in range(12):
            cluster.propose(cluster.leader(), f"{turn}.{number}")
        cluster.run(4 * HEARTBEAT_NS)
        for name, node in cluster.nodes.items():
            if node.core is not None:
                cluster.compact(name, keep=rng.choice([0, 2]))
        cluster.lose = lambda packet: False
        cluster.cut_links.clear()
        if disturbance == "crash":
            cluster.restart(victim)
        if all_crash:
            for name in "abc":
                if cluster.nodes[name].core is not None:
                    cluster.crash(name)
                cluster.restart(name)
        cluster.run(2 * ELECTION)
        agree(cluster, f"turn {turn}")
        assert all(cluster.status(name).last - cluster.status(name).first < 40 for name in "abc")

    assert [len(cluster.applied(name)) for name in "abc"] == [8 * 13] * 3


def test_a_crash_right_after_a_snapshot_starts_from_it() -> None:
    """SnapshotInit: the snapshot is all there is on the disk."""
    cluster = started()
    agree(cluster, "x")
    for name in "abc":
        cluster.compact(name)
        cluster.nodes[name].disk.entries.clear()
        cluster.crash(name)
        cluster.restart(name)
    assert [cluster.applied(name) for name in "abc"] == [["x"]] * 3

    cluster.run(2 * ELECTION)
    agree(cluster, "y")


def test_each_command_goes_to_each_peer_once() -> None:
    """RPCBytes, Count: the bytes on the wire are about those of the commands, and an idle group is quiet."""
    cluster = started()
    cluster.run(2 * HEARTBEAT_NS)
    cluster.log_of_messages.clear()

    for number in range(10):
        cluster.propose(cluster.leader(), f"{number}" * 5000)

    carried = [
        len(entry.data)
        for _, _, message in cluster.log_of_messages
        if isinstance(message, Append)
        for entry in message.entries
    ]
    assert sum(carried) == 2 * 10 * 5000
    assert len([message for _, _, message in cluster.log_of_messages if isinstance(message, AppendReply)]) == 20
