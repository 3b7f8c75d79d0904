"""Scenarios on our own Raft."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.scenarios.language import parse
from harness.scenarios.runner import Result, perform
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import System

Play = Callable[[str], Result]


@pytest.fixture(scope="session")
def own_system() -> System:
    """The Raft of this checkout."""
    return load_systems(bind("raft_impl", Checkouts()))["default"]


@pytest.fixture
def play(own_system: System) -> Play:
    """Run the text of a scenario."""
    return lambda text: perform(parse(text, "test.txt"), own_system)
