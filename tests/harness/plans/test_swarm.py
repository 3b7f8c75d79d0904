"""The timetable: patterns keep to their context, faults without effect go, one of each kind has a target by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.faults.catalog import KINDS
from harness.faults.clocks import ClockRate
from harness.faults.crashes import Crash
from harness.faults.disk_damage import REGIONS
from harness.faults.fault import Fault
from harness.faults.packets import Clog
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.plans.patterns import PATTERNS, FaultContext
from harness.plans.profiles import PROFILES
from harness.plans.rng import Stream, streams
from harness.plans.swarm import FAULTS, ensure_hit, timetable, without_overlaps

MILLISECOND = 1_000_000
SECOND = 1_000_000_000


def context(nodes: int = 5, clients: int = 3) -> FaultContext:
    """Ten seconds, one second in, with leases' bound 1.05. Of five nodes or more the last has no data yet."""
    names = tuple(f"n{number}" for number in range(1, nodes + 1))
    return FaultContext(
        nodes=names,
        voters=names[:-1] if nodes >= 5 else names,
        atlas=dict.fromkeys(REGIONS, names[: (nodes - 1) // 2]),
        clients=tuple(f"c{number}" for number in range(1, clients + 1)),
        begin_ns=SECOND,
        end_ns=11 * SECOND,
        timeout_ns=150 * MILLISECOND,
        slowest_ppm=952_381,
        fastest_ppm=1_050_000,
        wall_offsets={"n1": 5 * SECOND},
    )


def when(begin_ms: int, end_ms: int) -> dict[str, Any]:
    return {"id": "", "begin_ns": begin_ms * MILLISECOND, "end_ns": end_ms * MILLISECOND}


@pytest.mark.parametrize(
    ("name", "nodes"),
    [(pattern.name, size) for pattern in PATTERNS.values() for size in (1, 2, 3, 5, 7) if size >= pattern.nodes_min],
)
def test_a_pattern_gives_what_it_declares_and_keeps_to_its_context(name: str, nodes: int) -> None:
    pattern, here = PATTERNS[name], context(nodes, clients=1 + nodes // 2)

    for seed in range(40):
        stream = Stream(seed, name)
        at_ns = here.begin_ns + stream.below(here.end_ns - here.begin_ns)
        faults = pattern.draw(stream, here, at_ns)
        assert {fault.kind for fault in faults} <= set(pattern.kinds)
        assert all(at_ns <= fault.begin_ns <= fault.end_ns <= here.end_ns for fault in faults)
        assert len(faults) <= 20
        for fault in faults:
            if isinstance(fault, ClockRate):
                assert here.slowest_ppm <= fault.rate_ppm <= here.fastest_ppm


@pytest.mark.parametrize("name", tuple(PATTERNS))
def test_every_pattern_happens_and_all_its_kinds_occur(name: str) -> None:
    kinds = {
        fault.kind for seed in range(60) for fault in PATTERNS[name].draw(Stream(seed, name), context(), 2 * SECOND)
    }

    assert set(PATTERNS[name].kinds) == kinds


def test_every_pattern_is_in_some_profile() -> None:
    assert set(PATTERNS) == {name for profile in PROFILES.values() for name in profile.patterns}


@pytest.mark.parametrize("profile", [profile for profile in PROFILES.values() if profile.patterns])
def test_a_system_without_faults_gets_none(profile: Any) -> None:
    assert timetable(streams(1), context(), profile.patterns, profile.pacing, kinds=()) == []


@pytest.mark.parametrize("kind", tuple(KINDS))
def test_only_the_kinds_that_a_system_knows_are_drawn(kind: str) -> None:
    patterns, pacing = PROFILES["swarm"].patterns, PROFILES["swarm"].pacing

    for seed in range(10):
        faults = timetable(streams(seed), context(), patterns, pacing, kinds=(kind,))
        assert {kind} >= {fault.kind for fault in faults}


@pytest.mark.parametrize("seed", range(12))
def test_faults_last_as_long_as_a_longer_phase_and_are_as_dense_as_in_the_usual_one(seed: int) -> None:
    profile = PROFILES["swarm"]
    words = (profile.patterns, profile.pacing, tuple(KINDS), profile.duration_ns)
    minute = msgspec.structs.replace(context(), end_ns=61 * SECOND)

    usual = timetable(streams(seed), context(), *words)
    faults = timetable(streams(seed), minute, *words)

    per_ten_seconds = [
        sum(1 for fault in faults if (fault.begin_ns - SECOND) // (10 * SECOND) == part) for part in range(6)
    ]
    assert len(faults) <= 6 * FAULTS
    assert len(usual) <= FAULTS
    assert min(per_ten_seconds) > 0
    assert len(faults) >= 3 * min(len(usual), FAULTS)


def test_a_phase_that_is_not_longer_than_the_profiles_is_drawn_as_ever() -> None:
    profile = PROFILES["swarm"]
    words = (profile.patterns, profile.pacing, tuple(KINDS))

    for seed in range(12):
        assert timetable(streams(seed), context(), *words) == timetable(streams(seed), context(), *words, 30 * SECOND)


def test_a_target_that_is_down_is_not_killed_and_the_others_still_are() -> None:
    first = Crash(**when(100, 300), targets=("n1", "n2"))
    both = Crash(**when(200, 400), targets=("n2", "n3"))
    again = Pause(**when(250, 280), targets=("n1",))
    later = Pause(**when(300, 350), targets=("n1",))

    kept = without_overlaps([later, again, both, first])

    assert [first, Crash(**when(200, 400), targets=("n3",)), later] == kept


def test_other_faults_may_overlap_as_they_like() -> None:
    faults = [Clog(**when(begin, 500), targets=("n1",)) for begin in (100, 200, 300)]

    assert faults == without_overlaps(faults)


def test_times_are_whole_milliseconds_and_what_lasts_less_is_nothing() -> None:
    long = Clog(id="", begin_ns=1_999_999, end_ns=5_000_001, targets=("n1",))
    short = Clog(id="", begin_ns=1_100_000, end_ns=1_900_000, targets=("n1",))

    assert [Clog(**when(1, 5), targets=("n1",))] == without_overlaps([long, short])


def test_the_last_of_a_kind_has_a_target_by_name_when_all_target_roles() -> None:
    first, last = Crash(**when(100, 300), targets=("@leader",)), Crash(**when(500, 900), targets=("@voter",))

    made = ensure_hit(streams(1), context(), [first, last])

    assert first == made[0]
    assert made[1].targets[0] in context().nodes  # type: ignore[union-attr]


def test_a_target_by_name_is_not_down_then() -> None:
    down = [Crash(**when(400, 950), targets=(name,)) for name in ("n1", "n2", "n3", "n4")]
    aimed = ClockRate(**when(500, 900), targets=("@leader",), rate_ppm=1_000_001)

    made = ensure_hit(streams(1), context(), [*down, aimed])

    assert ClockRate(**when(500, 900), targets=("n5",), rate_ppm=1_000_001) == made[-1]


@pytest.mark.parametrize(
    "faults",
    [
        [Crash(**when(100, 300), targets=("n1",)), Crash(**when(500, 900), targets=("@voter",))],
        [Partition(**when(100, 300), shape="one", order=("n1", "@leader"))],
        [],
    ],
)
def test_nothing_is_changed_when_one_has_a_target_by_name_already(faults: list[Fault]) -> None:
    assert faults == ensure_hit(streams(1), context(), faults)
