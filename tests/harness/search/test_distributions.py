"""Stored distributions: what became slower is named, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import msgspec
import pytest

from harness.errors import BadInput
from harness.judged import JudgedAnomaly
from harness.options import OptionSpec
from harness.outcome import FaultCounts, Metrics, OpCounts
from harness.plans.plan import DRAW_VERSION
from harness.record import Provenance, RunRecord
from harness.run.drawing import Drawing
from harness.search import distributions, suites
from harness.search.distributions import MEASURES, RUNS_MIN, Comparison, Distribution, Sketch
from harness.search.suites import Suite

CELLS = (Drawing(workload="register"), Drawing(workload="counter"), Drawing(workload="register", profile="clocks"))
SUITE = Suite(name="mine", cells=CELLS)
OPTIONS = (OptionSpec(name="reads", type="word", default="quorum", neutral="quorum", words=("quorum", "lease")),)
JUDGED: tuple[JudgedAnomaly, ...] = ()


def a_run(seed: int, *, plan_class: str = "tolerable", timeout_ms: int = 150, **measured: Any) -> RunRecord:
    """A run as far as it is measured, recovering in `recovery` longest election timeouts."""
    recovery = measured.pop("recovery", 1.0)
    ops = measured.pop("ops", OpCounts())
    metrics = {"elections": 1, "messages_per_op": 10.0, "converged_ms": None, "latency_p50_ms": 2.0, **measured}
    return RunRecord(
        plan_sha256="", fingerprint="", history_sha256="", plan_class=plan_class, primary=None, anomalies=JUDGED,
        ops=ops, faults=FaultCounts(), fault_outcomes={}, messages=0,
        recovery_ms=None if recovery is None else recovery * 2 * timeout_ms,
        stopped="done", resolved_options={"election_timeout_ms": timeout_ms}, marks={},
        metrics=Metrics(events=1, passes=1, delivered=1, rows=1, violations={}, **metrics),
        run=None, path=None, seed=seed, workload="", variant="", profile="", verdict="valid", reason="",
        simulated_seconds=1.0, provenance=Provenance(harness="", python="", trio=""),
    )  # fmt: skip


def campaign(first: int, count: int, slower: float = 1.0, *, only_clocks: bool = False) -> list[RunRecord]:
    """Runs whose cells differ much, with recoveries of a long-tailed distribution."""
    runs = []
    for seed in range(first, first + count):
        draws = random.Random(seed)
        scale = (1.0, 5.0, 20.0)[seed % 3]
        factor = slower if not only_clocks or seed % 3 == 2 else 1.0
        runs.append(a_run(seed, recovery=scale * factor * draws.lognormvariate(0, 0.7), elections=draws.randint(1, 4)))
    return runs


def stored(records: Iterable[RunRecord]) -> Distribution:
    return distributions.record(SUITE, records, system="raft_impl", options=OPTIONS)


def compare(then: Distribution, now: Iterable[RunRecord]) -> Comparison:
    return distributions.compare(then, SUITE, now, file="file", options=OPTIONS)


def named(comparison: Comparison) -> list[tuple[str, str]]:
    return [(entry.signature, entry.profile) for entry in comparison.slower]


def test_what_is_slower_is_named_with_its_profile() -> None:
    then = stored(campaign(1, 600))

    everywhere = compare(then, campaign(10_000, 300, slower=1.6))
    one_profile = compare(then, campaign(10_000, 300, slower=1.6, only_clocks=True))

    assert named(everywhere) == [("statistics/recovery", "clocks"), ("statistics/recovery", "swarm")]
    assert named(one_profile) == [("statistics/recovery", "clocks")]
    assert "in longest election timeouts" in everywhere.slower[0].message


def test_other_seeds_of_the_same_code_and_faster_ones_are_not() -> None:
    then = stored(campaign(1, 600))

    false_alarms = sum(bool(compare(then, campaign(10_000 * n, 150)).slower) for n in range(1, 101))

    assert false_alarms == 0
    assert compare(then, campaign(10_000, 300, slower=0.5)).slower == ()


def test_a_difference_that_is_significant_and_small_is_not_named() -> None:
    then = stored(campaign(1, 6_000))

    (entry,) = [e for e in compare(then, campaign(10**6, 6_000, 1.12)).compared if (e.measure, e.profile) == RECOVERY]

    assert entry.p_corrected < distributions.SIGNIFICANT
    assert 0.53 < entry.chance < distributions.RELEVANT
    assert not entry.is_slower


def test_serving_fewer_operations_is_named_though_those_that_are_served_are_as_fast() -> None:
    """A client that waits out its time after a refusal recovers as soon, and with the same latencies."""

    def runs(first: int, most: int) -> list[RunRecord]:
        draws = [(seed, random.Random(seed).randint(0, most)) for seed in range(first, first + 150)]
        return [a_run(seed, ops=OpCounts(ok=100 - missed, fail=missed)) for seed, missed in draws]

    assert named(compare(stored(runs(1, 20)), runs(1_000, 20))) == []
    assert named(compare(stored(runs(1, 20)), runs(1_000, 40))) == [
        ("statistics/unserved", "clocks"),
        ("statistics/unserved", "swarm"),
    ]


RECOVERY = ("recovery", "swarm")


def test_recovery_is_told_in_election_timeouts_so_that_plans_with_other_timeouts_are_alike() -> None:
    then = stored([a_run(3 * n, recovery=1.0, timeout_ms=100) for n in range(60)])
    now = [a_run(3 * n, recovery=1.0, timeout_ms=300) for n in range(60)]

    (entry,) = [entry for entry in compare(then, now).compared if entry.measure == "recovery"]

    assert entry.chance == 0.5
    assert (entry.median, entry.stored_median) == (1.0, 1.0)


def test_ties_count_half_and_the_rank_is_a_share() -> None:
    sketch = Sketch(count=4, values=(1.0, 2.0, 2.0, 4.0))

    assert [sketch.rank(value) for value in (0.5, 1.0, 2.0, 3.0, 9.0)] == [0.0, 0.125, 0.5, 0.75, 1.0]


def test_the_statistic_is_that_of_mann_and_whitney() -> None:
    """By the definition: the share of pairs in which now is above then; the variance of U without ties."""
    draws = random.Random(7)
    then, now = [draws.random() for _ in range(40)], [draws.random() + 0.2 for _ in range(30)]
    wins = sum((x > y) + (x == y) / 2 for x in now for y in then)
    z = (wins - 600) / (40 * 30 * 71 / 12) ** 0.5

    chance, p_value = distributions._test([(now, Sketch(count=40, values=tuple(sorted(then))))])

    assert chance == pytest.approx(wins / 1200)
    assert p_value == pytest.approx(1 - NormalDist().cdf(z))


def test_only_runs_that_owe_recovery_are_measured() -> None:
    then = stored([*campaign(1, 300), *(a_run(n, plan_class="degrading", recovery=1e9) for n in range(900, 990))])

    assert all(sketch.values[-1] < 1e6 for cell in then.cells for sketch in cell.measures.values())
    with pytest.raises(BadInput, match="no run that was judged tolerable"):
        stored([a_run(1, plan_class="breaking")])


def test_long_samples_are_thinned_and_keep_their_shape() -> None:
    then = stored([a_run(3 * n, recovery=n + 1.0) for n in range(1_000)])

    sketch = then.cells[0].measures["recovery"]

    assert (sketch.count, len(sketch.values)) == (1_000, distributions.SKETCH_MAX)
    assert sketch.rank(501.0) == pytest.approx(0.5, abs=0.01)
    assert sketch.rank(901.0) == pytest.approx(0.9, abs=0.01)


def test_nothing_is_compared_where_seeds_mean_other_plans_or_little_was_run() -> None:
    then = stored(campaign(1, 600))
    drawn_otherwise = msgspec.structs.replace(then, draw_version=DRAW_VERSION - 1)
    with_options = msgspec.structs.replace(then, options={"reads": "lease", "gone": 1})

    assert compare(drawn_otherwise, campaign(1, 300)).reason.startswith(f"it is of draw version {DRAW_VERSION - 1}")
    assert compare(with_options, campaign(1, 300)).reason == "options have changed since: gone, reads"
    assert compare(then, campaign(1, 24)).reason.startswith("fewer than 20 runs")


def test_a_file_reads_as_it_was_written(tmp_path: Path) -> None:
    then = stored(campaign(1, 600))
    path = tmp_path / "usual.json"

    distributions.write(then, path)

    assert distributions.load(path) == then
    assert len(path.read_text().splitlines()) == 2 + len(then.cells)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}'])
def test_a_file_that_is_none_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)

    with pytest.raises(BadInput, match="a malformed file"):
        distributions.load(tmp_path / "x")
    with pytest.raises(BadInput, match="cannot be read"):
        distributions.load(tmp_path / "y")
    with pytest.raises(BadInput, match="cannot be written"):
        distributions.write(stored(campaign(1, 60)), tmp_path)


def test_every_measure_is_described() -> None:
    assert {name for cell in stored(campaign(1, 60)).cells for name in cell.measures} <= set(MEASURES)


def test_the_one_that_comes_with_the_harness_is_of_the_nightly_suite() -> None:
    stock = distributions.load(distributions.STOCK)

    nightly = {distributions._key(cell) for cell in suites.load("nightly").cells}
    assert stock.system == "raft_impl"
    assert {cell.drawing for cell in stock.cells} <= nightly
    assert sum(cell.measures["elections"].count for cell in stock.cells) >= RUNS_MIN
    assert {"swarm", "membership"} <= {cell.profile for cell in stock.cells}
