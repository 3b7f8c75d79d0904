"""Plans of older formats: what they become when they are read.

The plans of tests/regressions are kept as they were stored, in format 1, so that every migration has real plans to work
on; that they still run is what tests/regressions shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput
from harness.plans.plan import FORMAT, decode, load

REGRESSIONS = sorted((Path(__file__).parents[2] / "regressions").glob("*.json"))
STORED = [path for path in REGRESSIONS if json.loads(path.read_bytes())["format"] == 1]


def stored() -> dict[str, Any]:
    """A plan of format 1."""
    plan: dict[str, Any] = json.loads(STORED[0].read_bytes())
    assert plan["format"] == 1
    return plan


def decoded(plan: Any) -> Any:
    return decode(json.dumps(plan).encode(), "plan.json")


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_plan_of_format_1_is_read(path: Path) -> None:
    plan = load(path)

    assert plan.format == FORMAT
    assert decode(plan.to_json(), "again") == plan


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_migrated_plan_has_no_name_that_format_2_does_not_know(path: Path) -> None:
    plan = json.loads(load(path).to_json())

    assert decode(json.dumps({**plan, "format": FORMAT}).encode(), "as format 2").sha256 == load(path).sha256
    assert "atlas" not in plan


@pytest.mark.parametrize(("heal", "healed"), [("total", []), ("core", ["n1", "n2", "c1"])])
def test_the_core_of_format_1_is_what_is_healed(heal: str, healed: list[str]) -> None:
    plan = stored()
    plan["phases"] |= {"heal": heal, "core": healed}

    phases = decoded(plan).phases

    assert (phases.heal, list(phases.healed)) == ({"core": "partial"}.get(heal, heal), healed)


def test_the_replicas_of_format_1_are_nodes() -> None:
    before = stored()
    servers = sorted(name for name, actor in before["actors"].items() if actor["kind"] == "replica")

    plan = decoded(before)

    assert plan.nodes == tuple(servers)
    assert before["links"]["replica"]["delay_max_ns"] == plan.links.node.delay_max_ns


def test_the_probes_of_format_1_are_recovery_ops() -> None:
    before = stored()

    plan = decoded(before)

    assert [program["probe"]["f"] for program in before["programs"] if program["probe"]]
    for program, migrated in zip(before["programs"], plan.programs, strict=True):
        assert (program["probe"] or {}).get("id") == (migrated.recovery.id if migrated.recovery else None)


def test_where_a_plan_of_format_1_came_from_keeps_its_values() -> None:
    before = stored() | {"drawn": stored()["drawn"] | {"pinned": {"reads": "lease"}, "flavour": "few-values"}}

    drawn = decoded(before).drawn

    assert (drawn.explicit, drawn.variant) == ({"reads": "lease"}, "few-values")
    assert drawn.draw_version == before["drawn"]["draw_version"]


def test_the_handling_delays_of_format_1_are_processing_delays() -> None:
    slow = {"kind": "slow-node", "id": "f1", "begin_ns": 1, "end_ns": 2, "targets": ["n1"], "handling_ns": 7}
    schedule = stored()["schedule"] | {"handling_min_ns": 3, "handling_max_ns": 5}

    plan = decoded(stored() | {"faults": [slow], "schedule": schedule})

    assert (plan.schedule.processing_min_ns, plan.schedule.processing_max_ns) == (3, 5)
    assert [fault.processing_ns for fault in plan.faults] == [7]


def test_a_plan_of_a_newer_format_is_refused() -> None:
    with pytest.raises(BadInput, match=rf"format {FORMAT + 1}; expected .* 1 to {FORMAT}"):
        decoded({**stored(), "format": FORMAT + 1})


@pytest.mark.parametrize("number", [0, -1])
def test_a_plan_of_a_format_that_never_was_is_refused(number: int) -> None:
    with pytest.raises(BadInput, match=f"format {number}"):
        decoded({**stored(), "format": number})


@pytest.mark.parametrize("field", ["actors", "programs", "phases", "faults", "links", "schedule", "drawn"])
@pytest.mark.parametrize("damage", [None, 3, "text", [1], {"x": 1}])
def test_a_damaged_plan_of_an_older_format_is_refused_by_name_and_not_with_a_traceback(field: str, damage: Any) -> None:
    with pytest.raises(BadInput, match=rf"\$\.{field}|missing required field"):
        decoded({**stored(), field: damage})
