"""Walk-throughs of our own Raft, performed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from harness.scenarios import library
from harness.scenarios.language import parse
from harness.scenarios.runner import Result, perform
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import System
from harness.walkthroughs.written import write_page


@pytest.fixture(scope="session")
def own_system() -> System:
    """The Raft of this checkout."""
    return load_systems(bind("raft_impl", Checkouts()))["default"]


@pytest.fixture(scope="session")
def filmed(own_system: System) -> Callable[[str], Result]:
    """A scenario by name, performed with a film."""

    @cache
    def film(name: str) -> Result:
        return perform(library.read(library.find(name)), own_system, is_filmed=True)

    return film


@pytest.fixture
def page_of(own_system: System, tmp_path: Path) -> Callable[[str], Path]:
    """The page of a scenario that is given by name or as a text."""

    def write(scenario: str) -> Path:
        script = parse(scenario, "hostile.txt") if "\n" in scenario else library.read(library.find(scenario))
        path = tmp_path / "page.html"
        write_page(perform(script, own_system, is_filmed=True), path)
        return path

    return write
