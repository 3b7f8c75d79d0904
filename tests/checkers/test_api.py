"""`checkers.check`: which checker decides what, and that none says valid where it may overlook things."""

from __future__ import annotations

from typing import Any

import pytest

from checkers import MalformedHistory, Op, check


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
        ("rw-register", [["w", "x", 1]], [["r", "x", 1]], "dependency-graph+order"),
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
def test_a_stale_transaction_is_invalid_by_every_checker(model: str, wrote: Any, read: Any) -> None:
    history = txn((0, wrote), (1, read))

    assert check(history, model).validity == "invalid"
    assert check(history, model, algorithm="wgl").validity == "invalid"


def test_a_list_with_an_element_appended_twice_is_decided_by_the_search() -> None:
    append = [["append", 6, 1]]

    right = check(txn((0, append), (0, [*append, ["r", 6, [1, 1]]])), "list-append")
    wrong = check(txn((0, append), (0, [*append, ["r", 6, [1]]])), "list-append")

    assert right.validity == "valid"
    assert right.notes[0] == "decided by a search for an order: element 1 was appended to key 6 twice"
    assert wrong.validity == "invalid"


def test_the_search_may_end_at_its_limit() -> None:
    append = [["append", 6, 1]]

    verdict = check(txn((0, append), (0, [*append, ["r", 6, [1, 1]]])), "list-append", step_limit=1)

    assert verdict.validity == "unknown"
    assert verdict.reason


@pytest.mark.parametrize("model", ["list-append", "rw-register"])
def test_a_weaker_model_that_is_expected_allows_a_stale_read(model: str) -> None:
    wrote, read = (["append", "x", 1], ["r", "x", []]) if model == "list-append" else (["w", "x", 1], ["r", "x", None])
    history = txn((0, [wrote]), (1, [read]))

    assert check(history, model, expect=["read-committed"]).validity != "invalid"
    assert check(history, model, expect=["strict-serializable"]).validity == "invalid"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("list-append", {"expect": ["linearizable"]}, "model 'linearizable'"),
        ("list-append", {"expect": ["serializable"], "algorithm": "wgl"}, "an order that is asked for"),
        ("register", {"expect": ["serializable"]}, "model 'register'"),
        ("register", {"expect": ["serializable"], "consistency": "sequential"}, "none beside consistency sequential"),
    ],
)
def test_an_expected_model_that_no_checker_judges_is_refused(model: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedHistory, match=message):
        check([], model, **options)
