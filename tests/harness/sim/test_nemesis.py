"""The nemesis: each fault begins, does something, ends, and is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from harness.faults.catalog import KINDS
from harness.faults.clocks import ClockRate, ClockStep
from harness.faults.crashes import Crash
from harness.faults.disk_errors import LyingFsync
from harness.faults.fault import FOREVER, Fault
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.membership import Membership
from harness.faults.power import PowerCut
from harness.plans.plan import Clocks, ClockSpec, LinkSpec, Phases, Plan, Schedule
from harness.run.runner import RunOptions, Simulation
from harness.sim.world import SimWorld
from tests.harness.sim import toy
from tests.harness.sim.toy import MS

BEGIN, END, HEAL = 300 * MS, 600 * MS, 2_100 * MS
HEALED = ("n1", "n2", "c1", "c2")
TIMES: dict[str, Any] = {"begin_ns": BEGIN, "end_ns": END}


def one(kind: str, *targets: str, end_ns: int = END, **parameters: Any) -> Fault:
    """A fault of a kind with parameters that make it bite."""
    biting: dict[str, dict[str, Any]] = {
        "partition": {"shape": "one", "order": targets, "clients": ()},
        "loss": {"loss_ppm": 500_000},
        "duplicate": {"duplicate_ppm": 500_000, "spread_ns": 5 * MS},
        "delay": {"extra_ns": MS, "jitter_ns": MS},
        "reorder": {"reorder_ppm": 500_000, "hold_ns": 10 * MS},
        "corrupt": {"corrupt_ppm": 500_000},
        "slow-node": {"processing_ns": 5 * MS},
        "slow-background": {"late_ns": 5 * MS},
        "bandwidth": {"bytes_per_s": 20_000},
        "slow-disk": {"late_ns": 5 * MS},
        "clock-rate": {"rate_ppm": 1_300_000},
        "clock-step": {"step_ns": 500 * MS, "back": True},
        "clock-strobe": {"step_ns": 500 * MS, "period_ns": 40 * MS},
    }
    fields = {"id": "f1", "begin_ns": BEGIN, "end_ns": end_ns, **biting.get(kind, {})}
    if kind != "partition":
        fields["targets"] = targets
    return KINDS[kind](**fields | parameters)  # type: ignore[return-value]


LASTING_KINDS = (
    "partition",
    "loss",
    "duplicate",
    "delay",
    "reorder",
    "corrupt",
    "clog",
    "slow-node",
    "bandwidth",
    "crash",
    "pause",
    "slow-disk",
    "clock-rate",
    "clock-step",
    "clock-strobe",
)


def planned(*faults: Fault, healed: tuple[str, ...] = (), **more: Any) -> Plan:
    """Three servers with a busy client each."""
    drawn = toy.plan(faults=faults, **more)
    phases = Phases(
        warmup_ns=100 * MS,
        faults_ns=2_000 * MS,
        recovery_ns=500 * MS,
        final_ns=500 * MS,
        heal="partial" if healed else "total",
        healed=healed,
    )
    return msgspec.structs.replace(drawn, phases=phases)


class Lasting(Simulation):
    """A run that goes on to its horizon."""

    def _has_converged(self) -> bool:
        return False


def affected(world: SimWorld, name: str) -> bool:
    """Whether anything is wrong at a host, on a link of it, or with its clocks."""
    host = world.hosts[name]
    links = [link for links in world.network.links.values() for link in links.values()]
    return (
        host.paused
        or not host.is_up
        or bool(host.slowness.in_force or host.background.in_force or host.armed or host.disk.any_in_force)
        or host.clock.rate_ppm != 1_000_000
        or host.clock.wall_offset_ns != world_offset(world, name)
        or any(not link.plain for link in links if name in (link.source, link.target.name))
    )


def world_offset(world: SimWorld, name: str) -> int:
    """What the wall clock of an actor was ahead of its monotonic one at the start."""
    untouched = SimWorld(world.plan, world.systems)
    return untouched.hosts[name].clock.wall_offset_ns


def watched(plan: Plan, *looks: tuple[int, Callable[[SimWorld], Any]], **more: Any) -> tuple[SimWorld, list[Any]]:
    """Run a plan, and look at the world at some instants, after the faults of these instants."""
    systems: dict[str, Any] = {"default": toy.ToySystem()}
    simulation = Lasting(plan, systems, RunOptions(keep_rows=True), **more)
    seen: list[Any] = []
    for time_ns, look in looks:
        simulation.world.kernel.exactly(time_ns + 1, lambda look: seen.append(look(simulation.world)), look)
    simulation.run()
    simulation.world.log.close()
    return simulation.world, seen


def rows(world: SimWorld, kind: str) -> list[tuple[Any, ...]]:
    return [(row[0], *row[3:]) for row in world.log.kept if row[1] == kind]


# -- begin and end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LASTING_KINDS)
def test_a_fault_begins_bites_and_ends(kind: str) -> None:
    def look(world: SimWorld) -> bool:
        return affected(world, "n1")

    world, seen = watched(planned(one(kind, "n1")), (BEGIN - 2, look), (BEGIN, look), (END, look))

    assert seen == [False, True, False]
    assert world.nemesis.finish() == {"f1": "effective"}
    targets = ("n1",)
    assert (BEGIN, "f1", kind, targets) in rows(world, "fault-begin")
    assert (END, "f1", kind, "effective") in rows(world, "fault-end")


@pytest.mark.parametrize("kind", ["write-error", "fsync-error", "disk-full"])
def test_a_node_whose_disk_fails_it_may_stop_and_is_started_again(kind: str) -> None:
    world, _ = watched(planned(one(kind, "n1")))

    assert world.nemesis.finish() == {"f1": "effective"}
    assert world.node_anomalies == []
    crashes = [row for row in world.log.kept if row[1] == "crash"]
    assert {row[2:] for row in crashes} == {("n1", 1, "OSError")}
    assert BEGIN < crashes[0][0] < END
    assert world.hosts["n1"].incarnation == 2
    assert world.hosts["n1"].is_up


def test_an_fsync_that_lies_is_effective_when_a_power_loss_takes_what_it_called_durable() -> None:
    lie = LyingFsync(id="f1", begin_ns=BEGIN, end_ns=HEAL, targets=("n1",))
    cuts = [
        Crash(id=f"c{n}", begin_ns=BEGIN + n * 150 * MS, end_ns=BEGIN + (n * 150 + 50) * MS, targets=("n1",))
        for n in range(1, 8)
    ]

    harmless, _ = watched(planned(lie, ops=100))
    harmful, _ = watched(planned(lie, *cuts, ops=100))

    assert harmless.nemesis.finish()["f1"] == "no-effect"
    assert harmful.nemesis.finish()["f1"] == "effective"


@pytest.mark.parametrize("storage", ["sync", "async"])
@pytest.mark.parametrize(
    ("moment", "seen"), [("in-flight", set()), ("between", {"fsync"}), ("answered", {"fsync", "send"})]
)
def test_a_power_cut_comes_at_its_moment_of_a_write(moment: str, seen: set[str], storage: str) -> None:
    schedule = Schedule(seed=1)  # without a delay between the end of an fsync and its notice
    cut = PowerCut(id="f1", begin_ns=BEGIN, end_ns=END, targets=("n1",), moment=moment, down_ns=7 * MS)  # type: ignore[arg-type]

    world, _ = watched(planned(cut, options={"storage": storage}, schedule=schedule, threads=6))

    (died,) = [row for row in world.log.kept if row[1] == "crash"]
    (back,) = [row for row in world.log.kept if row[1] == "start" and row[2:] == ("n1", 2, "default")]
    of_the_end = {row[1] for row in world.log.kept if row[0] == died[0] and row[2] == "n1"} & {"fsync", "send"}
    # After a power loss the disk is read anew, which has a row of its own kind of fsync.
    reread = [row for row in world.log.kept if row[0] == died[0] and row[1:4] == ("fsync", "n1", ("recovered",))]
    synced = [row for row in world.log.kept if row[0] == died[0] and row[1:3] == ("fsync", "n1") and row not in reread]
    assert world.nemesis.finish() == {"f1": "effective"}
    assert died[2:] == ("n1", 1, "power")
    assert BEGIN < died[0] < END
    assert back[0] == died[0] + 7 * MS
    assert of_the_end - {"fsync"} | ({"fsync"} if synced else set()) == seen


def test_an_error_of_a_disk_that_nothing_is_wrong_with_is_an_anomaly() -> None:
    class Careless(toy.ToyServer):
        def process(self, messages: list[tuple[str, bytes]]) -> bool:
            self.env.disk.read("no-such-file")
            return super().process(messages)

    with patch.object(toy, "ToyServer", Careless):
        world, _ = watched(planned())

    assert {anomaly.signature for anomaly in world.node_anomalies} == {"node/exception/FileNotFoundError"}


@pytest.mark.parametrize("kind", ["forced-election", "compact"])
def test_a_command_is_effective_when_a_server_took_it(kind: str) -> None:
    world, _ = watched(planned(one(kind, "n1", "n2")))

    assert world.nemesis.finish() == {"f1": "effective"}


@pytest.mark.parametrize("kind", ["clock-step", "clock-strobe"])
@pytest.mark.parametrize(("reads", "outcome"), [(True, "effective"), (False, "no-effect")])
def test_a_wall_clock_fault_is_effective_only_if_the_wall_clock_was_read(kind: str, reads: bool, outcome: str) -> None:
    world, _ = watched(planned(one(kind, "n1"), options={"reads_wall_clock": reads}))

    assert world.nemesis.finish() == {"f1": outcome}
    assert any(what == "step" for _, what, _ in rows(world, "clock"))


def test_only_reads_while_the_fault_is_in_force_count() -> None:
    """The system reads its wall clock every 20 ms or so, but not within this millisecond."""
    ticks = [row[0] for row in watched(planned())[0].log.kept if row[1] == "send" and row[2] == "n1"]
    quiet_ns = next(a for a, b in pairwise(ticks) if b - a > 3 * MS and a > BEGIN) + MS
    step = ClockStep(id="f1", begin_ns=quiet_ns, end_ns=quiet_ns + MS, targets=("n1",), step_ns=MS)

    world, _ = watched(planned(step))

    assert world.nemesis.finish() == {"f1": "no-effect"}


@pytest.mark.parametrize(
    "fault",
    [
        one("loss", "n1", loss_ppm=0),
        one("clog", "n1"),
        one("partition", "n1"),
        one("pause", "c1"),
        one("slow-node", "c1"),
        Membership(id="f1", begin_ns=BEGIN, end_ns=END, voters=("n1",)),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_fault_that_nothing_met_has_no_effect(fault: Fault) -> None:
    world, _ = watched(planned(fault, nodes=1, threads=1, ops=2))

    assert world.nemesis.finish() == {"f1": "no-effect"}


def keeps_down(name: str, until_ns: int = 1_500 * MS) -> Fault:
    return Crash(id="down", begin_ns=200 * MS, end_ns=until_ns, targets=(name,))


@pytest.mark.parametrize("kind", ["crash", "pause", "slow-node", "clock-rate", "clock-step", "clock-strobe"])
def test_a_fault_whose_target_is_down_all_the_time_has_no_target(kind: str) -> None:
    world, _ = watched(planned(keeps_down("n1", HEAL), one(kind, "n1")))

    assert world.nemesis.finish() == {"down": "effective", "f1": "no-target"}


@pytest.mark.parametrize("kind", ["pause", "slow-node", "clock-rate"])
def test_a_fault_that_waits_for_its_node_to_come_up_keeps_half_of_its_time(kind: str) -> None:
    world, _ = watched(planned(keeps_down("n1"), one(kind, "n1")))

    (begin,) = [row[0] for row in world.log.kept if row[1] == "fault-begin" and row[3] == "f1"]
    (end,) = [row[0] for row in world.log.kept if row[1] == "fault-end" and row[3] == "f1"]
    assert 1_500 * MS <= begin <= 1_520 * MS  # with a look every 20 ms
    assert end == begin + (END - BEGIN) // 2
    assert world.nemesis.finish() == {"down": "effective", "f1": "effective"}


def test_a_command_is_asked_for_until_a_node_takes_it() -> None:
    world, _ = watched(planned(keeps_down("n1"), one("compact", "n1")))

    assert world.nemesis.finish() == {"down": "effective", "f1": "effective"}


@pytest.mark.parametrize("kind", ["partition", "loss", "clog", "crash", "pause", "transfer"])
def test_a_fault_at_a_role_that_no_node_holds_has_no_target(kind: str) -> None:
    parameters: dict[str, Any] = {"target": "@leader"} if kind == "transfer" else {}
    fault = Transfer(**TIMES, id="f1", **parameters) if kind == "transfer" else one(kind, "@leader")

    world, _ = watched(planned(fault))

    assert world.nemesis.finish() == {"f1": "no-target"}


def test_a_role_is_resolved_when_the_fault_begins_and_waited_for() -> None:
    elections = [
        ForcedElection(id="e1", begin_ns=250 * MS, end_ns=251 * MS, targets=("n3",)),
        ForcedElection(id="e2", begin_ns=700 * MS, end_ns=701 * MS, targets=("n2",)),
    ]
    crashes = [
        Crash(id="early", begin_ns=100 * MS, end_ns=900 * MS, targets=("@leader",)),
        Crash(id="late", begin_ns=1_000 * MS, end_ns=1_200 * MS, targets=("@leader",)),
    ]

    world, _ = watched(planned(*elections, *crashes))

    crashed = [(row[0], row[2]) for row in world.log.kept if row[1] == "crash"]
    assert [name for _, name in crashed] == ["n3", "n2"]
    assert 250 * MS < crashed[0][0] <= 275 * MS  # waited for, with a look every 20 ms
    assert crashed[1][0] == 1_000 * MS
    assert set(world.nemesis.finish().values()) == {"effective"}


def test_a_fault_loses_patience_when_half_of_its_time_is_over() -> None:
    election = ForcedElection(id="e1", begin_ns=600 * MS, end_ns=601 * MS, targets=("n3",))
    crash = Crash(id="f1", begin_ns=100 * MS, end_ns=900 * MS, targets=("@leader",))

    world, _ = watched(planned(election, crash))

    assert world.nemesis.finish() == {"e1": "effective", "f1": "no-target"}


# -- faults that overlap: no fault ends another ---------------------------------------------------------------------


def test_an_actor_that_two_faults_crashed_in_turn_comes_back_after_the_second() -> None:
    first = Crash(id="f1", begin_ns=200 * MS, end_ns=400 * MS, targets=("n1",))
    second = Crash(id="f2", begin_ns=300 * MS, end_ns=800 * MS, targets=("n1",))

    looks = [(ms * MS, lambda world: world.hosts["n1"].is_up) for ms in (250, 500, 799, 800)]
    world, up = watched(planned(first, second), *looks)

    assert up == [False, False, False, True]
    assert [row[0] // MS for row in world.log.kept if row[1] == "crash"] == [200, 400]
    assert world.nemesis.finish() == {"f1": "effective", "f2": "effective"}


def test_crashes_that_wait_for_the_same_write_both_fire() -> None:
    crashes = [
        Crash(id=name, begin_ns=begin * MS, end_ns=end * MS, targets=("n1",), aim="write")
        for name, begin, end in (("f1", 300, 500), ("f2", 301, 1_500))
    ]

    world, _ = watched(planned(*crashes))

    assert world.nemesis.finish() == {"f1": "effective", "f2": "effective"}
    assert len([row for row in world.log.kept if row[1] == "crash"]) == 2


def test_an_aimed_crash_falls_between_the_begin_of_an_fsync_and_its_completion() -> None:
    fault = one("crash", "n1", aim="write", power=True)

    world, _ = watched(planned(fault))
    (crash,) = [row for row in world.log.kept if row[1] == "crash"]

    _, busy = watched(planned(fault), (crash[0] - 2, lambda world: world.hosts["n1"].device.disk.has_unsynced))
    assert busy == [1]


def test_an_aimed_crash_fires_without_a_write_after_a_quarter_of_its_time() -> None:
    world, _ = watched(planned(one("crash", "n1", aim="write"), ops=0))

    (crash,) = [row for row in world.log.kept if row[1] == "crash"]
    assert crash[0] == BEGIN + (END - BEGIN) // 4


def test_the_end_of_one_rate_fault_leaves_the_other_in_force() -> None:
    faults = (
        ClockRate(id="f1", begin_ns=200 * MS, end_ns=600 * MS, targets=("n1",), rate_ppm=1_100_000),
        ClockRate(id="f2", begin_ns=400 * MS, end_ns=800 * MS, targets=("n1",), rate_ppm=1_200_000),
    )
    clocks = Clocks(actors={"n1": ClockSpec(rate_ppm=990_000)})
    plan = msgspec.structs.replace(planned(*faults), clocks=clocks)

    _, rates = watched(
        plan,
        *[(ms * MS, lambda world: world.hosts["n1"].clock.rate_ppm) for ms in (100, 200, 400, 600, 800, 2_050, 2_100)],
    )

    assert rates == [990_000, 1_100_000, 1_200_000, 1_200_000, 990_000, 990_000, 1_000_000]


def test_a_strobe_that_waited_for_its_target_strobes_once_a_period_and_stops_at_its_end() -> None:
    down = Crash(id="down", begin_ns=200 * MS, end_ns=450 * MS, targets=("n1",))
    strobe = one("clock-strobe", "n1", end_ns=800 * MS)

    world, _ = watched(planned(down, strobe))

    steps = [time_ns for time_ns, what, _ in rows(world, "clock") if what == "step"]
    assert len(steps) == len(set(steps))
    assert steps[0] > 450 * MS
    assert {after - before for before, after in pairwise(steps)} == {40 * MS}
    assert 760 * MS < steps[-1] < 800 * MS


# -- the heal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in LASTING_KINDS if kind != "clock-step"])
def test_a_total_heal_ends_everything(kind: str) -> None:
    def look(world: SimWorld) -> bool:
        return affected(world, "n1")

    fault = one(kind, "n1", end_ns=FOREVER)

    world, seen = watched(planned(fault), (HEAL - 2, look), (HEAL, look))

    if kind == "clock-strobe":  # the wall clock stays where the heal found it
        assert len([step for step in rows(world, "clock") if step[0] > HEAL]) == 0
    else:
        assert seen == [True, False]
    assert world.nemesis.finish() == {"f1": "effective"}


@pytest.mark.parametrize("end_ns", [FOREVER, HEAL + 100 * MS])
@pytest.mark.parametrize("kind", [kind for kind in LASTING_KINDS if kind not in ("clock-step", "clock-strobe")])
def test_a_partial_heal_keeps_faults_outside_the_healed_set_in_force(kind: str, end_ns: int) -> None:
    """A total heal would hide a livelock that a lasting fault keeps alive."""

    def look(world: SimWorld) -> tuple[bool, bool]:
        return affected(world, "n3"), any(not link.plain for link in links_within(world, HEALED))

    fault = one(kind, "n3", end_ns=end_ns)

    _, seen = watched(planned(fault, healed=HEALED), (HEAL, look), (HEAL + 200 * MS, look))

    assert seen == [(True, False), (True, False)]


@pytest.mark.parametrize("kind", [kind for kind in LASTING_KINDS if kind not in ("clock-step", "clock-strobe")])
def test_a_partial_heal_heals_the_healed_set(kind: str) -> None:
    def look(world: SimWorld) -> tuple[bool, ...]:
        host = world.hosts["n1"]
        within = [link for link in links_within(world, HEALED) if "n1" in (link.source, link.target.name)]
        return (
            host.is_up and not host.paused,
            not (host.slowness.in_force or host.disk.any_in_force),
            host.clock.rate_ppm == 1_000_000,
            all(link.plain for link in within),
        )

    fault = one(kind, "n1", end_ns=FOREVER)

    _, seen = watched(planned(fault, healed=HEALED), (HEAL - 2, look), (HEAL, look))

    assert not all(seen[0])
    assert all(seen[1])


def test_a_partial_heal_stops_strobes_in_the_healed_set_only() -> None:
    strobe = one("clock-strobe", "n1", "n3", end_ns=FOREVER)

    world, _ = watched(planned(strobe, healed=HEALED))

    strobed = {row[2] for row in world.log.kept if row[1] == "clock" and row[0] > HEAL}
    assert strobed == {"n3"}


def links_within(world: SimWorld, names: tuple[str, ...]) -> list[Any]:
    return [
        link
        for links in world.network.links.values()
        for link in links.values()
        if link.source in names and link.target.name in names
    ]


def test_after_a_total_heal_healthy_links_lose_nothing() -> None:
    lossy = LinkSpec(delay_min_ns=MS, delay_max_ns=2 * MS, loss_ppm=300_000, duplicate_ppm=300_000)

    world, _ = watched(planned(links=lossy))

    lost = [row[0] for row in world.log.kept if row[1] == "drop" and row[4] == "loss"]
    assert lost
    assert max(lost) <= HEAL


def test_wall_clocks_stay_where_the_heal_finds_them() -> None:
    step = ClockStep(id="f1", begin_ns=BEGIN, end_ns=FOREVER, targets=("n1",), step_ns=500 * MS)

    world, _ = watched(planned(step))

    assert world.hosts["n1"].clock.wall_offset_ns - world_offset(world, "n1") == 500 * MS
