"""The catalog lists every kind, and each record says what the nemesis and the reference need of it."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import pytest

from harness.faults.catalog import BUILT_IN, KINDS, AnyFault, kinds_for
from harness.faults.commands import Command, NodeCommand
from harness.faults.fault import FOREVER, Fault
from harness.faults.links import LinkFault
from harness.faults.nodes import NodeFault

FAMILIES = (Fault, NodeFault, LinkFault, Command, NodeCommand)


def word_of(kind: type[Fault]) -> str:
    return str(kind.__struct_config__.tag)


@pytest.mark.parametrize("kind", BUILT_IN, ids=word_of)
def test_a_record_says_what_it_does_and_what_counts(kind: type[Fault]) -> None:
    assert inspect.getdoc(kind) not in map(inspect.getdoc, FAMILIES)
    assert kind.effective_when
    assert kind.begin is not Fault.begin
    assert kind.__struct_config__.frozen


def concrete(kind: type[Any]) -> list[type[Any]]:
    below = [leaf for sub in kind.__subclasses__() for leaf in concrete(sub)]
    return below or [kind]


def test_every_record_of_this_package_is_in_the_catalog() -> None:
    ours = {kind for kind in concrete(Fault) if kind.__module__.startswith("harness.faults.")}

    assert ours == set(BUILT_IN)


def test_every_kind_reads_back_from_json_as_it_was() -> None:
    example: dict[str, Any] = {"str": "one", "int": 1, "tuple[str, ...]": ("n1",), "tuple[str, ...] | None": None}
    faults = []
    for kind in KINDS.values():
        fields = [field for field in msgspec.structs.fields(kind) if field.required]
        values = {f.name: example.get(getattr(f.type, "__name__", ""), example.get(str(f.type), "one")) for f in fields}
        faults.append(kind(**values | {"id": "f1", "begin_ns": 1, "end_ns": FOREVER}))

    written = msgspec.json.encode(faults)

    assert msgspec.json.decode(written, type=list[AnyFault]) == faults


LABELS = ("code", "then")
"""Fields of faults that name code."""


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if {*LABELS} & {*kind.__struct_fields__}], ids=word_of)
def test_a_record_that_has_a_label_of_code_says_so(kind: type[Fault]) -> None:
    labels = {name: f"label-{name}" for name in LABELS if name in kind.__struct_fields__}

    fault: Fault = kind(**{"id": "f1", "begin_ns": 1, "end_ns": 2, "targets": ("n1",), **labels})

    assert set(fault.codes) == set(labels.values())


WALL_CLOCK = {"clock-step", "clock-strobe"}
ADMINISTRATION = {"transfer", "forced-election", "compact", "membership"}
ALL = frozenset({"background", "checksums", "disk", "leader", "membership", "snapshots", "wall-clock"})
DISK = {word for word, kind in KINDS.items() if kind.capability in ("disk", "checksums")}


@pytest.mark.parametrize(
    ("capabilities", "missing"),
    [
        (ALL, set()),
        (ALL - {"background"}, {"slow-background"}),
        (ALL - {"checksums"}, {"bit-rot", "misdirected-write", "lost-write"}),
        (ALL - {"wall-clock"}, WALL_CLOCK),
        (ALL - {"leader", "membership", "snapshots"}, ADMINISTRATION),
        (frozenset(), WALL_CLOCK | ADMINISTRATION | DISK | {"slow-background"}),
    ],
)
def test_a_kind_needs_the_capability_that_it_names(capabilities: frozenset[str], missing: set[str]) -> None:
    assert set(KINDS) - set(kinds_for((*capabilities, "lies"))) == missing
    assert set(kinds_for((*capabilities, "lies"))) - set(kinds_for(capabilities)) == {"lying-node"}
