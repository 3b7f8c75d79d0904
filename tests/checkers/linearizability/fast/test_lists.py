"""Lists of unique elements are decided without search, and as brute force decides them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import MODELS, check
from checkers.linearizability.fast import lists
from checkers.operation import INF, Operation
from tests.checkers import brute, engine_agreement
from tests.checkers.mini import history

LIST = MODELS["list"]


@st.composite
def unique_lists(draw: st.DrawFn) -> list[Operation]:
    """Draw appends of 0, 1, 2, ... and reads of anything, overlapping in any way."""
    count = draw(st.integers(1, 7))
    instants = draw(st.permutations(range(2 * count)))
    element = 0
    found = []
    for number in range(count):
        call, ret = sorted(instants[2 * number : 2 * number + 2])
        if draw(st.booleans()):
            crashed = draw(st.integers(0, 3)) == 0
            kind: Any = "info" if crashed else "ok"
            found.append(Operation(number, "append", None, element, None, kind, None, call, INF if crashed else ret))
            element += 1
        else:
            seen = tuple(draw(st.lists(st.integers(0, 3), max_size=4, unique=draw(st.integers(0, 4)) > 0)))
            found.append(Operation(number, "read", None, None, seen, "ok", None, call, ret))
    return sorted(found, key=lambda operation: operation.call)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(unique_lists())
def test_lists_agree_with_brute_force_on_whatever_hypothesis_makes(drawn: list[Operation]) -> None:
    result = lists.LISTS.decide(drawn, LIST)

    assert result.validity == ("valid" if brute.is_linearizable(drawn, LIST) else "invalid")
    assert result.certain == brute.first_certain(drawn, LIST)


def test_lists_agree_with_brute_force_on_recorded_and_spoiled_histories() -> None:
    tally = {"valid": 0, "invalid": 0}
    for seed, model, part in engine_agreement.examples("unique-list", 1, 1500):
        result = lists.LISTS.decide(part.operations, model)

        assert (seed, result.validity == "valid") == (seed, brute.is_linearizable(part.operations, model))
        tally[result.validity] += 1
    assert min(tally.values()) > 200


@pytest.mark.parametrize(
    ("text", "validity"),
    [
        ("0:a1 0' 1:a2 1' 2:q 2'[1,2]", "valid"),
        ("0:a1 1:a2 0' 1' 2:q 2'[2,1] 3:q 3'[2,1]", "valid"),
        ("0:a1 1:a2 0' 1' 2:q 2'[2,1] 3:q 3'[1,2]", "invalid"),
        ("0:a1 0' 2:q 2'[]", "invalid"),
        ("0:a1 0? 2:q 2'[] 2:q 2'[1] 2:q 2'[]", "invalid"),
        ("0:a1 0? 2:q 2'[] 2:q 2'[1]", "valid"),
        ("0:a1 0' 1:a2 1' 2:q 2'[2]", "invalid"),
        ("2:q 2'[7]", "invalid"),
        ("0:a1 2:q 2'[1,1] 0'", "invalid"),
        ("0:a1 0' 0:a2 0' 0:a3 0'", "valid"),
    ],
)
def test_what_a_list_may_answer(text: str, validity: str) -> None:
    verdict = check(history(text), "list", cross_check=True)

    assert (verdict.engine, verdict.validity) == ("lists", validity)


def test_an_element_appended_twice_goes_to_the_general_engine() -> None:
    verdict = check(history("0:a1 1:a1 0' 1' 2:q 2'[1,1]"), "list")

    assert (verdict.engine, verdict.validity) == ("wgl", "valid")
    assert verdict.details["passed_over"] == {"lists: an element is appended twice": 1}


def test_elements_at_the_beginning_are_read_first() -> None:
    assert check(history("0:a1 0' 2:q 2'[9,1]"), "list", initial=[9]).engine == "lists"
    assert check(history("0:a1 0' 2:q 2'[9,1]"), "list", initial=[9]).validity == "valid"
    assert check(history("0:a1 2:q 2'[1] 0'"), "list", initial=[9]).validity == "invalid"
    assert check(history("2:q 2'[]"), "list", initial=[9]).validity == "invalid"
