"""Plans and histories from Hypothesis: well-formed, honest about validity, and small when they fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from checkers import History, check
from checkers.models.model import ILLEGAL, Model
from harness.plans.plan import Plan, decode
from harness.run.execution import execute
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from harness.testing.strategies import ANSWERS, histories, plans

QUIET = settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("model", sorted(ANSWERS))
def test_a_history_that_is_drawn_as_valid_is_valid(model: str) -> None:
    @QUIET
    @given(histories(model, only_valid=True, count=5))
    def holds(history: History) -> None:
        assert check(history, model).validity != "invalid"  # unknown, where nothing was judged

    holds()


@pytest.mark.parametrize("model", ["counter", "queue", "cas-register"])
def test_histories_of_any_answers_are_of_both_kinds(model: str) -> None:
    for wanted in ("valid", "invalid"):
        assert find(histories(model), lambda history, wanted=wanted: check(history, model).validity == wanted)  # type: ignore[misc]


def test_a_history_that_breaks_a_model_shrinks_to_few_lines() -> None:
    smallest = find(histories("counter", count=6), lambda history: check(history, "counter").validity == "invalid")

    assert len(smallest) <= 3


def _step(state: Any, operation: Any) -> Any:
    if operation.f == "push":
        return (*state, operation.value)
    return state[:-1] if state and state[-1] == operation.result else ILLEGAL


def test_a_model_of_ones_own_brings_its_answers() -> None:
    stack = Model(name="stack", init=(), step=_step)
    push = st.tuples(st.just("push"), st.integers(0, 2), st.just("ok"), st.none(), st.none())
    pop = st.tuples(st.just("pop"), st.none(), st.just("ok"), st.integers(0, 2), st.none())

    @QUIET
    @given(histories(stack, answers=push | pop, only_valid=True))  # type: ignore[arg-type]
    def holds(history: History) -> None:
        assert check(history, stack).validity != "invalid"

    holds()
    with pytest.raises(ValueError, match="no answers of model 'stack'"):
        find(histories(stack), lambda _: True)


def test_a_drawn_plan_is_a_plan_and_one_that_is_cut_runs() -> None:
    with Checkouts() as checkouts:
        binding = catalog.bind("raft_impl", checkouts)

    @settings(QUIET, max_examples=5)
    @given(plans(workload="counter", nodes=3))
    def holds(plan: Plan) -> None:
        assert decode(plan.to_json(), "a test") == plan
        assert execute(plan, binding).verdict.validity == "valid"

    holds()


def test_a_plan_shrinks_to_the_fault_that_matters() -> None:
    smallest = find(
        plans(profile="crashes", concurrency=1, seeds=st.just(47)),
        lambda plan: any(fault.kind == "pause" for fault in plan.faults),
        settings=settings(database=None, phases=[Phase.generate, Phase.shrink]),
    )

    assert [fault.kind for fault in smallest.faults] == ["pause"]
    assert sum(len(program.ops) for program in smallest.programs) == 0
