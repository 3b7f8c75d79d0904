"""`suite`, through the command line and with real workers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest

from harness.archive.store import Archive
from harness.compiled.finder import SUFFIX, VARIABLE
from harness.record import RunRecord
from harness.search import compiling, memory, mutants, suites
from harness.systems.catalog import own_package
from harness.systems.checkouts import Checkouts
from tests.harness.cli.conftest import SHORT, Foreshock
from tests.harness.conftest import ROOT

ANY_UNKNOWN = ("--max-unknown", "100%")
"""Runs this short may fall below the gates of their plans, which is not what these tests are about."""
SEEDS = 120
"""Enough that the suite is still busy when its first rows are seen, however fast the machine is."""


def test_a_suite_runs_its_cells_in_turn_and_counts_verdicts(foreshock: Foreshock, results: Path) -> None:
    ran = foreshock("suite", "--seeds", "1..6", *SHORT, "--jobs", "2", *ANY_UNKNOWN, "--json")

    assert ran.code == 0
    assert sum(ran.json["runs"].values()) == ran.json["runs"]["valid"] + ran.json["runs"]["unknown"] == 6
    assert ran.json["failures"] == []
    rows = foreshock("runs", "--campaign", ran.json["campaign"], "--json").json["runs"]
    assert {row["seed"]: row["workload"] for row in rows} == {
        seed: suites.load(suites.DEFAULT).cells[seed].workload for seed in range(1, 7)
    }
    kept = [path for path in results.iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(kept) == ran.json["runs"]["unknown"]


def test_failures_are_grouped_kept_and_reproduced(foreshock: Foreshock, stale_copy: Path, tmp_path: Path) -> None:
    files = ("--junit", tmp_path / "junit.xml", "--markdown", tmp_path / "summary.md")

    ran = foreshock(
        *("suite", "--seeds", "1..14", "--workload", "register", "--profile", "partitions"),
        *("--system", f"path:{stale_copy}", *files, "--json"),
    )

    assert ran.code == 1
    failures = ran.json["failures"]
    stale = [failure for failure in failures if failure["signature"].startswith("linearizability/")]
    assert stale
    assert stale[0]["message"]
    again = foreshock(*stale[0]["reproduce"].split()[1:], "--json")
    assert again.code == 1
    assert stale[0]["signature"] in [anomaly["signature"] for anomaly in again.json["anomalies"]]
    replayed = foreshock("replay", stale[0]["run"], "--json").json
    assert (replayed["identical"], replayed["differs"], replayed["first_difference"]) == (True, [], None)
    report = ElementTree.parse(tmp_path / "junit.xml")
    assert len(report.findall(".//testcase")) == 14
    assert len(report.findall(".//failure")) == ran.json["runs"]["invalid"]
    assert stale[0]["signature"] in (tmp_path / "summary.md").read_text()


def test_an_allowed_failure_does_not_fail_the_suite(foreshock: Foreshock) -> None:
    ran = foreshock(
        "suite", "--seeds", "1..14", "--workload", "register", "--profile", "partitions", "-o", "reads=local", "--json"
    )

    assert ran.json["allowed"] == ran.json["runs"]["invalid"] > 0
    assert ran.code in (0, 2)


def test_a_time_budget_ends_a_suite_without_a_last_seed(foreshock: Foreshock) -> None:
    ran = foreshock("suite", "--time-budget", "1s", *SHORT, "--jobs", "1", *ANY_UNKNOWN, "--json")

    assert ran.code == 0
    assert ran.json["runs"]["valid"] > 0
    assert ran.json["unbegun"]["seeds"] is None


def test_shards_share_all_seeds_and_none_twice(foreshock: Foreshock) -> None:
    found = []
    for shard in ("1/3", "2/3", "3/3"):
        ran = foreshock("suite", "--seeds", "1..4", "--shard", shard, *SHORT, "--jobs", "1", *ANY_UNKNOWN, "--json")
        rows = foreshock("runs", "--campaign", ran.json["campaign"], "--json").json["runs"]
        found.append(sorted(row["seed"] for row in rows))

    assert found == [[1], [2], [3, 4]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shard", "4/3"), "no part such as 2/5"),
        (("--shard", "1/3", "--time-budget", "1s"), "--shard of seeds without end"),
        (("--shard", "1/3", "--count", "2"), "--shard 1/3 of 2 seeds"),
    ],
)
def test_a_shard_that_cannot_be_is_refused(foreshock: Foreshock, words: tuple[str, ...], message: str) -> None:
    ran = foreshock("suite", *words)

    assert (ran.code, message in ran.err) == (254, True)


def test_a_time_budget_says_what_was_left_and_the_campaign_goes_on(foreshock: Foreshock) -> None:
    words = ("suite", "--seeds", "1..4", *SHORT, "--jobs", "1", *ANY_UNKNOWN)
    ran = foreshock(*words, "--time-budget", "1ms")
    campaign = ran.out.split()[1]
    begun = len(foreshock("runs", "--campaign", campaign, "--json").json["runs"])

    resumed = foreshock("suite", "--resume", campaign, "--time-budget", "10m", *ANY_UNKNOWN, "--json")
    again = foreshock("suite", "--resume", campaign)

    assert begun < 4
    assert "budget      the time budget is spent\n" in ran.out
    assert f"{4 - begun} seeds; go on with: foreshock suite --resume {campaign}\n" in ran.out
    assert ran.code == (0 if begun else 2)
    assert (resumed.code, sum(resumed.json["runs"].values())) == (0, 4)
    assert resumed.json["unbegun"] == {"seeds": 0, "spent": "", "stopped_cells": []}
    assert (again.code, "which is finished" in again.err) == (254, True)


def test_a_suite_of_several_systems_judges_each_cell_by_its_own(
    foreshock: Foreshock, stale_copy: Path, tmp_path: Path
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(
        f'name = "both"\ncount = 8\n[[cell]]\nsystem = ["raft_impl", "path:{stale_copy}"]\n'
        'workload = "register"\nprofile = "partitions"\nduration = "3s"\n'
    )
    words = ("suite", suite, *ANY_UNKNOWN, "--json")
    part = foreshock(*words, "--disk-budget", "1KiB", "--jobs", "1").json

    ran = foreshock("suite", "--resume", part["campaign"], "--disk-budget", "1GiB", *ANY_UNKNOWN, "--json")

    runs = foreshock("runs", "--campaign", part["campaign"], "--json").json["runs"]
    assert {row["seed"]: row["system"] for row in runs} == {
        seed: f"path:{stale_copy}" if seed % 2 else "raft_impl" for seed in range(1, 9)
    }
    assert (ran.code, sum(ran.json["runs"].values())) == (1, 8)
    assert all(seed % 2 for failure in ran.json["failures"] for seed in failure["seeds"])
    assert all(f"--system path:{stale_copy}" in failure["reproduce"] for failure in ran.json["failures"])
    guided = foreshock(*words, "--search", "guided")
    assert (guided.code, "search = guided of 2 systems" in guided.out) == (254, True)


@pytest.mark.parametrize("option", [("--distribution", "stock"), ("--record-distribution", "new.json")])
def test_what_is_about_one_system_is_refused_of_a_resumed_suite_too(
    foreshock: Foreshock, stale_copy: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(
        f'name = "both"\ncount = 2\n[[cell]]\nsystem = ["raft_impl", "path:{stale_copy}"]\n'
        'workload = "register"\nduration = "1s"\n'
    )
    campaign = foreshock("suite", suite, "--time-budget", "1ns", *ANY_UNKNOWN, "--json").json["campaign"]

    ran = foreshock("suite", "--resume", campaign, "--time-budget", "1s", *option)

    assert (ran.code, f"{option[0]} of 2 systems" in ran.err) == (254, True)
    assert foreshock("runs", "--campaign", campaign, "--json").json["runs"] == []


def test_seeds_without_end_are_not_resumed_without_a_budget(foreshock: Foreshock, results: Path) -> None:
    """The settings of earlier versions have their time budget elsewhere."""
    campaign = foreshock("suite", "--time-budget", "1ms", *SHORT, "--jobs", "1", "--json").json["campaign"]
    with contextlib.closing(sqlite3.connect(results / "foreshock.db")) as index, index:
        index.execute("UPDATE campaigns SET settings = json_remove(settings, '$.budget')")

    ran = foreshock("suite", "--resume", campaign)

    assert (ran.code, "found seeds without end; expected --time-budget or --disk-budget" in ran.err) == (254, True)


def test_a_disk_budget_says_what_was_left_and_holds_for_the_whole_campaign(
    foreshock: Foreshock, tmp_path: Path
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "small"\ncount = 6\n[budget]\ndisk = "1KiB"\n[[cell]]\nworkload = "register"\n')
    ran = foreshock("suite", suite, *SHORT, "--jobs", "1", *ANY_UNKNOWN, "--json").json
    campaign = ran["campaign"]
    begun = sum(ran["runs"].values())

    still = foreshock("suite", "--resume", campaign, *ANY_UNKNOWN)
    resumed = foreshock("suite", "--resume", campaign, "--disk-budget", "1GiB", *ANY_UNKNOWN, "--json").json

    assert 1 <= begun < 6
    assert ran["unbegun"]["seeds"] == 6 - begun
    assert re.fullmatch(r"results take [\d.]+ KiB of 1 KiB", ran["unbegun"]["spent"])
    assert re.search(r"budget +results take [\d.]+ KiB of 1 KiB\n", still.out)
    assert f"{6 - begun} seeds; go on with: foreshock suite --resume {campaign}\n" in still.out
    assert sum(resumed["runs"].values()) == 6
    assert resumed["unbegun"]["spent"] == ""


def test_a_run_that_breaks_the_memory_budget_is_named_and_the_others_are_judged(
    foreshock: Foreshock, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "raft_impl", tmp_path / "raft_impl", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "raft_impl" / "surface.py").open("a") as surface:
        surface.write(HANGS_IN_GROUPS_OF_THREE.replace("pass", "taken.append(b'x' * sum(range(250)))"))
    suite = tmp_path / "suite.toml"
    budget = memory.resident_bytes(os.getpid()) + (150 << 20)
    cell = '[[cell]]\nworkload = "register"\nprofile = "calm"\nduration = "1s"\nrate = 20\nnodes = {}\n'
    head = f'name = "greedy"\nmax_unknown = "100%"\n[budget]\nmemory = "{budget}"\n'
    suite.write_text(head + cell.format(3) + cell.format(5))

    ran = foreshock("suite", suite, "--seeds", "1..3", "--system", f"path:{tmp_path}", "--jobs", "1", "--json")

    (error,) = ran.json["errors"]
    assert (ran.code, error["seed"]) == (255, 2)
    assert "the most of all" in error["error"]
    assert ran.json["runs"]["valid"] + ran.json["runs"]["unknown"] == 2


def test_a_time_in_the_suite_and_no_count_means_as_many_seeds_as_fit(foreshock: Foreshock, tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "x"\n[budget]\ntime = "1ms"\n[[cell]]\nworkload = "register"\n')

    ran = foreshock("suite", suite, *SHORT, "--jobs", "1", "--json").json

    assert ran["unbegun"] == {"seeds": None, "spent": "the time budget is spent", "stopped_cells": []}


def test_a_baseline_is_an_earlier_campaign_and_the_first_night_begins_one(foreshock: Foreshock) -> None:
    words = ("suite", "--seeds", "1..2", *SHORT, "--jobs", "1", "--baseline", "latest", "--json")
    first = foreshock(*words)

    second = foreshock(*words).json

    assert first.code == 0
    assert "baseline" not in first.json
    nothing: list[str] = []
    assert second["baseline"] == {
        "campaign": first.json["campaign"],
        "new": nothing,
        "still": nothing,
        "fixed": nothing,
        "not_run": nothing,
    }


def test_a_cell_whose_seeds_hang_is_stopped_and_the_others_are_run(foreshock: Foreshock, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "raft_impl", tmp_path / "raft_impl", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "raft_impl" / "surface.py").open("a") as surface:
        surface.write(HANGS_IN_GROUPS_OF_THREE)
    suite = tmp_path / "suite.toml"
    cell = '[[cell]]\nworkload = "register"\nprofile = "calm"\nduration = "1s"\nrate = 10\nnodes = {}\n'
    suite.write_text('name = "hangs"\nmax_unknown = "100%"\n' + cell.format(3) + cell.format(5))
    words = ("suite", suite, "--seeds", "1..20", "--system", f"path:{tmp_path}", "--run-timeout", "4s")

    ran = foreshock(*words, "--jobs", "1", "--json")
    (stopped,) = ran.json["unbegun"]["stopped_cells"]

    assert (stopped["cell"], stopped["hung"]) == (0, [2, 4, 6])
    assert [error["seed"] for error in ran.json["errors"]] == [2, 4, 6]
    assert ran.json["runs"]["valid"] + ran.json["runs"]["unknown"] == 10
    assert ran.json["unbegun"]["seeds"] == 20 - sum(ran.json["runs"].values()) >= 5


HANGS_IN_GROUPS_OF_THREE = """

