"""Bad input is one clear line, exit code 254, and nothing half-written; a bug of ours is 255."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.archive.index import FILE, Index
from harness.commands.group import COMMANDS
from harness.errors import BadInput
from tests.harness.cli.conftest import SHORT, Foreshock

BAD_ARGUMENTS = [
    ((), "no arguments"),
    (("rum",), "command 'rum'"),
    (("run", "--sede", "1"), "option --sede"),
    (("run", "--seed", "one"), "'one' is not a valid"),
    (("run", "--seed", "-1"), "-1 is not in the range"),
    (("run", "--workload", "regsiter"), "workload 'regsiter'"),
    (("run", "--profile", "sworm"), "profile 'sworm'"),
    (("run", "--nodes", "0"), "0 is not in the range"),
    (("run", "--duration", "soon"), "'soon' is no duration"),
    (("run", "--system", "path:nowhere"), "no raft_impl package in nowhere"),
    (("run", "--system", "raft_impl@no-such-ref"), "no commit 'no-such-ref'"),
    (("run", "--plan"), "option --plan without a value"),
    (("run", "-o", "reads"), "'reads' is not of the form key=value"),
    (("run", "-o", "raeds=local"), "option 'raeds'"),
    (("run", "-o", "reads=psychic"), "'psychic'"),
    (("run", "-o", "election_timeout_ms=fast"), "'fast'"),
    (("run", "--plan", "nowhere.json"), "a file that cannot be read"),
    (("run", "--plan", "nowhere.json", "--seed", "1"), "--seed beside --plan"),
    (("replay", "nothing"), "no run or plan file 'nothing'"),
    (("check", "nowhere.jsonl", "--model", "register"), "No such file"),
    (("check", "nowhere.jsonl", "--model", "register", "--initial", "{"), "'{'"),
    (("check", "nowhere.jsonl", "--model", "register", "--initial", "[" * 5_000 + "]" * 5_000), "'[[["),
    (("check", "nowhere.jsonl", "--model", "register", "--initial", '"\udcff"'), "'\"\\udcff\"'"),
    (("check", "nowhere.jsonl"), "No such file"),
    (("check", "nowhere.jsonl", "--model", "abacus"), "model 'abacus'"),
    (("suite", "nightmare"), "suite 'nightmare'"),
    (("suite", "--seeds", "9..1"), "'9..1' is no range of seeds"),
    (("suite", "--seeds", "1..2", "--count", "2"), "both --seeds and --count"),
    (("suite", "--resume", "nothing"), "no campaign 'nothing'"),
    (("suite", "--baseline", "gone"), "no campaign 'gone'"),
    (("compare", "HEAD", "no-such-ref"), "no commit 'no-such-ref'"),
    (("mutants", "nowhere"), "Directory 'nowhere' does not exist"),
    (("mutants", "tests/mutants", "--suite", "nightly", "--profile", "calm"), "--suite beside --workload or options"),
    (("runs",), "no index of runs"),
]


@pytest.mark.parametrize(
    ("arguments", "found"), BAD_ARGUMENTS, ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else ""
)
def test_bad_arguments_are_one_line(foreshock: Foreshock, arguments: tuple[str, ...], found: str) -> None:
    ran = foreshock(*arguments)
    if "no git repository" in ran.err:
        pytest.skip("needs a git checkout, not a source archive")

    assert ran.code == 254
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("error: found ")
    assert "; expected " in ran.err
    assert found in ran.err


@pytest.mark.parametrize("arguments", [("run", "--seed", "one"), ("run", "--profile", "sworm"), ("runs",), ("rum",)])
def test_with_json_an_error_is_a_document_too(foreshock: Foreshock, arguments: tuple[str, ...]) -> None:
    ran = foreshock(*arguments, "--json")

    assert ran.code == 254
    assert set(ran.json) == {"error"}
    assert set(ran.json["error"]) == {"found", "expected", "where"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda plan: "{", "not JSON"),
        (lambda plan: "[]", "no integer field `format`"),
        (lambda plan: json.dumps({**plan, "format": 99}), "format 99"),
        (lambda plan: json.dumps({**plan, "actors": 3}), "Expected `object`, got `int` - at `$.actors`"),
        (lambda plan: json.dumps({**plan, "surprise": 1}), "surprise"),
        (lambda plan: json.dumps({**plan, "options": {"raeds": "local"}}), "raeds"),
        (lambda plan: json.dumps({**plan, "options": {"reads": "psychic"}}), "psychic"),
    ],
)
@pytest.mark.parametrize("command", [("run", "--plan"), ("replay",)])
def test_a_plan_that_cannot_be_run_is_one_line(
    foreshock: Foreshock, results: Path, tmp_path: Path, command: tuple[str, ...], change: object, found: str
) -> None:
    good = foreshock("run", "--seed", "1", *SHORT, "--json").json
    plan = json.loads((Path(good["path"]) / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(change(plan))  # type: ignore[operator]

    ran = foreshock(*command, tmp_path / "plan.json", "--json")

    assert ran.code == 254
    assert ran.err.count("\n") == 1
    assert found in ran.json["error"]["found"]
    assert [path.name for path in results.iterdir() if path.is_dir() and not path.is_symlink()] == [good["run"]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"index":0,"time":0,"process":0,"type":"invo', "cut off"),
        ('{"index":0,"time":0,"process":0,"type":"ok","f":"read"}\n', "without invoke"),
        ('{"index":0,"time":0,"process":0,"type":"invoke","f":"fly"}\n', "fly"),
        ("not JSON\n[]\n", "not JSON"),
    ],
)
def test_a_malformed_history_is_one_line(foreshock: Foreshock, tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "history.jsonl").write_text(text)

    ran = foreshock("check", tmp_path / "history.jsonl", "--model", "register", "--json")

    assert ran.code == 254
    assert found in ran.json["error"]["found"]
    assert "history.jsonl" in ran.json["error"]["where"]


@pytest.mark.parametrize(
    "arguments",
    [("run", "--seed", "1", *SHORT), ("suite", "--count", "1", *SHORT), ("compare", "HEAD", "HEAD", "--seeds", "1")],
    ids=lambda value: value[0],
)
def test_results_that_cannot_be_written_are_refused_before_anything_runs(
    foreshock: Foreshock, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("in the way")

    ran = foreshock(*arguments, "--results", tmp_path / "file")

    assert ran.code == 254
    assert ran.err.startswith("error: found an error of the file system")
    assert ran.err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_bug_of_ours_is_255_with_its_traceback_on_stderr(
    foreshock: Foreshock, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("harness.run.execution.run", broken)

    ran = foreshock("run", "--seed", "1", *SHORT, "--json")

    assert ran.code == 255
    assert ran.json["error"]["found"] == "ZeroDivisionError: a bug"
    assert "Traceback" in ran.err
    assert not [path for path in results.iterdir() if path.is_dir()]


def test_help_is_quick_and_imports_no_part_that_runs_anything() -> None:
    heavy = ("trio", "scipy", "networkx", "hypothesis", "rich", "workloads", "harness.run.runner", "raft_impl")
    program = (
        f"import sys; from harness import cli; cli.run(['--help']); print([m for m in {heavy} if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in COMMANDS)


def test_a_run_imports_no_hypothesis() -> None:
    """Importing Hypothesis flips Trio's scheduling flag for the whole process."""
    words = ["run", "--seed", "1", *SHORT, "--results"]
    program = (
        "import sys, tempfile; from harness import cli; folder = tempfile.mkdtemp(); "
        f"cli.run({words!r} + [folder]); print([m for m in ('hypothesis', 'scipy', 'starlette') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_comparison_imports_nothing_that_starts_processes() -> None:
    """That a system runs live is known by its name."""
    program = (
        "import sys; from harness import cli; code = cli.run(['compare', 'main', 'etcd']); "
        "heavy = ('harness.live.systems', 'harness.live.supervisor', 'raft_impl'); "
        "print(int(code), [name for name in heavy if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "etcd, which runs live" in done.stderr
    assert done.stdout.splitlines()[-1] == "254 []"


OLD_NAME = "flav" + "our"  # whole, it is a retired word


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("rum",), "perhaps run"),
        (("run", "--profile", "sworm"), "perhaps swarm"),
        (("run", "--workload", "regsiter"), "perhaps register"),
        (("run", "-o", "raeds=local"), "perhaps reads"),
        (("suite", "nightley"), "perhaps nightly"),
        (("run", f"--{OLD_NAME}", "unique"), "--variant, its name today"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(
    foreshock: Foreshock, arguments: tuple[str, ...], near: str
) -> None:
    ran = foreshock(*arguments)

    assert ran.code == 254
    assert near in ran.err


@pytest.mark.parametrize("as_json", [False, True])
def test_a_suite_whose_report_cannot_be_written_still_says_what_it_found(
    foreshock: Foreshock, tmp_path: Path, as_json: bool
) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ("suite", "--count", "1", *SHORT, "--max-unknown", "100%", "--markdown", tmp_path / "file" / "summary.md")

    ran = foreshock(*words, *(["--json"] if as_json else []))

    assert ran.code == 254
    assert ran.err.splitlines()[-1].startswith("error: found ")
    if as_json:
        assert sum(ran.json["runs"].values()) == 1
        assert "summary.md" in ran.json["error"]["where"]
    else:
        assert "runs        1 " in ran.out


def test_a_suite_whose_index_fails_meanwhile_still_says_what_it_found(
    foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise BadInput("an index that cannot be used (database or disk is full)", "room", "foreshock.db")

    monkeypatch.setattr(Index, "add", full)

    ran = foreshock("suite", "--count", "1", *SHORT, "--max-unknown", "100%")

    assert ran.code == 254
    assert "runs        1 " in ran.out
    assert ran.err.splitlines()[-1].startswith("error: found an index that cannot be used (database or disk is full)")


@pytest.mark.parametrize("words", [("--reindex", "--delete"), ("--reindex", "--seed", "1")])
def test_reindexing_takes_no_selection(foreshock: Foreshock, words: tuple[str, ...]) -> None:
    ran = foreshock("runs", *words)

    assert (ran.code, ran.err.count("\n")) == (254, 1)
    assert "--reindex beside other options" in ran.err


def test_runs_are_listed_again_after_reindexing(foreshock: Foreshock, results: Path) -> None:
    run = foreshock("run", "--seed", "1", *SHORT, "--json").json["run"]
    (results / FILE).unlink()

    ran = foreshock("runs", "--reindex")

    assert (ran.code, ran.out) == (0, "index       1 runs added from their folders\n")
    assert [row["run"] for row in foreshock("runs", "--json").json["runs"]] == [run]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_of_a_command_shows_an_example(foreshock: Foreshock, name: str) -> None:
    ran = foreshock(name, "--help")

    assert ran.code == 0
    assert f"foreshock {name}" in ran.out.split("Options:")[0].split("\n", 1)[1]
