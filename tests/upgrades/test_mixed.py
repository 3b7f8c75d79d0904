"""Clusters of two versions: rolling upgrades and roll-backs under the other faults, and planted bugs of upgrades.

`older.patch` is a release that knows feature level 1 only; nodes begin with it and are upgraded to the checkout's code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.errors import BadInput
from harness.faults.upgrades import RollBack, Upgrade
from harness.options import OptionSpec, for_each
from harness.outcome import Outcome
from harness.plans.labels import DEFAULT_LABEL, OLDER_LABEL
from harness.plans.plan import Plan, decode
from harness.plans.upgrades import with_upgrades
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.shrink.passes import PASSES
from harness.shrink.size import size_of
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OLDER = f"patch:{HERE / 'older.patch'}"
RAISED = "membership: feature level raised"
SECONDS = 4
"""Of faults, where a short run is enough."""


@pytest.fixture(scope="module")
def checkouts() -> Iterator[Checkouts]:
    with Checkouts() as made:
        yield made


def binding_of(checkouts: Checkouts, *, newer: str = "raft_impl", older: str = OLDER) -> catalog.Binding:
    return catalog.bind(catalog.specs_of(newer, older), checkouts)


def plan_of(
    seed: int, binding: catalog.Binding, *, workload: str = "register", upgrades: bool = True, is_short: bool = True
) -> Plan:
    duration_ns = SECONDS * 10**9 if is_short else None
    drawing = Drawing(workload=workload, duration_ns=duration_ns, upgrade_from=OLDER if upgrades else None)
    return drawing.plan(seed, abilities_of(catalog.load_systems(binding).values()))


def run(seed: int, binding: catalog.Binding, *, workload: str = "register") -> Outcome:
    return execute(plan_of(seed, binding, workload=workload), binding)


# The plan.


def test_an_upgrade_is_the_plan_of_the_seed_with_one_difference(checkouts: Checkouts) -> None:
    binding = binding_of(checkouts)
    plan, without = plan_of(3, binding), plan_of(3, binding, upgrades=False)

    others = tuple(fault for fault in plan.faults if not isinstance(fault, Upgrade | RollBack))
    plain = msgspec.structs.replace(
        plan,
        drawn=without.drawn,
        faults=others,
        options=without.options,
        actors={name: msgspec.structs.replace(actor, code="default") for name, actor in plan.actors.items()},
    )
    assert plain == without
    assert plan.options == {**without.options, "feature_level": 2}


def test_every_member_begins_with_the_older_code_and_is_upgraded_once(checkouts: Checkouts) -> None:
    binding = binding_of(checkouts)
    plans = [plan_of(seed, binding) for seed in range(1, 40)]

    for plan in plans:
        members = {name for group in plan.groups.values() for name in (*group.voters, *group.learners)}
        older = {name for name in plan.nodes if plan.actors[name].code == OLDER_LABEL}
        upgraded = [name for fault in plan.faults if isinstance(fault, Upgrade) for name in fault.targets]
        assert older == members
        assert len(upgraded) == len(set(upgraded))
        assert members - set(upgraded) in ({*()}, *({name} for name in members))
        assert all(fault.end_ns <= plan.phases.heal_ns for fault in plan.faults if isinstance(fault, Upgrade))
    assert {len([f for f in plan.faults if isinstance(f, RollBack)]) for plan in plans} == {0, 1, 2}
    assert {actor.code for plan in plans for actor in plan.actors.values() if actor.kind == "client"} == {
        DEFAULT_LABEL,
        OLDER_LABEL,
    }


def test_a_plan_survives_its_file(checkouts: Checkouts) -> None:
    plan = plan_of(3, binding_of(checkouts))

    assert decode(plan.to_json(), "here") == plan


def test_a_plan_that_upgrades_needs_both_versions(checkouts: Checkouts) -> None:
    plan = plan_of(3, binding_of(checkouts))

    with pytest.raises(BadInput, match="--upgrade-from REF, the version that they begin with"):
        execute(plan, catalog.bind("raft_impl", checkouts))


def test_versions_that_cannot_speak_are_refused_in_one_line(checkouts: Checkouts, tmp_path: Path) -> None:
    patch = tmp_path / "wire.patch"
    patch.write_text(
        "--- a/raft_impl/protocol/state.py\n+++ b/raft_impl/protocol/state.py\n@@ -27,3 +27,3 @@\n \n"
        "-FORMAT_VERSION: Final = 1\n+FORMAT_VERSION: Final = 2\n"
        ' """Version of what is written to disk and sent to peers; the first byte of every frame and of every log file.'
        '"""\n'
    )
    binding = binding_of(checkouts, newer=f"patch:{patch}")

    with pytest.raises(BadInput) as caught:
        execute(plan_of(3, binding), binding)

    assert str(caught.value).startswith("found versions of the wire and the log that differ (2 in patch:")
    assert "\n" not in str(caught.value)


