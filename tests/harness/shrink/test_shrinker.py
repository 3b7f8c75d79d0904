"""Shrinking ends at a plan from which nothing can be taken, whoever runs the trials and however often it is stopped."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from harness.plans.plan import Plan
from harness.shrink.edits import all_ops
from harness.shrink.memory import Memory
from harness.shrink.shrinker import Shrinker, Shrunk
from harness.shrink.trial import Answer, Target
from tests.harness.plans.plans import drawn

TARGET = Target(signature="made/up", plan_class="tolerable")
FAILS = Answer(signature="made/up")
PASSES_ = Answer(signature=None)
SEED = 4

Rule = Callable[[Plan], bool]


class Oracle:
    """Answers by a rule instead of a run. With `chance`, several plans are asked at once and answered in any order."""

    def __init__(self, rule: Rule, chance: random.Random | None = None) -> None:
        self.rule = rule
        self.chance = chance
        self.asked: list[Plan] = []

    def answers(self, plans: Iterable[Plan]) -> Iterator[tuple[int, Answer]]:
        source, waiting = enumerate(plans), list[tuple[int, Plan]]()
        while True:
            waiting += islice(source, 1 if self.chance is None else max(1, self.chance.randint(1, 9) - len(waiting)))
            if not waiting:
                return
            number, plan = waiting.pop(0 if self.chance is None else self.chance.randrange(len(waiting)))
            self.asked.append(plan)
            yield number, FAILS if self.rule(plan) else PASSES_


FAILING = drawn(SEED, concurrency=3, nodes=5, rate=20, duration_ns=1_500_000_000)
NEEDED_FAULTS = {FAILING.faults[2].id, FAILING.faults[6].id}


def needs_two_faults_an_op_and_a_node(plan: Plan) -> bool:
    """Fails while the third and the seventh fault, the tenth operation and n2 are there."""
    return (
        {fault.id for fault in plan.faults} >= NEEDED_FAULTS
        and 10 in {op.id for op in all_ops(plan)}
        and "n2" in plan.nodes
        and plan.phases.horizon_ns > 1_000_000_000
    )


def shrunk_by(oracle: Oracle, plan: Plan | None = None, **more: object) -> Shrunk:
    return Shrinker(plan or FAILING, TARGET, oracle, redraws=2, **more).shrink()  # type: ignore[arg-type]


def test_what_is_necessary_stays_and_everything_else_goes() -> None:
    shrunk = shrunk_by(Oracle(needs_two_faults_an_op_and_a_node))

    after = shrunk.after
    assert shrunk.finished
    assert (after.faults, after.ops, after.clients) == (2, 1, 1)
    assert after.settings <= 4  # fields of the two faults that are needed whatever they hold, such as targets
    assert 1_000_000_000 < after.length_ns < 1_300_000_000
    assert needs_two_faults_an_op_and_a_node(shrunk.plan)


def test_shrinking_the_result_again_changes_nothing() -> None:
    once = shrunk_by(Oracle(needs_two_faults_an_op_and_a_node))

    twice = shrunk_by(Oracle(needs_two_faults_an_op_and_a_node), once.plan)

    assert twice.plan == once.plan
    assert twice.steps == ()


@pytest.mark.parametrize("seed", range(2))
def test_the_result_does_not_depend_on_how_many_trials_run_at_once(seed: int) -> None:
    alone = shrunk_by(Oracle(needs_two_faults_an_op_and_a_node))

    together = shrunk_by(Oracle(needs_two_faults_an_op_and_a_node, random.Random(seed)))

    assert together == alone


def test_plans_of_another_class_are_never_run() -> None:
    oracle = Oracle(lambda plan: True)
    breaking = drawn(SEED, profile="beyond-clocks", explicit={"reads": "local"}, rate=20, duration_ns=3_000_000_000)

    shrunk = Shrinker(breaking, Target(signature="made/up", plan_class="breaking"), oracle).shrink()

    assert oracle.asked
    assert all(plan.options.get("reads") == "local" for plan in oracle.asked)
    assert shrunk.after[:5] == (0, 0, 0, 1, 1)


def test_an_edit_that_only_another_seed_of_the_schedule_allows_is_found_at_the_end() -> None:
    def needs_luck(plan: Plan) -> bool:
        """Fails with two operations under any draws, with one under those of one other seed."""
        count = len(all_ops(plan))
        return count >= 2 or (count == 1 and plan.schedule.seed == 1)

    shrunk = shrunk_by(Oracle(needs_luck))

    assert shrunk.after.ops == 1
    assert shrunk.plan.schedule.seed == 1


def test_what_was_stopped_goes_on_where_it_was_and_ends_alike(tmp_path: Path) -> None:
    whole, parts = Oracle(needs_two_faults_an_op_and_a_node), Oracle(needs_two_faults_an_op_and_a_node)
    expected = shrunk_by(whole)
    path = tmp_path / "shrink" / "answers.jsonl"

    for _ in range(100):
        with Memory(path) as memory:
            begun = len(parts.asked)
            shrunk = shrunk_by(parts, memory=memory, out_of_time=lambda begun=begun: len(parts.asked) >= begun + 60)
        if shrunk.finished:
            break

    assert len(parts.asked) > 60  # so that it was stopped at least once
    assert shrunk == expected
    assert len(parts.asked) == len({plan.sha256 for plan in parts.asked})
    assert len(parts.asked) <= len(whole.asked)


def test_a_line_of_the_memory_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Memory(path) as memory:
        memory["a"], memory["b"] = FAILS, PASSES_
    path.write_bytes(path.read_bytes()[:-9])

    with Memory(path) as memory:
        memory["c"] = FAILS

    with Memory(path) as memory:
        assert dict(memory) == {"a": FAILS, "c": FAILS}
