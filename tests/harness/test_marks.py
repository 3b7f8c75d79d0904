"""Marks: what a system says could be noted is what its servers note."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkers.op import Op
from harness.faults.catalog import kinds_for
from harness.plans.draw import draw
from harness.run.marks import ACROSS_HEAL, ALL_WAIT, REFUSED, SILENCE, UNANSWERED, marks_of
from harness.run.marks import MARKS as CLIENT_MARKS
from harness.run.runner import run
from harness.search.marks import families, page
from harness.sim.world import MARKS
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_mark_of_a_run_is_one_that_was_declared(seed: int) -> None:
    binding = bind("raft_impl", Checkouts())
    system = load_systems(binding)["default"]
    plan = draw(
        seed=seed,
        profile="swarm",
        workload="register",
        options=system.options,
        fault_kinds=kinds_for(system.capabilities),
    )

    hit = run(plan, binding).marks

    assert hit
    assert set(hit) <= {*system.marks, *MARKS, *CLIENT_MARKS}


def test_marks_have_names_of_their_own() -> None:
    (system,) = load_systems(bind("raft_impl", Checkouts())).values()

    assert len({*system.marks, *MARKS, *CLIENT_MARKS}) == len(system.marks) + len(MARKS) + len(CLIENT_MARKS)


def test_every_family_that_the_page_lists_has_marks_and_all_are_listed() -> None:
    """When this fails: python -m harness.search.marks > docs/marks.md"""
    (system,) = load_systems(bind("raft_impl", Checkouts())).values()
    found = families((*system.marks, *MARKS, *CLIENT_MARKS))

    assert {"election", "log", "snapshot", "membership", "read", "storage", "session", "client"} <= set(found)
    assert sum(map(len, found.values())) >= 60
    assert page() == (Path(__file__).parents[2] / "docs" / "marks.md").read_text(encoding="utf-8")


def test_a_mark_of_another_system_needs_no_family() -> None:
    assert families(["read: late", "odd", "read: never"]) == {"read": ["late", "never"], "other": ["odd"]}


def test_what_clients_saw_becomes_marks() -> None:
    """Two threads: both wait at once, one is refused, one is never answered, one across the heal and after silence."""
    second = 1_000_000_000
    rows = [
        (1, 0, "invoke"), (1, 1, "invoke"), (2, 0, "fail"), (2, 1, "ok"),
        (3, 0, "invoke"), (4, 0, "info"), (6, 1, "invoke"), (9, 1, "ok"),
    ]  # fmt: skip
    history = [
        Op(index=index, time=time * second, process=process, type=type, f="read", key="x", value=None)  # type: ignore[arg-type]
        for index, (time, process, type) in enumerate(rows)
    ]

    found = marks_of(history, threads=2, warmup_ns=second, heal_ns=8 * second)

    assert found == {ALL_WAIT: 1, REFUSED: 1, UNANSWERED: 1, ACROSS_HEAL: 1, SILENCE: 1}
