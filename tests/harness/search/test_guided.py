"""Guided search: what is rare is kept and varied; plans are a function of the first seed and of what was hit."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import pytest

from harness.faults.fault import FOREVER
from harness.plans.classify import classify
from harness.plans.plan import Plan, decode
from harness.search.guided import DRAWN_FIRST, GENERATION, Guide, Recipe
from harness.search.variations import vary
from harness.search.versus import versus
from tests.harness.plans.plans import drawn

RARE = "log: rare"
Reach = Callable[[int, Plan], Iterable[str]]


def plan_of(seed: int) -> Plan:
    return drawn(seed % 5)


def campaign(reach: Reach, count: int, *, first: int = 1, shuffled: bool = False) -> tuple[Guide, dict[int, Recipe]]:
    """Run the seeds of a campaign, in which a run hits what `reach` says of its plan."""
    guide, recipes = Guide(first, plan_of), {}
    for generation in guide.generations(range(first, first + count)):
        reached = {}
        for seed in reversed(generation) if shuffled else generation:
            recipe = guide.recipe(seed)
            if recipe is not None:
                recipes[seed] = recipe
            reached[seed] = tuple(reach(seed, plan_of(seed) if recipe is None else recipe.plan()))
        guide.learn(reached)
    return guide, recipes


def hit_by_one_in_ten(seed: int, plan: Plan) -> Iterable[str]:
    yield "read: common"
    if plan.drawn.seed % 10 == 0:
        yield RARE


def test_the_first_seeds_are_drawn_and_most_of_the_later_ones_are_varied() -> None:
    _, recipes = campaign(hit_by_one_in_ten, DRAWN_FIRST + GENERATION)

    assert min(recipes) > DRAWN_FIRST
    assert GENERATION // 2 <= len(recipes) < GENERATION


def test_the_order_of_answers_changes_nothing() -> None:
    _, forwards = campaign(hit_by_one_in_ten, DRAWN_FIRST + 2 * GENERATION)
    _, backwards = campaign(hit_by_one_in_ten, DRAWN_FIRST + 2 * GENERATION, shuffled=True)

    assert forwards == backwards


def test_what_few_runs_reached_has_most_of_the_children() -> None:
    def once(seed: int, plan: Plan) -> Iterable[str]:
        yield "read: common"
        if seed == 7:
            yield RARE

    _, recipes = campaign(once, DRAWN_FIRST + GENERATION)

    parents = [recipe.root for recipe in recipes.values()]
    assert parents.count(7) > len(parents) // 2


def test_a_run_without_an_answer_is_no_obstacle() -> None:
    guide = Guide(1, plan_of)

    for generation in guide.generations(range(1, DRAWN_FIRST + GENERATION + 1)):
        guide.learn({seed: ["read: common"] for seed in generation if seed % 3})

    assert any(guide.recipe(seed) for seed in range(DRAWN_FIRST + 1, DRAWN_FIRST + GENERATION + 1))


@pytest.mark.parametrize("seed", range(12))
def test_a_variation_is_a_plan_like_any_other(seed: int) -> None:
    profiles = ("swarm", "disks", "membership", "clocks")
    parent = drawn(seed, profiles[seed % 4])
    donor = drawn(seed + 1, profiles[(seed + 1) % 4])

    plan = vary(parent, donor, 1000 + seed)

    assert plan == vary(parent, donor, 1000 + seed)
    assert decode(plan.to_json(), "test") == plan
    assert plan.drawn.varied == (seed, seed + 1)
    assert plan.drawn.seed == 1000 + seed
    assert classify(plan).plan_class == classify(parent).plan_class
    assert len({fault.id for fault in plan.faults}) == len(plan.faults)
    for fault in plan.faults:
        assert plan.phases.warmup_ns <= fault.begin_ns < fault.end_ns
        assert fault.end_ns <= plan.phases.heal_ns or fault.end_ns == FOREVER
        assert {name for name in fault.aimed_at if not name.startswith("@")} <= set(plan.actors)
        assert all(set(voters) <= set(plan.nodes) for voters in fault.configurations)


def test_children_of_one_plan_differ() -> None:
    parent, donor = drawn(3), drawn(4)

    children = {msgspec.structs.replace(vary(parent, donor, seed), drawn=parent.drawn).sha256 for seed in range(20)}

    assert len(children) == 20


def test_a_drawn_plan_says_nothing_of_parents() -> None:
    assert b"varied" not in drawn(1).to_json()


def test_a_comparison_counts_what_was_not_found_with_the_whole_budget() -> None:
    needed: dict[str, tuple[list[int | None], list[int | None]]] = {
        "easy": ([2, 4], [2, 4]),
        "hard": ([None, 80], [20, 40]),
    }

    compared = versus(needed, budget=100)

    easy, hard = compared.mutants
    assert (easy.random_seeds, easy.guided_seeds) == (3, 3)
    assert (hard.random_found, hard.random_seeds, hard.guided_found, hard.guided_seeds) == (1, 90, 2, 30)
    assert compared.ratio == pytest.approx(33 / 93)
    assert compared.ratio_low <= compared.ratio <= compared.ratio_high <= 1
