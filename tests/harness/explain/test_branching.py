"""Branches answer what worker processes answer that run each plan from its start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import pytest

from harness.explain.branching import Branching, without_last_redraw
from harness.plans.plan import Plan, Redraw, with_redraw
from harness.run import multiverse
from harness.shrink.trial import Answer, Trial, perform
from harness.systems.binding import Binding
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
from tests.harness.hand_built import SECOND
from tests.harness.plans.plans import drawn
from tests.pages import ROOT


class FromTheStart:
    """Runs each plan from its start, and keeps which."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.ran: list[Plan] = []

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        for number, plan in enumerate(plans):
            self.ran.append(plan)
            yield number, perform(Trial(number=number, plan=plan, binding=self.binding))


@pytest.fixture(name="binding", scope="module")
def _binding() -> Iterator[Binding]:
    with Checkouts() as checkouts:
        yield bind(f"patch:{ROOT / 'tests/mutants/read-waits-for-the-next-write.patch'}", checkouts)


def asked() -> list[Plan]:
    """Plans alone and in company, one of them twice; branches of a branch; and some that cannot run."""
    plan = drawn(8, profile="calm", concurrency=1, nodes=1, rate=10, duration_ns=SECOND)
    branch = with_redraw(plan, Redraw(at_ns=SECOND // 4, salt=0))
    unknown = msgspec.structs.replace(plan, options={**plan.options, "no_such_option": 1})
    moments = [(one, Redraw(at_ns=SECOND, salt=salt)) for one in (plan, branch, unknown) for salt in (0, 1)]
    branches = [with_redraw(one, redraw) for one, redraw in moments]
    return [plan, *branches, branches[0], with_redraw(branches[0], Redraw(at_ns=2 * SECOND, salt=0))]


def test_branches_answer_as_runs_from_the_start(binding: Binding) -> None:
    plans, others = asked(), FromTheStart(binding)

    found = dict(Branching(binding, others, jobs=2).answers(plans))

    assert found == dict(FromTheStart(binding).answers(plans))
    assert others.ran == [plans[0], plans[-1]]
    assert len({answer.signature for answer in found.values()} - {None}) == 1
    assert [number for number, answer in sorted(found.items()) if answer.error] == [5, 6]


def test_where_no_fork_is_all_is_left_to_others(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.explain.branching.why_not_fork", lambda: "no fork")
    plans, others = asked(), FromTheStart(binding)

    found = dict(Branching(binding, others).answers(plans))

    assert multiverse.why_not_fork() == ""
    assert others.ran == plans
    assert sorted(found) == list(range(len(plans)))


def test_a_plan_is_a_branch_of_the_one_without_its_last_redraw() -> None:
    plan = drawn(8)
    one, other = Redraw(at_ns=1, salt=7), Redraw(at_ns=2, salt=7)

    branch = with_redraw(with_redraw(plan, one), other)

    assert without_last_redraw(branch) == with_redraw(plan, one)
    assert without_last_redraw(with_redraw(plan, one)).to_json() == plan.to_json()
