"""What the graph leaves open: witnesses that are replayed, proofs that there is none, limits that say so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checkers import check
from checkers.history import History
from checkers.linearizability import result
from checkers.op import Op
from checkers.transactions import list_append, rw_register
from checkers.transactions.decide import WITNESSED
from checkers.transactions.nodes import Transactions
from checkers.transactions.replay import WitnessRefuted, replay

Make = Callable[..., History]

BLIND = ["wx1 wy1", "wx2 wy2", "rx1 ry2"]
"""Blind writes: nothing relates the versions of x, or of y, but x ends with 1 and y with 2."""


def test_a_valid_verdict_rests_on_an_order_that_was_replayed(history: Make) -> None:
    verdict = rw_register.check(history("wx1", "wx2", "rx1", "rx2", lists=False))

    assert verdict.validity == "valid"
    assert verdict.notes == (WITNESSED,)
    assert verdict.engine == "dependency-graph+order"


def test_no_order_of_blind_writes_is_found_out_without_a_circle_in_the_graph(history: Make) -> None:
    verdict = rw_register.check(history(*BLIND, lists=False), expect=("serializable",))

    (anomaly,) = verdict.anomalies
    assert anomaly.kind == "G2-item"
    assert anomaly.message.startswith("G2-item: no order of T0, T1, T2 explains what they read")
    assert anomaly.evidence["steps"]
    assert {one["name"] for one in anomaly.evidence["transactions"]} == {"T0", "T1", "T2"}


def test_the_search_stops_at_its_limit(history: Make) -> None:
    verdict = rw_register.check(history(*BLIND, lists=False), expect=("serializable",), step_limit=2)

    assert verdict.validity == "unknown"
    assert verdict.reason == "serializable: the search for an order stopped: step limit of 2 reached"
    assert not verdict.machine_dependent


def test_memory_is_looked_at_before_each_analysis(history: Make) -> None:
    for verdict in (
        list_append.check(history("ax1", "rx1"), memory_limit_bytes=1),
        rw_register.check(history("wx1", "rx1", lists=False), memory_limit_bytes=1),
        check(history("wx1", "rx1", lists=False), "rw-register", memory_limit_bytes=1),
    ):
        assert verdict.validity == "unknown"
        assert verdict.reason.startswith("memory limit of 1 bytes reached")
        assert verdict.machine_dependent


def test_memory_is_looked_at_during_the_search_for_an_order(history: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look is before the analysis; the third is the second within the 2,500 steps of these blind writes."""
    looks: list[int] = []

    def resident() -> int:
        looks.append(0)
        return 10 if len(looks) < 3 else 2_000

    monkeypatch.setattr(result, "resident_bytes", resident)
    ops = [
        Op(index=2 * n + end, time=n, process=n, type=type, f="txn", value=[["w", n % 7, n]])
        for n in range(2_500)
        for end, type in enumerate(("invoke", "ok"))
    ]

    verdict = rw_register.check(History(ops), expect=("serializable",), memory_limit_bytes=1_000)

    assert verdict.validity == "unknown"
    assert verdict.reason.startswith(
        "serializable: the search for an order stopped: memory limit of 1000 bytes reached"
    )
    assert verdict.machine_dependent


def test_consistent_view_is_not_refuted_by_the_absence_of_snapshots(history: Make) -> None:
    verdict = rw_register.check(history("wx1", "wy1", "rx1 ry", "rx ry1", lists=False), expect=("consistent-view",))

    assert verdict.validity == "unknown"
    assert "no row of snapshots" in verdict.reason


def test_appends_that_nobody_read_have_some_order_under_snapshots(history: Make) -> None:
    """Each misses what the other wrote to y or z, which snapshots allow; but both wrote x, so one saw the other."""
    lines = ["ry ax1 az1", "rz ax2 ay1"]

    assert list_append.check(history("ry az1", "rz ay1"), expect=("snapshot-isolation",)).validity == "valid"
    assert list_append.check(history(*lines), expect=("snapshot-isolation",)).validity == "invalid"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([(0, False), (0, True), (1, False), (1, True)], "not each transaction"),
        ([(0, False), (0, True), (2, False), (2, True), (1, False), (1, True)], "T2 read 'x' = 2, not 1"),
        ([(0, False), (1, False), (1, True), (0, True), (2, False), (2, True)], "T0 overlaps another writer of 'x'"),
        ([(0, True), (0, False), (1, False), (1, True), (2, False), (2, True)], "commits before it starts"),
    ],
)
def test_a_row_that_explains_nothing_is_refuted(history: Make, row: list[tuple[int, bool]], message: str) -> None:
    transactions = Transactions(history("wx1", "wx2", "rx2", lists=False), "w")

    with pytest.raises(WitnessRefuted, match=message):
        replay(transactions, [True] * 3, row, process=False, realtime=False)


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        (["0:wx1", ".", "0:rx"], {"process": True, "realtime": False}),
        (["wx1", ".", "rx"], {"process": False, "realtime": True}),
    ],
)
def test_a_row_against_sessions_or_time_is_refuted(history: Make, lines: list[str], options: dict[str, bool]) -> None:
    transactions = Transactions(history(*lines, lists=False), "w")
    row = [(1, False), (1, True), (0, False), (0, True)]

    replay(transactions, [True] * 2, row, process=False, realtime=False)
    with pytest.raises(WitnessRefuted):
        replay(transactions, [True] * 2, row, **options)
