"""A redraw leaves the past as it was and makes another future, which is the same one wherever it is run again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.plans.plan import Plan, Redraw, decode, with_redraw
from harness.run.runner import RunOptions, run
from harness.shrink.edits import without_time
from harness.systems.binding import Binding
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
from tests.harness.plans.plans import drawn

MOMENT_NS = 1_500_000_000
AGAIN = """
import sys
from pathlib import Path
from harness.plans.plan import load
from harness.run.runner import run
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
with Checkouts() as checkouts:
    print(run(load(Path(sys.argv[1])), bind("raft_impl", checkouts)).fingerprint)
"""


@pytest.fixture(name="binding")
def _binding() -> Iterator[Binding]:
    with Checkouts() as checkouts:
        yield bind("raft_impl", checkouts)


def lossy() -> Plan:
    """A run with messages in all streams of chance: losses, copies, ties, slow disks and processing."""
    return drawn(8, concurrency=3, nodes=3, rate=40, duration_ns=2_000_000_000)


def redrawn(plan: Plan, at_ns: int, salt: int) -> Plan:
    return with_redraw(plan, Redraw(at_ns=at_ns, salt=salt))


def ran(plan: Plan, binding: Binding) -> Outcome:
    return run(plan, binding, RunOptions(keep_rows=True))


def test_nothing_before_the_moment_changes_and_something_after_it_does(binding: Binding) -> None:
    plan = lossy()

    rows = ran(plan, binding).rows
    others = [ran(redrawn(plan, MOMENT_NS, salt), binding).rows for salt in range(2)]

    assert rows is not None
    past = [row for row in rows if row[0] < MOMENT_NS]
    assert len(past) > 100
    for other in others:
        assert other is not None
        assert [row for row in other if row[0] < MOMENT_NS] == past
        assert other != rows
    assert others[0] != others[1]


def test_what_is_drawn_anew_begins_at_once(binding: Binding) -> None:
    """What was drawn ahead is forgotten too: the next message has another delay already."""
    plan = lossy()

    rows, other = (ran(one, binding).rows for one in (plan, redrawn(plan, MOMENT_NS, 1)))

    assert rows is not None
    assert other is not None
    first = next(old[0] for old, new in zip(rows, other, strict=False) if old != new)
    assert MOMENT_NS <= first < MOMENT_NS + 100_000_000


def test_a_run_with_redraws_is_the_same_in_a_fresh_process(binding: Binding, tmp_path: Path) -> None:
    plan = redrawn(redrawn(lossy(), MOMENT_NS, 1), MOMENT_NS * 2, 5)
    (tmp_path / "plan.json").write_bytes(plan.to_json())

    done = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path / "plan.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert decode(plan.to_json(), "the plan") == plan
    assert done.stdout.strip() == run(plan, binding).fingerprint


def test_a_plan_without_redraws_has_no_word_of_them() -> None:
    assert b"redraws" not in lossy().to_json()


def test_time_that_is_taken_out_moves_redraws() -> None:
    moved = without_time(redrawn(lossy(), MOMENT_NS, 1), 0, 500_000_000)

    assert moved.schedule.redraws
    assert [redraw.at_ns for redraw in moved.schedule.redraws] == [MOMENT_NS - 500_000_000]
