"""The draw version: within one version a seed never means another plan."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import cycle

import pytest

from harness.plans.draw import draw
from harness.plans.plan import DRAW_VERSION, FORMAT, Plan
from harness.plans.profiles import PROFILES
from harness.systems.system import OptionSpec
from workloads.catalog import BUILT_IN

FIRST = ("register", "counter", "map", "set", "queue", "list", "list-append", "lock")
"""The workloads that there were when the draw version was raised last; the sample goes round them."""
ADDED = tuple(workload.name for workload in BUILT_IN if workload.name not in FIRST)
"""Workloads since then. Each has a sample of its own, since a new one changes no plan of the others."""

ADDED_PROFILES = ("damage", "transfers", "packets", "slow")
"""The profiles since then, each with a sample of its own for the same reason."""

DIGEST_OF = {(2, 5): "dd6092fee5da12ed852d62c71d17f299833c619525c4d8c707044d367beaf969"}
"""The digest of the first sample by (format, draw version)."""
DIGEST_OF_ADDED = {("orders", 2, 5): "d10ebf109dd3af2d35a6979ffa5c7b028802da68654befc6df0ea6a14ba07420"}
"""The digest of the sample of a workload that was added, by (workload, format, draw version)."""

DIGEST_OF_ADDED_PROFILE = {
    ("damage", 2, 5): "801acec32edafb9b3cec909ef250b1b62b9eacd96d04489021ab839f8e168779",
    ("transfers", 2, 5): "3f13e80981c1d537d64c727cdba35b3ada123565aa93841d7355597774f0e61c",
    ("packets", 2, 5): "6a47f354cb2d3672b4e91250c032807603fd3b02ad55295df4c1705227456f7b",
    ("slow", 2, 5): "a3b901bd855bf902072a21f2c368399b5bc227fcf485d44dc74342466eed7a8e",
}
"""The digest of the sample of a profile that was added, by (profile, format, draw version)."""

OPTIONS = tuple(
    OptionSpec(name=name, type="", default=None, neutral=None)
    for name in sorted({"heartbeat_ms", *(name for profile in PROFILES.values() for name in profile.options)})
)


FIRST_PROFILES = tuple(name for name in PROFILES if name not in ADDED_PROFILES)


def sample(workloads: Sequence[str] = FIRST, profiles: Sequence[str] = FIRST_PROFILES) -> list[Plan]:
    """The plans of seeds 1 to 50, over these profiles and workloads."""
    return [
        draw(seed=seed, profile=profile, workload=workload, options=OPTIONS)
        for seed, profile, workload in zip(range(1, 51), cycle(profiles), cycle(workloads), strict=False)
    ]


def digest_of(plans: Sequence[Plan]) -> str:
    return hashlib.sha256(b"".join(plan.to_json() for plan in plans)).hexdigest()


def test_the_sample_has_every_profile_and_every_workload() -> None:
    plans = sample()

    assert {plan.drawn.profile for plan in plans} == set(FIRST_PROFILES)
    assert set(PROFILES) == {*FIRST_PROFILES, *ADDED_PROFILES}
    assert {plan.drawn.workload for plan in plans} == set(FIRST)
    assert {workload.name for workload in BUILT_IN} == {*FIRST, *ADDED}


def test_seeds_mean_the_same_plans_as_long_as_the_draw_version_stays() -> None:
    digest = digest_of(sample())

    assert digest == DIGEST_OF.get((FORMAT, DRAW_VERSION)), (
        f"seeds mean other plans than those of draw version {DRAW_VERSION}. If that is not intended, undo the change. "
        "If it is, raise DRAW_VERSION in harness/plans/plan.py by one, write the pair (FORMAT, DRAW_VERSION) and the "
        f"digest that this test finds then into DIGEST_OF, and say so in a changelog fragment. Found now: {digest}"
    )


@pytest.mark.parametrize("workload", ADDED)
def test_seeds_of_an_added_workload_mean_the_same_plans_too(workload: str) -> None:
    digest = digest_of(sample((workload,)))

    assert digest == DIGEST_OF_ADDED.get((workload, FORMAT, DRAW_VERSION)), (
        f"seeds of {workload} mean other plans than those of draw version {DRAW_VERSION}. Of a new one, write "
        f"the digest into DIGEST_OF_ADDED; else do as the test above says. Found now: {digest}"
    )


@pytest.mark.parametrize("profile", ADDED_PROFILES)
def test_seeds_of_an_added_profile_mean_the_same_plans_too(profile: str) -> None:
    digest = digest_of(sample(profiles=(profile,)))

    assert digest == DIGEST_OF_ADDED_PROFILE.get((profile, FORMAT, DRAW_VERSION)), (
        f"seeds of {profile} mean other plans than those of draw version {DRAW_VERSION}. Of a new one, write "
        f"the digest into DIGEST_OF_ADDED_PROFILE; else do as the first test says. Found now: {digest}"
    )
