"""Sequential consistency of registers: known litmus tests, and agreement with every interleaving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from checkers.consistency import sequential
from checkers.history import History
from checkers.op import Op
from checkers.operation import Operation

Make = Callable[..., History]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["wx1", "rx1 rx1"],
        # A stale read is fine where no process can tell.
        ["wx1 wx2", "rx1 rx2"],
        ["wx1", "rx rx"],
        # Store buffering, with one of the two seen.
        ["wx1 ry", "wy1 rx1"],
        ["wx1 cx12", "rx1 rx2"],
        ["wx1", "!cx23 rx1"],
        # Repeated values.
        ["wx1 wx2 wx1", "rx1 rx2 rx1"],
    ],
)
def test_what_some_interleaving_explains_is_valid(processes: Make, lines: list[str]) -> None:
    assert sequential.check(processes(*lines)).validity == "valid"


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        (["wx1 ry", "wy1 rx"], "circle"),  # store buffering
        (["wx1 wx2", "rx2 rx1"], "circle"),  # a process goes back
        (["wx1", "wx2", "rx1 rx2", "rx2 rx1"], "circle"),  # coherence
        (["wx1", "wy1", "rx1 ry", "ry1 rx"], "circle"),  # independent reads of independent writes
        (["wx1", "rx1 wy1", "ry1 rx"], "circle"),  # causality
        (["wx1 rx"], "circle"),
        (["rx1"], "read"),
        (["wx1 wx1", "rx1 rx"], "search"),  # repeated values
        (["wx1 !cx12"], "search"),
    ],
)
def test_what_no_interleaving_explains_is_invalid(processes: Make, lines: list[str], detail: str) -> None:
    verdict = sequential.check(processes(*lines))

    assert [anomaly.signature for anomaly in verdict.anomalies] == [f"sequential/not-sequential/{detail}"]


def test_the_order_of_time_between_processes_does_not_count(history: Make) -> None:
    assert sequential.check(history("wx1 rx")).validity == "valid"


def test_a_circle_is_explained_step_by_step(processes: Make) -> None:
    (anomaly,) = sequential.check(processes("wx1 ry", "wy1 rx")).anomalies

    assert [step["why"] for step in anomaly.evidence["circle"]] == [
        "the process did them in this order",
        "else the read would come after the value was replaced",
        "the process did them in this order",
        "else the read would come after the value was replaced",
    ]


def test_a_search_without_end_is_unknown(processes: Make) -> None:
    hard = processes(*["wx1 wx2 wx3 wx1", "wx2 wx3 wx1", "wx3 wx2 wx1", "rx1 rx2 rx3 rx1 rx2 rx9"])

    verdict = sequential.check(hard, state_limit=5)

    assert verdict.validity == "unknown"
    assert verdict.reason.startswith("no order found within 5 states")


@st.composite
def register_histories(draw: st.DrawFn) -> History:
    """A few processes, two keys, small values: some unique, some repeated, some crashed, some refused."""
    unique = draw(st.booleans())
    written = dict.fromkeys("xy", 0)
    programs: list[list[Op]] = []
    for process in range(draw(st.integers(1, 3))):
        programs.append([])
        for _ in range(draw(st.integers(1, 4))):
            key, f = draw(st.sampled_from("xy")), draw(st.sampled_from(["read", "read", "write", "write", "cas"]))
            written[key] += 1
            new = written[key] if unique else draw(st.integers(1, 2))
            old = draw(st.integers(1, max(2, written[key])))
            asked = {"read": None, "write": new, "cas": [old, new]}[f]
            seen = draw(st.sampled_from([None, *range(1, written[key] + 2)])) if f == "read" else asked
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "fail" if f == "cas" else "ok"]))
            programs[-1] += [
                Op(index=0, time=0, process=process, type="invoke", f=f, key=key, value=asked),
                Op(
                    index=0,
                    time=0,
                    process=process,
                    type=_type(outcome),
                    f=f,
                    key=key,
                    value=seen,
                    error=_error(outcome),
                ),
            ]
        if draw(st.integers(0, 3)) == 0:
            programs[-1].pop()
    ops = [op for program in programs for op in program]
    return History(Op(**{**_fields(op), "index": position}) for position, op in enumerate(ops))


def _type(outcome: str) -> Any:
    return outcome


def _error(outcome: str) -> str | None:
    return "precondition-failed" if outcome == "fail" else None


def _fields(op: Op) -> dict[str, Any]:
    return {name: getattr(op, name) for name in op.__struct_fields__}


def some_interleaving_explains(history: History) -> bool:
    """Try all interleavings, and for each crashed operation both that it happened and that it did not."""
    processes: dict[int, list[Operation]] = {}
    for operation in history.operations():
        processes.setdefault(operation.process, []).append(operation)
    return _interleave([tuple(program) for program in processes.values()], {})


def _interleave(programs: list[tuple[Operation, ...]], values: dict[Any, Any]) -> bool:
    if not any(programs):
        return True
    for number, program in enumerate(programs):
        if not program:
            continue
        rest = [*programs[:number], program[1:], *programs[number + 1 :]]
        if program[0].is_crashed and _interleave(rest, values):
            return True
        after = _apply(program[0], values)
        if after is not None and _interleave(rest, after):
            return True
    return False


def _apply(operation: Operation, values: dict[Any, Any]) -> dict[Any, Any] | None:
    key, value = operation.key, values.get(operation.key)
    if operation.f == "write":
        return {**values, key: operation.value}
    if operation.f == "read":
        return values if operation.is_crashed or operation.result == value else None
    old, new = operation.value
    if operation.is_negative:
        return values if value != old else None
    return {**values, key: new} if value == old else None


@settings(max_examples=300, deadline=None)
@given(register_histories())
def test_the_checker_agrees_with_every_interleaving(history: History) -> None:
    verdict = sequential.check(history)

    event(f"{verdict.validity} by {verdict.engine}")
    assert verdict.validity == ("valid" if some_interleaving_explains(history) else "invalid")
