"""Compiled code in campaigns: only where it pays, only what leaves the same, and one line for everything else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.compiled.finder import SUFFIX, VARIABLE
from harness.search import compiling
from harness.search.compiling import Left, Part

SAME: Left = {("code", 1): "f1 h1 valid", ("code", 2): "f2 h2 valid"}


def builds_in(folder: Path, *names: str) -> list[Part]:
    """Finished builds without modules."""
    for name in names:
        (folder / name).mkdir()
        (folder / name / f"complete{SUFFIX}").touch()
    return [Part(name=name, build=folder / name) for name in names]


def left_with(different: str) -> Callable[[Sequence[Path]], Left]:
    """What seeds leave where one build changes the second of them."""

    def left(chosen: Sequence[Path]) -> Left:
        return SAME | ({("code", 2): "f2 h2 invalid"} if different in {path.name for path in chosen} else {})

    return left


def test_builds_that_leave_the_same_are_all_used(tmp_path: Path) -> None:
    parts = builds_in(tmp_path, "harness", "raft_impl")

    assert compiling.tried(parts, SAME, left_with("none")) == parts


def test_only_the_build_that_changes_a_seed_is_refused_and_says_how(tmp_path: Path) -> None:
    parts = builds_in(tmp_path, "harness", "raft_impl", "raft_impl@old")

    found = compiling.tried(parts, SAME, left_with("raft_impl"))

    assert [part.name for part in found if part.build is None] == ["raft_impl"]
    assert found[1].why == "compiled it left f2 h2 invalid, and interpreted f2 h2 valid"
    assert not (tmp_path / "raft_impl").exists()
    assert (tmp_path / "raft_impl.refused").is_dir()


def test_a_build_under_which_a_seed_has_no_end_is_refused(tmp_path: Path) -> None:
    (part,) = compiling.tried(builds_in(tmp_path, "harness"), SAME, lambda _: {("code", 1): "f1 h1 valid"})

    assert part.build is None
    assert part.why == "compiled it left no end, and interpreted f2 h2 valid"


@pytest.mark.parametrize(
    ("seeds", "budget_ns", "expected"),
    [
        (compiling.SEEDS_MIN - 1, None, False),
        (compiling.SEEDS_MIN, None, True),
        (compiling.SEEDS_MIN, 1, True),
        (None, compiling.BUDGET_MIN_NS, True),
        (None, compiling.BUDGET_MIN_NS - 1, False),
    ],
)
def test_compiling_pays_for_long_campaigns_only(seeds: int | None, budget_ns: int | None, expected: bool) -> None:
    assert compiling.pays(seeds, budget_ns) is expected


def test_no_compile_runs_the_sources_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    with compiling.code([], lambda _: None, seeds=10**6, no_compile=True):
        inside = os.environ.get(VARIABLE)

    assert inside is None
    assert os.environ[VARIABLE] == str(tmp_path)


def test_a_short_campaign_is_run_as_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    with compiling.code([], lambda _: None, seeds=compiling.SEEDS_MIN - 1):
        assert os.environ[VARIABLE] == str(tmp_path)
