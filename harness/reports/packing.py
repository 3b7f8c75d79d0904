"""Columns of integers, written shorter: a page of some thousand operations is mostly times and indexes that grow.

A running column holds differences to the value before, and a column beside another one the difference to that one.
Both can be undone for any integers, and the script does so first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

RUNNING: Final = ("a", "i", "x")
BESIDE: Final = {"b": "a", "j": "i", "y": "x"}

Columns = Mapping[str, Sequence[int]]


def packed(columns: Columns) -> dict[str, list[int]]:
    """The columns with differences in place of values."""
    short = {name: list(column) for name, column in columns.items()}
    for name, other in BESIDE.items():
        if name in columns:
            short[name] = [value - base for value, base in zip(columns[name], columns[other], strict=True)]
    for name in RUNNING:
        if name in columns:
            short[name] = _differences(columns[name])
    return short


def packed_steps(steps: Sequence[Sequence[object]]) -> list[list[object]]:
    """Steps, whose index and time are running columns."""
    indexes = _differences([_whole(step[0]) for step in steps])
    times = _differences([_whole(step[1]) for step in steps])
    return [[index, time, *step[2:]] for index, time, step in zip(indexes, times, steps, strict=True)]


def _differences(values: Sequence[int]) -> list[int]:
    return [value - before for value, before in zip(values, [0, *values], strict=False)]


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
