"""Older plan formats: how a stored plan becomes one of today's format.

A migration from format n rewrites the JSON object of a plan as format n + 1 has it, in place. `migrate` runs those that
are needed, one after another, before the plan is decoded; everything else in the harness knows the newest format only.
A migration changes how a plan is written, never what runs: the same history and the same trace come out of it.

The values of a stored plan are the user's. A migration therefore takes nothing for granted but that the plan is an
object: what has another type than its format says is left as it is, and decoding then names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

Object = dict[str, Any]


def migrate(plan: Object, newest: int) -> None:
    """Rewrite a plan of an older format as one of the newest; a format without a migration is left as it is."""
    while plan["format"] < newest and plan["format"] in MIGRATIONS:
        MIGRATIONS[plan["format"]](plan)
        plan["format"] += 1


def _from_1(plan: Object) -> None:
    """Format 2 renames fields, so that each word of a plan has one meaning, and drops `atlas`, which nothing read."""
    plan.pop("atlas", None)
    phases = _object(plan, "phases")
    _rename(phases, "core", "healed")
    if phases.get("heal") == "core":
        phases["heal"] = "partial"
    for actor in _objects(plan, "actors"):
        if actor.get("kind") == "replica":
            actor["kind"] = "node"
    _rename(_object(plan, "links"), "replica", "node")
    for program in _objects(plan, "programs"):
        _rename(program, "probe", "recovery")
    _rename(_object(plan, "drawn"), "pinned", "explicit")
    _rename(_object(plan, "drawn"), "flavour", "variant")
    schedule = _object(plan, "schedule")
    _rename(schedule, "handling_min_ns", "processing_min_ns")
    _rename(schedule, "handling_max_ns", "processing_max_ns")
    for fault in _objects(plan, "faults"):
        _rename(fault, "handling_ns", "processing_ns")


def _object(holder: Object, name: str) -> Object:
    """The object that is a member of another; an empty one if there is none."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _objects(holder: Object, name: str) -> Iterator[Object]:
    """The objects in a member that is an array or an object."""
    value = holder.get(name)
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (member for member in members if isinstance(member, dict))


def _rename(holder: Object, before: str, after: str) -> None:
    if before in holder:
        holder[after] = holder.pop(before)


MIGRATIONS: Final[dict[int, Callable[[Object], None]]] = {1: _from_1}
"""The migration from each older format."""
