"""Runs judged by a metric, of which some are infinite: so few ops were answered that it lies beyond what was seen."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.search.bisect import Answer, Memory, Metric
from tests.harness.outcomes import make_plan

P99 = "latency_p99_ms"


def said_of(metric: Metric, *values: float | None) -> list[str]:
    return [metric.judge(Answer(measures={metric.name: value})) for value in values]


def test_an_infinite_latency_is_beyond_every_limit() -> None:
    finite, infinite = Metric.between(P99, 10.0, 30.0), Metric.between(P99, 10.0, inf)

    assert finite.limit == 20.0
    assert said_of(finite, 19.0, 21.0, inf, None) == ["good", "bad", "bad", "unclear"]
    assert said_of(infinite, 10.0, 9_999.0, inf, None) == ["good", "good", "bad", "unclear"]


def test_a_share_makes_the_limit_finite_whatever_the_bad_end_is() -> None:
    assert Metric.between(P99, 10.0, inf, 0.5) == Metric(P99, 15.0)
    assert Metric.between("throughput", 10.0, 1.0, 0.5) == Metric("throughput", 5.0)
    assert Metric.between("availability", 0.5, 0.1, 0.2).limit == pytest.approx(0.3)


def test_ends_that_are_both_infinite_tell_nothing_apart() -> None:
    with pytest.raises(BadInput) as caught:
        Metric.between(P99, inf, inf)

    assert caught.value.found == "latency_p99_ms infinite of BAD, infinite of GOOD"


def test_an_infinite_latency_is_remembered_as_such_and_none_as_none(tmp_path: Path) -> None:
    answer = Answer(verdict="valid", measures={P99: inf, "recovery_ms": None, "elections": 2.0})
    with Memory(tmp_path, make_plan()) as memory:
        memory.add("tree", 0, answer)

    with Memory(tmp_path, make_plan()) as again:
        assert again.get("tree", 0) == answer
