"""Servers in a small deterministic world: writes survive, sessions hold, reads are fresh, snapshots carry all."""

from __future__ import annotations

from typing import Any

import pytest

from raft_impl import surface
from raft_impl.errors import Corrupt, DiskFailed, Negative, RaftError
from raft_impl.machines.base import pack
from raft_impl.protocol.messages import AppendReply, Vote, VoteReply
from raft_impl.runtime.driver_messages import Action, Hello, Reply, Request, Status, Welcome
from raft_impl.runtime.wire import decode, encode
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.fakes import FakeDisk, FakeEnv, World, run


@pytest.fixture(autouse=True, params=["sync", "async"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything here holds for both ways to wait for the disk."""
    monkeypatch.setattr(Cluster, "storage", request.param)
    word: str = request.param
    return word


def opened(cluster: Cluster, **arguments: Any) -> tuple[FakeEnv, surface.Client]:
    env, client = cluster.client(**arguments)
    cluster.run(env, client.open())
    return env, client


def replies(cluster: Cluster, client: str) -> list[Reply]:
    found = []
    for _, _, target, frame in cluster.world.frames:
        decoded = decode(frame)
        if target == client and decoded is not None and isinstance(decoded[1], Reply):
            found.append(decoded[1])
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_a_cluster_of_any_size_elects_and_serves(size: int) -> None:
    cluster = Cluster(size)
    env, client = opened(cluster)

    assert cluster.run(env, client.call("write", "x", 1)) == 1
    assert cluster.run(env, client.call("cas", "x", [1, 2])) == [1, 2]
    with pytest.raises(Negative, match="precondition-failed"):
        cluster.run(env, client.call("cas", "x", [1, 3]))
    assert cluster.run(env, client.call("read", "x", None)) == 2


def test_replicas_agree_on_the_digest_at_every_index() -> None:
    cluster = Cluster(3)
    env, client = opened(cluster)
    for value in range(20):
        cluster.run(env, client.call("write", value % 3, value))
    cluster.world.run_for(200)

    applied = [
        {row[2]: row[3:] for row in cluster.rows(name, "apply")}  # index -> (command, state)
        for name in cluster.names
    ]

    assert len(applied[0]) >= 20
    assert applied[0] == applied[1] == applied[2]


@pytest.mark.parametrize("seed", range(8))
def test_acknowledged_writes_survive_the_power_loss_of_the_whole_cluster(seed: int) -> None:
    cluster = Cluster(3, seed=seed)
    env, client = opened(cluster)
    for value in range(5):
        cluster.run(env, client.call("write", "x", value))

    disks = {name: cluster.crash(name) for name in cluster.names}
    for name, disk in disks.items():
        cluster.start(name, disk)

    assert cluster.run(env, client.call("read", "x", None)) == 4


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_promised_before_it_is_durable(seed: int) -> None:
    """Section 5: votes and appended entries are on the disk before any message that tells of them leaves."""
    cluster = Cluster(3, seed=seed)
    uniform = cluster.world.delay
    promises = []

    def check(source: str, target: str, frame: bytes) -> int | None:
        decoded = decode(frame)
        if source in cluster.names and decoded is not None:
            last, term, vote = durable_facts(cluster.env(source).disk)
            match decoded[1]:
                case AppendReply(match=match):
                    promises.append(last >= match)
                case Vote(term=asked):
                    promises.append((term, vote) == (asked, source))
                case VoteReply(term=asked, granted=True):
                    promises.append((term, vote) == (asked, target))
        return uniform(source, target, frame)

    cluster.world.delay = check
    env, client = opened(cluster)
    for value in range(10):
        cluster.run(env, client.call("write", "x", value))
        if value == 5:
            cluster.restart(cluster.leader())

    assert len(promises) > 30
    assert all(promises)


def durable_facts(disk: FakeDisk) -> tuple[int, int, str | None]:
    facts: tuple[int, int, str | None] = (0, 0, None)
    for name in sorted(disk.names_durable):
        for _, last, term, vote, *_ in surface.durable_reader().synced(name, bytearray(disk.durable_content(name)), 0):
            facts = (last, term, vote)
    return facts


def test_a_repeated_command_is_answered_without_a_new_entry() -> None:
    cluster = Cluster(3)
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    cluster.world.run_for(100)
    last = cluster.servers[cluster.leader()].inspect()["g0"]["last"]

    for name in cluster.names:
        answer = ask(cluster, name, Request(0, 99, 1, Action.CALL, client.session, 1, pack(("write", "x", 1))))
        assert (answer.status, answer.value) == (Status.DONE, 1)

    assert cluster.servers[cluster.leader()].inspect()["g0"]["last"] == last


@pytest.mark.parametrize("reads", ["quorum", "lease"])
@pytest.mark.parametrize("routing", surface.ROUTINGS)
def test_reads_see_the_latest_write_wherever_they_go(routing: str, reads: str) -> None:
    cluster = Cluster(3, options={"reads": reads})
    env, client = opened(cluster, routing=routing, home="n2")
    for value in range(10):
        cluster.run(env, client.call("write", "x", value))
        assert cluster.run(env, client.call("read", "x", None)) == value


def test_reads_under_a_lease_send_nothing() -> None:
    cluster = Cluster(3, options={"reads": "lease"})
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    leader = cluster.leader()
    sent = len([frame for frame in cluster.world.frames if frame[1] == leader])

    before = cluster.world.now
    cluster.run(env, client.call("read", "x", None))

    frames = [frame for frame in cluster.world.frames if frame[1] == leader][sent:]
    assert cluster.world.now - before < 10_000_000
    assert [surface.kind_of(frame[3]) for frame in frames].count("reply") == 1


def test_a_repeated_command_has_one_effect_and_one_answer() -> None:
    """Scenario F13: the leader answers, the answer is lost, and the client asks again, also another leader."""
    cluster = Cluster(3, machine="counter")
    env, client = opened(cluster)
    lost = {"count": 0}
    uniform = cluster.world.delay

    def lose_two_answers(source: str, target: str, frame: bytes) -> int | None:
        if target == env.actor and surface.kind_of(frame) == "reply" and lost["count"] < 2:
            lost["count"] += 1
            if lost["count"] == 1:
                cluster.world.at(cluster.world.now + 1, lambda: cluster.restart(source))
            return None
        return uniform(source, target, frame)

    cluster.world.delay = lose_two_answers
    assert cluster.run(env, client.call("add-and-get", "c", 5)) == [5, 5]

    assert lost["count"] == 2
    assert cluster.run(env, client.call("read", "c", None)) == 5


def test_a_session_survives_in_a_snapshot() -> None:
    cluster = Cluster(3, machine="counter", options={"snapshot_threshold": 4, "trailing_entries": 0})
    env, client = opened(cluster)
    for _ in range(6):
        cluster.run(env, client.call("add", "c", 1))
    cluster.world.run_for(300)
    repeat = Request(0, 99, 1, Action.CALL, client.session, 6, pack(("add", "c", 1)))
    for name in cluster.names:
        cluster.restart(name)
    cluster.elect()

    answer = ask(cluster, cluster.leader(), repeat)

    assert (answer.status, answer.word) == (Status.DONE, "ok")
    assert cluster.run(env, client.call("read", "c", None)) == 6


def ask(cluster: Cluster, server: str, request: Request) -> Reply:
    """Send one request with a proper greeting and wait for the reply to it."""
    env = cluster.world.env("asker")
    env.send(server, encode("g0", Hello(request.client)))

    async def go() -> Reply:
        connection = 0
        while True:
            received = await env.recv(None)
            assert received is not None
            decoded = decode(received[1])
            assert decoded is not None
            match decoded[1]:
                case Welcome(connection=connection):
                    fields = {field: getattr(request, field) for field in request.__struct_fields__}
                    env.send(server, encode("g0", Request(**{**fields, "connection": connection})))
                case Reply() as reply:
                    return reply

    result: Reply = cluster.run(env, go())
    return result


def test_an_unknown_session_is_refused_and_never_made() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    request = Request(0, 99, 1, Action.CALL, 12345, 1, pack(("write", "x", 1)))

    answer = ask(cluster, leader, request)

    assert (answer.status, answer.word) == (Status.REFUSED, "no-session")
    assert cluster.servers[leader].inspect()["g0"]["sessions"] == 0


def test_sessions_expire_by_log_time_on_all_replicas_at_one_index() -> None:
    cluster = Cluster(3, options={"session_ttl_ms": 500})
    env, client = opened(cluster)
    other_env, other = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    cluster.world.run_for(1000)

    cluster.run(other_env, other.call("read", "x", None))
    with pytest.raises(RaftError, match="no-session"):
        cluster.run(env, client.call("write", "x", 2))
    cluster.world.run_for(200)

    assert {server.inspect()["g0"]["digest"] for server in cluster.servers.values()} == {
        cluster.servers["n1"].inspect()["g0"]["digest"]
    }
    assert cluster.run(env, client.call("write", "x", 3)) == 3


def test_a_copy_of_a_refused_request_has_no_effect_later() -> None:
    """A follower refuses a write; a copy of it arrives when that follower leads. "Refused" must have been the truth."""
    cluster = Cluster(3, options={"sessions": "off"})
    leader = cluster.elect()
    follower = next(name for name in cluster.names if name != leader)
    request = Request(0, 99, 1, Action.CALL, 0, 0, pack(("write", "x", "late")))
    assert ask(cluster, follower, request).word == "not-leader"
    copy = [frame for _, source, _, frame in cluster.world.frames if source == "asker"][-1]

    assert cluster.servers[leader].command("g0", "transfer", {"target": follower})
    cluster.env(leader)._step()
    cluster.world.run_for(500)
    assert cluster.leader() == follower
    cluster.world.send("asker", follower, copy)
    cluster.world.run_for(500)

    env, client = opened(cluster)
    assert cluster.run(env, client.call("read", "x", None)) is None


def test_the_next_life_of_a_server_does_not_speak_for_the_last() -> None:
    """It did not take the copy, but the life that the copy names may have taken another one: not a refusal."""
    cluster = Cluster(3)
    leader = cluster.elect()
    request = Request(0, 99, 1, Action.CALL, 0, 0, pack(("write", "x", "taken")))
    taken = ask(cluster, leader, request)
    copy = [frame for _, source, _, frame in cluster.world.frames if source == "asker"][-1]

    cluster.restart(leader)
    cluster.world.run_for(1000)
    cluster.world.send("asker", leader, copy)
    cluster.world.run_for(100)
    answers = [
        decode(frame) for _, source, target, frame in cluster.world.frames if (source, target) == (leader, "asker")
    ]

    assert taken.status == Status.DONE
    assert answers[-1] is not None
    assert (answers[-1][1].status, answers[-1][1].word) == (Status.UNKNOWN, "reconnect")


@pytest.mark.parametrize("sessions", ["on", "off"])
def test_a_network_that_duplicates_everything_changes_nothing(sessions: str) -> None:
    cluster = Cluster(3, machine="counter", options={"sessions": sessions})
    cluster.elect()
    cluster.world.duplicate_chance = 1.0
    env, client = opened(cluster)
    done, refusals = 0, []
    for _ in range(30):
        try:
            cluster.run(env, client.call("add", "c", 1))
        except RaftError as error:
            refusals.append(error.word)
        else:
            done += 1

    assert done >= 28
    assert refusals == [] or (sessions, set(refusals)) == ("off", {"not-leader"})
    assert cluster.run(env, client.call("read", "c", None)) == done


@pytest.mark.parametrize("seed", range(6))
def test_a_follower_that_was_away_catches_up_by_snapshot(seed: int) -> None:
    options = {"snapshot_threshold": 5, "trailing_entries": 1, "snapshot_chunk_bytes": 64}
    cluster = Cluster(3, seed=seed, options=options)
    leader = cluster.elect()
    away = next(name for name in cluster.names if name != leader)
    disk = cluster.crash(away)
    env, client = opened(cluster)
    for value in range(40):
        cluster.run(env, client.call("write", value, "v" * 20))

    cluster.start(away, disk)
    cluster.world.run_for(2000)

    digests = {name: server.inspect()["g0"]["digest"] for name, server in cluster.servers.items()}
    assert len(set(digests.values())) == 1
    assert ("mark", "snapshot: snapshot installed") in cluster.rows(away, "mark")
    installed = [row for row in cluster.rows(away, "snapshot") if row[2] == "installed"]
    state_of = {row[2]: row[4] for row in cluster.rows(cluster.leader(), "apply")}
    assert all(row[5] == state_of[row[3]] for row in installed)
    cluster.restart(away)
    cluster.world.run_for(1000)
    assert cluster.servers[away].inspect()["g0"]["digest"] == digests[away]


def test_snapshots_keep_the_log_on_disk_short() -> None:
    options = {"snapshot_threshold": 10, "trailing_entries": 2, "segment_bytes": 512}
    cluster = Cluster(3, options=options)
    env, client = opened(cluster)
    for value in range(100):
        cluster.run(env, client.call("write", "x", value))

    for name in cluster.names:
        assert len(cluster.env(name).disk.names()) <= 5


def test_one_server_hosts_many_groups_on_one_disk() -> None:
    cluster = Cluster(3, groups=("g0", "g1", "g2"))
    clients = {group: opened(cluster, group=group) for group in cluster.groups}
    for group, (env, client) in clients.items():
        cluster.run(env, client.call("write", "x", group))
    for name in cluster.names:
        cluster.restart(name)

    for group, (env, client) in clients.items():
        assert cluster.run(env, client.call("read", "x", None)) == group


def test_proposals_that_arrive_together_share_one_fsync() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    disk = cluster.env(leader).disk
    clients = [opened(cluster) for _ in range(8)]
    cluster.world.delay = lambda source, target, frame: 1_000_000
    before = disk.operations.count("fsync g0-00000001.wal")

    tasks = [env.start(client.call("write", number, number)) for number, (env, client) in enumerate(clients)]
    cluster.world.run_for(100)

    assert all(task.done and task.error is None for task in tasks)
    assert disk.operations.count("fsync g0-00000001.wal") - before <= 2


def test_asynchronous_storage_handles_messages_while_the_disk_is_at_work(storage: str) -> None:
    """The append of a second write leaves while the first is still being written."""
    cluster = Cluster(3)
    leader = cluster.elect()
    writers = [opened(cluster) for _ in range(2)]
    cluster.world.run_for(100)
    cluster.world.fsync_ns = 50_000_000
    began = cluster.world.now

    tasks = []
    for env, client in writers:
        tasks.append(env.start(client.call("write", "x", env.actor)))
        cluster.world.run_for(10)
    cluster.world.run_for(500)

    left_ms = [
        (when - began) / 1e6
        for when, source, _, frame in cluster.world.frames
        if source == leader and when >= began and surface.kind_of(frame) == "append"
    ]
    assert all(task.done and task.error is None for task in tasks)
    assert any(10 < when < 20 for when in left_ms) == (storage == "async")


def test_a_deposed_leader_answers_unknown_for_what_it_lost() -> None:
    cluster = Cluster(3, options={"client_attempt_timeout_ms": 60_000, "client_timeout_ms": 60_000})
    leader = cluster.elect()
    env, client = opened(cluster)
    uniform = cluster.world.delay
    replicas = set(cluster.names)
    cluster.world.delay = lambda source, target, frame: (
        None if leader in (source, target) and {source, target} <= replicas else uniform(source, target, frame)
    )
    task = env.start(client.call("write", "x", 1))
    cluster.world.run_for(1000)
    assert cluster.leader() != leader
    other_env, other = opened(cluster, home=cluster.leader())
    cluster.run(other_env, other.call("write", "x", 2))

    cluster.world.delay = uniform
    cluster.world.run_until(cluster.world.now + 20_000_000_000, lambda: task.done)

    assert [reply.word for reply in replies(cluster, env.actor) if reply.status == Status.UNKNOWN] == ["deposed"]
    assert ("mark", "election: leader deposed with uncommitted entries") in cluster.rows(leader, "mark")
    assert (task.error, task.result) == (None, 1)


def test_a_client_that_stays_with_a_deposed_leader_is_sent_on() -> None:
    """Its first attempt is in the old leader's log, cut off; the second must not wait behind it there."""
    cluster = Cluster(3)
    leader = cluster.elect()
    env, client = opened(cluster, home=leader, routing="home")
    uniform = cluster.world.delay
    replicas = set(cluster.names)
    cut_off = {"everything": True}

    def delay(source: str, target: str, frame: bytes) -> int | None:
        is_old_leaders = leader in (source, target) and {source, target} <= replicas
        is_lost = is_old_leaders and (cut_off["everything"] or surface.kind_of(frame) == "append")
        return None if is_lost else uniform(source, target, frame)

    cluster.world.delay = delay
    task = env.start(client.call("write", "x", 1))
    cluster.world.run_until(cluster.world.now + 700_000_000, lambda: cluster.leader() not in (leader, ""))
    cut_off["everything"] = False

    cluster.world.run_until(cluster.world.now + 1_000_000_000, lambda: task.done)

    assert (task.error, task.result) == (None, 1)
    assert cluster.leader() != leader


def test_a_failed_fsync_stops_the_server_and_loses_nothing_acknowledged() -> None:
    cluster = Cluster(3)
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    leader = cluster.leader()
    disk = cluster.env(leader).disk
    disk.fail_at, disk.for_ever = disk.operation_count, True

    assert cluster.run(env, client.call("write", "x", 2)) == 2

    assert isinstance(cluster.env(leader).failure, DiskFailed)
    assert cluster.leader() != leader


def test_a_server_refuses_to_start_from_a_corrupt_log() -> None:
    cluster = Cluster(3)
    env, client = opened(cluster)
    for value in range(5):
        cluster.run(env, client.call("write", "x", value))
    disk = cluster.crash("n1")
    disk.cached["g0-00000001.wal"][60] ^= 4

    with pytest.raises(Corrupt, match="log-corrupt"):
        cluster.start("n1", disk)


def test_membership_changes_and_snapshots_by_command() -> None:
    cluster = Cluster(4)
    leader = cluster.elect()
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    goner = next(name for name in cluster.names if name != leader)

    assert cluster.servers[leader].command("g0", "change", {"leave": [goner]})
    cluster.env(leader)._step()
    cluster.world.run_for(500)
    assert cluster.servers[leader].command("g0", "compact", {})
    assert not cluster.servers[leader].command("g0", "compact", {})
    cluster.env(leader)._step()
    cluster.world.run_for(100)
    cluster.restart(leader)
    cluster.elect()

    state = cluster.servers[cluster.leader()].inspect()["g0"]
    assert goner not in state["membership"][0]
    assert cluster.run(env, client.call("read", "x", None)) == 1


def test_a_server_tells_of_role_indexes_followers_elections_and_fsyncs() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    cluster.world.run_for(500)

    states = {name: server.inspect()["g0"] for name, server in cluster.servers.items()}

    led = states[leader]
    assert (led["role"], led["leader"], led["term"]) == ("leader", leader, 1)
    assert (led["election_count"], led["victory_count"]) == (1, 1)
    assert sum(state["victory_count"] for state in states.values()) == 1
    for name, state in states.items():
        assert (state["commit"], state["applied"], state["last"], state["durable"]) == (3, 3, 3, 3)
        assert state["fsync_ns"] >= state["fsync_count"] * cluster.world.fsync_ns > 0
        if name != leader:
            assert (led["peers"][name]["pace"], led["peers"][name]["match"]) == ("replicate", 3)


def test_a_follower_refuses_commands_for_leaders() -> None:
    cluster = Cluster(3)
    leader = cluster.elect()
    follower = next(name for name in cluster.names if name != leader)

    assert not cluster.servers[follower].command("g0", "transfer", {"target": leader})
    assert not cluster.servers[follower].command("g0", "change", {"leave": [leader]})
    with pytest.raises(ValueError, match="expected campaign"):
        cluster.servers[follower].command("g0", "dance", {})


def test_a_leader_resigns_to_the_voter_that_is_furthest_and_answers_who_waits() -> None:
    cluster = Cluster(3, options={"client_attempt_timeout_ms": 60_000, "client_timeout_ms": 60_000})
    leader = cluster.elect()
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))

    assert cluster.servers[leader].resign()
    cluster.env(leader)._step()
    cluster.world.run_for(300)
    assert cluster.leader() != leader
    assert not cluster.servers[leader].resign()

    heir = cluster.leader()
    uniform = cluster.world.delay
    cluster.world.delay = lambda source, target, frame: (
        None if heir in (source, target) and "c" not in source + target else uniform(source, target, frame)
    )
    task = env.start(client.call("write", "x", 2))
    cluster.world.run_for(60)
    cluster.servers[heir].retire()
    cluster.world.run_for(10)

    assert "shutdown" in [reply.word for reply in replies(cluster, env.actor)]
    assert not task.done


