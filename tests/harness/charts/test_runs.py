"""Runs in text: messages around a failure, the whole run, faults with what they did."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from checkers.trace import Row
from harness.charts.drawing import LINES, PLAIN
from harness.charts.fault_table import deed, fault_table
from harness.charts.picture import focus_of
from harness.charts.spacetime import Focus, spacetime
from harness.charts.whole_run import whole_run
from harness.faults.partitions import Partition
from harness.outcome import Outcome
from harness.plans import plan as plans
from harness.plans.plan import load
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from tests.harness.hand_built import MS, a_plan
from tests.pages import ROOT

CANARY = ROOT / "harness" / "suites" / "canaries" / "reads-without-quorum.patch"
STALE_READ = ROOT / "tests" / "harness" / "reports" / "stale_read.json"


@pytest.fixture(scope="module")
def stale() -> Outcome:
    """A run in which a deposed leader answers a read."""
    with Checkouts() as checkouts:
        binding = catalog.bind(f"patch:{CANARY}", checkouts)
        return execute(load(STALE_READ), binding, RunOptions(keep_rows=True))


def three_nodes() -> plans.Plan:
    """Three nodes and a client with one read."""
    read = plans.PlannedOp(id=0, due_ns=0, f="read", key="x")
    program = plans.Program(thread=0, client="c1", ops=(read,))
    return a_plan(nodes=3, programs=(program,))


ROWS: Sequence[Row] = (
    (0, "start", "n1", 1, "default"),
    (10 * MS, "role", "n1", "g0", "leader", 1),
    (20 * MS, "op", "", (0, "invoke", "read", "x", None, None)),
    (20 * MS, "send", "c1", 1, "n1", "request", 9),
    (21 * MS, "deliver", "n1", 1, "c1"),
    (21 * MS, "send", "n1", 2, "n2", "append", 9),
    (21 * MS, "send", "n1", 3, "n3", "append", 9),
    (22 * MS, "drop", "n2", 2, "cut"),
    (23 * MS, "deliver", "n3", 3, "n1"),
    (24 * MS, "crash", "n3", 1, "power"),
    (25 * MS, "send", "n1", 4, "c1", "reply", 9),
    (26 * MS, "deliver", "c1", 4, "n1"),
    (26 * MS, "op", "", (0, "ok", "read", "x", 7, None)),
    (27 * MS, "role", "n2", "g0", "leader", 2),
)


def test_messages_are_arrows_between_lanes_that_say_who_leads_and_who_is_down() -> None:
    drawing = spacetime(ROWS, three_nodes(), Focus(index=12, calls=((2, 12),)), width=80, lines_max=20, glyphs=PLAIN)

    assert str(drawing).splitlines() == [
        "seconds    n1      n2      n3      c1",
        "  0.0100   L       |       |       |       n1 leads in term 1",
        "  0.0200   L       |       |       |       process 0 asks read x",
        "  0.0210   L<----------------------|       request",
        "  0.0220   L----x  |       |       |       append lost: cut",
        "  0.0230   L-------------->|       |       append",
        "  0.0240   L       |               |       n3 goes down (power)",
        "  0.0260   L---------------------->|       reply",
        "> 0.0260   L       |               |       process 0 is told read x 7",
    ]


def test_of_many_events_the_weightiest_are_shown_in_the_order_of_time() -> None:
    drawing = spacetime(ROWS, three_nodes(), Focus(index=12, calls=((2, 12),)), width=80, lines_max=5, glyphs=PLAIN)

    lines = str(drawing).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["x", "(power)", "7"]


def test_messages_of_one_kind_on_one_link_are_one_line() -> None:
    beats = [(at * MS, kind, *rest) for at in range(40) for kind, *rest in (
        ("send", "n1", at, "n2", "heartbeat", 9), ("deliver", "n2", at, "n1"),
    )]  # fmt: skip
    rows = [*beats, (41 * MS, "role", "n2", "g0", "leader", 2)]

    drawing = spacetime(rows, three_nodes(), Focus(index=80), width=80, lines_max=20, glyphs=PLAIN)

    assert str(drawing).splitlines()[1:] == [
        "  0.0000   |------>|       |       heartbeat (40 times)",
        "> 0.0410   |       L       |       n2 leads in term 2",
    ]


def test_the_event_at_which_a_rule_was_broken_is_always_told() -> None:
    rows = [(MS, "send", "n1", 1, "n2", "vote", 9)]

    drawing = spacetime(rows, three_nodes(), Focus(index=0), width=80, lines_max=9, glyphs=PLAIN)

    assert str(drawing).splitlines()[1:] == ["> 0.0010   |       |       |       n1 sends vote to n2"]


def test_a_whole_run_has_a_strip_for_each_node_for_faults_and_for_answers(stale: Outcome) -> None:
    assert stale.rows is not None
    failed_ns = stale.rows[stale.anomalies[0].index or 0][0]

    for glyphs in (PLAIN, LINES):
        drawing = whole_run(stale.rows, stale.plan, stale.history, failed_ns, width=76, glyphs=glyphs)

        lines = str(drawing).splitlines()
        labels = [line.split()[0] for line in lines[:-1]]
        assert labels == ["seconds", *stale.plan.nodes, *(["faults"] if stale.plan.faults else []), "ok"]
        assert f"wrong at {failed_ns / 1e9:.3f} s" in lines[-1]
        assert all(len(line) <= 76 for line in lines)
        assert any(glyphs.lead_flat in line for line in lines[1:])


def test_a_run_without_answers_says_so() -> None:
    drawing = whole_run(ROWS, three_nodes(), (), None, width=80, glyphs=PLAIN)

    assert "ok          no operation was answered" in str(drawing)
    assert whole_run((), three_nodes(), (), None, width=80, glyphs=PLAIN) is None


@pytest.mark.parametrize("width", [60, 80, 120])
def test_messages_of_a_run_are_at_most_as_wide_and_long_as_asked(stale: Outcome, width: int) -> None:
    assert stale.rows is not None
    for lines_max in (5, 16, 40):
        focus = focus_of(stale.anomalies[0], stale.rows)
        drawing = spacetime(stale.rows, stale.plan, focus, width=width, lines_max=lines_max, glyphs=PLAIN)

        lines = str(drawing).splitlines()
        assert len(lines) <= lines_max
        assert all(len(line) <= width for line in lines)
        assert lines[-1].startswith(">")


def test_hits_of_faults_are_counted_by_id(stale: Outcome) -> None:
    effective = {fault for fault, outcome in stale.fault_outcomes.items() if outcome == "effective"}

    assert set(stale.fault_hits) == effective
    assert all(hits > 0 for hits in stale.fault_hits.values())


def test_what_a_fault_did_is_told_with_how_often() -> None:
    fault = Partition(id="f1", begin_ns=0, end_ns=MS, shape="one", order=())

    assert deed(fault, "effective", 34) == "dropped a message, 34 times"
    assert deed(fault, "effective", 1) == "dropped a message"
    assert deed(fault, "effective", None) == "dropped a message"
    assert deed(fault, "no-effect", None) == "nothing: nobody met it"
    assert deed(fault, "no-target", None) == "nothing: it had no target"


def test_the_table_of_faults_has_those_asked_for(stale: Outcome) -> None:
    from harness.archive.documents import run_record

    record = run_record(stale)
    every = str(fault_table(stale.plan, record, stale.rows, width=80)).splitlines()
    first = stale.plan.faults[0].id
    one = str(fault_table(stale.plan, record, stale.rows, width=80, only={first})).splitlines()

    assert len(every) >= 1 + len(stale.plan.faults)
    assert all(len(line) <= 80 for line in every)
    assert one[0].split()[0] == "fault"
    assert one[1].split()[0] == first
