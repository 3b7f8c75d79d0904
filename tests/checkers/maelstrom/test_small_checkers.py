"""The small checkers for Maelstrom's workloads say what their definition says, tried by brute force."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.history import History
from checkers.intervals import Pair
from checkers.maelstrom import converging_counters, converging_sets, echo, offset_logs, unique_ids
from checkers.maelstrom.quiet import final_reads
from checkers.op import Op
from checkers.verdict import Verdict


def in_a_row(*calls: tuple[str, Any, Any] | tuple[str, Any, Any, Any]) -> History:
    """One call after the other, each by a process of its own: (f, asked, told[, key]); told "?" is not known."""
    pairs = []
    for number, (f, value, result, *key) in enumerate(calls):
        kind = "info" if result == "?" else "ok"
        told = None if result == "?" else result
        pairs.append(
            Pair(f, value, key[0] if key else None, told, 2 * number, 2 * number + 1, number, kind)  # type: ignore[arg-type]
        )
    return History.from_pairs(pairs)


def kinds(verdict: Verdict) -> set[str]:
    return {anomaly.kind for anomaly in verdict.anomalies}


values = st.sampled_from([0, 1, True, "1", "a", None])


@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_echo_is_equality(pairs: list[tuple[Any, Any]]) -> None:
    ops = [
        Op(index=2 * n + k, time=0, process=n, type="ok" if k else "invoke", f="echo", value=pair[k])  # type: ignore[arg-type]
        for n, pair in enumerate(pairs)
        for k in (0, 1)
    ]

    assert (echo.check(History(ops)).validity == "valid") == all(a == b for a, b in pairs)


@given(st.lists(st.sampled_from([1, 2, 3, "1", "2", 4, 5]), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_unique_ids_compares_all_pairs(ids: list[Any]) -> None:
    verdict = unique_ids.check(in_a_row(*[("generate", None, one) for one in ids]))

    assert (verdict.validity == "invalid") == any(a == b and type(a) is type(b) for a, b in combinations(ids, 2))


@pytest.mark.parametrize("check", [echo.check, unique_ids.check, converging_counters.check, offset_logs.check])
def test_nothing_answered_is_unknown(check: Any) -> None:
    assert check(in_a_row(("add", 1, "?"))).validity == "unknown"


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=6), st.integers(-12, 12))
@settings(max_examples=150, deadline=None)
def test_a_final_sum_is_one_of_a_subset(adds: list[tuple[int, bool]], value: int) -> None:
    history = in_a_row(*[("add", delta, None if ok else "?") for delta, ok in adds], ("read", None, value))
    uncertain = [delta for delta, ok in adds if not ok]
    known = sum(delta for delta, ok in adds if ok)
    possible = {known + sum(chosen) for n in range(len(uncertain) + 1) for chosen in combinations(uncertain, n)}

    assert (converging_counters.check(history).validity == "valid") == (value in possible)


def test_reads_before_the_end_may_be_late_but_not_ahead() -> None:
    late = in_a_row(("add", 2, None), ("read", None, 0), ("add", 1, None), ("read", None, 3))
    ahead = in_a_row(("add", 2, None), ("read", None, 3), ("add", 1, None), ("read", None, 3))

    assert converging_counters.check(late).validity == "valid"
    assert kinds(converging_counters.check(ahead)) == {"out-of-bounds"}


def test_each_final_read_needs_every_element() -> None:
    """`set-full` alone is content with one last read that has them."""
    adds = ("add", 1, None), ("add", 2, None)
    converged = in_a_row(*adds, ("read", None, [2]), ("read", None, [1, 2]))
    early = in_a_row(adds[0], ("read", None, []), adds[1], ("read", None, [1, 2]))

    assert "missing" in kinds(converging_sets.check(converged))
    assert converging_sets.check(early).validity == "valid"
    assert converging_sets.check(in_a_row(("add", 1, None))).validity == "unknown"


def test_final_reads_begin_after_everything_else() -> None:
    history = in_a_row(("read", None, []), ("add", 1, "?"), ("read", None, []), ("read", None, [1]))

    assert [one.process for one in final_reads(history.operations())] == [2, 3]


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        ([("send", "a", 0, "k"), ("send", "b", 0, "k")], "inconsistent-offset"),
        ([("send", "a", 0, "k"), ("poll", [("k", 0)], [("k", [(0, "b")])])], "inconsistent-offset"),
        ([("poll", [("k", 0)], [("k", [(1, "b"), (0, "a")])])], "nonmonotonic-poll"),
        ([("poll", [("k", 3)], [("k", [(2, "b")])])], "nonmonotonic-poll"),
        ([("send", "a", 1, "k"), ("poll", [("k", 0)], [("k", [(0, "x"), (2, "b")])])], "skipped"),
        ([("send", "a", 1, "k"), ("poll", [("k", 0)], [])], "lost"),
        ([("committed", ["k"], [("k", 3)])], "phantom-commit"),
    ],
)
def test_what_is_wrong_with_a_log(calls: list[Any], kind: str) -> None:
    assert kinds(offset_logs.check(in_a_row(*calls))) == {kind}


def test_a_process_sends_in_the_order_of_offsets() -> None:
    pairs = [Pair("send", "a", "k", 5, 0, 1, 0, "ok"), Pair("send", "b", "k", 4, 2, 3, 0, "ok")]

    assert kinds(offset_logs.check(History.from_pairs(pairs))) == {"nonmonotonic-send"}


messages = st.integers(0, 4).map(lambda offset: (offset, f"m{offset}"))
polls = st.tuples(st.just("poll"), st.integers(0, 3), st.lists(messages, max_size=3))
sends = st.tuples(st.just("send"), messages, st.none())


@given(st.lists(sends | polls, max_size=6))
@settings(max_examples=300, deadline=None)
def test_logs_agree_with_their_definition(calls: list[Any]) -> None:
    """The definition, word for word: quantifiers over all operations instead of sorted tables."""
    history = in_a_row(
        *[
            ("send", what[1], what[0], "k") if f == "send" else ("poll", [("k", what)], [("k", told)] if told else [])
            for f, what, told in calls
        ]
    )
    sent = {what[0] for f, what, _ in calls if f == "send"}
    known = sent | {offset for f, _, told in calls if f == "poll" for offset, _ in told}
    last_send = max((place for place, call in enumerate(calls) if call[0] == "send"), default=-1)
    expected = set()
    for place, (f, start, told) in enumerate(calls):
        if f != "poll":
            continue
        offsets = [offset for offset, _ in told]
        if any(offset < start for offset in offsets) or any(a >= b for a, b in pairwise(offsets)):
            expected.add("nonmonotonic-poll")
        if any(start <= o < p and o not in offsets for o in known for p in offsets):
            expected.add("skipped")
        if not offsets and place > last_send and any(offset >= start for offset in sent):
            expected.add("lost")

    assert kinds(offset_logs.check(history)) == expected
