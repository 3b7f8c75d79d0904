"""`--upgrade-from`: in a run, in a suite, in what repeats them, and where it has no meaning."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.harness.cli.conftest import Foreshock

UPGRADES = Path(__file__).resolve().parents[2] / "upgrades"
OLDER = f"patch:{UPGRADES / 'older.patch'}"
SHORT = ("--duration", "3s")


def test_a_run_can_be_repeated_replayed_and_run_from_its_plan(foreshock: Foreshock, results: Path) -> None:
    first = foreshock("run", "--seed", "2", *SHORT, "--upgrade-from", OLDER, "--json").json

    words = shlex.split(first["reproduce"])
    again = foreshock(*words[1:], "--json").json
    replayed = foreshock("replay", first["run"], "--json")
    plan = results / first["run"] / "plan.json"
    from_plan = foreshock("run", "--plan", plan, "--upgrade-from", OLDER, "--json").json

    assert tuple(words[words.index("--upgrade-from") :][:2]) == ("--upgrade-from", OLDER)
    assert {one["fingerprint"] for one in (again, replayed.json, from_plan)} == {first["fingerprint"]}
    assert replayed.json["identical"] is True
    assert set(first["binding"]["codes"]) == {"default", "old"}


def test_a_run_says_who_begins_with_older_code(foreshock: Foreshock) -> None:
    ran = foreshock("run", "--seed", "2", *SHORT, "--upgrade-from", OLDER)

    (line,) = [line for line in ran.out.splitlines() if line.startswith("upgrade ")]
    assert "begin with older code" in line


def test_a_suite_upgrades_in_every_cell_and_finds_a_planted_bug(foreshock: Foreshock, tmp_path: Path) -> None:
    suite = tmp_path / "two.toml"
    suite.write_text('name = "two"\n[[cell]]\nworkload = "register"\n[[cell]]\nworkload = "counter"\n')
    system = f"patch:{UPGRADES / 'openings-before-the-level.patch'}"

    clean = foreshock("suite", suite, "--count", "2", *SHORT, "--upgrade-from", OLDER, "--jobs", "1", "--json")
    found = foreshock(
        "suite", suite, "--count", "2", *SHORT, "--upgrade-from", OLDER, "--system", system, "--jobs", "1", "--json"
    )

    assert clean.code == 0, clean.out
    assert clean.json["marks"]["membership: feature level raised"] > 0
    assert found.code == 1
    failure = found.json["failures"][0]
    assert failure["signature"].startswith("raft/state-digest")
    assert OLDER in failure["reproduce"]


def test_a_stored_run_is_replayed_with_another_newer_version(foreshock: Foreshock) -> None:
    first = foreshock("run", "--seed", "2", *SHORT, "--upgrade-from", OLDER, "--json").json
    system = f"patch:{UPGRADES / 'images-of-the-newest-level.patch'}"

    replayed = foreshock("replay", first["run"], "--system", system, "--json").json

    assert replayed["identical"] in (True, False)
    assert replayed["binding"]["codes"]["old"]["spec"] == OLDER
    assert replayed["binding"]["codes"]["default"]["spec"] == system


def test_what_has_no_meaning_is_refused_in_one_line(foreshock: Foreshock, results: Path) -> None:
    plain = foreshock("run", "--seed", "2", *SHORT, "--json").json
    plan = results / plain["run"] / "plan.json"
    mixed = foreshock("run", "--seed", "2", *SHORT, "--upgrade-from", OLDER, "--json").json
    mixed_plan = results / mixed["run"] / "plan.json"

    answers = {
        "a plan without upgrades": foreshock("run", "--plan", plan, "--upgrade-from", OLDER),
        "a plan with upgrades": foreshock("run", "--plan", mixed_plan),
        "a live run": foreshock("run", "--world", "live", "--upgrade-from", OLDER),
        "no such ref": foreshock("run", "--upgrade-from", "no-such-ref"),
    }

    for name, answer in answers.items():
        assert answer.code == 254, name
        assert answer.err.startswith("error: found "), name
        assert len(answer.err.splitlines()) == 1, name
    assert "--upgrade-from REF" in answers["a plan with upgrades"].err


def test_what_is_recorded_is_a_plan_of_its_own(foreshock: Foreshock, results: Path) -> None:
    run = foreshock("run", "--seed", "2", *SHORT, "--upgrade-from", OLDER, "--json").json

    plan = json.loads((results / run["run"] / "plan.json").read_text())

    assert plan["drawn"]["upgraded"] is True
    assert "upgrade" in {fault["kind"] for fault in plan["faults"]}
