"""`compare` and `mutants`, through the command line and with real workers."""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
from pathlib import Path

import pytest

from harness.record import RunRecord
from harness.search import detection
from harness.search.jobs import Job, perform
from harness.search.measures import MAX_REGRESSION
from tests.harness.cli.conftest import SHORT, Foreshock
from tests.harness.conftest import ROOT

OWN = str(ROOT)


def test_a_version_compared_with_itself_is_identical_in_every_pair(foreshock: Foreshock) -> None:
    ran = foreshock("compare", OWN, OWN, "--seeds", "1..4", "--duration", "2s", "--json")

    assert ran.code == 0
    assert [pair["seed"] for pair in ran.json["pairs"]] == [1, 2, 3, 4]
    assert all(pair["identical"] and pair["first_divergence"] is None for pair in ran.json["pairs"])
    assert ran.json["p_value"] == 1.0
    assert all(metric["better"] == metric["worse"] == 0 for metric in ran.json["metrics"].values())


def test_a_planted_bug_is_named_with_the_first_divergence_of_a_pair(foreshock: Foreshock, stale_copy: Path) -> None:
    words = ("compare", OWN, stale_copy, "--seeds", "1..8", "--workload", "register", "--profile", "partitions")

    ran = foreshock(*words, "--json")

    assert ran.code == 1
    (new,) = [new for new in ran.json["new_signatures"] if new["signature"].startswith("linearizability/")]
    assert new["message"]
    (pair,) = [pair for pair in ran.json["pairs"] if pair["seed"] == new["seed"]]
    assert (pair["a"], pair["b"], pair["identical"]) == ("valid", "invalid", False)
    divergence = pair["first_divergence"]
    assert divergence["a"] != divergence["b"]
    assert divergence["a_text"] != divergence["b_text"]
    why = foreshock(*shlex.split(divergence["why"])[1:], "--json")
    assert (why.code, why.json["parting"]["index"]) == (1, divergence["index"])
    assert foreshock(*new["reproduce"].split()[1:], "--json").code == 1


def test_a_harmless_change_is_not_accused(foreshock: Foreshock, hasty_copy: Path) -> None:
    ran = foreshock("compare", OWN, hasty_copy, "--seeds", "1..4", *SHORT)

    assert ran.code in (0, 2)
    assert "0 identical" in ran.out
    assert "first divergence of seed" in ran.out
    assert "new in B" not in ran.out


def test_three_fsyncs_for_one_are_worse_in_b_and_allowed_when_that_is_typed(
    foreshock: Foreshock, tmp_path: Path
) -> None:
    slow = three_fsyncs(tmp_path / "slow")
    words = ("compare", OWN, slow, "--seeds", "1..12", *SHORT, "--workload", "register")

    ran = foreshock(*words)
    limits = [word for name in MAX_REGRESSION for word in ("--max-regression", f"{name}=1000%")]
    allowed = foreshock(*words, *limits, "--json")
    early = foreshock("compare", OWN, slow, "--seeds", "1..60", *SHORT, "--workload", "register", "--sequential")

    assert ran.code == 1
    assert "worse in B: latency_p50_ms, by " in ran.out
    assert "verdict     B is worse" in ran.out.splitlines()
    assert (allowed.code, allowed.json["regressed"]) == (0, [])
    assert allowed.json["metrics"]["latency_p50_ms"]["worse"] == 12
    assert allowed.json["metrics"]["fsyncs_per_op"]["interval"] in ("bootstrap", "exact")
    assert early.code == 1
    assert re.search(r"mixture SPRT, looked at after each of 1\d of 60 pairs: worse by .*fsyncs_per_op", early.out)


def test_a_threshold_of_no_metric_is_refused(foreshock: Foreshock) -> None:
    ran = foreshock("compare", OWN, OWN, "--max-regression", "latency_p05=10%")

    assert ran.code == 254
    assert "found metric 'latency_p05'" in ran.err
    assert "perhaps latency_p50" in ran.err


