"""A trial judges less than a run and comes to the same primary signature."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import RunOptions, run
from harness.shrink.trial import TRIAL
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

BUG = f"patch:{Path(__file__).resolve().parents[2] / 'mutants' / 'stale-append-truncates.patch'}"
SHORT = Drawing(workload="register", profile="crashes", rate=40.0, duration_ns=2_000_000_000)


def test_what_is_not_judged_does_not_change_the_primary_signature() -> None:
    found = set()
    with Checkouts() as checkouts:
        binding = bind(BUG, checkouts)
        abilities = abilities_of(load_systems(binding).values())
        for seed in range(1, 6):
            plan = SHORT.plan(seed, abilities)

            trial = run(plan, binding, TRIAL)
            whole = run(plan, binding, RunOptions(stop_at_first=True, gates=False))

            assert trial.primary == whole.primary
            assert trial.fingerprint == whole.fingerprint
            found.add(trial.primary)
        other = run(plan, binding, msgspec.structs.replace(TRIAL, primary_only=False))

    assert other.primary == trial.primary
    assert len(found) >= 2
