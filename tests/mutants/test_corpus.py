"""The corpus of planted bugs: every patch still applies to today's code, and says where its bug is known from.

`known-bugs.json` is a list of bugs that real systems had, collected by readers of their trackers; every one of them is
planted. Where one bug could be planted in several ways, several patches name it.

Whether the harness finds them is the business of `foreshock mutants tests/mutants`, which takes its time; here are the
three invariants beyond the classic five, each with a bug that nothing else sees.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.errors import BadInput
from harness.faults.crashes import Crash
from harness.faults.fault import Fault
from harness.faults.partitions import Partition
from harness.plans.draw import draw
from harness.plans.plan import Disks, DiskSpec, Plan
from harness.run.drawing import abilities_of
from harness.run.runner import RunOptions, run
from harness.search import mutants
from harness.systems.catalog import bind, load_systems, own_package
from harness.systems.checkouts import Checkouts
from tests.mutants.refresh import refreshed

FOLDER = Path(__file__).parent
MUTANTS = mutants.read_all(FOLDER)
MILLISECOND_NS = 1_000_000
CRASH_NS, RESTART_NS = 2_000 * MILLISECOND_NS, 2_400 * MILLISECOND_NS


@pytest.fixture(name="checkouts")
def _checkouts() -> Iterator[Checkouts]:
    with Checkouts() as checkouts:
        yield checkouts


MISSING: dict[str, str] = {}
"""Known bugs that are not planted, and why."""
SURELY_PLANTED = 60


def test_every_known_bug_is_planted_or_missing_for_a_reason() -> None:
    known = [bug.id for bug in mutants.known_bugs(FOLDER)]
    planted = {mutant.bug for mutant in MUTANTS if mutant.bug}

    assert len(known) == len(set(known)) == 66
    assert planted <= set(known)
    assert set(known) - planted == MISSING.keys()
    assert len(planted) >= SURELY_PLANTED


@pytest.mark.parametrize("damaged", ['[{"id": 3}]', '[{"zz": ' + "[" * 5_000 + "]" * 5_000 + "}]"])
def test_a_list_of_known_bugs_that_cannot_be_read_is_told(tmp_path: Path, damaged: str) -> None:
    assert mutants.known_bugs(tmp_path) == []
    (tmp_path / mutants.KNOWN_BUGS).write_text(damaged)

    with pytest.raises(BadInput, match="known bugs"):
        mutants.known_bugs(tmp_path)


def test_why_a_bug_is_harmless_or_missed_is_read_from_its_header(tmp_path: Path) -> None:
    patch = tmp_path / "x.patch"
    patch.write_text(f"Bug: RB001\nSource: here\nHarmless: nobody asks\nMissed: nobody looks\n{PATCH}")

    mutant = mutants.read(patch)

    assert (mutant.bug, mutant.harmless, mutant.missed) == ("RB001", "nobody asks", "nobody looks")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_applies_to_the_code_of_today_and_can_be_imported(
    mutant: mutants.Mutant, checkouts: Checkouts
) -> None:
    mutants.plant(mutant, own_package(), checkouts)

    assert mutant.name == mutant.patch.stem
    assert mutant.source.split(";")[-1].strip()


SOURCE = "def f():\n    a = 1\n    b = 2\n    return a + b\n"
PATCH = """Name: wrong-sum

--- a/raft_impl/f.py
+++ b/raft_impl/f.py
@@ -1,4 +1,4 @@ f
 def f():
     a = 1
     b = 2
-    return a + b
+    return a - b
"""


def test_a_patch_whose_lines_have_not_changed_stays_as_it_is() -> None:
    assert refreshed(PATCH, {"raft_impl/f.py": SOURCE}.__getitem__) == PATCH


def test_a_patch_whose_neighbours_have_changed_is_written_with_those_of_today() -> None:
    moved = "\n\n" + SOURCE.replace("b = 2", "b = 3")

    text = refreshed(PATCH, {"raft_impl/f.py": moved}.__getitem__)

    assert text.startswith("Name: wrong-sum\n\n--- a/raft_impl/f.py\n")
    assert "     b = 3\n-    return a + b\n+    return a - b\n" in text


TWICE = """class A:
    def f(self):
        return 1

