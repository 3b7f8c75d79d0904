"""Locks, semaphores, fencing tokens and queues: every way to a verdict says what every order says."""

from __future__ import annotations

import random

import pytest

from tests.checkers import exclusion


@pytest.mark.parametrize("name", exclusion.THINGS)
def test_every_way_to_a_verdict_says_what_every_order_says(name: str) -> None:
    """`python -m tests.checkers.agreement --path exclusion` does so at length."""
    told = set()
    for number in range(6 if name == "own-queue" else 25):
        verdict, wrong, history = exclusion.disagreement(random.Random(f"{name}/{number}"), name)
        assert wrong is None, (number, list(history))
        told.add(verdict)
    assert told >= {"valid", "invalid"}
