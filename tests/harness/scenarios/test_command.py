"""`foreshock scenario`: exit codes, what is printed, and what is rewritten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness import cli
from harness.scenarios import library

GOOD = "# A lonely node leads at once.\n> nodes A pre_vote=false\n> timer A\n> show\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A scenario that was not run yet."""
    path = tmp_path / "lonely.txt"
    path.write_text(GOOD)
    return path


def test_the_list_has_every_scenario_with_its_title(capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["scenario", "--json"])

    listed = json.loads(capfd.readouterr().out)["scenarios"]
    assert (code, [entry["name"] for entry in listed]) == (0, library.names())
    assert all(entry["title"] for entry in listed)


def test_a_scenario_that_reads_as_its_file_is_exit_0(capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["scenario", "f05_figure_8_e"])

    out = capfd.readouterr().out
    assert code == 0
    assert library.find("f05_figure_8_e").read_text() in out
    assert "verdict     valid\nreads       as expected" in out


def test_a_difference_is_exit_1_with_a_diff(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.run(["scenario", str(file)])

    out = capfd.readouterr().out
    assert code == 1
    assert "\n+A leader t1\n" in out
    assert "differently than its file expects" in out


def test_rewriting_makes_a_file_that_reads_as_expected(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rewritten = cli.run(["scenario", str(file), "--rewrite"])
    out = capfd.readouterr().out
    again = cli.run(["scenario", str(file), "--json"])

    document = json.loads(capfd.readouterr().out)
    assert out.endswith("written     lonely.txt\n")
    assert (rewritten, again) == (0, 0)
    assert (document["reads_as_expected"], document["as_expected"], document["verdict"]) == (True, True, "valid")
    assert [step["command"] for step in document["steps"]] == ["nodes A pre_vote=false", "timer A", "show"]
    assert "A leader t1" in file.read_text()


def test_json_has_a_picture_of_every_node_after_each_step(capfd: pytest.CaptureFixture[str]) -> None:
    """What a visual walk-through is drawn from."""
    cli.run(["scenario", "i_remove_leader", "--json"])

    steps = json.loads(capfd.readouterr().out)["steps"]
    first, last = steps[0]["nodes"], {picture["node"]: picture for picture in steps[-1]["nodes"]}
    assert [(picture["node"], picture["role"], picture["log"]) for picture in first] == [
        (name, "follower", []) for name in "ABC"
    ]
    assert (last["B"]["role"], last["B"]["log"], last["B"]["voters"]) == ("leader", [1, 1, 1, 2, 2], ["B", "C"])
    assert (last["A"]["commit"], last["A"]["first"]) == (3, 1)
    assert any(line.startswith("A>B append t1") for step in steps for line in step["waiting"])


def test_a_violation_that_is_not_expected_is_exit_1_even_when_rewriting(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "silent.txt"
    text = library.find("f07a_stale_read_unconfirmed").read_text()
    path.write_text(text[: text.index("> expect")])

    code = cli.run(["scenario", str(path), "--rewrite"])

    out = capfd.readouterr().out
    assert code == 1
    assert "verdict     invalid" in out
    assert "linearizability/nonlinearizable/cas-register/read" in out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["scenario", "f99"], "scenario 'f99'"),
        (["scenario", "f07"], "f07a_stale_read_unconfirmed"),
        (["scenario", "--rewrite"], "--rewrite without a scenario"),
        (["scenario", "--html", "page.html"], "--html without a scenario"),
        (["scenario", "f01_split_vote", "--system", "path:nowhere"], "no raft_impl package in nowhere"),
    ],
)
def test_bad_arguments_are_exit_254(arguments: list[str], found: str, capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.run(arguments)

    ran = capfd.readouterr()
    assert (code, ran.out, ran.err.count("\n")) == (254, "", 1)
    assert found in ran.err


def test_a_bad_file_is_exit_254_with_its_line(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD + "> jump A\n")

    code = cli.run(["scenario", str(file)])

    assert code == 254
    assert "lonely.txt:5" in capfd.readouterr().err


def test_a_page_is_written_with_the_judgement(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "page.html"

    code = cli.run(["scenario", "walkthrough_3", "--html", str(page)])

    out = capfd.readouterr().out
    assert code == 0
    assert str(page) in out
    assert "verdict     valid\nreads       as expected" in out
    assert "> c1 set n 5 at A" not in out
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert len(text) < 200_000


def test_a_page_cannot_be_written_where_nothing_can(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")

    code = cli.run(["scenario", "i_single_node", "--html", str(tmp_path / "file" / "page.html")])

    assert code == 254
    assert capfd.readouterr().err.count("\n") == 1