def test_equal_seeds_give_equal_runs() -> None:
    def frames(seed: int) -> list[Any]:
        cluster = Cluster(3, seed=seed, options={"snapshot_threshold": 3})
        env, client = opened(cluster, routing="any")
        for value in range(10):
            cluster.run(env, client.call("write", "x", value))
        return cluster.world.frames

    assert frames(1) == frames(1)
    assert frames(1) != frames(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "'colour' is unknown"),
        ({"reads": "dirty"}, "reads is 'dirty'; expected quorum or lease or local"),
        ({"election_timeout_ms": "soon"}, "expected a whole number from 2"),
        ({"max_inflight": 0}, "max_inflight is 0"),
        ({"pre_vote": 3}, "expected true or false"),
        ({"lease_drift_bound": 0.5}, "lease_drift_bound is 0.5"),
        ({"lease_drift_bound": "x"}, "at most six decimal places"),
        ({"heartbeat_ms": 200}, "do not fit together"),
        ({"reads": "lease", "check_quorum": False}, "do not fit together"),
    ],
)
def test_a_bad_option_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        surface.resolve(options)

    assert "\n" not in str(caught.value)


def test_options_are_taken_as_text_and_defaults_are_filled() -> None:
    given = {"reads": "lease", "pre_vote": "false", "max_inflight": "8", "lease_drift_bound": "1.2"}

    resolved = surface.resolve(given)

    assert (resolved["pre_vote"], resolved["max_inflight"], resolved["lease_drift_bound"]) == (False, 8, 1.2)
    assert set(resolved) == {option.name for option in surface.OPTIONS}
    assert surface.resolve(resolved) == resolved
    assert surface.resolve({option.name: option.neutral for option in surface.OPTIONS})


def test_an_unknown_machine_or_routing_is_refused() -> None:
    env = World().env("n1")
    with pytest.raises(ValueError, match="expected one of"):
        surface.make_server(env, groups={"g0": surface.GroupSpec(machine="abacus", voters=("n1",))}, options={})
    with pytest.raises(ValueError, match="expected one of"):
        surface.make_client(env, group="g0", servers=("n1",), routing="scenic", options={})


def test_a_server_that_is_no_member_waits_quietly() -> None:
    world = World()
    env = world.env("outsider", FakeDisk())
    spec = surface.GroupSpec(machine="register", voters=("a", "b", "c"))
    server = surface.make_server(env, groups={"g0": spec}, options={})
    run(server.start())
    env.serve_now(server)

    world.run_for(5000)

    assert world.frames == []
