"""Administrators of a live cluster as faults: members that come and go, transfers of leadership, snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio

from harness.faults.leadership import Transfer
from harness.faults.membership import Membership
from harness.faults.snapshots import Compact
from harness.live.asking import Asking
from harness.live.live_run import run
from harness.live.systems.catalog import live_system
from harness.live.timetable import Timetable
from harness.systems.checkouts import Checkouts
from tests.live.live_plans import SECOND_NS, at, small_plan


@pytest.mark.slow
def test_our_nodes_take_what_an_administrator_asks_for_and_the_history_is_valid() -> None:
    faults = (
        Transfer(id="transfer", target="n2", **at(0, 500)),
        Compact(id="compact", targets=("n1",), **at(300, 500)),
        Membership(id="fewer", voters=("n1", "n2"), **at(1000, 3000)),
        Membership(id="learner", voters=("n2", "n3"), learners=("n1",), **at(5500, 3000)),
    )
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        options = {"election_timeout_ms": "1500", "client_timeout_ms": "3000"}
        outcome = run(small_plan(system, "register", faults, faults_ns=10 * SECOND_NS, **options), system).outcome

    assert outcome.fault_outcomes == dict.fromkeys(("transfer", "compact", "fewer", "learner"), "effective")
    assert outcome.verdict.validity == "valid", outcome.verdict
    told = [[set(part) for part in row[5:]] for row in outcome.rows or () if row[1] == "config"]
    everybody, nobody = {"n1", "n2", "n3"}, set[str]()
    assert [{"n1", "n2"}, nobody, nobody] in told
    assert [{"n2", "n3"}, nobody, {"n1"}] in told
    assert told[-1] == [everybody, nobody, nobody], "and the first members are back"


def test_who_asks_again_is_told_that_the_node_took_it_and_later_ones_ask_anew() -> None:
    asked: list[str] = []
    answers = iter([True, False])

    async def administer(node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        asked.append(f"{node} {command}")
        await trio.sleep(0.02)
        return next(answers)

    async def ask() -> list[bool]:
        async with trio.open_nursery() as nursery:
            asking, answered = Asking(administer, Timetable(), nursery), trio.Event()
            found = [asking.ask("n1", "compact", {}), asking.ask("n1", "compact", {})]
            asking.when_answered("n1", answered.set)
            await answered.wait()
            found += [asking.ask("n1", "compact", {}), asking.ask("n1", "compact", {})]
            await trio.sleep(0.05)
            found.append(asking.ask("n1", "transfer", {"target": "n2"}))
            nursery.cancel_scope.cancel()
        return found

    assert trio.run(ask) == [False, False, True, False, False]
    assert asked == ["n1 compact", "n1 compact", "n1 transfer"]
