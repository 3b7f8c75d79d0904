"""The draw version: within one version a seed never means another plan."""

from __future__ import annotations

import hashlib
from itertools import cycle

from harness.plans.draw import draw
from harness.plans.plan import DRAW_VERSION, FORMAT, Plan
from harness.plans.profiles import PROFILES
from harness.systems.system import OptionSpec
from workloads.catalog import BUILT_IN

WORKLOADS = tuple(workload.name for workload in BUILT_IN)

DIGEST_OF = {(2, 2): "1a0d8f84c27cbc59c59d7a73a295a95cc42cd2f30962fce29a36c521bccd26e5"}
"""The digest of the sample by (format, draw version)."""

OPTIONS = tuple(
    OptionSpec(name=name, type="", default=None, neutral=None)
    for name in sorted({"heartbeat_ms", *(name for profile in PROFILES.values() for name in profile.options)})
)


def sample() -> list[Plan]:
    """The plans of seeds 1 to 50, over all profiles and workloads."""
    return [
        draw(seed=seed, profile=profile, workload=workload, options=OPTIONS)
        for seed, profile, workload in zip(range(1, 51), cycle(PROFILES), cycle(WORKLOADS), strict=False)
    ]


def test_the_sample_has_every_profile_and_every_workload() -> None:
    plans = sample()

    assert {plan.drawn.profile for plan in plans} == set(PROFILES)
    assert {plan.drawn.workload for plan in plans} == set(WORKLOADS)


def test_seeds_mean_the_same_plans_as_long_as_the_draw_version_stays() -> None:
    digest = hashlib.sha256(b"".join(plan.to_json() for plan in sample())).hexdigest()

    assert digest == DIGEST_OF.get((FORMAT, DRAW_VERSION)), (
        f"seeds mean other plans than those of draw version {DRAW_VERSION}. If that is not intended, undo the change. "
        "If it is, raise DRAW_VERSION in harness/plans/plan.py by one, write the pair (FORMAT, DRAW_VERSION) and the "
        f"digest that this test finds then into DIGEST_OF, and say so in a changelog fragment. Found now: {digest}"
    )
