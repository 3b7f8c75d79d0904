"""`foreshock compile`: what is there already, and what is made again."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.compiled.finder import SUFFIX, modules_in
from harness.search import compiling
from harness.search.compiling import Part, Trial
from harness.systems.catalog import bind
from harness.systems.checkouts import PACKAGE, Checkouts

from .conftest import Foreshock


@pytest.mark.parametrize(
    ("noted", "asked", "is_left"), [("3", "3", True), ("3", "0", True), ("0", "3", False), ("", "3", False)]
)
def test_a_build_that_was_optimised_less_is_made_again(
    foreshock: Foreshock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: str, asked: str, is_left: bool
) -> None:
    """Its folder is named by its sources alone, so all later campaigns would use it. An older version noted nothing."""
    with Checkouts() as checkouts:
        places = compiling.places(tmp_path, bind(PACKAGE, checkouts))
    for place in places:
        place.mkdir()
        (place / f"module{SUFFIX}").touch()
        (place / f"complete{SUFFIX}").write_text(noted)
    left: list[bool] = []

    def make(builds: Path, trials: Sequence[Trial], *, optimise: int) -> list[Part]:
        assert (builds, optimise) == (tmp_path, int(asked))
        left.extend(bool(modules_in(place)) for place in places)
        return []

    monkeypatch.setattr(compiling, "make", make)

    ran = foreshock("compile", "--into", tmp_path, "--optimise", asked)

    assert ran.code == 0
    assert left == [is_left, is_left]


@pytest.mark.parametrize(
    ("lacks", "found"),
    [
        (lambda patch: patch.setenv("CC", "no-such-compiler"), "no C compiler `no-such-compiler`; expected one on"),
        (lambda patch: patch.setattr(importlib.util, "find_spec", lambda name: None), "no mypyc; expected mypy and"),
    ],
)
def test_a_machine_that_cannot_compile_is_told_so_in_one_line(
    foreshock: Foreshock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    lacks: Callable[[pytest.MonkeyPatch], None],
    found: str,
) -> None:
    lacks(monkeypatch)

    ran = foreshock("compile", "--into", tmp_path)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (254, "", 1)
    assert ran.err.startswith(f"error: found {found}")
