"""Feature levels: a command exists for all replicas at one index, or for none.

The machine here knows `double` since level 2. A server of level 1 stands for an older program.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from raft_impl.errors import Corrupt, Refused, TooNew, TooOld
from raft_impl.machines import CATALOG
from raft_impl.machines.base import OK, Answer, pack, unpack
from raft_impl.machines.commands import Action, Command, encode_command
from raft_impl.machines.counter import Counter
from raft_impl.machines.features import LEVEL, require_known
from raft_impl.machines.sessions import SessionedMachine
from raft_impl.protocol.state import EntryKind
from raft_impl.runtime import member
from raft_impl.runtime.driver_messages import LevelTell
from raft_impl.runtime.feature_levels import FeatureLevels
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
    cluster = Cluster(3, machine="doubling", options={"feature_level": 2})
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
    cluster = Cluster(1, machine="doubling", options={"feature_level": 2})
    cluster.levels = {"n1": 2}
    cluster.restart("n1")
    cluster.elect()
    cluster.world.run_for(500)

    assert cluster.servers["n1"].inspect()["g0"]["level"] == 2


def test_a_program_that_was_put_back_does_not_start_on_a_log_that_tells_of_a_later_level() -> None:
    cluster = cluster_of({"n1": 2, "n2": 2, "n3": 2})
    disk = cluster.crash("n3")
    cluster.levels["n3"] = 1

    with pytest.raises(TooNew, match="entry 2 of the log is of feature level 2, this code knows 1 to 1"):
        cluster.start("n3", disk)


def test_a_program_that_was_put_back_before_the_level_was_raised_serves() -> None:
    cluster = cluster_of({"n1": 2, "n2": 2, "n3": 1})
    env, client = cluster.client()
    cluster.run(env, client.call("set", "c", 4))

    cluster.levels["n2"] = 1
    cluster.restart("n2")
    cluster.restart("n1")
    cluster.world.run_for(1000)

    assert cluster.run(env, client.call("read", "c", None)) == 4
    assert {server.inspect()["g0"]["level"] for server in cluster.servers.values()} == {1}


def test_an_old_program_that_applies_what_raises_the_level_stops_instead_of_skipping() -> None:
    cluster = cluster_of({"n1": 1, "n2": 1, "n3": 1})
    leader = cluster.servers[cluster.leader()]._members["g0"]

    leader.act(cluster.world.now, leader.core.propose(cluster.world.now, None, pack(2), EntryKind.FEATURE))
    with pytest.raises(TooNew):
        cluster.world.run_for(500)


def test_a_leader_raises_the_level_no_further_than_it_is_told() -> None:
    cluster = Cluster(3, machine="doubling")
    cluster.elect()
    cluster.world.run_for(1000)

    states = [server.inspect()["g0"] for server in cluster.servers.values()]
    assert {(state["level"], state["known_level"]) for state in states} == {(1, LEVEL)}


def test_a_member_that_no_longer_knows_so_low_a_level_keeps_the_group_where_it_is() -> None:
    sent: list[tuple[str, object]] = []
    cluster = Cluster(3)
    cluster.elect()
    core = cluster.servers[cluster.leader()]._members["g0"].core
    others = [name for name in cluster.names if name != core.status().node]
    levels = FeatureLevels(core.status().node, 2, lambda *told: sent.append(told), allowed=2, interval_ns=1)
    levels.ask(1, core)
    now = cluster.world.now

    first = levels.hear(now, core, 1, others[0], LevelTell(core.term, 2))
    second = levels.hear(now, core, 1, others[1], LevelTell(core.term, 4, 3))
    third = levels.hear(now, core, 1, others[1], LevelTell(core.term, 4, 2))

    assert [target for target, _ in sent] == others
    assert (first, second) == (None, None)
    assert third is not None


@pytest.mark.parametrize(
    ("level", "error", "says"),
    [
        (3, TooNew, "the state is of feature level 3, this code knows 2 to 2; start newer code on this data"),
        (1, TooOld, "the state is of feature level 1, this code knows 2 to 2; raise the level with older code first"),
    ],
)
def test_a_level_out_of_range_is_refused_in_one_line(level: int, error: type[Corrupt], says: str) -> None:
    with pytest.raises(error) as caught:
        require_known(level, 2, "the state", lowest=2)

    assert caught.value.where == says


# What belongs to level 2: openings are part of the state.


def opening(machine: SessionedMachine, index: int, client: int, number: int) -> Answer:
    return machine.apply(index, encode_command(Command(Action.OPEN, 0, client, number, idle_ns=1000)))


def machine_of_level(level: int) -> SessionedMachine:
    machine = SessionedMachine(Counter())
    machine.raise_level(pack(level))
    return machine


def test_a_repeated_opening_gives_one_session_on_a_replica_that_began_with_a_snapshot() -> None:
    machine, copy = machine_of_level(2), SessionedMachine(Counter())
    assert opening(machine, 5, 17, 1) == (OK, 5)
    copy.restore(machine.snapshot())

    assert copy.opened(17, 1) == 5
    assert opening(machine, 6, 17, 1) == opening(copy, 6, 17, 1) == (OK, 5)
    assert opening(machine, 7, 17, 2) == opening(copy, 7, 17, 2) == (OK, 7)
    assert machine.digest == copy.digest
    assert machine.session_count == copy.session_count == 2


def test_a_repeated_opening_keeps_what_its_session_has_done_and_renews_it() -> None:
    machine = machine_of_level(2)
    opening(machine, 5, 17, 1)
    command = encode_command(Command(Action.CALL, 900, 5, 1, pack(("add", "c", 4))))
    assert machine.apply(6, command) == (OK, 4)

    machine.apply(7, encode_command(Command(Action.OPEN, 1800, 17, 1, idle_ns=1000)))

    assert machine.apply(8, encode_command(Command(Action.CALL, 2700, 5, 1, pack(("add", "c", 4))))) == (OK, 4)
    assert machine.read(pack(("read", "c", None))) == (OK, 4)
    assert machine.session_count == 1


def test_an_opening_is_forgotten_with_its_session() -> None:
    machine = machine_of_level(2)
    fresh = machine.digest
    opening(machine, 5, 17, 1)

    machine.apply(6, encode_command(Command(Action.CLOSE, 0, 5)))

    assert machine.digest == fresh
    assert opening(machine, 7, 17, 1) == (OK, 7)


def test_at_the_first_level_state_and_snapshot_are_those_of_older_code() -> None:
    machine, other = machine_of_level(1), machine_of_level(1)
    opening(machine, 5, 17, 1)
    opening(other, 5, 18, 4)

    assert opening(machine, 6, 17, 1) == (OK, 6)
    assert opening(other, 6, 18, 4) == (OK, 6)
    assert machine.digest == other.digest  # who opened a session is no part of it
    assert machine.snapshot() == other.snapshot()
    assert len(unpack(machine.snapshot())) == 4


def test_sessions_from_before_the_level_was_raised_stay_as_they_were() -> None:
    machine, restored = machine_of_level(1), SessionedMachine(Counter())
    opening(machine, 5, 17, 1)
    restored.restore(machine.snapshot())

    machine.raise_level(pack(2))
    restored.raise_level(pack(2))

    assert opening(machine, 8, 17, 1) == opening(restored, 8, 17, 1) == (OK, 8)
    assert machine.digest == restored.digest
