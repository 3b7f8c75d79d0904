"""`foreshock bisect` and `compare` over a repository whose past is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.search import bisect
from harness.search.bisect import Answer, Memory
from harness.systems.commits import line
from tests.harness import past
from tests.harness.cli.conftest import SHORT, Foreshock
from tests.harness.outcomes import make_plan

CUT = ("--profile", "partitions", "--duration", "3s")
"""Some partitions, in some tenths of a second."""


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven commits, of which one is slow, one broken, one stuck and one wrong."""
    return past.make(tmp_path_factory.mktemp("past") / "repository")


@pytest.fixture
def inside(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository, as the current folder."""
    monkeypatch.chdir(repository)
    return repository


def test_a_safety_regression_is_found_with_its_subject_and_a_run_that_shows_it(
    foreshock: Foreshock, inside: Path
) -> None:
    """The run of the first bad commit is stored under its full id, so that it can be replayed."""
    foreshock("run", "--seed", "5", *CUT, "--system", "raft_impl@main")

    found = foreshock("bisect", "c0", "main", "--run", "latest", "--json").json
    again = foreshock("replay", found["run"], "--json")

    assert found["wanted"].startswith("linearizability/")
    assert (found["exit"], found["first_bad"]["subject"]) == (0, past.WRONG)
    assert found["first_bad"]["id"] == past.commit(inside, past.WRONG)
    assert (found["commits"], found["changes"], found["confidence"]) == (10, 9, None)
    assert (again.code, again.json["identical"]) == (1, True)
    assert again.json["binding"]["codes"]["default"]["commit"] == found["first_bad"]["id"]


def test_a_liveness_regression_is_found_over_a_commit_that_cannot_be_loaded(foreshock: Foreshock, inside: Path) -> None:
    foreshock("run", "--seed", "4", *CUT, "--system", "raft_impl@c8")

    ran = foreshock("bisect", "c0", "main", "--run", "latest")

    assert ran.code == 0
    assert "wanted      liveness/no-progress" in ran.out
    assert f"first bad   {past.commit(inside, past.STUCK)[:10]} {past.STUCK}" in ran.out
    assert f"{past.BROKEN}      skipped: ImportError: cannot import name 'nowhere'" in ran.out
    assert "(raft_impl/__init__.py)" in ran.out, "no folder of this machine"
    assert "reproduce   foreshock replay 2" in ran.out


def test_a_latency_regression_is_found_by_its_metric(foreshock: Foreshock, inside: Path) -> None:
    foreshock("run", "--seed", "2", *SHORT, "--system", "raft_impl@c0")

    ran = foreshock("bisect", "c0", "c6", "--run", "latest", "--metric", "latency_p50")

    assert ran.code == 0
    assert "wanted      latency_p50_ms beyond " in ran.out
    assert f"first bad   {past.commit(inside, past.SLOW)[:10]} {past.SLOW}" in ran.out


def test_a_rate_of_failure_is_bisected_with_a_confidence_and_goes_on_where_it_was_stopped(
    foreshock: Foreshock, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every schedule of each commit is run once, however often the command is typed."""
    words = ("bisect", "c0", "c6", "--run", "latest", "--metric", "latency_p50=20%", "--runs", "8", "--json")
    foreshock("run", "--seed", "2", *SHORT, "--system", "raft_impl@c0")
    asked: list[tuple[str, int]] = []
    add = Memory.add

    def counted(memory: Memory, tree: str, schedule: int, answer: Answer) -> None:
        if len(asked) == 18:
            raise KeyboardInterrupt
        add(memory, tree, schedule, answer)
        asked.append((tree, schedule))

    monkeypatch.setattr(Memory, "add", counted)
    stopped = foreshock(*words)
    asked.append(("stopped", 0))
    found = foreshock(*words).json

    assert (stopped.code, stopped.err.splitlines()[-1]) == (130, "interrupted; the same command goes on")
    assert len(set(asked)) == len(asked) == found["runs"] + 1
    assert found["first_bad"]["subject"] == past.SLOW
    assert found["confidence"] >= 0.95
    assert max(judged["runs"] for judged in found["judged"]) <= 8


def test_ends_that_do_not_differ_are_refused_with_what_they_showed(foreshock: Foreshock, inside: Path) -> None:
    foreshock("run", "--seed", "5", *CUT, "--system", "raft_impl@main")

    fails_too = foreshock("bisect", "c9", "c10", "--run", "latest")
    does_not_fail = foreshock("bisect", "c0", "c2", "--run", "latest")
    backwards = foreshock("bisect", "c2", "c0", "--run", "latest")

    assert (fails_too.code, does_not_fail.code, backwards.code) == (254, 254, 254)
    assert "in 1 of 1 runs; expected fewer of GOOD than of BAD" in fails_too.err
    assert "expected a failure of BAD; --runs 20 tries other schedules too" in does_not_fail.err
    assert "found no commit from c2 to c0; expected GOOD before BAD" in backwards.err


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        ({"A": "raft_impl", "B": "raft_impl@v1"}, "the code labels A, B"),
        ({"default": "live:node"}, "a run of live:node"),
        ({"default": "store.py:Store"}, "a run of store.py:Store"),
    ],
)
def test_what_is_no_version_of_the_code_is_refused(specs: dict[str, str], found: str) -> None:
    with pytest.raises(BadInput) as caught:
        bisect.require_one_version(specs)

    assert caught.value.found == found
    bisect.require_one_version({"default": "raft_impl@main"})


