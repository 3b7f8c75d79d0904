"""How everything stands after an event, what led to it, and where two runs part: from hand-made rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from checkers.trace import FIELDS, Row
from harness.errors import BadInput
from harness.plans.plan import Program
from harness.walk import breakpoints, tables, telling
from harness.walk.divergence import part, tell_causes
from harness.walk.standing import Standing
from harness.walk.walk import Walk
from tests.harness.hand_built import MS, a_plan

PLAN = a_plan(nodes=3, clients=1, programs=(Program(thread=0, client="c1", ops=()),))
PROCESS = 0

ELECTION: Sequence[Row] = (
    (0, "start", "n1", 1, "default"),
    (0, "start", "n2", 1, "default"),
    (150 * MS, "term", "n1", "g0", 1),
    (150 * MS, "vote", "n1", "g0", 1, "n1"),
    (151 * MS, "fsync", "n1", ("wal",), (("g0", 0, 1, "n1"),)),
    (151 * MS, "send", "n1", 1, "n2", "vote", 20),
    (151 * MS, "send", "n1", 2, "n3", "vote", 20),
    (152 * MS, "drop", "n3", 2, "cut"),
    (153 * MS, "deliver", "n2", 1, "n1"),
    (153 * MS, "term", "n2", "g0", 1),
    (153 * MS, "vote", "n2", "g0", 1, "n1"),
    (154 * MS, "fsync", "n2", ("wal",), (("g0", 0, 1, "n1"),)),
    (154 * MS, "send", "n2", 3, "n1", "vote-reply", 24),
    (155 * MS, "deliver", "n1", 3, "n2"),
    (155 * MS, "role", "n1", "g0", "leader", 1),
    (155 * MS, "log-append", "n1", "g0", 1, ((1, b"12345678"),)),
    (155 * MS, "send", "n1", 4, "n2", "append", 40),
    (156 * MS, "op", "", (PROCESS, "invoke", "write", "x", 7, None)),
    (160 * MS, "fault-begin", "", "f1", "crash", ("n2",)),
    (160 * MS, "crash", "n2", 1, "kill"),
)


def walked(rows: Sequence[Row] = ELECTION) -> Standing:
    standing = Standing(PLAN)
    for row in rows:
        standing.read(row)
    return standing


def test_everything_that_stands_after_the_last_event_is_read_from_the_rows() -> None:
    standing = walked()

    assert tables.replicas(standing) == [
        ("n1", "leader", 1, "n1", 0, 0, 0, "1:1"),
        ("n2", "down (kill)", 1, "n1", 0, 0, 0, "-"),
        ("n3", "not started", 0, "-", 0, 0, 0, "-"),
    ]
    assert tables.messages(standing) == ["n1>n2 append, sent 5.0 ms ago"]
    assert tables.calls(standing) == ["c1 write x 7, for 4.0 ms"]
    assert tables.faults(standing) == ["f1 crash of n2, for 0.0 ms"]
    assert [replica.node for replica in standing.leaders()] == ["n1"]


def test_a_node_that_starts_again_has_only_what_it_notes_then() -> None:
    again: Sequence[Row] = (
        (170 * MS, "start", "n2", 2, "default"),
        (170 * MS, "snapshot", "n2", "g0", "recovered", 4, 1, b"8" * 8),
        (170 * MS, "log-append", "n2", "g0", 5, ((1, b"a" * 8), (2, b"b" * 8))),
        (171 * MS, "log-truncate", "n2", "g0", 6),
    )

    replica = walked([*ELECTION, *again]).replica("n2", "g0")

    assert (replica.state, replica.term, replica.vote) == ("up", 0, "")
    assert (replica.snapshot, replica.commit, replica.log) == (4, 4, {5: 1})
    assert replica.log_text == "... 5:1"


def test_the_causes_of_an_election_lead_back_over_votes_and_syncs_to_a_timer() -> None:
    leader = next(at for at, row in enumerate(ELECTION) if row[1] == "role")

    causes = tell_causes(ELECTION, leader, PLAN)

    assert [cause.text for cause in causes] == [
        "n1 gets vote-reply from n2 (message 3, 1.0 ms on its way)",
        "n2 sends vote-reply to n1 (message 3, 24 bytes)",
        "n2 has synced wal: entries up to 0 and term 1 with a vote for n1 are durable",
        "n2 votes for n1 in term 1",
        "n2 gets vote from n1 (message 1, 2.0 ms on its way)",
        "n1 sends vote to n2 (message 1, 20 bytes)",
        "n1 has synced wal: entries up to 0 and term 1 with a vote for n1 are durable",
        "n1 votes for n1 in term 1",
    ]
    assert tell_causes(ELECTION, 2, PLAN)[0].text == "n1 starts"


def test_a_step_that_nothing_reached_is_a_timers() -> None:
    rows = [*ELECTION, (200 * MS, "send", "n1", 5, "n3", "heartbeat", 12)]

    (timer,) = tell_causes(rows, len(rows) - 1, PLAN)

    assert timer.text == "a timer of n1 was due: nothing had reached it since 155.000 ms"
    assert timer.index is None


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("leader", [14]),
        ("leader n2", []),
        ("deliver vote", [8]),
        ("deliver * *>n1", [13]),
        ("lose vote n1>n3", [7]),
        ("lose vote n1>n2", []),
        ("crash n2", [19]),
        ("fault", [18]),
        ("fault f2", []),
        ("op invoke write", [17]),
        ("kind fsync n2", [11]),
        ("role leader n1", [14]),
    ],
)
def test_a_breakpoint_holds_at_the_events_that_it_names(text: str, stops: list[int]) -> None:
    walk = Walk(PLAN, ELECTION)
    walk.breakpoints.append(breakpoints.read(text))

    found = []
    while (stopped := walk.to_breakpoint()) is not None:
        found.append(stopped[0].index)

    assert found == stops
    assert walk.is_over


@pytest.mark.parametrize("kind", ["commit", "apply"])
def test_a_breakpoint_of_an_index_holds_at_it_or_behind_it(kind: str) -> None:
    more = () if kind == "commit" else (b"c" * 8, b"s" * 8)
    walk = Walk(PLAN, [(1, kind, "n1", "g0", index, *more) for index in (3, 6)])
    walk.breakpoints.append(breakpoints.read(f"{kind} 5 n1"))

    stopped = walk.to_breakpoint()

    assert stopped is not None
    assert stopped[0].index == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("leadr", "breakpoint 'leadr'"),
        ("commit", "0 words after 'commit'"),
        ("commit soon", "index 'soon'"),
        ("deliver append n1-n2", "'n1-n2'"),
        ("op maybe", "outcome 'maybe'"),
        ("kind nothing", "kind 'nothing'"),
    ],
)
def test_a_line_that_is_no_breakpoint_is_refused(text: str, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        breakpoints.read(text)

    assert caught.value.found == found


def test_a_walk_goes_back_as_well_as_forwards() -> None:
    walk = Walk(PLAN, ELECTION)

    assert walk.step() is not None
    forward = walk.to_time(155 * MS)
    back = walk.to_index(8)
    beginning = walk.to_index(-1)

    assert forward is not None
    assert back is not None
    assert (forward.index, back.index, beginning, walk.index) == (16, 8, None, -1)
    assert walk.to_index(99) is None
    assert tables.document(walk.standing) == tables.document(walked())


def test_two_runs_part_at_their_first_different_event_with_the_causes_of_both() -> None:
    other = [*ELECTION[:14], (156 * MS, "role", "n1", "g0", "follower", 2)]

    parting = part((PLAN, PLAN), ELECTION, other)

    assert parting is not None
    assert (parting.index, parting.plans_differ_in) == (14, ())
    assert (parting.a.text, parting.b.text) == ("n1 becomes leader in term 1", "n1 becomes follower in term 2")
    assert parting.a.causes == parting.b.causes
    assert part((PLAN, PLAN), ELECTION, ELECTION) is None


def test_a_run_that_ended_early_parts_where_it_ended_and_plans_say_what_differs() -> None:
    parting = part((PLAN, a_plan(nodes=3, options={"heartbeat_ms": 20})), ELECTION, ELECTION[:3])

    assert parting is not None
    assert parting.b.text == "the run has ended"
    assert {"options.heartbeat_ms", "programs"} <= set(parting.plans_differ_in)


def test_every_kind_of_row_has_words() -> None:
    assert set(telling._TELLERS) == set(FIELDS)