def test_a_version_is_given_what_it_takes_and_is_asked_about_what_none_takes() -> None:
    level = OptionSpec(name="level", type="int", default=1, neutral=1, minimum=1, maximum=2)
    narrow = msgspec.structs.replace(level, maximum=1)
    reads = OptionSpec(name="reads", type="word", default="quorum", neutral="quorum", words=("quorum",))
    values = {"level": 2, "reads": "quorum", "wrong": 1}

    given = for_each({"default": (level, reads), "old": (narrow,)}, values)
    alone = for_each({"default": (level, reads)}, values)

    assert given == {"default": values, "old": {"wrong": 1}}
    assert alone["default"] is values


def test_an_option_that_the_older_version_does_not_take_is_refused_where_it_was_typed(checkouts: Checkouts) -> None:
    abilities = abilities_of(catalog.load_systems(binding_of(checkouts)).values())
    own = abilities.options
    lacking = tuple(option for option in own if option.name != "sessions")
    typed = Drawing(explicit={"sessions": "off"}).plan(1, abilities)
    drawn = msgspec.structs.replace(typed, drawn=msgspec.structs.replace(typed.drawn, explicit={}))

    with pytest.raises(BadInput, match="sessions=off, which one of the two versions does not take"):
        with_upgrades(typed, (own, lacking))
    assert "sessions" not in with_upgrades(drawn, (own, lacking)).options


# Runs.


@pytest.mark.parametrize("workload", ["counter", "map"])
def test_a_rolling_upgrade_under_faults_is_valid_and_raises_the_level(checkouts: Checkouts, workload: str) -> None:
    binding = binding_of(checkouts)

    plans = [plan_of(seed, binding, workload=workload, is_short=False) for seed in range(1, 6)]
    outcomes = [execute(plan, binding) for plan in plans]

    assert {outcome.verdict.validity for outcome in outcomes} == {"valid"}
    assert sum(RAISED in outcome.marks for outcome in outcomes) >= 2
    kinds = {
        fault.kind
        for outcome in outcomes
        for fault in outcome.plan.faults
        if outcome.fault_outcomes[fault.id] == "effective"
    }
    assert {"upgrade", "roll-back"} <= kinds


def test_a_run_of_two_versions_is_the_same_in_every_process() -> None:
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from harness.systems.checkouts import Checkouts
from tests.upgrades.test_mixed import binding_of, run
with Checkouts() as checkouts:
    binding = binding_of(checkouts)
    for seed in (1, 4):
        outcome = run(seed, binding)
        print(outcome.fingerprint, outcome.history_sha256, outcome.verdict.validity)
"""
    said = set()
    for environment in ({"PYTHONHASHSEED": "0"}, {"PYTHONHASHSEED": "12345", "PYTHONMALLOC": "malloc"}):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**inherited, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        said.add(done.stdout)

    assert len(said) == 1
    assert said.pop().count("valid") == 2


# Planted bugs: each is one that a release could have.


@pytest.mark.parametrize(
    ("newer", "older", "signature"),
    [
        ("openings-before-the-level", "older", "raft/state-digest/apply"),
        ("images-of-the-newest-level", "older", "upgrade/refused/feature-unknown"),
        (None, "older-passes-over-the-level", "raft/state-digest/apply"),
    ],
)
def test_a_bug_of_an_upgrade_is_found(checkouts: Checkouts, newer: str | None, older: str, signature: str) -> None:
    system = "raft_impl" if newer is None else f"patch:{HERE / f'{newer}.patch'}"
    binding = binding_of(checkouts, newer=system, older=f"patch:{HERE / f'{older}.patch'}")

    for seed in range(1, 21):
        plan = plan_of(seed, binding, workload=("register", "counter", "queue")[seed % 3], is_short=False)
        found = {anomaly.signature for anomaly in execute(plan, binding, RunOptions(explain=False)).anomalies}
        if signature in found:
            return
    pytest.fail(f"{signature} was not found in 20 seeds")


def test_shrinking_takes_out_upgrades_and_older_code(checkouts: Checkouts) -> None:
    binding = binding_of(checkouts)
    plan = plan_of(1, binding)
    (codes,) = [one for one in PASSES if one.name == "codes"]
    (faults,) = [one for one in PASSES if one.name == "faults"]

    newest = next(iter(codes.edits(plan)))(plan)
    without = next(iter(faults.edits(newest)))(newest)

    assert {actor.code for actor in newest.actors.values()} == {DEFAULT_LABEL}
    assert size_of(without) < size_of(newest) < size_of(plan)
    assert execute(without, binding, RunOptions(gates=False)).verdict.validity == "valid"


def test_a_record_names_the_code_of_each_label(checkouts: Checkouts) -> None:
    outcome = run(2, binding_of(checkouts))

    codes = json.loads(msgspec.json.encode(outcome.binding))["codes"]
    assert codes["default"]["spec"] == "raft_impl"
    assert codes["old"]["spec"] == OLDER
    assert codes["old"]["digest"] != codes["default"]["digest"]