def test_the_line_leaves_out_commits_that_do_not_change_the_code(repository: Path) -> None:
    whole = line(repository, "c0", "main")

    assert [commit.subject for commit in whole.changes] == [*past.COMMITS[2:]]
    assert whole.total == 10
    with pytest.raises(BadInput, match="changes raft_impl"):
        line(repository, "c0", "c1")


def test_answers_that_were_torn_by_a_kill_are_asked_again(tmp_path: Path) -> None:
    with Memory(tmp_path, make_plan()) as memory:
        memory.add("tree", 0, Answer(verdict="valid"))
    whole = memory.path.read_bytes()
    memory.path.write_bytes(whole + whole[:-9])

    with Memory(tmp_path, make_plan()) as again:
        again.add("tree", 1, Answer(verdict="invalid"))

    with Memory(tmp_path, make_plan()) as last:
        assert last.get("tree", 0) == Answer(verdict="valid")
        assert last.get("tree", 1) == Answer(verdict="invalid")
        assert last.get("tree", 2) is None


@pytest.mark.slow
def test_compare_names_each_regression_of_the_history(foreshock: Foreshock, inside: Path, tmp_path: Path) -> None:
    """Against the first commit: the slow one by its latency, the stuck one and the wrong one by their signatures."""
    page = tmp_path / "summary.md"
    calm = ("--seeds", "1..14", *SHORT, "--workload", "register")
    cut = ("--seeds", "1..8", "--workload", "register", "--profile", "partitions", "--duration", "2s")

    latency = foreshock("compare", "c0", "c2", "c4", *calm, "--markdown", page, "--json")
    signatures = foreshock("compare", "c0", "c8", "c9", *cut, "--json")

    harmless, slow = latency.json["comparisons"]
    assert (latency.code, latency.json["exit"]) == (1, 1)
    assert (harmless["exit"], harmless["identical"], harmless["regressed"]) == (0, 14, [])
    assert (slow["exit"], slow["new_signatures"]) == (1, [])
    assert "latency_p50_ms" in slow["regressed"]
    stuck, wrong = ([new["signature"] for new in one["new_signatures"]] for one in signatures.json["comparisons"])
    assert "liveness/no-progress" in stuck
    assert any(signature.startswith("linearizability/") for signature in wrong)
    text = page.read_text()
    assert "| `raft_impl@c2` | **nothing speaks against it** | 14 | 14 | 0 | 0 |" in text
    assert "| **latency_p50_ms** | " in text


def test_the_page_for_a_pull_request_has_the_line_that_reproduces_a_new_signature(
    foreshock: Foreshock, inside: Path, tmp_path: Path
) -> None:
    page = tmp_path / "summary.md"

    ran = foreshock("compare", "c6", "c7", "--seeds", "4..5", "--workload", "register", *CUT, "--markdown", page)

    assert ran.code == 1
    assert "New: `liveness/no-progress`\n\n```sh\nforeshock run --seed 4 " in page.read_text()
