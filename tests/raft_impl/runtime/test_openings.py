"""Opening and closing sessions: once however often it is asked, never for reads, and gone when the client leaves."""

from __future__ import annotations

from raft_impl import surface
from raft_impl.machines.base import pack
from raft_impl.runtime.driver_messages import Action, Reply, Request, Status
from raft_impl.runtime.options import OPTIONS
from tests.raft_impl.runtime.cluster import Cluster
from tests.raft_impl.runtime.test_server import ask, opened


def sessions(cluster: Cluster) -> set[int]:
    return {server.inspect()["g0"]["sessions"] for server in cluster.servers.values()}


def last_index(cluster: Cluster) -> int:
    index: int = cluster.servers[cluster.leader()].inspect()["g0"]["last"]
    return index


def open_again(cluster: Cluster, request_id: int, number: int = 1, client: int = 99) -> Reply:
    return ask(cluster, cluster.leader(), Request(0, client, request_id, Action.OPEN, sequence=number))


def test_a_repeated_opening_gives_the_same_session_and_no_entry() -> None:
    cluster = Cluster(3)
    cluster.elect()

    first = open_again(cluster, 1)
    after_first = last_index(cluster)
    again = open_again(cluster, 2)
    after_again = last_index(cluster)
    another = open_again(cluster, 3, number=2)
    elsewhere = open_again(cluster, 1, client=100)

    assert first.status == again.status == Status.DONE
    assert first.value == again.value
    assert after_again == after_first
    assert len({first.value, another.value, elsewhere.value}) == 3
    cluster.world.run_for(200)
    assert sessions(cluster) == {3}


def test_an_opening_is_remembered_by_the_next_leader() -> None:
    cluster = Cluster(3)
    first_leader = cluster.elect()
    first = open_again(cluster, 1)
    cluster.world.run_for(200)

    cluster.crash(first_leader)
    cluster.world.run_for(1500)
    assert cluster.leader() != first_leader

    assert open_again(cluster, 2).value == first.value


def test_a_closed_session_is_not_given_to_a_repeated_opening() -> None:
    cluster = Cluster(3)
    cluster.elect()
    first = open_again(cluster, 1)
    ask(cluster, cluster.leader(), Request(0, 99, 2, Action.CLOSE, first.value))

    assert open_again(cluster, 3).value != first.value


def test_attempts_of_one_opening_share_an_entry_while_it_waits_for_a_quorum() -> None:
    cluster = Cluster(3, options={"check_quorum": False, "reads": "quorum", "client_attempt_timeout_ms": 20})
    leader = cluster.elect()
    cluster.world.run_for(200)
    before = last_index(cluster)
    followers = [name for name in cluster.names if name != leader]
    uniform = cluster.world.delay
    cluster.world.delay = lambda source, target, frame: (
        None if source in followers or target in followers else uniform(source, target, frame)
    )

    env, client = cluster.client(home=leader)
    task = env.start(client.open())
    cluster.world.run_for(1000)
    assert last_index(cluster) == before + 1
    cluster.world.delay = uniform
    cluster.world.run_for(3000)

    assert task.done
    assert task.error is None
    assert client.session == before + 1


def test_reads_need_no_session() -> None:
    cluster = Cluster(3)
    cluster.elect()
    env, client = cluster.client()

    assert cluster.run(env, client.call("read", "x", None)) is None
    assert sessions(cluster) == {0}
    assert cluster.run(env, client.call("write", "x", 1)) == 1
    cluster.world.run_for(200)
    assert sessions(cluster) == {1}


def test_a_client_that_leaves_closes_its_session() -> None:
    cluster = Cluster(3)
    env, client = opened(cluster)
    cluster.run(env, client.call("write", "x", 1))
    session = client.session

    client.close()
    cluster.world.run_for(300)

    assert sessions(cluster) == {0}
    request = Request(0, 99, 1, Action.CALL, session, 2, pack(("write", "x", 2)))
    answer = ask(cluster, cluster.leader(), request)
    assert (answer.status, answer.word) == (Status.REFUSED, "no-session")
    assert cluster.run(env, client.call("write", "x", 3)) == 3, "it may come back, in another session"


def test_sessions_expire_unless_told_otherwise_and_older_code_keeps_them() -> None:
    (option,) = [option for option in OPTIONS if option.name == "session_ttl_ms"]

    assert surface.resolve({})["session_ttl_ms"] == option.default > 0
    assert option.neutral == 0
