"""The client library against real processes: what it promises, also while the leader dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from raft_impl import client
from raft_impl.client import Completion, Counter, Map, connect
from raft_impl.errors import Refused, Unknown
from tests.live.cluster import Cluster, free_ports


def addresses(cluster: Cluster) -> dict[str, tuple[str, int]]:
    return {name: ("127.0.0.1", port) for name, port in cluster.ports.items()}


@pytest.mark.slow
def test_a_map_is_used_through_one_session_while_leaders_die(clusters: Callable[..., Cluster]) -> None:
    cluster = clusters()
    for name in cluster.names:
        cluster.start(name, machine="map")

    async def main() -> None:
        async with connect(addresses(cluster), timeout_s=20) as connection:
            table = Map(connection)
            assert await table.get("a") is None
            assert await table.put_if_absent("a", 1)
            assert not await table.put_if_absent("a", 2)
            assert await table.replace("a", 1, [True, None])
            assert not await table.replace("a", 1, 2)
            leader = (await connection.status()).leader
            assert leader is not None
            cluster.kill(leader)
            await table.put("b", "after")
            assert (await table.get("a"), await table.get("b"), await table.size()) == ([True, None], "after", 2)
            assert await table.remove("a") == [True, None]
            cluster.start(leader, machine="map")
            with pytest.raises(Refused, match="unsupported"):
                await connection.call("enqueue", "a", 1)

    trio.run(main)


@pytest.mark.slow
def test_operations_that_are_not_awaited_happen_in_order_and_before_the_end(clusters: Callable[..., Cluster]) -> None:
    cluster = clusters()
    cluster.start_all()
    seen: list[Completion] = []

    async def main() -> None:
        async with connect(addresses(cluster), timeout_s=20) as connection:
            counter = Counter(connection, "c")
            for _ in range(50):
                connection.soon(counter.increment, on_done=seen.append)
        async with connect(addresses(cluster), timeout_s=20) as connection:
            counter = Counter(connection, "c")
            assert await counter.get() == 50
            assert await counter.decrement(8) == 42
            assert await counter.compare_and_set(42, -1)
            assert not await counter.compare_and_set(42, 0)
            await counter.set(7)
            assert await counter.get() == 7

    trio.run(main)
    assert [one.value for one in seen] == list(range(1, 51))


@pytest.mark.slow
def test_one_session_lasts_and_a_new_one_replaces_it_when_it_expired(clusters: Callable[..., Cluster]) -> None:
    cluster = clusters()
    for name in cluster.names:
        cluster.start(name, "-o", "session_ttl_ms=300")

    async def main() -> None:
        async with (
            connect(addresses(cluster), timeout_s=20) as first,
            connect(addresses(cluster), timeout_s=20) as second,
        ):
            one, two = Counter(first, "c"), Counter(second, "c")
            assert await one.increment() == 1
            assert await one.increment() == 2
            assert (await first.status()).sessions == 1
            await trio.sleep(1)
            assert await two.increment() == 3
            assert await one.increment() == 4, "the idle session has expired"

    trio.run(main)


def test_without_a_server_an_operation_ends_in_time_and_surely_did_not_happen() -> None:
    nodes = {f"n{port}": ("127.0.0.1", port) for port in free_ports(2)}
    ended: list[Completion] = []

    async def main() -> None:
        with trio.fail_after(20):
            async with connect(nodes, timeout_s=0.3) as cluster:
                with pytest.raises((Refused, Unknown)) as found:
                    await Map(cluster).put("a", 1)
                assert isinstance(found.value, Refused)
                cluster.soon(Map(cluster).put, "a", 1, on_done=ended.append)

    trio.run(main)
    assert [one.error.word for one in ended if one.error is not None] == ["no-client"]


def test_the_errors_of_a_caller_come_out_as_they_are() -> None:
    async def main() -> None:
        with pytest.raises(KeyError, match="mine"):
            async with connect({"n1": ("127.0.0.1", 1)}):
                raise KeyError("mine")

    trio.run(main)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WAITING_MAX", 2)

    async def main() -> None:
        async with connect({"n1": ("127.0.0.1", 1)}, timeout_s=0.1) as cluster:
            table = Map(cluster)
            cluster.soon(table.put, "a", 1)
            cluster.soon(table.put, "a", 2)
            with pytest.raises(Refused, match="busy"):
                cluster.soon(table.put, "a", 3)

    trio.run(main)
