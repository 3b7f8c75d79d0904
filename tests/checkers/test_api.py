"""`checkers.check`: which checker decides what, and that none says valid where it may overlook things."""

from __future__ import annotations

from typing import Any

import pytest

from checkers import Op, check


def txn(*steps: tuple[int, list[list[Any]]]) -> list[Op]:
    """Transactions one after the other, each complete before the next."""
    ops = []
    for process, value in steps:
        for kind in ("invoke", "ok"):
            index = len(ops)
            ops.append(Op(index=index, time=index, process=process, type=kind, f="txn", value=value))  # type: ignore[arg-type]
    return ops


@pytest.mark.parametrize(
    ("model", "wrote", "read", "engine"),
    [
        ("list-append", [["append", "x", 1]], [["r", "x", [1]]], "dependency-graph"),
        ("rw-register", [["w", "x", 1]], [["r", "x", 1]], "jit"),
    ],
)
def test_a_valid_verdict_comes_from_an_exact_checker(model: str, wrote: Any, read: Any, engine: str) -> None:
    verdict = check(txn((0, wrote), (1, read)), model)

    assert verdict.validity == "valid"
    assert verdict.engine.startswith(engine)


@pytest.mark.parametrize(
    ("model", "wrote", "read"),
    [
        ("list-append", [["append", "x", 1]], [["r", "x", []]]),
        ("rw-register", [["w", "x", 1]], [["r", "x", None]]),
    ],
)
def test_a_stale_transaction_is_invalid_whoever_decides(model: str, wrote: Any, read: Any) -> None:
    history = txn((0, wrote), (1, read))

    assert check(history, model).validity == "invalid"
    assert check(history, model, algorithm="wgl").validity == "invalid"
