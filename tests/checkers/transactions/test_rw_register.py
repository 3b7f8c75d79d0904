"""Each anomaly of read-write transactions in the smallest history that has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checkers.history import History
from checkers.transactions import rw_register
from checkers.verdict import Verdict

Check = Callable[..., Verdict]


@pytest.fixture(name="check")
def check_fixture(history: Callable[..., History]) -> Check:
    """Check a history in the mini language."""
    return lambda lines, expect="strict-serializable": rw_register.check(history(*lines, lists=False), expect=(expect,))


@pytest.mark.parametrize(
    "lines",
    [
        ["wx1", "rx"],
        ["wx1", ".", "rx1"],
        ["rx wx1 rx1", ".", "rx1 wx2", ".", "rx2"],
        ["?wx1", ".", "rx1"],
        ["?wx1", ".", "rx"],
        ["!wx1", ".", "rx"],
        ["wx1", "wx2", ".", "rx1", ".", "rx1"],
        ["wx1", "wx2", "rx1", "rx2"],
        ["0:wx1", ".", "0:wx2", ".", "1:rx2"],
        ["wx1 wx2", ".", "rx2"],
    ],
    ids=" ".join,
)
def test_what_a_serializable_store_does_is_valid(check: Check, lines: list[str]) -> None:
    assert check(lines).validity == "valid"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["wx1 ry1", "wy1 rx1"], ["G1c"]),
        (["wx1 wy1", "rx1 ry"], ["G-single"]),
        (["wx1", "wy1", "rx1 ry", "rx ry1"], ["G-nonadjacent"]),
        (["rx ry wx1", "rx ry wy1"], ["G2-item"]),
        (["wx1", ".", "rx"], ["G-single-realtime"]),
        (["0:wx1", ".", "0:rx"], ["G-single-process"]),
        (["rx1", ".", "wx1"], ["G1c-realtime"]),
        # Time orders the versions; the plain edges alone have no cycle.
        (["wx1", ".", "wx2 wy1", ".", "rx1 ry1"], ["cyclic-versions-realtime"]),
        (["0:wx1", ".", "0:wx2 wy1", "1:rx1 ry1"], ["G-single-process"]),
        (["rx1 wx2", "rx2 wx1"], ["G1c", "cyclic-versions"]),
        (["!wx1", "rx1"], ["G1a"]),
        (["!wx1", "rx1 wx2"], ["G1a", "dirty-update"]),
        (["wx1 wx2", "rx1"], ["G-single", "G1b"]),
        (["wx1 rx2", "wx2"], ["internal"]),
        (["rx rx1", "wx1"], ["internal"]),
        (["rx1 wx1"], ["future-read"]),
        (["wx1 rx2 wx2"], ["future-read"]),
        (["rx2 wx1 wx2"], ["future-read"]),
        (["rx1 rx2 wx3", "wx1", "wx2"], ["internal"]),
        (["rx1"], ["garbage-read"]),
        (["rx wx1", "rx wx2"], ["G2-item", "lost-update"]),
    ],
    ids=" ".join,
)
def test_anomalies_are_named(check: Check, lines: list[str], expected: list[str]) -> None:
    assert sorted(anomaly.kind for anomaly in check(lines).anomalies) == expected


@pytest.mark.parametrize(
    ("lines", "expect", "validity"),
    [
        (["rx ry wx1", "rx ry wy1"], "snapshot-isolation", "valid"),
        (["rx ry wx1", "rx ry wy1"], "repeatable-read", "invalid"),
        (["wx1", ".", "rx"], "strong-session-serializable", "valid"),
        (["wx1", ".", "wx2 wy1", "rx1 ry1"], "serializable", "valid"),
        (["wx1", ".", "wx2 wy1", "rx1 ry1"], "strong-session-serializable", "valid"),
        (["wx1", ".", "wx2 wy1", "rx1 ry1"], "strict-serializable", "invalid"),
        (["rx1 wx2", "rx2 wx1"], "read-uncommitted", "valid"),
        (["rx1 wx2", "rx2 wx1"], "read-committed", "invalid"),
    ],
)
def test_a_model_is_judged_only_by_inferences_that_it_allows(
    check: Check, lines: list[str], expect: str, validity: str
) -> None:
    assert check(lines, expect).validity == validity


@pytest.mark.parametrize(
    ("lines", "kind"),
    [(["!wx1", "rx rx1"], "G1a"), (["wx1 wx2", "rx rx1"], "G1b"), (["rx rx1 wy1", "ry1 wx1"], "G1c")],
)
def test_a_read_that_contradicts_its_transaction_still_saw_something(check: Check, lines: list[str], kind: str) -> None:
    """Two reads of one key may see two committed versions under read committed, but nothing else."""
    assert [anomaly.kind for anomaly in check(lines, "read-committed").anomalies] == [kind]
    assert check(["rx rx1", "wx1"], "read-committed").validity == "valid"


def test_the_inference_behind_an_order_of_versions_is_told(check: Check) -> None:
    (anomaly,) = check(["wx1", ".", "wx2 wy1", "rx1 ry1"]).anomalies

    assert anomaly.signature == "rw-register/G-single-realtime"
    assert [step["type"] for step in anomaly.evidence["steps"]] == ["wr", "rw"]
    assert 'T3 read "x" = 1, and T2 wrote 2, a later version' in anomaly.message
    assert 'T2 wrote "x" = 2 after T0 had written 1' in anomaly.message


@pytest.mark.parametrize(
    ("lines", "kind", "told"),
    [
        (["wx1", ".", "wx2", ".", "rx1"], "-realtime", 'T4 read "x" = 1 after T2 had written 2, but 2 came after 1.'),
        (["0:wx1", ".", "0:wx2", ".", "1:rx2", ".", "1:rx1"], "-process", 'T6 read "x" = 1 after T4, of the same'),
        (["rx1 wx2", "rx2 wx1"], "", 'T1 read "x" = 2 and then wrote 1, but 2 came after 1.'),
    ],
    ids=str,
)
def test_versions_in_a_circle_are_told_by_what_was_met_last(
    check: Check, lines: list[str], kind: str, told: str
) -> None:
    expect = "strict-serializable" if kind == "-realtime" else "strong-session-serializable"
    anomaly = check(lines, expect=expect).anomalies[0]

    assert anomaly.message.startswith(f"cyclic-versions{kind}: {told}")


def test_a_read_of_a_failed_write_says_so(check: Check) -> None:
    aborted, dirty = check(["!wx1", "rx1 wx2"]).anomalies

    assert aborted.message.startswith('G1a: T1 read "x" = 1, and the write of 1 by T0 had failed.')
    assert dirty.message.startswith('dirty-update: T1 wrote "x" on top of 1 of T0, which failed.')
    assert aborted.message.endswith('Let T0 = w "x" 1, which failed.')


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["wx1", "wx1"], 'value 1 was written to key "x" twice'),
        (["!wx1", "wx1"], 'value 1 was written to key "x" twice'),
    ],
)
def test_values_that_are_not_unique_make_the_verdict_unknown(check: Check, lines: list[str], reason: str) -> None:
    verdict = check(lines)

    assert (verdict.validity, verdict.reason) == ("unknown", reason)
