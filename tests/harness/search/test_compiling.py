"""Compiled code in campaigns: only where it pays, only what leaves the same, and one line for everything else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.compiled.finder import SUFFIX, VARIABLE
from harness.run.drawing import Drawing
from harness.search import compiling
from harness.search.compiling import Left, Part
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

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


def test_a_source_without_a_build_is_said_to_have_run_differently_only_if_it_did(tmp_path: Path) -> None:
    source = compiling.Source(name="harness", builds=str(tmp_path))
    place = tmp_path / "harness-0"

    without = compiling._part(source, place, {}).why
    place.with_name("harness-0.refused").mkdir()
    refused = compiling._part(source, place, {}).why

    assert without == f"{place} is no finished build"
    assert refused == f"it ran differently before: {place}.refused"


@pytest.mark.parametrize(
    ("seeds", "budget_ns", "expected"),
    [
        (compiling.SEEDS_MIN - 1, None, False),
        (compiling.SEEDS_MIN, None, True),
        (compiling.SEEDS_MIN, compiling.BUDGET_MIN_NS - 1, False),
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


@pytest.mark.slow
def test_a_version_that_runs_differently_when_it_is_compiled_is_refused_and_goes_on_interpreted(tmp_path: Path) -> None:
    """Its leaders look at the name of their own file, as no honest code does, and wait a nanosecond more."""
    package = shutil.copytree(catalog.own_package(), tmp_path / "raft_impl")
    leader = package / "protocol" / "leader.py"
    before, after = (
        "now + self._config.heartbeat_ns",
        "now + self._config.heartbeat_ns + (not __file__.endswith('.py'))",
    )
    assert before in leader.read_text()
    leader.write_text(leader.read_text().replace(before, after))
    binding = catalog.bind(f"path:{tmp_path}", Checkouts())
    trials = compiling.short_runs(binding)[:2]
    alias = catalog.alias_of(binding.codes["default"].digest)
    source = compiling.Source(name="copy", builds=str(tmp_path / "builds"), package=str(package), alias=alias)

    compiling.build(source)
    (place,) = (path for path in (tmp_path / "builds").iterdir() if path.name != "sources")
    expected = compiling.leaves(trials, [])
    found = compiling.tried([Part(name="copy", build=place)], expected, lambda chosen: compiling.leaves(trials, chosen))

    assert len(expected) == 2
    assert found[0].build is None
    assert found[0].why.startswith("compiled it left ")
    assert compiling.refused(place).is_dir()


def test_nothing_is_compiled_that_could_not_be_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No seed ends with the sources, so there is nothing to compare a build with."""
    binding = catalog.bind("raft_impl", Checkouts())
    trials = compiling.first_seeds(binding, [Drawing(workload="register")], [1, 2])
    monkeypatch.setattr(compiling, "leaves", lambda *_: {})

    parts = compiling.make(tmp_path / "builds", trials)

    assert [(part.name, part.build) for part in parts] == [("harness", None), ("raft_impl", None)]
    assert {part.why for part in parts} == {"no seed was run to its end with the sources"}
    assert not (tmp_path / "builds").exists()
