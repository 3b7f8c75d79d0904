"""Counter bounds accuse only what is impossible, and say that they cannot acquit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.consistency import counter_bounds
from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.op import Op

Make = Callable[[str], History]


@pytest.mark.parametrize(
    "text",
    ["v0", "a1 v1", "a1 a2 v3", "(p a1 v0 v1 p)", "(p a1 p? v0 v1", "(p a1 p! v0", "(p a-1 v0 v-1 p)", "(p v1 a1 p)"],
)
def test_what_may_be_is_valid(history: Make, text: str) -> None:
    verdict = counter_bounds.check(history(text))

    assert verdict.validity == "valid"
    assert verdict.notes == (counter_bounds.INCOMPLETE,)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("v1", 0, 0),
        ("a1 v0", 1, 1),
        ("a1 a2 v4", 3, 3),
        ("(p a1 v2 p)", 0, 1),
        ("(p a1 p! v1", 0, 0),
        ("(p a-1 v-2 p)", -1, 0),
        ("(p a5 p? v6", 0, 5),
        ("(p v2 a1 p) a1", 0, 1),
        ("(p v-9 (q a2 q? (r a-3 p) r)", -3, 2),
    ],
)
def test_what_cannot_be_is_invalid_with_its_bounds(history: Make, text: str, low: int, high: int) -> None:
    verdict = counter_bounds.check(history(text))

    (anomaly,) = verdict.anomalies
    assert anomaly.signature == "counter-bounds/out-of-bounds/read"
    assert (anomaly.evidence["low"], anomaly.evidence["high"]) == (low, high)


def test_a_key_that_is_set_outright_is_unknown() -> None:
    ops = [Op(index=0, time=0, process=0, type="invoke", f="set", key="x", value=5)]

    assert counter_bounds.check(History(ops)).reason == 'values are set outright on "x"'


def test_an_operation_of_another_form_is_refused(history: Make) -> None:
    with pytest.raises(MalformedHistory, match="expected add or add-and-get"):
        counter_bounds.check(history("wx1"))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_linearizable_counter_is_never_accused(data: st.DataObject) -> None:
    """Each operation takes effect at one instant between its invoke and its completion."""
    ops: list[Op] = []
    value, running = 0, {}

    def add(process: int, type: Any, f: str, shown: Any) -> None:
        ops.append(Op(index=len(ops), time=len(ops), process=process, type=type, f=f, value=shown))

    for process in range(data.draw(st.integers(1, 12))):
        for other in data.draw(st.lists(st.sampled_from(sorted(running)), max_size=3)) if running else []:
            if other not in running:
                continue
            f, asked, answer = running[other]
            if answer is None:
                value += asked or 0
                running[other] = (f, asked, {"read": value, "add": asked, "add-and-get": [asked, value]}[f])
            else:
                del running[other]
                add(other, data.draw(st.sampled_from(["ok", "ok", "info"])), f, answer)
        f = data.draw(st.sampled_from(["read", "add", "add-and-get"]))
        asked = None if f == "read" else data.draw(st.integers(-3, 3))
        add(process, "invoke", f, asked)
        running[process] = (f, asked, None)

    assert counter_bounds.check(History(ops)).validity == "valid"
