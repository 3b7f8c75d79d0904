"""Whatever is taken out of a plan, what is left is a plan that can run: every name in it exists."""

from __future__ import annotations

import re

import pytest

from harness.faults.fault import FOREVER, ROLES
from harness.faults.membership import Membership
from harness.faults.packets import Loss
from harness.faults.partitions import Partition
from harness.plans.classify import classify
from harness.plans.plan import Plan, decode
from harness.shrink import edits
from harness.shrink.passes import PASSES, Pass, chunks
from harness.shrink.size import size_of
from tests.harness.plans.plans import SECOND, built, drawn

SEEDS = range(1, 5)
ACTOR = re.compile(r"[nc]\d")


def names_in(plan: Plan) -> set[str]:
    """Every name of an actor that stands in a plan outside the list of its actors."""
    text = plan.to_json().decode()
    return {word for word in re.findall(r'"([@\w]+)"', text) if ACTOR.fullmatch(word) or word in ROLES} - set(ROLES)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_that_goes_is_named_nowhere_and_the_plan_is_no_worse(seed: int) -> None:
    plan = drawn(seed)
    for node in plan.nodes[1:]:
        smaller = edits.without_node(plan, node)

        assert node not in names_in(smaller)
        assert decode(smaller.to_json(), "the plan") == smaller
        assert {actor.home for actor in smaller.actors.values()} <= {None, *smaller.nodes}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_client_that_goes_takes_its_programs_along_or_leaves_them_to_its_heir(seed: int) -> None:
    plan = drawn(seed, concurrency=3)

    alone, inherited = edits.without_client(plan, "c2"), edits.without_client(plan, "c2", heir="c1")

    assert "c2" not in names_in(alone) | names_in(inherited)
    assert [program.thread for program in alone.programs] == [0, 1]
    done = {op.id for program in plan.programs for op in program.ops}
    assert {op.id for program in inherited.programs for op in program.ops} == done
    (heir,) = [program for program in inherited.programs if program.client == "c1"]
    assert [op.due_ns for op in heir.ops] == sorted(op.due_ns for op in heir.ops)


def test_a_fault_of_nobody_goes_and_does_not_become_a_fault_of_all() -> None:
    lossy = Loss(id="f1", begin_ns=SECOND, end_ns=2 * SECOND, targets=("n5",), loss_ppm=1)
    members = Membership(id="f2", begin_ns=SECOND, end_ns=2 * SECOND, voters=("n5",))
    cut = Partition(id="f3", begin_ns=SECOND, end_ns=2 * SECOND, shape="one", order=("n5", "n1"))

    smaller = edits.without_node(built(lossy, members, cut), "n5")

    assert smaller.faults == (Partition(id="f3", begin_ns=SECOND, end_ns=2 * SECOND, shape="one", order=("n1",)),)


def test_time_that_is_taken_out_moves_what_was_later_and_nothing_before() -> None:
    plan = built(
        Loss(id="f1", begin_ns=2 * SECOND, end_ns=6 * SECOND, loss_ppm=1),
        Loss(id="f2", begin_ns=4 * SECOND, end_ns=FOREVER, loss_ppm=1),
    )

    shorter = edits.without_time(plan, 3 * SECOND, 5 * SECOND)

    assert [(fault.begin_ns, fault.end_ns) for fault in shorter.faults] == [
        (2 * SECOND, 4 * SECOND),
        (3 * SECOND, FOREVER),
    ]
    assert shorter.phases.warmup_ns == SECOND
    assert shorter.phases.heal_ns == plan.phases.heal_ns - 2 * SECOND
    assert shorter.phases.horizon_ns == plan.phases.horizon_ns - 2 * SECOND


@pytest.mark.parametrize("one", PASSES, ids=lambda one: one.name)
def test_what_a_pass_proposes_is_a_plan_and_never_of_a_worse_class(one: Pass) -> None:
    order = ("tolerable", "degrading", "breaking")
    tried = 0
    for seed in SEEDS:
        plan = drawn(seed, profile="beyond-clocks" if seed % 2 else "swarm")
        worst = order.index(classify(plan).plan_class)
        for edit in list(one.edits(plan))[:40]:
            smaller = edit(plan)
            tried += smaller != plan
            assert decode(smaller.to_json(), "the plan") == smaller
            if one.name != "options":  # a default may be an assumption that a drawn value was not
                assert order.index(classify(smaller).plan_class) <= worst

    assert tried > 0 or one.name in ("overrides", "codes"), "no plan was drawn with what these take out"


@pytest.mark.parametrize("seed", SEEDS)
def test_edits_of_a_pass_mean_something_on_what_earlier_ones_left(seed: int) -> None:
    plan = edits.asked_for(drawn(seed), "raft/x")
    for one in PASSES:
        for edit in list(one.edits(plan))[:30]:
            smaller = edit(plan)
            plan = smaller if size_of(smaller) < size_of(plan) else plan
        assert decode(plan.to_json(), "the plan") == plan

    assert size_of(plan)[:4] == (0, 0, 0, 1)


def test_chunks_are_everything_then_halves_down_to_single_parts_the_last_first() -> None:
    assert ["".join(chunk) for chunk in chunks("abcde")] == ["abcde", "de", "bc", "a", "e", "d", "c", "b", "a"]
    assert list(chunks("")) == []
