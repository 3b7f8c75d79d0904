"""Each condition beside its definition, and answers that were once called valid."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers import History, MalformedHistory, check
from checkers.op import Op
from tests.checkers import conditions


@pytest.mark.parametrize("name", conditions.CONDITIONS)
def test_a_condition_is_what_its_definition_says(name: str) -> None:
    """`python -m tests.checkers.agreement --path conditions` does so for a hundred thousand histories of each."""
    for number in range(600):
        _, wrong, _ = conditions.disagreement(name, random.Random(f"{name}/{number}"))

        assert wrong is None, (number, wrong)


def one_by_one(*steps: tuple[str, Any, str, Any, Any]) -> History:
    """Make a history of operations that begin and end at once: f, what is asked, type, answer, error."""
    ops: list[Op] = []
    for process, (f, asked, kind, answer, error) in enumerate(steps):
        common: dict[str, Any] = {"process": process, "f": f}
        ops.append(Op(index=len(ops), time=len(ops), type="invoke", value=asked, **common))
        ended: Any = kind
        ops.append(Op(index=len(ops), time=len(ops), type=ended, value=answer, error=error, **common))
    return History(ops)


CAS = ("cas", [1, 1], "ok", [1, 1], None)


@pytest.mark.parametrize(
    ("name", "steps", "kinds"),
    [
        ("staleness", [CAS], ["phantom-read"]),
        ("staleness", [CAS, ("write", 1, "ok", 1, None)], ["future-read"]),
        (
            "staleness",
            [("write", 1, "ok", 1, None), ("write", 2, "ok", 2, None), CAS],
            ["stale-read", "stale-read"],
        ),
        (
            "set-full",
            [
                ("add", 1, "ok", 1, None),
                ("read", None, "ok", [], None),
                ("add", 1, "ok", 1, None),
                ("read", None, "ok", [1], None),
            ],
            ["stale"],
        ),
        ("set-full", [("read", None, "ok", [1], None), ("add", 1, "ok", 1, None)], ["future"]),
        ("set-full", [("add", 1, "fail", 1, "exists"), ("add", 1, "ok", 1, None)], ["refused"]),
        (
            "set-full",
            [("add", 1, "info", None, None), ("add", 1, "fail", 1, "exists"), ("read", None, "ok", [], None)],
            ["lost"],
        ),
    ],
)
def test_what_was_once_called_valid_is_an_anomaly(name: str, steps: list[Any], kinds: list[str]) -> None:
    verdict = check(one_by_one(*steps), consistency=name)

    assert (verdict.validity, [anomaly.kind for anomaly in verdict.anomalies]) == ("invalid", kinds)


def test_an_addition_that_found_no_counter_is_not_counted() -> None:
    history = one_by_one(("add", 5, "fail", 5, "absent"), ("read", None, "ok", 5, None))

    verdict = check(history, consistency="counter-bounds")

    assert (verdict.validity, verdict.reason) == ("unknown", "there was no counter on null")


def test_a_history_that_creates_a_counter_is_not_acquitted() -> None:
    history = one_by_one(("create", 5, "fail", 5, "no"), ("read", None, "ok", 0, None))

    verdict = check(history, consistency="counter-bounds")

    assert (verdict.validity, verdict.reason) == ("unknown", "no counter was created on null")


@pytest.mark.parametrize("name", ["staleness", "sequential"])
def test_a_list_may_be_the_initial_state(name: str) -> None:
    history = one_by_one(("read", None, "ok", [1], None))

    assert check(history, consistency=name, initial=[1]).validity == "valid"


@pytest.mark.parametrize("name", ["staleness", "sequential", "counter-bounds"])
def test_true_is_no_initial_state_for_a_read_of_one(name: str) -> None:
    with pytest.raises(MalformedHistory):
        check(one_by_one(("read", None, "ok", 1, None)), consistency=name, initial=True)


@pytest.mark.parametrize("initial", [[1], 1.5, "1"])
def test_a_counter_begins_with_an_integer(initial: Any) -> None:
    with pytest.raises(MalformedHistory, match="expected an integer"):
        check(one_by_one(("read", None, "ok", 1, None)), consistency="counter-bounds", initial=initial)
