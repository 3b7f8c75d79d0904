"""`foreshock replay` as often as one likes: what is kept does not grow with the number of runs."""

from __future__ import annotations

import gc
import io
import re
import shutil
from pathlib import Path

import msgspec
import pytest

from harness.commands import replay as command
from harness.outcome import Outcome
from harness.run.replay import Replayed, replay
from tests.harness.cli.conftest import SHORT, Foreshock, Ran


def test_repeating_keeps_no_more_than_one_run_to_show(foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each outcome holds the whole trace: a hundred thousand of them once took 11 GB."""
    kept: list[int] = []

    def counted(*arguments: object) -> Replayed:
        gc.collect()
        kept.append(sum(isinstance(value, Outcome) for value in gc.get_objects()))
        return replay(*arguments)  # type: ignore[arg-type]

    foreshock("run", "--seed", "1", *SHORT)
    monkeypatch.setattr(command, "replay", counted)

    ran = foreshock("replay", "latest", "--repeat", "5", "--json")

    assert ran.code == 0
    assert len(ran.json["fingerprints"]) == 1
    assert len(kept) == 5
    assert max(kept[2:]) <= kept[1] + 1


def test_the_run_that_is_shown_is_the_first_that_differs(foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three runs the second has another fingerprint: an internal error, with both fingerprints."""
    shown = iter(["", "another", ""])

    def other(*arguments: object) -> Replayed:
        replayed, fingerprint = replay(*arguments), next(shown)  # type: ignore[arg-type]
        if not fingerprint:
            return replayed
        outcome = msgspec.structs.replace(replayed.outcome, fingerprint=fingerprint)
        return msgspec.structs.replace(replayed, outcome=outcome, identical=False)

    foreshock("run", "--seed", "1", *SHORT)
    monkeypatch.setattr(command, "replay", other)

    ran = foreshock("replay", "latest", "--repeat", "3", "--json")

    assert ran.code == 255
    assert ran.json["identical"] is False
    assert ran.json["fingerprints"][1] == "another"
    assert ran.json["fingerprint"] == "another"


def walk(foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Ran:
    """Walk through the latest run with commands from stdin."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return foreshock("replay", "latest", "--step")


def test_a_walk_stops_where_a_node_leads_an_index_commits_and_a_message_is_delivered(
    foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreshock("run", "--seed", "1", *SHORT)

    ran = walk(foreshock, monkeypatch, "break leader", "continue", "why", "break commit 3", "c", "show", "delete 2")
    more = walk(
        foreshock, monkeypatch, "break deliver append n1>n2", "break deliver append n2>n1", "c", "step 2", "b 1"
    )

    assert ran.code == 0
    assert re.search(r"\d+ +\d+\.\d{3} ms  n\d becomes leader in term 1\n    at the breakpoint: leader\n", ran.out)
    assert "    because " in ran.out
    assert re.search(r"n\d knows that [3-9] is committed\n    at the breakpoint: commit 3\n", ran.out)
    assert re.search(r"^n\d    leader +1  n\d +[3-9] ", ran.out, re.MULTILINE)
    assert "on the way" in ran.out
    assert re.search(r"gets append from n[12] .*\n    at the breakpoint: deliver append", more.out)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("jump", "command 'jump'"),
        ("break leadr", "breakpoint 'leadr'"),
        ("delete 4", "4"),
        ("until sometime", "'sometime' is no duration"),
        ("until failure", "no failure"),
        ("step back", "back"),
    ],
)
def test_a_script_that_is_not_understood_ends_with_one_line(
    foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch, line: str, found: str
) -> None:
    foreshock("run", "--seed", "1", *SHORT)

    ran = walk(foreshock, monkeypatch, line, "step")

    assert ran.code == 254
    assert f"error: found {found}" in ran.err
    assert ran.err.count("\n") == 1


def test_until_shows_each_replica_and_what_is_on_its_way(foreshock: Foreshock) -> None:
    foreshock("run", "--seed", "1", *SHORT)

    ran = foreshock("replay", "latest", "--until", "1500ms")
    document = foreshock("replay", "latest", "--until", "1500", "--json").json

    assert "node  role" in ran.out
    assert re.search(r"^n\d    leader ", ran.out, re.MULTILINE)
    assert "on the way" in ran.out
    assert document["standing"]["index"] == 1500
    assert [replica["node"] for replica in document["standing"]["replicas"]] == ["n1", "n2", "n3"]


def test_runs_are_laid_beside_each_other_and_beside_other_code(foreshock: Foreshock, hasty_copy: Path) -> None:
    foreshock("run", "--seed", "1", *SHORT)
    first = foreshock("runs", "--json").json["runs"][0]["run"]
    foreshock("run", "--seed", "2", *SHORT)

    same = foreshock("replay", first, "--diff", first)
    other_plan = foreshock("replay", first, "--diff", "latest", "--json")
    other_code = foreshock("replay", first, "--against", f"path:{hasty_copy}")

    assert (same.code, same.out) == (0, "difference  none: every event happened alike\n")
    assert other_plan.code == 1
    assert "schedule.seed" in other_plan.json["parting"]["plans_differ_in"]
    assert other_code.code == 1
    assert re.search(r"alike +the first \d+ events, up to \d+\.\d+ ms; then\n", other_code.out)
    assert f"\npath:{hasty_copy}:\n    n" in other_code.out
    assert "    because " in other_code.out


def test_a_failure_is_replayed_from_wherever_it_was_read(foreshock: Foreshock, tmp_path: Path) -> None:
    """A run id in a line, the command in a line (also where nothing is stored), the name of a JUnit test case."""
    foreshock("suite", "--seeds", "1..2", *SHORT, "--workload", "register", "--junit", tmp_path / "report.xml")
    run = foreshock("run", "--seed", "2", *SHORT, "--json").json
    command = f"  \x1b[31mreproduce\x1b[0m: {run['reproduce']} | 1 |"
    elsewhere = ("--results", tmp_path / "clone")

    by_id = foreshock("replay", f"2026-11-28 03:14 FAILED {run['run']} (exit 1)", "--json").json
    by_command = foreshock("replay", command, *elsewhere, "--json").json
    by_case = foreshock("replay", "foreshock default / register.calm › seed 1", "--json").json

    assert by_id["identical"] is True
    assert (by_command["identical"], by_command["fingerprint"]) == (None, run["fingerprint"])
    assert (by_case["seed"], by_case["profile"]) == (1, "calm")


def test_a_path_is_a_path_whatever_is_in_its_name(foreshock: Foreshock, tmp_path: Path) -> None:
    """Blanks, and what reads like a test case, are parts of names too."""
    run = foreshock("run", "--seed", "1", *SHORT, "--json").json
    there = tmp_path / "my.swarm seed 3 runs"
    shutil.copytree(run["path"], there)

    ran = foreshock("replay", there, "--json")

    assert (ran.json["identical"], ran.json["fingerprint"]) == (True, run["fingerprint"])
    assert foreshock("replay", "x" * 5000).code == 254


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run 20261128T144703Z-register-s5-175a failed", "run '20261128T144703Z-register-s5-175a', which is not here"),
        ("nothing of that kind", "no run in 'nothing of that kind'"),
        ("foreshock run --workload register", "a command without --seed"),
        ("register.swarm.seed 7", "no index of runs"),
        ("foreshock run --sed 4", "a command that does not parse (No such option '--sed'"),
    ],
)
def test_a_text_without_a_run_is_refused_in_one_line(foreshock: Foreshock, text: str, found: str) -> None:
    ran = foreshock("replay", text)

    assert ran.code == 254
    assert f"error: found {found}" in ran.err
    assert ran.err.count("\n") == 1
