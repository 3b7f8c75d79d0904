"""Lines in columns: what was added comes back, whatever it was."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers.history import History
from checkers.lines import Lines
from checkers.op import Op

EDGE = 1 << 63

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2.5, "", "text", [], [1, 2], [None, "x"], {"a": 1}),
    *(-EDGE - 1, -EDGE, -EDGE + 1, -EDGE + 2, EDGE - 1, EDGE),
]


def some_ops(seed: int) -> list[Op]:
    rng = random.Random(seed)
    return [
        Op(
            index=rng.randrange(1 << 40),
            time=rng.randrange(1 << 60),
            process=rng.choice([0, 1, 1 << 40, "nemesis"]),
            type=rng.choice(["invoke", "ok", "fail", "info"]),
            f=rng.choice(["read", "write", "cas"]),
            key=rng.choice([None, "x", "y1"]),
            value=rng.choice(VALUES),
            error=rng.choice([None, "timeout", "absent"]),
        )
        for _ in range(seed)
    ]


def lines_of(ops: list[Op]) -> Lines:
    lines = Lines()
    for op in ops:
        lines.add((op.index, op.time, op.process, op.type, op.f, op.key, op.value, op.error))
        if op.index % 7 == 0:
            lines.settle()
    return lines


@pytest.mark.parametrize("seed", [0, 1, 2, 7, 600])
def test_lines_come_back_as_they_were_added(seed: int) -> None:
    ops = some_ops(seed)
    lines = lines_of(ops)

    assert list(lines) == ops
    assert lines == ops
    assert [lines[position] for position in range(-len(ops), len(ops))] == ops + ops
    assert list(lines[1:4]) == ops[1:4]
    for op, line in zip(ops, lines, strict=True):
        assert type(line.value) is type(op.value)  # True is no 1


def test_lines_are_written_as_a_history_writes_them() -> None:
    ops = [
        Op(index=0, time=1, process=0, type="invoke", f="cas", key="x", value=[1, 2]),
        Op(index=3, time=5, process=0, type="fail", f="cas", key="x", value=[1, 2], error="precondition-failed"),
    ]
    lines = lines_of(ops)

    assert lines.to_jsonl() == History(ops).to_jsonl() == History(lines).to_jsonl()
    assert lines.to_jsonl(1) == b"".join(lines.to_jsonl().splitlines(keepends=True)[1:])


@pytest.mark.parametrize("other", [[], [Op(index=0, time=0, process=1, type="invoke", f="read")], "text", 7])
def test_lines_differ_from_what_has_others(other: Any) -> None:
    assert lines_of([Op(index=0, time=0, process=0, type="invoke", f="read")]) != other


def test_a_position_beyond_the_end_is_an_error() -> None:
    with pytest.raises(IndexError):
        lines_of([])[0]
