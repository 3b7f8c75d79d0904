"""A run that says nothing on a machine that was too busy says so."""

from __future__ import annotations

import time

import trio

from checkers.verdict import Verdict
from harness.live.lateness import Lateness

VACUOUS = Verdict(validity="unknown", checker="gates", reason="vacuous: 0 ok ops")


def late(ms: int) -> Lateness:
    lateness = Lateness()
    lateness.ms_max = ms
    return lateness


def test_an_unknown_run_of_a_harness_that_waited_longer_than_an_election_names_the_machine() -> None:
    explained = late(501).explained(VACUOUS, 500)

    assert (explained.validity, explained.checker) == ("unknown", "gates")
    assert explained.reason.startswith("vacuous: 0 ok ops; the harness itself waited for a processor")


def test_nothing_is_excused_otherwise() -> None:
    valid = Verdict(validity="valid", checker="gates")

    assert late(500).explained(VACUOUS, 500) == VACUOUS
    assert late(9000).explained(valid, 500) == valid


def test_a_task_that_sleeps_notices_that_it_wakes_too_late() -> None:
    async def run() -> int:
        lateness = Lateness()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lateness.watch)
            await trio.sleep(0.01)
            time.sleep(0.2)  # noqa: ASYNC251  # in which nothing of this process goes on
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
        return lateness.ms_max

    assert trio.run(run) >= 100
