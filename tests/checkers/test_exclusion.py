"""Locks, semaphores, fencing tokens and queues: every way to a verdict says what every order says."""

from __future__ import annotations

import random

import pytest

from tests.checkers import exclusion


@pytest.mark.parametrize("name", exclusion.THINGS)
def test_every_way_to_a_verdict_says_what_every_order_says(name: str) -> None:
    """`python -m tests.checkers.agreement --path exclusion` does so at length."""
    told = set()
    # All orders of the first history of an own queue take twenty seconds; those of the others are fewer.
    for number in range(1, 13) if name == "own-queue" else range(25):
        verdict, wrong, history = exclusion.disagreement(random.Random(f"{name}/{number}"), name)
        assert wrong is None, (number, list(history))
        told.add(verdict)
    assert told >= {"valid", "invalid"}
