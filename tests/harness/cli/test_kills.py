"""A suite that is killed at random moments ends with the table of one that was left alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.harness import kills


@pytest.mark.slow
@pytest.mark.parametrize(("count", "seeds"), [(20, 300)])
def test_twenty_kills_change_nothing_in_the_table(tmp_path: Path, count: int, seeds: int) -> None:
    expected = kills.undisturbed(tmp_path / "undisturbed", seeds)

    found, deaths = kills.killed(tmp_path / "killed", seeds, count, random.Random(20))

    assert sum(expected["runs"].values()) == seeds
    assert expected["runs"]["invalid"] > 0
    assert len(deaths) == count
    assert {death.split()[0] for death in deaths} == {"coordinator", "worker"}
    assert found == expected
