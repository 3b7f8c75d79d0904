"""The history of each workload, written as other tools write theirs and read back, has the same verdict and index."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import pytest

from checkers import History, Op, check
from checkers.importers import detect, load
from harness.run.drawing import Drawing, abilities_of
from harness.run.runner import run
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from tests.checkers.formats import WRITERS
from workloads.catalog import WORKLOADS

CONVENTIONS: dict[str, Any] = {"failed_cas": "constraint", "nil_read": "absent"}

FORMATS = [name for name in WRITERS if name not in ("maelstrom", "porcupine")]
"""Those that can say any function; the other two know registers and texts."""

LOOKS = ("read", "txn", "dequeue", "add-and-get")


@cache
def recorded(name: str) -> History:
    """What clients saw in a short run; the machine of orders hosts several objects, and others one."""
    binding = bind("raft_impl", Checkouts())
    plan = Drawing(workload=name, duration_ns=600_000_000).plan(3, abilities_of(load_systems(binding).values()))
    return History(op for op in run(plan, binding).history if op.process != "nemesis")


def spoiled(history: History) -> History:
    """Let a call see what one of the last ones saw; of a lock, which only says yes or no, turn one no round."""
    ops = list(history)
    seen: dict[Any, tuple[int, Op]] = {}
    for place, op in enumerate(ops):
        if op.type == "fail" and op.error == "held":
            ops[place] = msgspec.structs.replace(op, type="ok", error=None)
            return History(ops)
        if op.type == "ok" and op.f in LOOKS:
            seen.setdefault((op.f, op.key), (place, op))
    for op in reversed(ops):
        place, first = seen.get((op.f, op.key), (0, op))
        if op.type == "ok" and first.value != op.value:
            ops[place] = msgspec.structs.replace(first, value=op.value)
            return History(ops)
    raise AssertionError("nothing to spoil")


def told(history: History, model: str) -> Any:
    """The verdict, and with which line each violation became certain."""
    verdict = check(history, model, explain=False, mismatched="anomaly", **CONVENTIONS)
    return verdict.validity, [(anomaly.signature, anomaly.index) for anomaly in verdict.anomalies]


@pytest.mark.parametrize("is_spoiled", [False, True])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_history_of_each_workload_says_the_same_in_each_format(name: str, format: str, is_spoiled: bool) -> None:
    ours = spoiled(recorded(name)) if is_spoiled else recorded(name)
    history = History(msgspec.structs.replace(op, index=index) for index, op in enumerate(ours))
    kind, write = WRITERS[format]
    text = write(history)

    found = load(text)

    assert detect(text) == kind
    assert len(found.operations(with_void=True)) == len(history.operations(with_void=True)) > 10
    expected = told(history, WORKLOADS[name].model)
    assert expected[0] == ("invalid" if is_spoiled else "valid")
    assert told(found, WORKLOADS[name].model) == expected
