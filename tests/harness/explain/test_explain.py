"""An explanation: which faults are necessary, who did what, and from when on a failure was bound to happen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from checkers.trace import Row
from harness.explain.chances import chances, chart, conclusion
from harness.explain.deeds import deeds, sentences
from harness.explain.necessity import necessity, rows
from harness.faults.packets import Loss
from harness.plans.plan import Plan, Program
from harness.shrink.trial import Answer, Target
from tests.harness.hand_built import MS, SECOND, a_plan

TARGET = Target(signature="made/up", plan_class="tolerable")


class Oracle:
    """Answers by a rule instead of a run."""

    def __init__(self, rule: Callable[[Plan], bool]) -> None:
        self.rule = rule

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        for number, plan in reversed(list(enumerate(plans))):
            yield number, Answer(signature="made/up" if self.rule(plan) else None)


def losses(count: int) -> tuple[Loss, ...]:
    return tuple(
        Loss(id=f"f{n}", begin_ns=n * SECOND, end_ns=(n + 1) * SECOND, loss_ppm=1) for n in range(1, count + 1)
    )


def test_a_fault_is_necessary_helpful_or_not_needed() -> None:
    def rule(plan: Plan) -> bool:
        ids, (salt, *_) = {fault.id for fault in plan.faults}, [*(one.salt for one in plan.schedule.redraws or ()), -1]
        return "f1" in ids and ("f2" in ids or salt == 3)

    found = necessity(a_plan(faults=losses(3)), TARGET, Oracle(rule), redraws=10)

    assert rows(found) == [
        ("f1", "loss", "necessary", "10 of 10", "0 of 10"),
        ("f2", "loss", "helpful", "10 of 10", "1 of 10"),
        ("f3", "loss", "not needed", "10 of 10", "10 of 10"),
    ]


def test_with_and_without_a_fault_are_one_run_until_it_begins() -> None:
    asked: list[int] = []

    def rule(plan: Plan) -> bool:
        asked.extend(redraw.at_ns for redraw in plan.schedule.redraws or ())
        return True

    necessity(a_plan(faults=losses(2)), TARGET, Oracle(rule), redraws=3)

    assert sorted(asked) == [SECOND] * 6 + [2 * SECOND] * 6


def test_the_moment_from_which_a_failure_was_bound_to_happen_is_found() -> None:
    def rule(plan: Plan) -> bool:
        """One run in four fails when all is drawn anew before 1.7 s, each one after that."""
        (redraw,) = plan.schedule.redraws or ()
        return redraw.at_ns >= 1_700 * MS or redraw.salt % 4 == 0

    found = chances(a_plan(), TARGET, Oracle(rule), failed_ns=4 * SECOND, moments=5, redraws=20)

    assert [one.at_ns for one in found if one.at_ns % SECOND == 0] == [0, SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
    assert len(found) == 7
    assert {(one.at_ns >= 1_700 * MS, one.share) for one in found} == {(False, 0.25), (True, 1.0)}
    assert conclusion(found) == (
        "It was bound to happen from 2.000 s on, where 100 % fail; "
        "at 1.667 s it was open: 25 % of the runs that were drawn anew from 1.667 s on fail."
    )
    assert chart(found)[0] == "    0.000 s     5 of 20   11 to  47 %  ##########"


@pytest.mark.parametrize(
    ("rule", "said"), [(lambda plan: True, "from the beginning"), (lambda plan: False, "open until it showed")]
)
def test_failures_that_were_always_or_never_bound_to_happen(rule: Callable[[Plan], bool], said: str) -> None:
    found = chances(a_plan(), TARGET, Oracle(rule), failed_ns=SECOND, moments=3, redraws=4)

    assert said in conclusion(found)


ROWS: list[Row] = [
    (0, "start", "n2", 1, "default"),
    (100 * MS, "vote", "n2", "g0", 4, "n3"),
    (110 * MS, "log-append", "n2", "g0", 1, ((4, b"x"),)),
    (120 * MS, "log-append", "n2", "g0", 2, ((4, b"y"), (4, b"z"))),
    (130 * MS, "role", "n3", "g0", "leader", 4),
    (140 * MS, "send", "n3", 7, "c1", "reply", 30),
    (150 * MS, "drop", "c1", 7, "loss"),
    (160 * MS, "crash", "n2", 1, "power"),
    (160 * MS, "fsync", "n2", ("recovered",), (("g0", 1, 3, "", 3),)),
    (170 * MS, "start", "n2", 2, "default"),
    (180 * MS, "vote", "n2", "g0", 4, "n1"),
    (185 * MS, "op", "", (1, "invoke", "write", "x", 5, None)),
    (190 * MS, "op", "", (1, "info", "write", "x", 5, "timeout")),
    (200 * MS, "role", "n1", "g0", "leader", 4),
]


def test_each_actor_has_a_sentence_that_says_what_it_lost() -> None:
    programs = (Program(thread=0, client="c1", ops=()), Program(thread=1, client="c2", ops=()))

    told = sentences(deeds(ROWS, a_plan(nodes=3, clients=2, programs=programs), len(ROWS) - 2))

    assert told == {
        "n2": "voted for n3 in term 4 at 0.100 s, had entries up to 3 of term 4 at 0.120 s, lost power at 0.160 s, "
        "lost its vote for n3 in term 4 at 0.160 s, lost entries 2 to 3 at 0.160 s, started again at 0.170 s, "
        "voted for n1 in term 4, although it had voted for n3 at 0.180 s",
        "n3": "led in term 4 at 0.130 s, lost a message to c1 (reply, loss) at 0.150 s",
        "c2": "never learnt what became of write x 5 (timeout) (asked at 0.185 s) at 0.190 s",
    }
