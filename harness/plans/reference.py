"""The reference of faults, shapes, fault patterns, profiles and workloads, made from the code itself.

    python -m harness.plans.reference faults > docs/faults.md
    python -m harness.plans.reference workloads > docs/workloads.md

A test compares the files with what this prints, so that neither can be forgotten.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from harness.faults import fault, topologies
from harness.faults.catalog import BUILT_IN
from harness.faults.fault import Fault
from workloads.catalog import BUILT_IN as WORKLOADS

from . import classify, patterns
from .patterns import PATTERNS
from .profiles import PROFILES, Choices, Profile

_COMMON: Final = ("id", "begin_ns", "end_ns")
_GENERATED: Final = "<!-- Made by `python -m harness.plans.reference {}`; edit the docstrings instead. -->"
_IN_FULL: Final = ("calm", "swarm")


def faults_page() -> str:
    """docs/faults.md: what can be broken, how it is drawn, and what may be expected of the result."""
    parts = [
        "# Faults",
        _GENERATED.format("faults"),
        _prose(fault),
        "## Kinds",
        *(_kind(kind) for kind in BUILT_IN),
        "## Shapes of partitions",
        _prose(topologies),
        "## Fault patterns",
        _prose(patterns),
        _table(("pattern", "kinds of faults", "nodes at least", "what it does"), _pattern_rows()),
        "## Profiles",
        "A profile says what a seed may draw. Weights are relative to each other.",
        *(_profile(profile) for profile in PROFILES.values()),
        "## Classes",
        _prose(classify),
    ]
    return "\n\n".join(parts) + "\n"


def workloads_page() -> str:
    """docs/workloads.md: what clients do, and by which model it is judged."""
    parts = ["# Workloads", _GENERATED.format("workloads")]
    for workload in WORKLOADS:
        parts += [
            f"## {workload.name}",
            _prose(inspect.getmodule(workload.generator)),
            f"* machine `{workload.machine}`, model `{workload.model}`\n"
            f"* functions {', '.join(f'`{f}`' for f in workload.functions)}",
            _table(
                ("variant", "weight", "what is special"), [(f.name, f.weight, f.summary) for f in workload.variants]
            ),
        ]
    return "\n\n".join(parts) + "\n"


PAGES: Final[dict[str, Callable[[], str]]] = {"faults": faults_page, "workloads": workloads_page}


def _prose(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _kind(kind: type[Fault]) -> str:
    """A kind of fault: its docstring, when it counts, and the fields it has beyond those of every fault."""
    rows = [
        (f"`{field.name}`", _type(field.type), _default(field))
        for field in msgspec.structs.fields(kind)
        if field.name not in _COMMON
    ]
    parts = [f"### {kind.__struct_config__.tag}", _prose(kind), f"It is effective when {kind.effective_when}."]
    if kind.capability:
        parts.append(f"Only for systems with the capability `{kind.capability}`.")
    return "\n\n".join((*parts, _table(("parameter", "type", "default"), rows)))


def _type(type_: Any) -> str:
    """A type as JSON people write it."""
    text = str(type_) if getattr(type_, "__args__", None) else getattr(type_, "__name__", str(type_))
    literal = re.search(r"Literal\[(.*)\]", text)
    if literal:
        return " or ".join(f"`{word.strip()!s}`" for word in literal[1].replace("'", '"').split(","))
    words = {"tuple[str, ...] | None": "list of names, or null", "tuple[str, ...]": "list of names", "str": "name"}
    return words.get(text, {"int": "integer", "bool": "true or false", "str | None": "name or null"}.get(text, text))


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    return f"`{msgspec.json.encode(field.default).decode()}`"


def _pattern_rows() -> Iterable[tuple[Any, ...]]:
    for pattern in PATTERNS.values():
        summary = _prose(pattern.draw).split("\n\n")[0]
        yield pattern.name, ", ".join(pattern.kinds), pattern.nodes_min, summary


def _profile(profile: Profile) -> str:
    """A profile's table; of those that share most with the swarm only what differs."""
    rows = _profile_rows(profile)
    note = ""
    if profile.name not in _IN_FULL:
        swarm = _profile_rows(PROFILES["swarm"])
        rows = {what: drawn for what, drawn in rows.items() if swarm.get(what) != drawn}
        note = " The rest is as in `swarm`."
    summary = f"{profile.summary[:1].upper()}{profile.summary[1:]}.{note}"
    return f"### {profile.name}\n\n{summary}\n\n{_table(('what', 'drawn from'), rows.items())}"


def _profile_rows(profile: Profile) -> dict[str, str]:
    return {
        "nodes": _choices(profile.nodes),
        "clients": _choices(profile.clients),
        "ops a second, of all clients": _choices(profile.rates),
        "fault phase": f"{profile.duration_ns // 1_000_000_000} s",
        "fault patterns": ", ".join(profile.patterns) or "none",
        "each of them enabled in": " or ".join(f"{ppm // 10_000} %" for ppm in profile.pacing.density_ppm),
        "clock rates": f"{profile.clock_bound} the bound that leases assume",
        "routing": _choices(profile.routing),
        "ties": _choices(profile.policy),
        "partial heal": f"{profile.partial_heal_ppm // 10_000} %",
        **{f"`{name}`": _choices(choices) for name, choices in profile.options.items()},
    }


def _choices(choices: Choices) -> str:
    """Values with their share in a hundred."""
    whole = sum(weight for _, weight in choices.values)
    if len(choices.values) == 1:
        return _value(choices.values[0][0])
    return ", ".join(f"{_value(value)} ({weight * 100 // whole} %)" for value, weight in choices.values)


def _value(value: Any) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _table(heading: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("\n", " ") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    print(PAGES[sys.argv[1]](), end="")