def three_fsyncs(folder: Path) -> Path:
    """A checkout whose log is correct and syncs three times where once would do."""
    shutil.copytree(ROOT / "raft_impl", folder / "raft_impl", ignore=shutil.ignore_patterns("__pycache__"))
    wal = folder / "raft_impl" / "runtime" / "wal.py"
    once = "await self._disk.fsync(self._name)\n"
    before = wal.read_text()
    indent = before[: before.index(once)].rsplit("\n", 1)[1]
    wal.write_text(before.replace(once, once + 2 * (indent + once), 1))
    return folder


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_mutant_is_found_at_the_same_seed_by_any_number_of_workers(
    foreshock: Foreshock, stale_patch: Path, jobs: str
) -> None:
    words = ("mutants", stale_patch, "--count", "20", "--workload", "register", "--profile", "partitions")

    ran = foreshock(*words, "--jobs", jobs, "--json")
    seed = ran.json["mutants"][0]["seed"]
    alone = foreshock(*words, "--jobs", "2", "--json").json["mutants"][0]

    assert ran.code == 0
    (mutant,) = ran.json["mutants"]
    assert mutant["found"]
    assert mutant["as_expected"]
    assert (mutant["seed"], mutant["seeds_tried"]) == (alone["seed"], alone["seeds_tried"]) == (seed, seed)
    assert {"name", "found", "seed", "seeds_tried", "signature", "simulated_seconds", "wall_seconds"} <= set(mutant)


def test_a_mutant_that_hangs_is_found_at_once_and_not_shrunk(foreshock: Foreshock, tmp_path: Path) -> None:
    path = "raft_impl/machines/counter.py"
    before = (ROOT / path).read_text()
    call = "return self._set(name, current + value, [value, current + value])"
    assert before.count(call) == 1
    after = before.replace(call, "\n".join(("while True:", 20 * " " + "pass")))
    diff = "".join(
        difflib.unified_diff(*(text.splitlines(keepends=True) for text in (before, after)), f"a/{path}", f"b/{path}")
    )
    (tmp_path / "endless.patch").write_text("Name: endless\nSource: a test\nExpect: node/hangs\n\n" + diff)
    words = ("--workload", "counter", "--profile", "calm", "--duration", "2s", "--run-timeout", "8s", "--shrink", "5s")

    ran = foreshock("mutants", tmp_path, "--count", "3", *words, "--json")

    (mutant,) = ran.json["mutants"]
    assert (ran.code, mutant["signature"], mutant["as_expected"], mutant["internal_errors"]) == (
        0,
        "node/hangs",
        True,
        0,
    )
    assert (mutant["seed"], mutant["acted"], ran.json["shrunk"]) == (1, 1, [])


def test_a_mutant_that_is_not_found_is_exit_1(foreshock: Foreshock, stale_patch: Path) -> None:
    ran = foreshock("mutants", stale_patch, "--count", "2", *SHORT)

    assert ran.code == 1
    assert "0 of 1 found" in ran.out


def test_a_search_goes_on_from_what_an_earlier_one_left(
    foreshock: Foreshock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that does nothing is a mutant that is never reached; its runs are not made again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quiet.patch").write_text(QUIET)
    words = ("mutants", ".", *SHORT, "--workload", "register", "--all-seeds", "--json")
    first = foreshock(*words, "--seeds", "3..4").json["mutants"][0]

    monkeypatch.setattr(detection, "perform", _perform_only_seed_5)
    second = foreshock(*words, "--seeds", "3..5", "--resume").json["mutants"][0]

    assert (first["seeds_tried"], first["acted"], first["wrong"]) == (2, 0, 0)
    assert (second["seeds_tried"], second["acted"], second["internal_errors"]) == (3, 0, 0)


QUIET = """Name: quiet
Source: test

--- /dev/null
+++ b/raft_impl/quiet.py
@@ -0,0 +1 @@
+\"\"\"Nothing uses this module.\"\"\"
"""


def _perform_only_seed_5(job: Job) -> RunRecord:
    assert job.seed == 5
    return perform(job)


def test_a_patch_that_does_not_apply_is_exit_254(foreshock: Foreshock, stale_patch: Path) -> None:
    patch = stale_patch / "stale.patch"
    patch.write_text(
        "Name: other\nSource: test\n--- a/raft_impl/gone.py\n+++ b/raft_impl/gone.py\n@@ -1 +1 @@\n-a\n+b\n"
    )

    ran = foreshock("mutants", stale_patch)

    assert ran.code == 254
    assert "a patch that does not apply" in ran.err
    assert ran.err.count("\n") == 1