_make_server = make_server


def make_server(env, *, groups, options):
    taken = []
    while any(len(group.voters) == 3 for group in groups.values()):
        pass
    return _make_server(env, groups=groups, options=options)
"""


def suite_with_canary(folder: Path, patch: Path, count: int) -> Path:
    """A suite of one seed whose cell, calm or not, must find a planted bug."""
    path = folder / "suite.toml"
    text = f'name = "small"\ncount = 1\nmax_unknown = "100%"\ncanary = "{patch}"\ncanary_count = {count}\n'
    path.write_text(text + '[[cell]]\nworkload = "register"\nprofile = "partitions"\n')
    return path


def test_a_suite_whose_canary_is_found_is_green(foreshock: Foreshock, stale_patch: Path, tmp_path: Path) -> None:
    suite = suite_with_canary(tmp_path, stale_patch / "stale.patch", 20)

    ran = foreshock("suite", suite, "--json")

    assert ran.code == 0
    assert [canary["found"] for canary in ran.json["canaries"]] == [True]


def test_a_suite_whose_canary_is_missed_says_nothing(foreshock: Foreshock, stale_patch: Path, tmp_path: Path) -> None:
    suite = suite_with_canary(tmp_path, stale_patch / "stale.patch", 1)

    ran = foreshock("suite", suite, *SHORT)

    assert ran.code == 2
    assert "MISSED in 1 seeds" in ran.out


def test_the_canaries_that_come_with_the_harness_apply(tmp_path: Path) -> None:
    for name in suites.named():
        suite = suites.load(name)
        for canary in (*suite.canaries, *([] if suite.canary is None else [suite.canary])):
            mutant = mutants.read(suites.canary_patch(canary))
            with Checkouts() as checkouts:
                assert mutants.plant(mutant, own_package(), checkouts).codes


def test_the_canaries_of_families_are_the_planted_bugs_of_the_corpus() -> None:
    families = ROOT / "harness" / "suites" / "canaries" / "families"

    for patch in families.glob("*.patch"):
        assert patch.read_bytes() == (ROOT / "tests" / "mutants" / patch.name).read_bytes()
    assert len(suites.load("nightly").canaries) == 1 + len(list(families.glob("*.patch")))


def test_a_night_searches_its_canaries_and_one_that_is_missed_makes_it_unknown(
    foreshock: Foreshock, stale_patch: Path, tmp_path: Path
) -> None:
    """One that is found at once, and one that this cell cannot find: nothing is said of the code."""
    hidden = tmp_path / "hidden.patch"
    hidden.write_text("Name: hidden\nSource: a test\n\n" + HARMLESS)
    suite = tmp_path / "suite.toml"
    text = 'name = "small"\ncount = 1\nmax_unknown = "100%"\ncanary_count = 14\ncanaries_a_night = 2\n'
    text += f'canaries = ["{stale_patch / "stale.patch"}", "{hidden}"]\n'
    suite.write_text(text + '[[cell]]\nworkload = "register"\nprofile = "partitions"\nduration = "3s"\n')

    ran = foreshock("suite", suite)

    assert ran.code == 2
    assert "canary      reads-without-quorum: found at seed " in ran.out
    assert "canary      hidden: MISSED in 14 seeds" in ran.out


HARMLESS = """--- /dev/null
+++ b/raft_impl/quiet.py
@@ -0,0 +1 @@
+\"\"\"Nothing uses this module.\"\"\"
"""


def test_a_killed_worker_and_an_interrupt_lose_nothing(foreshock: Foreshock, results: Path) -> None:
    """Kill a worker, then interrupt the suite, then resume it: every seed has exactly one row."""
    words = [
        sys.executable,
        "-m",
        "harness",
        "suite",
        "--seeds",
        f"1..{SEEDS}",
        *SHORT,
        "--jobs",
        "2",
        "--results",
        str(results),
    ]
    suite = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _kill_a_worker(suite.pid)
    _wait_for_rows(foreshock, 20)
    suite.send_signal(signal.SIGINT)
    out, err = suite.communicate(timeout=60)
    campaign = out.split()[1]

    assert suite.returncode == 130
    assert f"foreshock suite --resume {campaign}" in err
    done = len(foreshock("runs", "--campaign", campaign, "--limit", "1000", "--json").json["runs"])
    assert 20 <= done < SEEDS
    resumed = foreshock("suite", "--resume", campaign, *ANY_UNKNOWN, "--json")
    rows = foreshock("runs", "--campaign", campaign, "--limit", "1000", "--json").json["runs"]
    assert resumed.code == 0
    assert sum(resumed.json["runs"].values()) == len(rows)
    assert sorted(row["seed"] for row in rows) == list(range(1, SEEDS + 1))


def _kill_a_worker(parent: int) -> None:
    """Kill the first child that is a worker, once it is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in _children(parent):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
                return
        time.sleep(0.05)
    pytest.fail("no worker was started")


