"""Each fast exact path says what brute force says, and finds the same shortest failing prefix.

`campaign.py` runs the same comparison at length.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.checkers import brute
from tests.checkers.campaign import PATHS, Path, campaign, disagreement, history, run_object

EXAMPLES = 1_500
"""About half a second for each path."""

paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


@paths
def test_agrees_with_brute_force_on_spoiled_runs(path: Path) -> None:
    """The examples are neither all valid nor all invalid, and few are left undecided."""
    tally = campaign(path, range(EXAMPLES))

    assert tally["valid"] > EXAMPLES / 20
    assert tally["invalid"] > EXAMPLES / 20
    assert tally["unknown"] < EXAMPLES / 4


@paths
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_agrees_with_brute_force_on_what_hypothesis_draws(path: Path, rng: random.Random) -> None:
    """The same histories with every choice made by Hypothesis, so that a disagreement shrinks."""
    operations = history(rng, path)

    _, wrong = disagreement(path, operations)

    assert wrong is None


@paths
def test_a_run_of_the_real_object_is_linearizable(path: Path) -> None:
    """The generator itself is sound: brute force finds an order of what is not spoiled."""
    for seed in range(100):
        operations = run_object(random.Random(seed), path)

        assert brute.is_linearizable(operations, path.model)
