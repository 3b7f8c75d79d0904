"""Who leads is watched, a service runs beside the leader, and one that comes too late is refused by its token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest
import trio

from raft_impl.client import CachedMap, Map, connect
from raft_impl.roles import Roles, watch
from raft_impl.singleton import Fenced, Stale, run_while_leading
from tests.live.cluster import ENVIRONMENT, PATIENCE_S, Cluster, eventually, prepare_child

SERVICE = """
import sys, trio
from raft_impl.client import Map, connect
from raft_impl.singleton import Fenced, Stale, run_while_leading

name, port, *others = sys.argv[1:]
addresses = {f"n{number}": ("127.0.0.1", int(other)) for number, other in enumerate(others, 1)}

async def serve(token):
    print("begun", token, flush=True)
    with trio.CancelScope(shield=True):  # a service that does not look whether it should end
        async with connect(addresses, timeout_s=20) as cluster:
            resource = Fenced(Map(cluster), "resource")
            while True:
                try:
                    await resource.put(token, name)
                    print("wrote", token, flush=True)
                except Stale as error:
                    print("stale", error.token, error.newest, flush=True)
                    return
                await trio.sleep(0.05)

trio.run(run_while_leading, name, ("127.0.0.1", int(port)), serve)
"""


def addresses(cluster: Cluster) -> dict[str, tuple[str, int]]:
    return {name: ("127.0.0.1", port) for name, port in cluster.ports.items()}


def start_maps(cluster: Cluster) -> None:
    for name in cluster.names:
        cluster.start(name, machine="map")


class Service:
    """The program beside one node."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._path = cluster.folder / f"service-{name}.txt"
        ports = [str(port) for port in cluster.ports.values()]
        with self._path.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVICE, name, str(cluster.ports[name]), *ports],
                stdout=out,
                env=ENVIRONMENT,
                preexec_fn=prepare_child(None),  # noqa: PLW1509
            )

    def said(self, word: str) -> list[list[int]]:
        """The numbers behind each line that begins with a word."""
        lines = [line.split() for line in self._path.read_text().splitlines()]
        return [[int(number) for number in numbers] for first, *numbers in lines if first == word]


def test_a_paused_old_leader_is_refused_by_its_token(cluster: Cluster) -> None:
    start_maps(cluster)
    services = {name: Service(cluster, name) for name in cluster.names}
    try:
        eventually(lambda: any(service.said("wrote") for service in services.values()))
        old = next(name for name, service in services.items() if service.said("wrote"))
        ((token,),) = services[old].said("begun")
        os.kill(services[old].process.pid, signal.SIGSTOP)
        cluster.running[old].send_signal(signal.SIGSTOP)

        others = [service for name, service in services.items() if name != old]
        eventually(lambda: any(service.said("wrote") for service in others))
        newest = max(number for service in others for (number,) in service.said("begun"))
        assert newest > token
        os.kill(services[old].process.pid, signal.SIGCONT)

        ((refused, seen),) = eventually(lambda: services[old].said("stale"))
        assert (refused, seen) == (token, newest)
        written = trio.run(_written, {name: port for name, port in addresses(cluster).items() if name != old})
        assert written != old
    finally:
        for service in services.values():
            service.process.kill()
            service.process.wait(PATIENCE_S)


async def _written(nodes: dict[str, tuple[str, int]]) -> object:
    async with connect(nodes, timeout_s=PATIENCE_S) as connection:
        return await Fenced(Map(connection), "resource").get()


@pytest.mark.slow
def test_roles_are_watched_also_of_servers_that_were_not_named(cluster: Cluster) -> None:
    start_maps(cluster)
    seen: list[Roles] = []

    async def main() -> None:
        named = {"n1": ("127.0.0.1", cluster.ports["n1"])}
        with trio.fail_after(3 * PATIENCE_S):
            async with watch(named) as changes:
                async for roles in changes:
                    seen.append(roles)
                    if len(roles.roles) == 3 and roles.leader is not None and "silent" not in roles.roles.values():
                        break
                first = seen[-1]
                assert sorted(first.roles.values()) == ["follower", "follower", "leader"]
                cluster.kill(str(first.leader))
                async for roles in changes:
                    seen.append(roles)
                    if roles.leader not in (None, first.leader) and roles.roles[str(first.leader)] == "silent":
                        break
                assert seen[-1].term > first.term

    trio.run(main)
    assert all(before != after for before, after in pairwise(seen)), "only changes are told"


@pytest.mark.slow
def test_a_connection_tells_its_health_and_a_cache_how_old_an_answer_is(cluster: Cluster) -> None:
    start_maps(cluster)

    async def main() -> None:
        async with (
            connect(addresses(cluster), timeout_s=PATIENCE_S) as one,
            connect(addresses(cluster), timeout_s=PATIENCE_S) as two,
        ):
            cached, other = CachedMap(one), Map(two)
            await cached.put("a", 1)
            health = await one.health()
            assert health.is_healthy
            assert health.leader in cluster.names
            await other.put("a", 2)

            stale = await cached.get_cached("a", age_s_max=60)
            assert (stale.value, 0 < stale.age_s < 60) == (1, True)
            fresh = await cached.get_cached("a", age_s_max=0)
            assert (fresh.value, fresh.age_s) == (2, 0)
            assert not await cached.replace("a", 1, 3)
            assert (await cached.get_cached("a", age_s_max=60)).age_s == 0, "a write makes it forget"
            for name in cluster.names[1:]:
                cluster.kill(name)
            await trio.sleep(1.5)
        async with connect(addresses(cluster), timeout_s=1) as alone:
            health = await alone.health()
            assert (health.is_healthy, health.reason) == (False, "no-leader")

    trio.run(main)


def test_nothing_runs_beside_a_server_that_does_not_answer() -> None:
    begun: list[int] = []

    async def serve(token: int) -> None:
        begun.append(token)

    async def main() -> None:
        with trio.move_on_after(1):
            await run_while_leading("n1", ("127.0.0.1", 1), serve, patience_s=0.1)

    trio.run(main)
    assert begun == []


@pytest.mark.slow
def test_what_a_service_raises_comes_through_and_one_that_returned_is_not_begun_again(
    clusters: Callable[..., Cluster],
) -> None:
    cluster = clusters(names=("n1",))
    cluster.start("n1", machine="map")
    address = ("127.0.0.1", cluster.ports["n1"])
    begun: list[int] = []

    async def fail(token: int) -> None:
        raise KeyError(token)

    async def once(token: int) -> None:
        begun.append(token)

    async def main() -> None:
        with trio.fail_after(PATIENCE_S), pytest.raises(KeyError):
            await run_while_leading("n1", address, fail)
        with trio.move_on_after(1.5):
            await run_while_leading("n1", address, once)
        async with connect({"n1": address}, timeout_s=PATIENCE_S) as connection:
            resource = Fenced(Map(connection), "r")
            assert await resource.get() is None
            await resource.put(begun[0], "mine")
            with pytest.raises(Stale, match="the token is 0"):
                await resource.put(begun[0] - 1, "late")
            assert await resource.get() == "mine"

    trio.run(main)
    assert len(begun) == 1
