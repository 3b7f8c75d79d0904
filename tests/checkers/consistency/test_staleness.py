"""Staleness is measured from below, in time and in versions, and agrees with the definition applied naively."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.consistency import staleness
from checkers.history import History
from checkers.op import Op
from checkers.operation import INF

Make = Callable[[str], History]
MS = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "rx",
        "wx1 rx1",
        "(p wx1 rx rx1 p)",
        "wx1 (p wx2 rx1 rx2 p)",
        "(p wx1 p? rx rx1 rx1",
        "wx1 (p rx1 wx2 p)",
        "(p wx1 wx2 p) rx1",
        "wx1 cx12 rx2",
        "wx1 !cx23 rx1",
        "wx1 wx2 wx1 rx1",
    ],
)
def test_a_fresh_read_is_valid(history: Make, text: str) -> None:
    assert staleness.check(history(text)).validity == "valid"


@pytest.mark.parametrize(
    ("text", "lag_ms", "versions"),
    [
        ("wx1 rx", 1, 1),
        ("wx1 wx2 rx1", 1, 1),
        ("wx1 wx2 wx3 wx4 rx1", 5, 3),
        ("wx1 wy1 wy2 wx2 rx1", 1, 1),
        ("wx1 cx12 rx1", 1, 1),
        ("wx1 wx2 cx13", 1, 1),
        ("wx1 (p wx2 (q wx3 q) p) rx1", 2, 2),
    ],
)
def test_how_stale_a_read_is(history: Make, text: str, lag_ms: int, versions: int) -> None:
    verdict = staleness.check(history(text))

    assert [anomaly.signature for anomaly in verdict.anomalies] == [
        "staleness/stale-read/time",
        "staleness/stale-read/versions",
    ]
    evidence = verdict.anomalies[0].evidence
    assert (evidence["lag_ns"], evidence["versions"]) == (lag_ms * MS, versions)
    assert verdict.details["lag_ms"]["max"] == lag_ms


def test_bounds_are_judged_apart(history: Make) -> None:
    stale = history("wx1 wx2 wx3 rx1")

    assert staleness.check(stale, max_lag_ns=3 * MS, max_versions=2).validity == "valid"
    assert [a.detail for a in staleness.check(stale, max_lag_ns=2 * MS, max_versions=2).anomalies] == ["time"]
    assert [a.detail for a in staleness.check(stale, max_lag_ns=3 * MS, max_versions=1).anomalies] == ["versions"]


@pytest.mark.parametrize(("text", "kind"), [("wx1 rx2", "phantom-read"), ("rx1 wx1", "future-read")])
def test_reads_from_nowhere_have_no_degree(history: Make, text: str, kind: str) -> None:
    assert [anomaly.kind for anomaly in staleness.check(history(text), max_lag_ns=INF).anomalies] == [kind]


@st.composite
def register_histories(draw: st.DrawFn) -> History:
    """Reads and writes of one register, with intervals and values at random."""
    ops: list[Op] = []
    running: list[tuple[int, str, Any]] = []
    for process in range(draw(st.integers(1, 10))):
        for _ in range(draw(st.integers(0, len(running)))):
            number, f, value = running.pop(draw(st.integers(0, len(running) - 1)))
            type: Any = draw(st.sampled_from(["ok", "ok", "ok", "info"]))
            ops.append(Op(index=len(ops), time=len(ops) * MS, process=number, type=type, f=f, value=value))
        f = draw(st.sampled_from(["read", "write"]))
        value = draw(st.integers(1, 4))
        asked = value if f == "write" else None
        ops.append(Op(index=len(ops), time=len(ops) * MS, process=process, type="invoke", f=f, value=asked))
        running.append((process, f, value if f == "write" else draw(st.sampled_from([None, value]))))
    return History(ops)


def naive(history: History) -> list[tuple[int, int]]:
    """The lag and the versions of each stale read, by the definition: the kindest writer, all newer writes."""
    operations = history.operations()
    writes = [operation for operation in operations if operation.f == "write"]
    found = []
    for read in operations:
        if read.f != "read" or read.type != "ok":
            continue
        ends = [write.ret for write in writes if write.value == read.result and write.call < read.ret]
        if not ends and read.result is not None:
            continue
        since = max(ends, default=-1)
        newer = [write for write in writes if write.call > since and write.ret < read.call]
        if newer:
            found.append((read.call_time - min(write.ret_time for write in newer), len(newer)))
    return sorted(found)


@settings(max_examples=300, deadline=None)
@given(register_histories())
def test_the_sweep_agrees_with_the_definition(history: History) -> None:
    register = staleness._Register(None, history.operations(), None, history)

    found = sorted((read.lag_ns, read.versions) for read in register.judge({}))

    assert found == naive(history)
