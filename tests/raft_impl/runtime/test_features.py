"""Feature levels: a command exists for all replicas at one index, or for none.

The machine here knows `double` since level 2. A server of level 1 stands for an older program.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from raft_impl.errors import Refused, TooNew
from raft_impl.machines import CATALOG
from raft_impl.machines.base import OK, Answer, pack
from raft_impl.machines.counter import Counter
from raft_impl.machines.sessions import Action, Command, SessionedMachine, encode_command
from raft_impl.runtime import member
from tests.raft_impl.runtime.cluster import Cluster


class Doubling(Counter):
    """A counter that learnt a command in level 2."""

    commands: Mapping[str, int] = MappingProxyType({**Counter.commands, "double": 2})  # type: ignore[misc]

    def apply(self, f: str, key: Any, value: Any) -> Answer:
        if f != "double":
            return super().apply(f, key, value)
        _, number = self.read("read", key, None)
        super().apply("set", key, 2 * number)
        return OK, 2 * number


@pytest.fixture(autouse=True)
def catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "CATALOG", {**CATALOG, "doubling": Doubling})


def cluster_of(levels: dict[str, int]) -> Cluster:
    cluster = Cluster(3, machine="doubling")
    cluster.levels = levels
    for name in cluster.names:
        cluster.restart(name)
    cluster.elect()
    cluster.world.run_for(500)
    return cluster


def call(machine: SessionedMachine, f: str, value: Any = None) -> Answer:
    return machine.apply(1, encode_command(Command(Action.CALL, 0, 0, 0, pack((f, "c", value)))))


def test_a_command_above_the_level_is_refused_by_those_who_know_it_and_by_those_who_do_not() -> None:
    new, old = SessionedMachine(Doubling(), known_level=2), SessionedMachine(Counter(), known_level=1)
    for machine in (new, old):
        call(machine, "set", 4)

    assert call(new, "double") == call(old, "double") == ("unsupported", None)
    assert new.digest == old.digest


def test_the_level_is_part_of_snapshot_and_digest() -> None:
    machine, copy = SessionedMachine(Doubling(), known_level=2), SessionedMachine(Doubling(), known_level=2)
    before = machine.digest

    machine.raise_level(pack(2))
    copy.restore(machine.snapshot())

    assert machine.digest == copy.digest != before
    assert call(copy, "set", 4) == (OK, 4)
    assert call(copy, "double") == (OK, 8)


def test_a_level_never_falls() -> None:
    machine = SessionedMachine(Doubling(), known_level=3)

    machine.raise_level(pack(3))
    machine.raise_level(pack(2))

    assert machine.level == 3


def test_old_code_stops_at_a_level_it_does_not_know() -> None:
    new, old = SessionedMachine(Doubling(), known_level=2), SessionedMachine(Counter(), known_level=1)
    new.raise_level(pack(2))

    with pytest.raises(TooNew):
        old.raise_level(pack(2))
    with pytest.raises(TooNew):
        old.restore(new.snapshot())


def test_a_cluster_learns_a_command_once_all_its_members_know_it() -> None:
    cluster = cluster_of({"n1": 2, "n2": 2, "n3": 1})
    env, client = cluster.client()
    cluster.run(env, client.call("set", "c", 4))
    with pytest.raises(Refused, match="unsupported"):
        cluster.run(env, client.call("double", "c", None))

    cluster.levels["n3"] = 2
    cluster.restart("n3")
    cluster.world.run_for(1000)

    assert cluster.run(env, client.call("double", "c", None)) == 8
    cluster.world.run_for(200)
    states = [server.inspect()["g0"] for server in cluster.servers.values()]
    assert {state["level"] for state in states} == {2}
    assert len({state["digest"] for state in states}) == 1


def test_a_single_server_raises_its_level_by_itself() -> None:
    cluster = Cluster(1, machine="doubling")
    cluster.levels = {"n1": 2}
    cluster.restart("n1")
    cluster.elect()
    cluster.world.run_for(500)

    assert cluster.servers["n1"].inspect()["g0"]["level"] == 2


def test_a_program_that_was_put_back_stops_instead_of_skipping() -> None:
    cluster = cluster_of({"n1": 2, "n2": 2, "n3": 2})
    disk = cluster.crash("n3")
    cluster.levels["n3"] = 1

    cluster.start("n3", disk)

    with pytest.raises(TooNew):
        cluster.world.run_for(500)
