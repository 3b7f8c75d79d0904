"""After the heal: each promise kept, broken, and undecided because the trace is too short."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.op import Op
from checkers.raft.liveness import QUIET_MESSAGES, Bound, Quiet, Request, RequestKind, Standing, judge
from checkers.verdict import Verdict

BOUND = Bound(heal_ns=1000, timeout_ns=10, timeouts=10)  # deadline 1100, convergence 1200
Rows = list[tuple[Any, ...]]

ELECTION: Rows = [(1010, "term", "a", "g0", 5), (1012, "role", "a", "g0", "leader", 5)]
REPLICATION: Rows = [
    (1020 + step, kind, actor, "g0", 7, *((b"command", b"state") if kind == "apply" else ()))
    for step, (kind, actor) in enumerate([(k, n) for n in "abc" for k in ("commit", "apply")])
]
OUTSIDER: Rows = [(1010, "role", "x", "g0", "leader", 5)]
LATER: Rows = [(1300, "mark", "a", "still-here")]
FRESH = [
    Op(index=100, time=1013, process=0, type="invoke", f="write", value=1),
    Op(index=101, time=1030, process=0, type="ok", f="write", value=1),
]


def judged(rows: Rows, history: list[Op] | None = None, *, end_ns: int = 1300, **options: Any) -> Verdict:
    history = FRESH if history is None else history
    return judge(rows, history, healed={"g0": "abc"}, bound=BOUND, end_ns=end_ns, **options)


def kinds(verdict: Verdict) -> list[str]:
    return [anomaly.signature.removeprefix("liveness/") for anomaly in verdict.anomalies]


def elections(*times: int) -> Rows:
    return [(time, "term", "b", "g0", 10 + number) for number, time in enumerate(times)]


def test_a_quick_recovery_is_valid_and_measured() -> None:
    verdict = judged(ELECTION + REPLICATION + LATER)

    assert verdict.validity == "valid"
    assert verdict.details == {"progress_ms": 30 / 1e6, "g0/leader_ms": 12 / 1e6}


def test_a_run_that_ends_early_because_all_is_well_is_valid() -> None:
    assert judged(ELECTION + REPLICATION, end_ns=1040).validity == "valid"


@pytest.mark.parametrize(
    ("rows", "history", "expected"),
    [
        (REPLICATION, FRESH, ["no-leader"]),
        ([(1150, "role", "a", "g0", "leader", 5), *REPLICATION], FRESH, ["no-leader"]),
        (OUTSIDER, FRESH, ["no-leader"]),
        ([*OUTSIDER, (1015, "role", "x", "g0", "follower", 5), *REPLICATION], FRESH, ["no-leader"]),
        ([*OUTSIDER, (1015, "crash", "x", 1, "kill"), *REPLICATION], FRESH, ["no-leader"]),
        (ELECTION + REPLICATION, [], ["no-progress"]),
        (ELECTION + REPLICATION, FRESH[:1], ["no-progress"]),
        (ELECTION + REPLICATION, [op for op in FRESH if op.type == "ok"], ["no-progress"]),
        (ELECTION + REPLICATION[:4], FRESH, ["no-convergence"]),
        (
            [*ELECTION, *REPLICATION[:-1], (1030, "apply", "c", "g0", 7, b"command", b"other")],
            FRESH,
            ["no-convergence/state"],
        ),
        (ELECTION + REPLICATION + elections(1110, 1130, 1150), FRESH, ["terms-grow"]),
    ],
    ids=[
        "no node",
        "too late",
        "outside the healed set",
        "outsider gone",
        "outsider down",
        "no op",
        "no answer",
        "old op",
        "one behind",
        "states",
        "terms",
    ],
)
def test_a_broken_promise_is_named(rows: Rows, history: list[Op], expected: list[str]) -> None:
    verdict = judged(rows + LATER, history)

    assert verdict.validity == "invalid"
    assert kinds(verdict) == expected


@pytest.mark.parametrize(
    "rows", [elections(1020, 1040, 1060, 1080), elections(1110, 1150), elections(1110, 1160, 1250)]
)
def test_early_elections_and_rare_ones_are_no_growth(rows: Rows) -> None:
    verdict = judged(sorted(ELECTION + REPLICATION + rows) + LATER)

    assert kinds(verdict) == []


def test_a_leader_from_before_the_heal_counts() -> None:
    before: Rows = [(500, "role", "a", "g0", "leader", 3)]

    assert kinds(judged(before + REPLICATION + LATER)) == []
    assert kinds(judged([*before, (900, "crash", "a", 1, "kill"), *REPLICATION, *LATER])) == ["no-leader"]


def test_an_outsider_that_the_core_commits_under_is_a_leader() -> None:
    standing = {("g0", "x"): Standing(leads=True, term=5)}

    assert kinds(judged([*OUTSIDER, *REPLICATION, *LATER])) == []
    assert kinds(judged([*REPLICATION, *LATER], standing=standing)) == []
    assert kinds(judged([*OUTSIDER, (1150, "commit", "a", "g0", 7), *LATER])) == ["no-leader"]


def test_rows_may_begin_at_the_heal_when_the_standing_is_given() -> None:
    standing = {("g0", name): Standing(leads=name == "a", term=3, commit=7, applied=7, state=b"s") for name in "abc"}

    assert kinds(judged(LATER, standing=standing)) == []
    assert kinds(judged(LATER, standing=standing | {("g0", "c"): Standing(term=3)})) == ["no-convergence"]


def test_a_replica_that_rightly_refused_to_start_is_not_waited_for() -> None:
    rows = [*ELECTION, *REPLICATION[:4], (1025, "refuse", "c", 2, "corrupt"), *LATER]

    assert kinds(judged(rows)) == []


def test_a_trace_that_ends_before_the_bound_decides_nothing() -> None:
    verdict = judged([], [], end_ns=1050)

    assert verdict.validity == "unknown"
    assert verdict.reason == "the trace ends before the bound of: no-progress, no-leader g0"


def test_the_anomaly_points_at_the_first_row_after_the_bound() -> None:
    rows = [*REPLICATION, (1099, "mark", "a", "x"), (1101, "mark", "a", "x"), *LATER]

    (anomaly,) = judged(rows, first_index=50).anomalies

    assert anomaly.index == 50 + len(REPLICATION) + 1


# -- what was asked for, and the quiet time ---------------------------------------------------------------------------

WELL: Rows = ELECTION + REPLICATION + LATER


def request(kind: RequestKind, began_ns: int, done_ns: int | None) -> Request:
    return Request(kind=kind, asker="c1", began_ns=began_ns, done_ns=done_ns)


@pytest.mark.parametrize(
    ("began_ns", "done_ns", "validity"),
    [
        (1000, 1050, "valid"),
        (1000, 1200, "valid"),  # asked at once: a leader is due at 1100, the answer one bound later
        (1000, 1201, "invalid"),
        (1150, 1250, "valid"),
        (1150, 1251, "invalid"),
        (1000, None, "invalid"),
        (1250, None, "unknown"),  # the trace ends at 1300
    ],
)
def test_each_request_is_due_one_bound_after_it_was_made(began_ns: int, done_ns: int | None, validity: str) -> None:
    verdict = judged(WELL, requests=[request("read", began_ns, done_ns)])

    assert verdict.validity == validity
    assert kinds(verdict) == (["stalled/read"] if validity == "invalid" else [])


@pytest.mark.parametrize(
    ("rises", "is_orderly", "expected"),
    [
        ((1210,), True, []),
        ((1210, 1240), True, ["terms-grow/transfer"]),
        ((1190, 1210), True, []),  # the first one was before anybody asked
        ((1210, 1260), True, []),  # and here the second one after it was done
        ((1210, 1240), False, []),
    ],
)
def test_an_orderly_transfer_takes_one_election(rises: tuple[int, ...], is_orderly: bool, expected: list[str]) -> None:
    """A leader that does not vote for its successor costs it that election, and the group an election timeout."""
    asked = Request(
        kind="transfer", asker="the administrator", group="g0", began_ns=1200, done_ns=1250, is_orderly=is_orderly
    )

    rows = ELECTION + REPLICATION + elections(1050, *rises) + LATER

    assert kinds(judged(rows, requests=[asked])) == expected


@pytest.mark.parametrize("kind", ["write", "read", "transfer", "change"])
def test_what_stalled_is_named_by_its_kind(kind: RequestKind) -> None:
    assert kinds(judged(WELL, requests=[request(kind, 1000, None)])) == [f"stalled/{kind}"]


@pytest.mark.parametrize(
    ("times", "expected"), [((), []), ((1220,), []), ((1190, 1220), []), ((1220, 1230), ["terms-grow/quiet"])]
)
def test_in_a_quiet_time_terms_stay(times: tuple[int, ...], expected: list[str]) -> None:
    """One election may have a reason that lies before; a second has none."""
    rows = ELECTION + REPLICATION + elections(*times) + LATER

    assert kinds(judged(rows, quiet=Quiet(begin_ns=1200, end_ns=1280))) == expected
    assert kinds(judged(rows, quiet=Quiet(begin_ns=1200, end_ns=1280, may_be_disturbed=True))) == []


@pytest.mark.parametrize(
    ("messages", "target", "heartbeats", "expected"),
    [
        (2 * 50 + QUIET_MESSAGES, "b", 50, []),
        (2 * 50 + QUIET_MESSAGES + 1, "b", 50, ["chatter"]),
        (2 * 50 + QUIET_MESSAGES + 1, "c1", 50, []),  # an answer to a client that has not given up yet
        (2 * 50 + QUIET_MESSAGES + 1, "b", None, []),  # a system that has no heartbeats
    ],
)
def test_in_a_quiet_time_little_is_sent_but_heartbeats(
    messages: int, target: str, heartbeats: int | None, expected: list[str]
) -> None:
    sent: Rows = [(1250, "send", "a", number, target, "append", 40) for number in range(messages)]
    quiet = Quiet(begin_ns=1200, end_ns=1280, heartbeats=heartbeats)

    assert kinds(judged(ELECTION + REPLICATION + sent + LATER, quiet=quiet)) == expected