class B:
    def f(self):
        return 1
"""


def test_lines_that_stand_in_two_functions_are_found_in_the_one_that_the_patch_names() -> None:
    patch = "Name: x\n\n--- a/f.py\n+++ b/f.py\n@@ -7,1 +7,1 @@ B.f\n-        return 1\n+        return 2\n"

    text = refreshed(patch, {"f.py": TWICE}.__getitem__)

    assert text.count("@@ B.f\n") == 1
    assert text.endswith("-        return 1\n+        return 2\n")
    assert "@@ -4,4 +4,4 @@ B.f" in text


def test_a_patch_applies_when_only_its_neighbours_have_changed(checkouts: Checkouts, tmp_path: Path) -> None:
    source = tmp_path / "raft_impl"
    shutil.copytree(own_package(), source)
    (mutant,) = [one for one in MUTANTS if one.name == "vote-not-persisted"]
    replica = source / "protocol" / "replica.py"
    line = "                self._cuts.append((self._token, self._cut_to))\n"
    text = replica.read_text()
    assert text.count(line) == 1
    replica.write_text(text.replace(line, line + "                # another neighbour\n"))

    binding = mutants.plant(mutant, source, checkouts)

    planted = (binding.codes["default"].path / "protocol" / "replica.py").read_text()
    assert "hard_state = HardState(hard_state.term, None)" in planted
    assert "# another neighbour" in planted


@pytest.mark.parametrize("source", [SOURCE.replace("a + b", "b + a"), SOURCE.replace("a = 1", "a = 2") * 2])
def test_lines_that_are_gone_or_there_twice_are_nobodys_guess(source: str) -> None:
    with pytest.raises(LookupError, match="return a - b"):
        refreshed(PATCH, {"raft_impl/f.py": source}.__getitem__)


UNEVEN_DISKS = Disks(default=DiskSpec(fsync_min_ns=MILLISECOND_NS // 10, fsync_max_ns=10 * MILLISECOND_NS))
"""A follower's fsync is often done before the leader's."""


def quiet(*faults: Fault) -> Plan:
    """A plan in which nothing happens but these faults, so that a bug shows where it is and not in what follows."""
    with Checkouts() as checkouts:
        able = abilities_of(load_systems(bind("raft_impl", checkouts)).values())
    plan = draw(
        seed=3, profile="calm", workload="register", options=able.options, duration_ns=4_000 * MILLISECOND_NS, rate=200
    )
    return msgspec.structs.replace(plan, faults=faults, disks=UNEVEN_DISKS)


LEADER_ALONE = Partition(
    id="f1", begin_ns=CRASH_NS, end_ns=RESTART_NS, shape="one", order=("@leader",), clients=("c1", "c2")
)
RESTART = Crash(id="f1", begin_ns=CRASH_NS, end_ns=RESTART_NS, targets=("@voter",), power=True)

ONLY_ONE_SEES: dict[str, tuple[str, dict[str, str], tuple[Fault, ...]]] = {
    "payload-reuse": ("deposed-leader-blanks-entries", {}, (LEADER_ALONE,)),
    "durable-ack": ("recovery-forgets-vote", {}, (RESTART,)),
    "committed-on-quorum": ("leader-counts-itself-early", {"storage": "async"}, ()),
}


@pytest.mark.parametrize("kind", ONLY_ONE_SEES)
def test_an_invariant_beyond_the_classic_five_sees_a_bug_that_nothing_else_sees(
    kind: str, checkouts: Checkouts
) -> None:
    name, options, faults = ONLY_ONE_SEES[kind]
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    plan = quiet(*faults)
    plan = msgspec.structs.replace(plan, options={**plan.options, **options})

    healthy = run(plan, bind("raft_impl", checkouts), RunOptions(gates=False))
    outcome = run(plan, mutants.plant(mutant, own_package(), checkouts), RunOptions(gates=False))

    assert healthy.anomalies == ()
    assert {(anomaly.checker, anomaly.kind) for anomaly in outcome.anomalies} == {("raft", kind)}
