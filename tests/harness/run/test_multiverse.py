"""A branch is the run of its plan, whichever way it is run, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.plan import Plan, Redraw, with_redraw
from harness.run.multiverse import Branch, Multiverse, Way
from harness.run.runner import run
from harness.sim.kernel import trio_seam
from harness.systems.binding import Binding
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
from tests.harness.plans.plans import drawn
from tests.harness.sim.programs import running
from tests.pages import ROOT

MOMENT_NS = 1_000_000_000
WAYS: tuple[Way, ...] = get_args(Way)
REDRAWS = tuple(Redraw(at_ns=MOMENT_NS, salt=salt) for salt in range(3))


@pytest.fixture(name="binding")
def _binding() -> Iterator[Binding]:
    with Checkouts() as checkouts:
        yield bind("raft_impl", checkouts)


def short() -> Plan:
    return drawn(8, profile="calm", concurrency=1, nodes=1, rate=10, duration_ns=MOMENT_NS)


def forked(binding: Binding, tell: Callable[[Outcome], Any], **settings: Any) -> dict[int, Branch[Any]]:
    """Branches by salt, after which this process has the children that it had before."""
    before = children()
    multiverse = Multiverse(short(), binding, tell=tell, way="fork", **settings)
    found = {branch.redraw.salt: branch for branch in multiverse.branches(REDRAWS)}
    assert children() == before
    return found


def children() -> set[str]:
    """The children of this process, be they ended and not waited for: other tests leave helpers of multiprocessing."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            parent = (folder / "stat").read_text().rpartition(") ")[2].split()[1]
            if int(parent) == os.getpid():
                found.add(folder.name)
    return found


