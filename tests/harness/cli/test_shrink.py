"""A planted bug, from a failing run to a small plan and a test of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.shrink.passes import PASSES
from harness.shrink.regression import anomalies
from tests.harness.cli.conftest import Foreshock

ROOT = Path(__file__).resolve().parents[3]
BUG = f"patch:{ROOT / 'tests' / 'mutants' / 'recovery-forgets-vote.patch'}"
RUN = ("run", "--seed", "3", "--profile", "crashes", "--duration", "3s", "--rate", "40", "--system", BUG)
SIGNATURE = "raft/durable-ack/vote"


def test_a_failing_run_becomes_a_small_plan_that_replays_and_a_test_that_tells_the_two_codes_apart(
    foreshock: Foreshock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = tmp_path / "test_vote.py"
    failed = foreshock(*RUN)
    assert failed.code == 1
    assert "foreshock shrink " in failed.out

    shrunk = foreshock("shrink", "latest", "--emit-test", test, "--output", tmp_path / "plan.json", "--json")

    assert shrunk.code == 0
    assert shrunk.json["signature"] == SIGNATURE
    assert shrunk.json["after"]["faults"] == 1 < shrunk.json["before"]["faults"]
    assert shrunk.json["after"]["ops"] == 0 < shrunk.json["before"]["ops"]
    replayed = foreshock("replay", shrunk.json["shrunk"], "--json")
    assert replayed.json["fingerprint"] == shrunk.json["fingerprint"]
    assert foreshock("replay", tmp_path / "plan.json", "--json", "--system", "raft_impl").json["anomalies"] == []
    again = foreshock("shrink", shrunk.json["shrunk"], "--json", "--jobs", "1")
    assert again.json["plan"] == shrunk.json["plan"]
    explained = foreshock("explain", shrunk.json["shrunk"], "--redraws", "3", "--moments", "3", "--json").json
    assert [(one["kind"], one["fails_without"]) for one in explained["faults"]] == [("crash", False)]
    assert "lost power at 0.3" in " ".join(explained["sentences"].values())
    assert explained["chances"][-1]["failed"] == 3
    written: dict[str, object] = {}
    exec(compile(test.read_text(), str(test), "exec"), written)
    plan = str(written["PLAN"])
    assert SIGNATURE in anomalies(plan, system=BUG)
    assert anomalies(plan) == {}
    monkeypatch.setenv("FORESHOCK_SYSTEM", BUG)
    with pytest.raises(AssertionError):
        written["test_raft_durable_ack_vote"](schedule_seed=None)  # type: ignore[operator]


def test_a_run_that_does_not_fail_is_nothing_to_shrink(foreshock: Foreshock) -> None:
    foreshock(*RUN[:-2])

    ran = foreshock("shrink", "latest")

    assert ran.code == 2
    assert "does not fail" in ran.out


def test_the_page_names_every_pass_in_order() -> None:
    page = (ROOT / "docs" / "shrinking.md").read_text(encoding="utf-8")
    table = page.partition("| pass | ")[2].partition("\n\n")[0]

    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [one.name for one in PASSES]


def test_a_suite_shrinks_one_failure_of_each_new_signature(foreshock: Foreshock, results: Path) -> None:
    report = results.parent / "summary.md"
    seeds = ("--seeds", "1..3", "--workload", "register", "--profile", "crashes", "--duration", "3s", "--rate", "40")

    ran = foreshock(
        "suite", *seeds, "--system", BUG, "--stop-at-first", "--shrink", "20s", "--json", "--markdown", report
    )

    assert ran.code == 1
    (failure,) = ran.json["failures"]
    assert failure["signature"] == SIGNATURE
    assert (failure["small"]["faults"], failure["small"]["ops"]) == (1, 0)
    assert failure["small"]["finished"]
    assert (results / failure["small"]["run"] / "plan.json").is_file()
    assert SIGNATURE in Path(failure["small"]["test"]).read_text()
    assert f"`{SIGNATURE}` shrunk to 1 faults, 0 ops" in report.read_text()
