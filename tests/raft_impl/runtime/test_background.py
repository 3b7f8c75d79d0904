"""Work in the background: what is done while the server goes on belongs to the state from which it began."""

from __future__ import annotations

import pytest

from raft_impl.protocol.messages import Heartbeat, HeartbeatReply
from raft_impl.runtime.marks import DAMAGED_FRAME
from raft_impl.runtime.wire import decode, encode
from tests.raft_impl.runtime.cluster import Cluster

MILLISECOND = 1_000_000


@pytest.mark.parametrize("storage", ["sync", "async"])
@pytest.mark.parametrize("seed", range(4))
def test_a_snapshot_holds_the_state_at_its_index_although_more_was_applied_since(seed: int, storage: str) -> None:
    options = {"snapshot_threshold": 5, "trailing_entries": 1, "storage": storage}
    cluster = Cluster(3, seed=seed, machine="counter", options=options)
    cluster.world.background_ns = 40 * MILLISECOND
    cluster.elect()
    env, client = cluster.client()
    cluster.run(env, client.open())

    for _ in range(40):
        cluster.run(env, client.call("add", "c", 1))

    is_late = False
    for name in cluster.names:
        state_of = {row[2]: row[4] for row in cluster.rows(name, "apply")}
        rows = cluster.env(name).rows
        taken = [(place, row) for place, row in enumerate(rows) if row[0] == "snapshot" and row[2] == "taken"]
        assert len(taken) >= 2
        for place, row in taken:
            assert row[5] == state_of[row[3]]
            applied = [other[2] for other in rows[:place] if other[0] == "apply"]
            is_late = is_late or applied[-1] > row[3]
    assert is_late, "something was applied while a snapshot was made"
    for name in cluster.names:
        cluster.restart(name)
    cluster.world.run_for(2000)
    assert cluster.run(env, client.call("read", "c", None)) == 40


@pytest.mark.parametrize("storage", ["sync", "async"])
@pytest.mark.parametrize("seed", range(4))
def test_a_follower_that_loads_a_snapshot_answers_heartbeats_and_keeps_the_order(seed: int, storage: str) -> None:
    options = {"snapshot_threshold": 5, "trailing_entries": 1, "snapshot_chunk_bytes": 64, "storage": storage}
    cluster = Cluster(3, seed=seed, options=options)
    leader = cluster.elect()
    away = next(name for name in cluster.names if name != leader)
    disk = cluster.crash(away)
    env, client = cluster.client()
    cluster.run(env, client.open())
    for value in range(20):
        cluster.run(env, client.call("write", value, "v" * 20))
    cluster.world.background_ns = 600 * MILLISECOND  # four minimal election timeouts
    term = cluster.servers[leader].inspect()["g0"]["term"]

    cluster.start(away, disk)
    cluster.world.run_for(400)
    began = cluster.world.now
    cluster.run(env, client.call("write", "late", 1))
    cluster.world.run_for(3000)

    answers = [
        when
        for when, source, _, frame in cluster.world.frames
        if source == away and began < when and isinstance((decode(frame) or ("", None))[1], HeartbeatReply)
    ]
    assert answers
    states = [server.inspect()["g0"] for server in cluster.servers.values()]
    assert {state["term"] for state in states} == {term}
    assert len({state["digest"] for state in states}) == 1
    installed = [row for row in cluster.rows(away, "snapshot") if row[2] == "installed"]
    state_of = {row[2]: row[4] for row in cluster.rows(leader, "apply")}
    assert installed
    assert all(row[5] == state_of[row[3]] for row in installed)
    cluster.restart(away)
    cluster.world.run_for(2000)
    assert cluster.servers[away].inspect()["g0"]["digest"] == states[0]["digest"]


def test_a_crash_during_the_work_leaves_the_log_as_it_was() -> None:
    cluster = Cluster(1, machine="counter", options={"snapshot_threshold": 3, "trailing_entries": 0})
    cluster.elect()
    cluster.world.background_ns = 10_000 * MILLISECOND
    env, client = cluster.client()
    cluster.run(env, client.open())
    for _ in range(10):
        cluster.run(env, client.call("add", "c", 1))

    cluster.restart("n1")
    cluster.elect()

    assert not cluster.rows("n1", "snapshot")
    assert cluster.run(env, client.call("read", "c", None)) == 10


def test_what_is_no_message_is_counted_and_its_sender_distrusted() -> None:
    cluster = Cluster(3)
    cluster.elect()
    env = cluster.env("n1")
    whole = encode("g0", Heartbeat(1, 1, 0))  # type: ignore[arg-type]

    for frame in (b"", b"garbage", whole[:-1], whole[:-1] + bytes((whole[-1] ^ 1,))):
        env.deliver("n2", frame)

    assert env.distrusted == ["n2"] * 4
    assert env.rows.count(("mark", DAMAGED_FRAME)) == 4
