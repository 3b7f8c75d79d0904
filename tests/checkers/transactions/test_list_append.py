"""Each anomaly of list-append transactions in the smallest history that has it."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.op import Op
from checkers.transactions import list_append
from checkers.transactions.anomalies import ruled_out


def kinds(history: History, **options: Any) -> list[str]:
    options.setdefault("expect", ("strict-serializable",))
    return sorted(anomaly.kind for anomaly in list_append.check(history, **options).anomalies)


@pytest.mark.parametrize(
    "lines",
    [
        ["ax1"],
        ["ax1", "rx"],
        ["ax1", ".", "rx1"],
        ["ax1 ay1", "ax2 ay2", ".", "rx12 ry12"],
        ["rx", "ax1 rx1", ".", "ax2 rx12"],
        ["?ax1", ".", "rx1"],
        ["?ax1", ".", "rx"],
        ["!ax1", ".", "rx"],
        ["ax1 ax2 rx12", ".", "rx12"],
        ["0:ax1", ".", "0:ax2", ".", "1:rx12"],
    ],
    ids=" ".join,
)
def test_what_a_serializable_store_does_is_valid(history: Any, lines: list[str]) -> None:
    assert list_append.check(history(*lines)).validity == "valid"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # Dirty write: x says T0 before T1, y says T1 before T0.
        (["ax1 ay1", "ax2 ay2", "rx12 ry21"], ["G0"]),
        # Each read the other's append.
        (["ax1 ry1", "ay1 rx1"], ["G1c"]),
        # Read skew: saw T0 in x and not in y.
        (["ax1 ay1", "rx1 ry", ".", "ry1"], ["G-single"]),
        # Long fork: two readers see two writes in opposite orders.
        (["ax1", "ay1", "rx1 ry", "rx ry1"], ["G-nonadjacent"]),
        # Write skew: each read the other's key before it was written.
        (["rx ay1", "ry ax1", ".", "rx1 ry1"], ["G2-item"]),
        # Stale reads: later in the session, later in time.
        (["0:ax1", ".", "0:rx", ".", "1:rx1"], ["G-single-process"]),
        (["ax1", ".", "rx", ".", "rx1"], ["G-single-realtime"]),
        (["ax1", ".", "rx"], ["G-single-realtime"]),
        # x grew in the order opposite to time.
        (["ax1", ".", "ax2", ".", "rx21"], ["G0-realtime"]),
        (["0:ax1", ".", "0:ax2", ".", "1:rx21"], ["G0-process"]),
        # Read an append that was invoked after the read had completed.
        (["rx1", ".", "ax1"], ["G1c-realtime"]),
        (["0:rx1", ".", "0:ax1"], ["G1c-process"]),
    ],
    ids=" ".join,
)
def test_cycles_are_named_by_their_edges(history: Any, lines: list[str], expected: list[str]) -> None:
    assert kinds(history(*lines)) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["!ax1", "rx1"], ["G1a"]),
        (["!ax1", "ax2", "rx12"], ["G1a", "dirty-update"]),
        (["ax1 ax2", "rx1"], ["G-single", "G1b"]),
        (["ax1 rx", "rx1"], ["internal"]),
        (["rx1 rx12", "ax1", "ax2"], ["internal"]),
        (["ax1 rx12", "ax2"], ["internal"]),
        (["rx1 ax1"], ["future-read"]),
        (["ax1 rx21 ax2"], ["future-read"]),
        (["ax1 rx2 ax2"], ["future-read"]),
        (["ax1 ax2", "rx21"], ["cyclic-versions"]),
        (["ax1 ax2", "rx2"], ["cyclic-versions"]),
        (["ax1 ax2", "ax3", "rx13"], ["G0"]),
        (["ax1", "rx11"], ["duplicate-elements"]),
        (["ax1", "ax2", "rx12", "rx21"], ["incompatible-order"]),
        (["ax1", "rx12"], ["garbage-read"]),
        (["rx ax1", "rx ax2", ".", "rx12"], ["G-single", "lost-update"]),
        (["rx ax1", "rx ax2"], ["G2-item", "lost-update"]),
    ],
    ids=" ".join,
)
def test_anomalies_that_are_no_cycles_are_named(history: Any, lines: list[str], expected: list[str]) -> None:
    assert set(expected) <= set(kinds(history(*lines)))


@pytest.mark.parametrize(
    ("lines", "expect", "validity"),
    [
        (["rx ay1", "ry ax1"], "serializable", "invalid"),
        (["rx ay1", "ry ax1"], "snapshot-isolation", "valid"),
        (["ax1", "ay1", "rx1 ry", "rx ry1"], "snapshot-isolation", "invalid"),
        (["ax1", "ay1", "rx1 ry", "rx ry1"], "consistent-view", "valid"),
        (["ax1 ay1", "rx1 ry"], "consistent-view", "invalid"),
        (["ax1 ay1", "rx1 ry"], "read-committed", "valid"),
        (["ax1 ry1", "ay1 rx1"], "read-committed", "invalid"),
        (["ax1 ry1", "ay1 rx1"], "read-uncommitted", "valid"),
        (["ax1 ay1", "ax2 ay2", "rx12 ry21"], "read-uncommitted", "invalid"),
        (["ax1", ".", "rx"], "serializable", "valid"),
        (["ax1", ".", "rx"], "strong-session-serializable", "valid"),
        (["ax1", ".", "rx"], "strong-snapshot-isolation", "invalid"),
        (["0:ax1", ".", "0:rx"], "strong-session-snapshot-isolation", "invalid"),
        (["0:ax1", ".", "0:rx"], "snapshot-isolation", "valid"),
    ],
)
def test_each_model_forbids_its_own_anomalies(history: Any, lines: list[str], expect: str, validity: str) -> None:
    verdict = list_append.check(history(*lines), expect=(expect,))

    assert verdict.validity == validity
    assert verdict.validity == "invalid" or verdict.notes or len(verdict.anomalies) == 0


@pytest.mark.parametrize(
    ("lines", "kind"),
    [(["!ax1", "rx rx1"], "G1a"), (["ax1 ax2", "rx rx1"], "G1b"), (["rx rx1 ay1", "ry1 ax1"], "G1c")],
)
def test_a_read_that_contradicts_its_transaction_still_saw_something(history: Any, lines: list[str], kind: str) -> None:
    """Two reads of one list may see two committed versions under read committed, but nothing else."""
    assert kinds(history(*lines), expect=("read-committed",)) == [kind]
    assert list_append.check(history("rx rx1", "ax1"), expect=("read-committed",)).validity == "valid"


@pytest.mark.parametrize("asked", [[["r", "x"]], [5], None, 7, [["r", "x", None, 3]], [["r", "y", None]]], ids=str)
def test_an_invoke_of_another_shape_is_refused_with_its_place(asked: Any) -> None:
    ops = [
        Op(index=0, time=0, process=0, type="invoke", f="txn", value=asked),
        Op(index=1, time=1, process=0, type="ok", f="txn", value=[["r", "x", []]]),
    ]

    with pytest.raises(MalformedHistory, match=r"op 1: found txn .*; expected a completion that answers its invoke"):
        list_append.check(History(ops))


def test_an_element_of_ones_own_that_stands_there_twice_is_a_duplicate(history: Any) -> None:
    assert kinds(history("ax1 rx11")) == ["duplicate-elements"]
    assert kinds(history("ax1 ax2 rx112", ".", "rx12")) == ["duplicate-elements"]


def test_a_future_read_is_not_read_committed(history: Any) -> None:
    verdict = list_append.check(history("rx1 ax1"))

    assert verdict.details["not"] == ["read-committed"]
    assert ruled_out(["internal"])[0] == ("read-atomic",)


def test_a_cycle_is_explained_as_data_and_in_sentences(history: Any) -> None:
    (anomaly,) = list_append.check(history("ax1 ay1", "rx1 ry", ".", "ry1")).anomalies

    assert anomaly.signature == "list-append/G-single"
    assert anomaly.evidence["cycle"] == ["T0", "T1"]
    read_from, read_skew = anomaly.evidence["steps"]
    assert (read_skew["type"], read_skew["key"], read_skew["read"], read_skew["next"]) == ("rw", "y", (), 1)
    assert (read_from["type"], read_from["key"], read_from["value"]) == ("wr", "x", 1)
    assert anomaly.message == "\n".join(
        [
            'G-single: T1 saw 1 of T0 in "x", but T1 did not see 1 of T0 in "y".',
            'Let T0 = append "x" 1, append "y" 1.',
            'Let T1 = r "x" [1], r "y" [].',
            'Then T0 < T1, because T1 read "x" = [1], whose last element T0 appended.',
            'But then T1 < T0, because T1 read "y" = [] and did not see 1, which T0 appended right after that.',
        ]
    )


@pytest.mark.parametrize(
    ("lines", "expect", "told"),
    [
        (["ax1", ".", "rx"], "strict-serializable", "T0 completed before T2 was invoked, but T2 did not see 1 of T0"),
        (["0:ax1", ".", "0:rx"], "strict-serializable", "process 0 ran T0 before T2, but T2 did not see 1 of T0"),
        (["rx ay1", "ry ax1"], "serializable", 'T0 did not see 1 of T1 in "x", and T1 did not see 1 of T0 in'),
        (["ax1 ry1", "ay1 rx1"], "serializable", 'T1 saw 1 of T0 in "x", and T0 saw 1 of T1 in'),
        (["ax1 ay2", "ax2 ay1", "rx12 ry12"], "serializable", 'in "x", 1 of T0 stands before 2 of T1, and in'),
        (["!ax1", "rx1"], "serializable", 'T1 read "x" = [1], and the append of 1 by T0 had failed.'),
        (
            ["ax1", "ay1", "rx1 ry", "rx ry1"],
            "serializable",
            'T2 did not see 1 of T1 in "y", T3 saw 1 of T1 in "y", T3 did not see 1 of T0 in "x", and T2 saw 1',
        ),
        (
            ["ax1 ay1", "rx1 az1", "rz1 aw1", "rw1 av1", "rv1 ry", "ry1"],
            "serializable",
            'T4 did not see 1 of T0 in "y", though T0 came before it, by way of T1, T2 and T3.',
        ),
    ],
    ids=str,
)
def test_the_first_sentence_says_what_cannot_be(history: Any, lines: list[str], expect: str, told: str) -> None:
    anomaly = list_append.check(history(*lines), expect=(expect,)).anomalies[0]

    assert anomaly.message.startswith(f"{anomaly.kind}: {told}")


def test_real_time_is_explained_by_lines(history: Any) -> None:
    (anomaly,) = list_append.check(history("ax1", ".", "rx")).anomalies

    assert [step["type"] for step in anomaly.evidence["steps"]] == ["realtime", "rw"]
    assert "T0 completed (index 1) before T2 was invoked (index 2)" in anomaly.message
    assert anomaly.index == 3


def test_the_shortest_cycle_is_shown(history: Any) -> None:
    """A write skew of two transactions, beside one of three that shares a transaction."""
    (anomaly,) = list_append.check(history("rx ry az1", "rz ax1", "rx1 rw ay1", "ry1 aw1 rz")).anomalies

    assert len(anomaly.evidence["cycle"]) == 2


def test_a_walk_through_many_writers_is_told_as_one_step(history: Any) -> None:
    """T7 saw the append of T6 to y, and of x only the first of six versions."""
    writers = ["ax1", "ax2", "ax3", "ax4", "ax5", "ax6", "ax7 ay1"]

    (anomaly,) = list_append.check(history(*writers, "rx1 ry1", "rx1234567"), expect=("serializable",)).anomalies

    assert anomaly.kind == "G-single"
    assert [step["how"] for step in anomaly.evidence["steps"]] == ["next", "later"]


def test_an_element_appended_twice_makes_the_verdict_unknown(history: Any) -> None:
    verdict = list_append.check(history("ax1", "ax1", "rx1"))

    assert verdict.validity == "unknown"
    assert verdict.reason == 'element 1 was appended to key "x" twice'


def test_a_search_cut_short_still_shows_a_cycle_and_never_says_valid(history: Any) -> None:
    found = history("rx ay1", "ry ax1")

    cut = list_append.check(found, budget=0)
    weak = list_append.check(found, budget=0, expect=("read-committed",))

    assert (cut.validity, cut.anomalies[0].kind) == ("invalid", "G2-item")
    assert (weak.validity, weak.anomalies) == ("unknown", ())
    assert "its limit" in weak.reason


def test_ruled_out_models_are_the_weakest_and_what_falls_with_them() -> None:
    assert ruled_out(["G-single"]) == (
        ("repeatable-read", "consistent-view"),
        (
            "strict-serializable",
            "strong-session-serializable",
            "serializable",
            "strong-snapshot-isolation",
            "strong-session-snapshot-isolation",
            "snapshot-isolation",
        ),
    )
    assert ruled_out(["G2-item-realtime"]) == (("strict-serializable",), ())
    assert ruled_out([]) == ((), ())


def test_an_operation_of_another_form_is_refused_with_its_place() -> None:
    ops = [Op(index=0, time=0, process=0, type="invoke", f="txn", value=[["w", "x", 1]])]

    with pytest.raises(MalformedHistory, match=r'op 0: found txn \[\["w", "x", 1\]\]'):
        list_append.check(History(ops))


def test_an_unknown_model_is_refused(history: Any) -> None:
    with pytest.raises(ValueError, match="expected one of strict-serializable"):
        list_append.check(history("ax1"), expect=("linearizable",))