def _children(parent: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _wait_for_rows(foreshock: Foreshock, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ran = foreshock("runs", "--limit", "1000", "--json")
        if ran.code == 0 and len(ran.json["runs"]) >= count:
            return
        time.sleep(0.1)
    pytest.fail("the suite made no progress")


# -- distributions --------------------------------------------------------------------------------------------------


def test_a_suite_records_what_is_usual_and_names_what_is_slower(tmp_path: Path, foreshock: Foreshock) -> None:
    usual = tmp_path / "usual.json"
    typed = ("suite", "--workload", "register", *SHORT, "--jobs", "1", *ANY_UNKNOWN)

    recorded = foreshock(*typed, "--json", "--count", "22", "--record-distribution", usual)
    stored = json.loads(usual.read_text())
    for cell in stored["cells"]:
        latency = cell["measures"]["latency"]
        latency["values"] = [value / 8 for value in latency["values"]]
    usual.write_text(json.dumps(stored))
    slower = foreshock(*typed, "--count", "22", "--distribution", usual)
    stored["draw_version"] += 1
    usual.write_text(json.dumps(stored))
    not_compared = foreshock(*typed, "--json", "--count", "1", "--distribution", usual)

    assert recorded.code == 0
    assert slower.code == 1
    assert "statistics/latency:" in slower.out
    assert slower.out.count("statistics/") == 1
    assert not_compared.json["distribution"]["reason"].startswith("it is of draw version")
    assert not_compared.json["exit"] != 1


def test_a_distribution_that_cannot_be_read_costs_no_seed(tmp_path: Path, foreshock: Foreshock) -> None:
    ran = foreshock("suite", "--count", "2", "--distribution", tmp_path / "none.json")

    assert ran.code == 254
    assert "cannot be read" in ran.err


GUIDED = ("--profile", "crashes", "--workload", "register", "--nodes", "3", "--rate", "20", "--duration", "1s")


def test_a_guided_suite_is_the_same_with_more_workers_and_when_it_is_resumed(
    foreshock: Foreshock, results: Path
) -> None:
    seeds = ("--seeds", "1..40", "--search", "guided", *GUIDED, *ANY_UNKNOWN, "--json")

    alone = foreshock("suite", *seeds, "--jobs", "1").json
    begun = foreshock("suite", *seeds, "--jobs", "2", "--time-budget", "1s").json
    resumed = foreshock("suite", "--resume", begun["campaign"], "--time-budget", "10m", *ANY_UNKNOWN, "--json").json

    assert begun["unbegun"]["seeds"] > 0
    assert resumed["unbegun"]["seeds"] == 0
    with Archive(results) as archive:
        fingerprints = [
            {record.seed: record.fingerprint for record in _records(archive, campaign)}
            for campaign in (alone["campaign"], begun["campaign"])
        ]
        varied = [record.seed for record in _records(archive, alone["campaign"]) if record.varied is not msgspec.UNSET]
    assert fingerprints[0] == fingerprints[1]
    assert len(fingerprints[0]) == 40
    assert min(varied) > 32


def _records(archive: Archive, campaign: str) -> list[RunRecord]:
    records = [run.record() for run in archive.index.runs(campaign=campaign)]
    return [record for record in records if isinstance(record, RunRecord)]


def test_without_a_compiler_a_long_campaign_says_so_in_one_line_for_each_part_and_goes_on(
    foreshock: Foreshock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "SEEDS_MIN", 3)
    monkeypatch.setattr(compiling, "TRIALS_MAX", 1)
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)

    done = foreshock("suite", "--count", "3", "--jobs", "1", *SHORT, *ANY_UNKNOWN)

    words = " ".join(done.out.split())
    missing = "which stays interpreted: no C compiler `no-such-compiler`; needs one on the PATH, or in CC"
    assert words.count("compiled not ") == 2
    for told in (
        f"compiled harness, raft_impl, once, into {tmp_path / 'cache' / 'foreshock' / 'compiled'}",
        f"compiled not harness, {missing}",
        f"compiled not raft_impl, {missing}",
    ):
        assert told in words
    assert done.code == 0
    assert not list((tmp_path / "cache").rglob(f"*{SUFFIX}"))


HANGS_IN_A_CALL = """
from harness.systems.adapter import Adapter, Client, Server


class Node(Server):
    def process(self, messages):
        return False


class Session(Client):
    async def invoke(self, f, key, value):
        while True:
            pass


class Hang(Adapter):
    name, workloads, server_class, client_class = "hang", ("register",), Node, Session
"""


def test_a_system_of_other_people_that_hangs_does_not_hang_the_suite(foreshock: Foreshock, tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text(HANGS_IN_A_CALL)
    words = ("suite", "--system", f"{tmp_path / 'hang.py'}:Hang", "--workload", "register", "--profile", "calm")

    ran = foreshock(*words, "--count", "3", "--run-timeout", "0.5s", "--json")

    assert [error["error"] for error in ran.json["errors"]] == ["no answer within 0.5 s"] * 3
