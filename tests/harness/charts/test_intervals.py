"""Counterexamples in text: where bars stand, what is marked, and that everything fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import History, Op, check
from harness.charts.cycle import cycle
from harness.charts.drawing import LINES, PLAIN, Drawing, Glyphs, cut, cut_inside, one_cell
from harness.charts.intervals import intervals

STALE = [("write", 0, 1, 1), ("write", 0, 2, 2), ("read", 3, None, 1)]  # function, process, argument, answer


def evidence_of(*operations: tuple[str, int, Any, Any], model: str = "register") -> dict[str, Any]:
    """The evidence of a history whose operations follow each other."""
    pairs = [(t, f, p, v) for f, p, sent, got in operations for t, v in (("invoke", sent), ("ok", got))]
    ops = [Op(index=i, time=i, process=p, type=t, f=f, value=v) for i, (t, f, p, v) in enumerate(pairs)]
    (anomaly,) = check(History(ops), model).anomalies
    assert isinstance(anomaly.evidence, dict)
    return anomaly.evidence


def drawn(evidence: dict[str, Any], width: int = 60, glyphs: Glyphs = PLAIN, **options: Any) -> str:
    drawing = intervals(evidence, width, glyphs, lambda _: None, **options)
    assert drawing is not None
    return str(drawing)


def test_bars_stand_in_the_order_of_calls_and_returns_with_the_states_between() -> None:
    assert drawn(evidence_of(*STALE)).splitlines() == [
        "index       0       1       2       3       4         5",
        "process 0   [write 1]       [write 2]",
        "process 3                                   [read -> 1]",
        "                                             ^ fits no order",
        "possible    null    1               2                 none",
    ]


def test_lines_of_a_terminal_stand_where_the_letters_do() -> None:
    letters, lines = (drawn(evidence_of(*STALE), glyphs=glyphs) for glyphs in (PLAIN, LINES))

    assert [len(line) for line in letters.splitlines()] == [len(line) for line in lines.splitlines()]
    assert letters.isascii()
    assert "├read -> 1┤" in lines


def test_a_short_drawing_marks_the_operation_on_its_own_row() -> None:
    lines = drawn(evidence_of(*STALE), width=80, is_short=True).splitlines()

    assert len(lines) == 4
    assert lines[2].endswith("[read -> 1] fits no order")


def test_times_are_written_where_they_are_known() -> None:
    drawing = intervals(evidence_of(*STALE), 80, PLAIN, lambda index: index * 1_500_000_000)

    assert drawing is not None
    assert str(drawing).splitlines()[1].split() == ["seconds", "0.000", "1.500", "3.000", "4.500", "6.000", "7.500"]


def test_texts_that_do_not_fit_have_letters_that_are_explained() -> None:
    long = "v" * 60
    evidence = evidence_of(("write", 0, long, long), ("write", 0, 2, 2), ("read", 3, None, long))

    lines = drawn(evidence, width=40).splitlines()

    assert lines[1] == "process 0   [a-]  [b-]"
    assert any(line.startswith("  c  read -> ") and "..." in line for line in lines)


def operation(call: int, role_text: str, ret: int | None, process: int = 0) -> dict[str, Any]:
    return {"process": process, "f": "x", "text": role_text, "call": call, "ret": ret}


def test_many_operations_of_unknown_outcome_are_told_and_not_drawn() -> None:
    helpers = [operation(at, "add 1 -> ?", None, process=at) for at in range(10)]
    kept = [operation(20, "add 1", 21), operation(22, "read -> 9", 23, process=3)]
    evidence = {"minimal_history": kept, "blocked": kept[-1], "helpers": helpers, "starts": ["0"]}

    text = drawn(evidence, width=80)

    assert "they need others, whenever those took effect: 10 x add 1" in text
    assert text.count("process") == 2


def test_of_very_many_operations_the_last_ones_are_shown() -> None:
    kept = [operation(2 * at, f"write {at}", 2 * at + 1, process=at % 30) for at in range(200)]
    text = drawn({"minimal_history": kept, "blocked": kept[-1]}, width=80)

    assert "earlier operations that belong to it are left out" in text
    assert len(text.splitlines()) <= 24
    assert "fits no order" in text


def test_what_is_no_counterexample_has_no_drawing() -> None:
    assert intervals({}, 80, PLAIN, lambda _: None) is None
    assert intervals({"completing": operation(0, "read", 1)}, 80, PLAIN, lambda _: None) is None
    assert cycle({"steps": [{"first": "T1", "second": "T2"}]}, 80, PLAIN, lambda _: None) is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=90), st.integers(0, 2000), st.integers(1, 6), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.integers(40, 130),
    st.booleans(),
)
def test_whatever_the_operations_are_nothing_is_wider_than_the_screen(
    operations: list[tuple[str, int, int, bool]], width: int, is_short: bool
) -> None:
    kept, at = [], 0
    for text, process, length, returns in operations:
        kept.append(operation(at, text, at + length if returns else None, process))
        at += length + 1
    evidence = {"minimal_history": kept, "blocked": kept[-1], "starts": ["a" * 50], "between": []}

    drawing = intervals(evidence, width, PLAIN, lambda index: index, is_short=is_short)

    assert drawing is not None
    assert all(len(line) <= width and line.isprintable() for line in str(drawing).splitlines())


CYCLE = {
    "cycle": ["T0", "T1"],
    "transactions": [
        {"name": "T0", "process": 1, "call": 0, "return": 2, "value": [["append", "x", 1], ["r", "y", []]]},
        {"name": "T1", "process": 2, "call": 1, "return": 3, "value": [["append", "y", 2], ["r", "x", []]]},
    ],
    "steps": [
        {"type": "rw", "source": "T0", "target": "T1", "because": "T0 did not see 2"},
        {"type": "realtime", "source": "T1", "target": "T0", "because": "T1 completed before T0 was invoked"},
    ],
}


def test_a_cycle_is_a_chain_that_comes_back() -> None:
    drawing = cycle(CYCLE, 70, PLAIN, lambda _: None)

    assert str(drawing).splitlines() == [
        "index       0         1         2         3",
        "process 1   [T0-----------------]",
        "process 2             [T1-----------------]",
        "",
        'T0  process 1, 0..2  [["append","x",1],["r","y",[]]]',
        " |  rw        T0 did not see 2",
        " v",
        'T1  process 2, 1..3  [["append","y",2],["r","x",[]]]',
        " |  realtime  T1 completed before T0 was invoked",
        " v",
        "T0  again: it would have to come before itself",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a", "a"), ("a\nb\tc", "a b c"), ("\x1b[31m", "\\u{1b}[31m"), ("日", "\\u{65e5}"), ("é", "é")],
)
def test_each_character_takes_one_column_and_none_steers_the_terminal(text: str, shown: str) -> None:
    assert one_cell(text) == shown


def test_a_drawing_ends_at_its_width() -> None:
    drawing = Drawing(10)

    drawing.line(("0123456789abc", "wrong"))
    drawing.put(drawing.row(), 8, "xyz")

    assert drawing.lines() == [[("0123456789", "wrong")], [("        xy", "")]]
    assert not drawing.is_free(0, 3, 2)
    assert not drawing.is_free(1, 0, 11)
    assert cut("0123456789", 5) == "01..."
    assert cut_inside("0123456789abc", 10) == "0123...abc"
    assert cut_inside("0123456789", 10) == "0123456789"
