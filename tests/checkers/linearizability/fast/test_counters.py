"""Counters: one delta by lazy raise, several deltas by counts of each."""

from __future__ import annotations

import pytest

from checkers.linearizability.fast import counters
from checkers.models import CAS_REGISTER, COUNTER
from checkers.operation import Operation
from tests.checkers.mini import history


def operations_of(text: str) -> list[Operation]:
    """Read a one-line history, in which +3 is an add and @3 an add-and-get."""
    return history(text).operations()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0:+1 1:r 1'0 1:r 1'1 0'", id="a blind add takes effect anywhere in its interval"),
        pytest.param("0:+1 0? 1:r 1'0 1:r 1'1", id="a crashed add takes effect late"),
        pytest.param("0:+1 0? 1:r 1'0 1:+1 1' 1:r 1'1", id="a crashed add takes effect never"),
        pytest.param("0:@1 1:@1 1'1 0'2", id="answers fix the order of adds"),
        pytest.param("0:@1 0? 1:@1 1'2", id="a crashed add fills a gap"),
        pytest.param("0:+1 1:+-1 2:r 2'-1 2:r 2'0 0' 1'", id="adds of both signs in the order that reads need"),
        pytest.param("0:+1 1:+2 2:r 2'2 2:r 2'3 0' 1'", id="the read tells which of two adds came first"),
        pytest.param("0:+20 1:+33 2:+-13 3:r 3'20 3:r 3'40 0' 1' 2'", id="a sum that is equal by chance"),
        pytest.param("0:+1 1:+2 2:+3 3:r 3'3 0' 1' 3:r 3'3 2'", id="two small adds were seen, and not the large one"),
        pytest.param("0:+1 1:+2 2:+3 3:r 3'3 2' 3:r 3'3 0' 1'", id="the large one was seen, and not two small adds"),
        pytest.param("0:+3 0' 1:+-3 1? 2:r 2'0", id="a crashed add undoes another"),
        pytest.param("0:@0 0'0", id="an answered add of nothing is a read"),
    ],
)
def test_is_linearizable(text: str) -> None:
    result = counters.COUNTERS.decide(operations_of(text), COUNTER)

    assert result.validity == "valid"


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        pytest.param("0:+1 0' 1:r 1'0", 3, id="lost add"),
        pytest.param("0:@1 1:@1 1'1 0'1", 3, id="the same answer twice"),
        pytest.param("0:@1 0'2", 1, id="an add that no client made"),
        pytest.param("0:+1 1:r 1'1 2:r 2'0 0'", 4, id="the counter goes back"),
        pytest.param("0:+2 0' 1:r 1'1", 3, id="half an add"),
        pytest.param("0:+1 1:+-1 2:r 2'-1 2:r 2'1 0' 1'", 5, id="both signs, and both cannot come first"),
        pytest.param("0:+1 1:r 1'1 2:+1 2' 0' 1:r 1'1", 7, id="an add that has been seen is not seen again"),
        pytest.param("0:+20 1:+33 2:r 2'53 2:r 2'33 0' 1'", 5, id="an add that was seen and then not"),
    ],
)
def test_is_not_linearizable_from_that_completion_on(text: str, certain: int) -> None:
    operations = operations_of(text)

    result = counters.COUNTERS.decide(operations, COUNTER)

    assert result.validity == "invalid"
    assert result.certain == certain
    assert result.blocked in operations


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0:s5 0'", "set is not an add"),
        ("0:k5 0'", "create is not an add"),
        ("0:+1 0!absent", "add failed with absent"),
    ],
)
def test_says_why_it_does_not_apply(text: str, reason: str) -> None:
    assert reason == counters.COUNTERS.rows_of(operations_of(text), COUNTER)


def test_an_answer_for_another_delta_is_left_to_another_engine() -> None:
    (operation,) = operations_of("0:@1 0'1")
    strange = Operation(0, "add-and-get", None, 1, (2, 2), "ok", None, operation.call, operation.ret)

    assert counters.COUNTERS.decide([strange], COUNTER).reason == "an add that answered for another delta"


def test_a_counter_that_may_be_missing_is_left_to_another_engine() -> None:
    operations = operations_of("0:+1 0'")

    assert counters.COUNTERS.rows_of(operations, COUNTER.starting_at(None)) == "the counter may be missing"
    assert counters.COUNTERS.rows_of(operations, CAS_REGISTER) == "model cas-register is no counter"


def test_a_counter_starts_where_the_model_says() -> None:
    operations = operations_of("0:+2 0' 1:r 1'12")

    assert counters.COUNTERS.decide(operations, COUNTER.starting_at(10)).validity == "valid"
    assert counters.COUNTERS.decide(operations, COUNTER.starting_at(9)).validity == "invalid"


def test_too_many_crashed_adds_make_an_invalid_history_unknown_and_never_invalid() -> None:
    """No set of three or more of them is tried, so that nothing is known where only such a set could help."""
    crashed = " ".join(f"{n}:+{1000 + 7**n % 9973} {n}?" for n in range(30))

    result = counters.COUNTERS.decide(operations_of(f"{crashed} 50:+17 50' 51:r 51'6000"), COUNTER)

    assert result.validity == "unknown"
    assert "crashed adds" in result.reason


@pytest.mark.parametrize("deltas", [(1, -1), (-3, -2, -1, 1, 2, 3), (1 << 40, -(1 << 41) - 7)], ids=str)
def test_many_pending_adds_are_no_reason_to_try_all_their_orders(deltas: tuple[int, ...]) -> None:
    """Sixty clients add at once; equal adds are one class, and the orders of a class are one order."""
    count = 60
    added = [deltas[n % len(deltas)] for n in range(count)]
    calls = " ".join(f"{n}:+{delta}" for n, delta in enumerate(added))
    returns = " ".join(f"{n}'" for n in reversed(range(count)))

    result = counters.COUNTERS.decide(operations_of(f"{calls} 99:r 99'{deltas[0]} {returns}"), COUNTER)

    assert result.validity == "valid"
