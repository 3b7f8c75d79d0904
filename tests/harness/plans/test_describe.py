"""Plans as lines: complete, readable, in the words of the plan."""

from __future__ import annotations

import msgspec
import pytest

from harness.plans.describe import lines, summary
from harness.plans.plan import Redraw, with_redraw
from harness.plans.profiles import PROFILES

from .plans import drawn


@pytest.mark.parametrize("profile", tuple(PROFILES))
def test_every_fault_option_and_setting_has_its_place(profile: str) -> None:
    for seed in range(10):
        plan = drawn(seed, profile)
        text = "\n".join(lines(plan))
        assert all(fault.id in text and fault.kind in text for fault in plan.faults)
        assert all(f"{name}=" in text for name in plan.options)
        assert all(name in text for name in (*plan.clocks.actors, *plan.disks.actors, *plan.phases.healed))
        assert plan.drawn.variant in text
        assert plan.schedule.policy in text
        assert text == "\n".join(line.rstrip() for line in text.splitlines())


def test_a_branch_says_from_when_on_it_is_one() -> None:
    branch = with_redraw(
        with_redraw(drawn(1), Redraw(at_ns=1_500_000_000, salt=3)), Redraw(at_ns=2_000_000_000, salt=4)
    )

    (line,) = [line for line in lines(branch) if line.startswith("branch")]

    assert line in summary(branch)
    assert line.split(maxsplit=1)[1] == "all is drawn anew from 1.500 s on with salt 3, from 2.000 s on with salt 4"
    assert not any(line.startswith("branch") for line in (*lines(drawn(1)), *summary(drawn(1))))


def test_what_is_explicit_is_marked() -> None:
    text = "\n".join(lines(drawn(1, explicit={"reads": "local"})))

    assert "reads=local (explicit)" in text
    assert "breaking; reads=local" in text


def test_a_plan_without_anything_can_be_described() -> None:
    plan = msgspec.structs.replace(drawn(1, "calm"), programs=(), faults=(), options={})

    assert any("no ops" in line for line in lines(plan))
    assert any("none drawn" in line for line in lines(plan))