def lines_of(way: str, hash_seed: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.harness.run.branching", way]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_both_ways_give_the_same_outcomes_over_all_workloads_and_profiles() -> None:
    """Fingerprint, verdict, anomalies, marks and every count, under two hash seeds."""
    ways = [lines_of("fork", "0"), lines_of("replay", "12345")]

    forks, replays = (way.communicate()[0].splitlines() for way in ways)

    assert [way.returncode for way in ways] == [0, 0]
    assert len(forks) == 33
    assert all("error=''" in line for line in forks)
    assert forks == replays


def test_a_branch_is_the_run_of_the_plan_with_its_salt(binding: Binding) -> None:
    found = forked(binding, lambda outcome: (outcome.plan, outcome.fingerprint))

    plans = [with_redraw(short(), redraw) for redraw in REDRAWS]
    assert [found[salt].told for salt in range(3)] == [(plan, run(plan, binding).fingerprint) for plan in plans]


def test_the_generators_of_a_program_are_seeded_again(tmp_path: Path) -> None:
    """Those behind the functions of `random` and those that the program made and kept; not those that it seeded."""
    spec = running.written(
        tmp_path,
        """
        import random
        kept, seeded = random.Random(), random.Random(7)

        async def serve(stream):
            await stream.send_all(f"{random.random()} {kept.random()} {seeded.random()}".encode())
        """,
    )
    plan = running.drawn(spec, seed=1)
    binding = running.bound(spec)
    redraws = [Redraw(at_ns=3 * MOMENT_NS // 2, salt=salt) for salt in range(2)]

    ways = [
        {one.redraw: one.told for one in Multiverse(plan, binding, tell=running.errors, way=way).branches(redraws)}
        for way in WAYS
    ]

    plain = running.errors(run(plan, binding))
    assert ways[0] == ways[1]
    one, other = (ways[0][redraw] for redraw in redraws)
    assert one is not None
    assert other is not None
    assert one[0] == other[0] == plain[0]  # before the moment
    for place in (0, 1):
        assert len({said[-1].split()[place] for said in (one, other, plain)}) == 3
    assert {said[0].split()[2] for said in (one, other, plain)} == {plain[0].split()[2]}


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_branch_that_goes_wrong_costs_itself_only(binding: Binding) -> None:
    def tell(outcome: Outcome) -> str:
        assert outcome.plan.schedule.redraws
        match outcome.plan.schedule.redraws[0].salt:
            case 0:
                raise LookupError("nothing to tell")
            case 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return "told"

    found = forked(binding, tell)

    assert found[0].error == "LookupError: nothing to tell"
    assert found[1].error == "the branch was killed by SIGKILL"
    assert [found[salt].told for salt in range(3)] == [None, None, "told"]


def test_a_branch_that_hangs_is_killed(binding: Binding) -> None:
    def tell(outcome: Outcome) -> str:
        assert outcome.plan.schedule.redraws
        while not outcome.plan.schedule.redraws[0].salt:
            time.sleep(0.01)
        return "told"

    found = forked(binding, tell, seconds_max=1.0, jobs=3)

    assert [found[salt].told for salt in range(3)] == [None, "told", "told"]
    assert found[0].error == "no answer within 1 s"


def test_a_trunk_that_dies_is_told_of(binding: Binding) -> None:
    def tell(outcome: Outcome) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

    found = forked(binding, tell)

    assert [found[salt].error for salt in range(3)] == ["the trunk was killed by SIGKILL"] * 3


def test_a_plan_that_cannot_run_has_the_same_error_both_ways(binding: Binding) -> None:
    plan = short()
    unknown = msgspec.structs.replace(plan, options={**plan.options, "no_such_option": 1})

    ways = [
        [branch.error for branch in Multiverse(unknown, binding, tell=str, way=way).branches(REDRAWS)] for way in WAYS
    ]

    assert ways[0] == ways[1]
    assert "no_such_option" in ways[0][0]


# -- processes and files --------------------------------------------------------------------------------------------


def test_branches_that_nobody_wants_any_more_are_ended(binding: Binding) -> None:
    def tell(outcome: Outcome) -> int:
        assert outcome.plan.schedule.redraws
        if outcome.plan.schedule.redraws[0].salt:
            time.sleep(60)
        return os.getppid()

    before = children()
    branches = Multiverse(short(), binding, tell=tell, way="fork", jobs=2).branches(REDRAWS)
    trunk = next(iter(branches)).told
    branches.close()  # type: ignore[attr-defined]

    assert children() == before
    with pytest.raises(ProcessLookupError):
        os.killpg(trunk or 0, 0)


KILLED = """
import os, time
from harness.plans.plan import Redraw
from harness.run.multiverse import Multiverse
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
from tests.harness.run.test_multiverse import short

def tell(outcome):
    os.write(2, f"{os.getppid()}\\n".encode())
    time.sleep(60)

with Checkouts() as checkouts:
    list(Multiverse(short(), bind("raft_impl", checkouts), tell=tell, way="fork").branches([Redraw(at_ns=1, salt=0)]))
"""


def test_branches_end_when_the_harness_is_killed() -> None:
    harness = subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert harness.stderr is not None
    group = int(harness.stderr.readline())

    harness.kill()
    harness.communicate()  # returns when nobody has its stderr any more

    assert harness.returncode == -signal.SIGKILL
    assert group > 1


def test_what_the_parent_has_not_written_yet_is_written_once(binding: Binding, tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from harness.systems.catalog import bind
        from harness.systems.checkouts import Checkouts
        from tests.harness.run.test_multiverse import forked
        file = open(sys.argv[1], "w")
        file.write("once")
        print("before")
        with Checkouts() as checkouts:
            forked(bind("raft_impl", checkouts), lambda outcome: print("from a branch"))
        """
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "file")], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert (tmp_path / "file").read_text() == "once"
    assert done.stdout == "before\n"


def test_where_no_fork_is_the_way_is_replay(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio_seam, "CAN_FORK", False)

    assert Multiverse(short(), binding, tell=str).way == "replay"
    with pytest.raises(BadInput, match="has no fork that a run survives"):
        Multiverse(short(), binding, tell=str, way="fork")


def test_a_process_with_other_threads_is_not_forked(binding: Binding) -> None:
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        with pytest.raises(BadInput, match="1 other threads"):
            Multiverse(short(), binding, tell=str, way="fork")
    finally:
        over.set()
        other.join()
