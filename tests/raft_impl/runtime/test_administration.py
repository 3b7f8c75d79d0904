"""Administration over the wire: what servers answer, what they refuse, and that no copy of a question acts twice."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_impl import surface
from raft_impl.errors import Refused
from raft_impl.machines.base import pack
from raft_impl.runtime.driver_messages import Action, Hello, Reply, Request, Status, Welcome
from raft_impl.runtime.questions import ChangeMembers, DumpLog, SnapshotNow, StatusNow, Transfer
from raft_impl.runtime.wire import decode, encode
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.fakes import FakeEnv


@pytest.fixture(autouse=True, params=["sync", "async"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds for both ways to wait for the disk."""
    monkeypatch.setattr(Cluster, "storage", request.param)


def at(cluster: Cluster, name: str) -> tuple[FakeEnv, surface.Client]:
    """A client of one server."""
    return cluster.client(servers=(name,))


def test_a_server_says_what_it_is_and_a_leader_how_far_its_followers_are() -> None:
    cluster = Cluster(3)
    env, client = cluster.client()
    cluster.run(env, client.open())
    cluster.run(env, client.call("write", "x", 1))
    cluster.world.run_for(200)
    leader = cluster.leader()
    follower = next(name for name in cluster.names if name != leader)

    statuses = {
        name: cluster.run(env, client.administer(StatusNow())).status
        for name in (leader, follower)
        for env, client in [at(cluster, name)]
    }

    assert {name: (one.node, one.leader) for name, one in statuses.items()} == {
        leader: (leader, leader),
        follower: (follower, leader),
    }
    led = statuses[leader]
    assert sorted(led.peers) == [name for name in cluster.names if name != leader]
    assert {peer.match for peer in led.peers.values()} == {led.log.last}
    assert (led.log.entry_count, led.sessions, led.members.voters) == (led.log.last, 1, cluster.names)
    assert statuses[follower].peers == {}


def test_leadership_goes_to_who_was_named_also_when_a_follower_was_asked() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    first, second = (name for name in cluster.names if name != leader)
    env, client = cluster.client(servers=(first, leader, second))

    outcome = cluster.run(env, client.administer(Transfer(target=second)))
    cluster.world.run_for(500)

    assert outcome.target == second
    assert cluster.leader() == second


@pytest.mark.parametrize(
    ("question", "word"),
    [
        (Transfer(target="n9"), "not-member"),
        (ChangeMembers(leave=("n1", "n2", "n3")), "bad-change"),
        (ChangeMembers(vote=("n4",), leave=("n4",)), "bad-change"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_word(question: Transfer | ChangeMembers, word: str) -> None:
    cluster = Cluster(3)
    cluster.elect()
    env, client = cluster.client()

    with pytest.raises(Refused, match=f"^{word}$"):
        cluster.run(env, client.administer(question))


def test_a_removed_server_is_no_member_any_more_and_the_others_serve() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    env, client = cluster.client()

    cluster.run(env, client.administer(ChangeMembers(leave=(leader,))))
    cluster.world.run_for(1000)

    rest = tuple(name for name in cluster.names if name != leader)
    env, client = at(cluster, rest[0])
    status = cluster.run(env, client.administer(StatusNow())).status
    assert status.members.voters == rest
    env, client = cluster.client(servers=(leader, *rest))
    cluster.run(env, client.administer(Transfer()))
    cluster.run(env, client.open())
    assert cluster.run(env, client.call("write", "x", 1)) == 1


def test_a_snapshot_is_taken_now_and_once() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    env, client = at(cluster, leader)
    cluster.run(env, client.open())
    cluster.run(env, client.call("write", "x", 1))

    taken = cluster.run(env, client.administer(SnapshotNow())).snapshot_index

    assert taken == cluster.run(env, client.administer(StatusNow())).status.log.snapshot > 0
    with pytest.raises(Refused, match="nothing-new"):
        cluster.run(env, client.administer(SnapshotNow()))


def test_the_live_log_is_shown_in_parts_that_join() -> None:
    cluster = Cluster(1)
    cluster.elect()
    env, client = cluster.client()
    cluster.run(env, client.open())
    for value in range(5):
        cluster.run(env, client.call("write", "x", value))

    whole = cluster.run(env, client.administer(DumpLog())).dumped
    lines: list[str] = []
    first = 0
    while first or not lines:
        part = cluster.run(env, client.administer(DumpLog(first=first, count_max=2))).dumped
        lines += part.lines
        first = part.next

    assert tuple(lines) == whole.lines
    assert whole.lines[-1].endswith(": write x 4 [session 2, sequence 5]")


def test_a_long_command_is_cut_in_the_dump() -> None:
    cluster = Cluster(1)
    cluster.elect()
    env, client = cluster.client()
    cluster.run(env, client.open())
    cluster.run(env, client.call("write", "x", "y" * 5000))

    line = cluster.run(env, client.administer(DumpLog())).dumped.lines[-1]

    assert len(line) < 1100
    assert line.endswith(" characters)")


def test_a_copy_of_a_question_is_not_carried_out_again() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    env, connection = greet(cluster, leader)
    follower = next(name for name in cluster.names if name != leader)
    request = Request(connection, 7, 1, Action.ADMIN, call=pack(ChangeMembers(leave=(follower,))))

    for _ in range(3):
        env.network.send(leader, encode("g0", request))
        cluster.world.run_for(300)

    assert len([row for row in cluster.rows(leader, "config") if row[4]]) == 1, "one joint configuration"
    assert answers(cluster, "c9") == [(Status.DONE, "ok")]


@settings(max_examples=25, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.builds(pack, st.recursive(st.none() | st.text(), st.lists))))
def test_what_is_no_question_is_malformed_and_changes_nothing(call: bytes) -> None:
    cluster = Cluster(1)
    leader = cluster.elect()
    before = cluster.servers[leader].inspect()["g0"]
    env, connection = greet(cluster, leader)

    env.network.send(leader, encode("g0", Request(connection, 7, 1, Action.ADMIN, call=call)))
    cluster.world.run_for(50)

    assert answers(cluster, "c9") == [(Status.REFUSED, "malformed")]
    assert cluster.servers[leader].inspect()["g0"]["last"] == before["last"]


def test_names_that_are_none_are_malformed() -> None:
    for name in ("", "a b", "-x", "x" * 65):
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(pack(Transfer(target=name)), type=Transfer)


def answers(cluster: Cluster, client: str) -> list[tuple[int, str]]:
    found = [decode(frame) for *_, target, frame in cluster.world.frames if target == client]
    return [(one[1].status, one[1].word) for one in found if one is not None and isinstance(one[1], Reply)]


def greet(cluster: Cluster, server: str) -> tuple[FakeEnv, int]:
    """A client c9 that speaks frames, and the number of the server's present life."""
    env = cluster.world.env("c9")
    env.network.send(server, encode("g0", Hello(7)))
    cluster.world.run_for(50)
    (welcome,) = [decode(frame) for *_, target, frame in cluster.world.frames if target == "c9"]
    assert welcome is not None
    assert isinstance(welcome[1], Welcome)
    return env, welcome[1].connection
