"""Read atomic: who saw a part of another transaction is named, and all else is proved by an order that is replayed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.transactions import check
from checkers.transactions.nodes import Transactions
from checkers.transactions.replay import WitnessRefuted, replay_atomic
from tests.checkers.transactions.conftest import history as history_of
from tests.checkers.transactions.orders import explained


def judge(lines: list[str], *, lists: bool = False, expect: str = "read-atomic") -> Any:
    return check(history_of(*lines, lists=lists), "list-append" if lists else "rw-register", expect=[expect])


@pytest.mark.parametrize(
    "lines",
    [
        ["wx1 wy1", "rx1 ry1"],
        ["wx1 wy1", "rx ry"],
        ["wx1 wy1", "rx"],
        ["wx1 wy1", "wx2 wy2", "rx2 ry2", "rx1 ry1"],
        ["wx1 wy1", "wx2", "rx2 ry1"],  # T0 < T1
        ["wx1 wy1", "rx1 wz1", "rz1 rx"],  # all of T1; who sees that need not see what it saw
        ["wx1 wy1", "rx1 wx2", "rx2 ry"],
        ["rx wx1", "rx1 wx2", "rx1 wx3", "rx3"],  # lost update
        ["rx wy1", "ry wx1"],  # write skew
        ["?wx1 wy1", "rx1 ry1"],
    ],
    ids=" | ".join,
)
def test_who_saw_all_of_those_that_it_saw_is_valid(lines: list[str]) -> None:
    verdict = judge(lines)

    assert verdict.validity == "valid"
    assert explained(history_of(*lines, lists=False), "read-atomic")


@pytest.mark.parametrize(
    ("lines", "who"),
    [
        (["wx1 wy1", "rx1 ry"], ["T1", "T0"]),
        (["?wx1 wy1", "rx1 ry"], ["T1", "T0"]),
        (["wx1 wy1", ".", "wx2 wy2", "rx2 ry1"], ["T3", "T0", "T2"]),
        # T1 read 1 and wrote x on top of it, so it came later; and T2 saw it.
        (["wx1", "rx1 wx2 wy2", "rx1 ry2"], ["T2", "T1", "T0"]),
        # T2 is right if T1 was first, T3 if T0 was.
        (["wx1 wz1 wu1", "wx2 wz2 wv2", "rx1 rv2", "rz2 ru1"], ["T3", "T0", "T1", "T2"]),
    ],
    ids=str,
)
def test_a_transaction_that_saw_a_part_of_another_is_named(lines: list[str], who: list[str]) -> None:
    (anomaly,) = judge(lines).anomalies

    assert anomaly.signature == "rw-register/fractured-read"
    assert [transaction["name"] for transaction in anomaly.evidence["transactions"]] == who
    assert not explained(history_of(*lines, lists=False), "read-atomic")


def test_the_first_sentence_says_what_was_seen_and_what_was_not() -> None:
    (initial,) = judge(["wx1 wy1", "rx1 ry"]).anomalies
    (older,) = judge(["wx1 wy1", ".", "wx2 wy2", "rx2 ry1"]).anomalies

    assert 'T1 saw "x" 1 of T0, but "y" = null, the initial value, though T0 wrote "y" too.' in initial.message
    assert 'T3 saw "y" 1 of T0, but "x" = 2 of T2, though T0 wrote "x" too.' in older.message
    assert [step["type"] for step in older.evidence["steps"]] == ["demand", "demand"]


@pytest.mark.parametrize(
    ("lines", "validity"),
    [
        (["ax1 ay1", "rx1 ry"], "invalid"),
        (["ax1 ay1", "ax2", "rx12 ry"], "valid"),  # the version of T1, and nothing else of it; T0's was not read
        (["ax1 ay1", "rx1 ax2", "rx12 ry"], "valid"),
        (["ax1 ay1", "ax2 ay2", "rx12 ry1", "ry12"], "invalid"),
        (["ax1 ay1", "ax2 ay2", "rx12 ry12", "ry1 rx1"], "valid"),
        (["rx ay1", "ry ax1", "rx1 ry1"], "valid"),
    ],
    ids=str,
)
def test_lists_are_judged_by_their_versions(lines: list[str], validity: str) -> None:
    assert judge(lines, lists=True).validity == validity
    assert explained(history_of(*lines), "read-atomic") == (validity == "valid")


def test_consistent_view_has_no_fractured_reads_either() -> None:
    """Where neither a circle nor a row of snapshots is found, one of them decides it."""
    lines = ["wx1 wy1", ".", "wx2 wy2", "rx2 ry1"]

    (anomaly,) = judge(lines, expect="consistent-view").anomalies

    assert anomaly.kind == "fractured-read"


KEYS = "xyz"


@st.composite
def small_histories(draw: st.DrawFn) -> list[str]:
    """Two to five transactions that write some keys and read others, each any value that was written, or none."""
    count = draw(st.integers(2, 5))
    writes = [draw(st.sets(st.sampled_from(KEYS), max_size=3)) for _ in range(count)]
    lines = []
    for number in range(count):
        done = []
        for key in sorted(draw(st.sets(st.sampled_from(KEYS), max_size=3))):
            writers = [other for other in range(count) if key in writes[other] and other != number]
            seen = draw(st.sampled_from([None, *writers, *writers]))
            done.append(f"r{key}{'' if seen is None else seen}")
        done += [f"w{key}{number}" for key in sorted(writes[number])]
        lines.append(" ".join(done) or "rx")
    return lines


@settings(deadline=None)
@given(small_histories())
def test_the_verdict_agrees_with_every_order_and_every_choice_of_what_is_seen(lines: list[str]) -> None:
    made = history_of(*lines, lists=False)

    is_explained = explained(made, "read-atomic")

    assert check(made, "rw-register", expect=["read-atomic"]).validity == ("valid" if is_explained else "invalid")
    if not is_explained:
        assert check(made, "rw-register", expect=["consistent-view"]).validity == "invalid"
        assert check(made, "rw-register", expect=["repeatable-read"]).validity == "invalid"


@pytest.mark.parametrize(
    ("lines", "order", "complaint"),
    [
        (["wx1 wy1", "rx1 ry"], [0, 1], "read 'y' = None, not the latest"),
        (["wx1 wy1", "rx1 ry1"], [1, 0], "not the latest"),
        (["wx1 wy1", "wx2 wy2", "rx2 ry1"], [0, 1, 2], "read 'y' = 1, not the latest"),
        (["wx1 wx2", "rx1"], [0, 1], "not the latest"),
        (["wx1", "rx1"], [0], "not each transaction stands in the order once"),
        (["wx1", "rx1 wx2 rx1"], [0, 1], "against its own account"),
        (["wx1", "rx1 rx"], [0, 1], "against its own account"),
    ],
    ids=str,
)
def test_an_order_that_explains_nothing_is_refuted(lines: list[str], order: list[int], complaint: str) -> None:
    transactions = Transactions(history_of(*lines, lists=False), "w")

    with pytest.raises(WitnessRefuted, match=complaint):
        replay_atomic(transactions, [True] * len(lines), order)


@pytest.mark.parametrize(
    "lines", [["ax1", "ax2", "rx2"], ["ax1 ax2", "rx1"], ["ax1 rx"], ["ax1 ay1", "rx1 ry"]], ids=str
)
def test_an_order_that_explains_no_lists_is_refuted(lines: list[str]) -> None:
    with pytest.raises(WitnessRefuted):
        replay_atomic(Transactions(history_of(*lines), "append"), [True] * len(lines), range(len(lines)))
