"""Scenarios on our own Raft."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.scenarios.language import parse
from harness.scenarios.stage import Result, perform
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
from harness.systems.system import System
from harness.systems.versions import systems

Play = Callable[[str], Result]


@pytest.fixture(scope="session")
def own_system() -> System:
    """The Raft of this checkout."""
    return systems(bind("raft_impl", Checkouts()))["default"]


@pytest.fixture
def play(own_system: System) -> Play:
    """Run the text of a scenario."""
    return lambda text: perform(parse(text, "test.txt"), own_system)
