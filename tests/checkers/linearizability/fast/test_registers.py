"""Registers of unique values: zones, blocks of cas, crashed operations, and refused cas."""

from __future__ import annotations

import pytest

from checkers.linearizability.fast import registers
from checkers.linearizability.fast.fast_path import NO_LIMITS
from checkers.linearizability.result import Limits, LinearizabilityResult
from checkers.models import CAS_REGISTER, MAP
from tests.checkers.mini import history


def check(text: str, limits: Limits = NO_LIMITS) -> LinearizabilityResult:
    """Check a one-line history of one register."""
    return registers.REGISTERS.decide(history(text).operations(), CAS_REGISTER, limits)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0:r 0'nil", id="the initial value is there at the start"),
        pytest.param("0:w1 1:r 1'nil 2:r 2'1 0'", id="a write takes effect anywhere in its interval"),
        pytest.param("0:w1 0' 1:w2 2:r 2'2 3:r 3'2 1'", id="zones that touch in one instant do not overlap"),
        pytest.param("0:w1 0' 1:w2 1? 2:r 2'1 2:r 2'2", id="a crashed write takes effect late"),
        pytest.param("0:w1 0' 1:w2 1? 2:r 2'1 2:r 2'1", id="a crashed write takes effect never"),
        pytest.param("0:w1 0' 1:c1,2 1? 2:c2,3 2? 3:r 3'3", id="a crashed cas that only a crashed cas needed"),
        pytest.param("0:w1 0' 1:c1,2 1' 0:c2,3 0' 1:r 1'3", id="a chain of cas"),
        pytest.param("0:w1 0' 1:c2,3 1!", id="a refused cas of what no client wrote"),
        pytest.param("0:w1 0' 1:c1,9 2:w2 1! 2'", id="a refused cas beside a write that may have come first"),
        pytest.param("0:w1 0' 2:w2 2? 1:c1,9 1!", id="a refused cas after a crashed write of another value"),
        pytest.param("0:w1 0' 2:c1,2 2? 1:c1,9 1!", id="a refused cas after a crashed cas of the same value"),
        pytest.param("0:w1 1:w2 0' 1' 2:c1,8 2! 3:r 3'2", id="a refused cas of the value overwritten in time"),
        pytest.param(
            "0:w1 1:w2 2:cnil,8 2! 0' 3:w3 3' 2:c3,9 2! 1'", id="the write that returns first makes room first"
        ),
    ],
)
def test_is_linearizable(text: str) -> None:
    result = check(text)

    assert result.validity == "valid"
    assert result.engine == "registers"


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        pytest.param("0:w1 0' 1:r 1'nil", 3, id="stale read"),
        pytest.param("0:r 0'7", 1, id="a value from nowhere"),
        pytest.param("0:r 1:w1 1' 0'1 0:r 0'nil", 5, id="the value goes back"),
        pytest.param("0:r 0'1 1:w1 1'", 1, id="a value from the future"),
        pytest.param("0:w1 0' 1:w2 1' 2:r 2'1 3:r 3'2", 5, id="two values take turns"),
        pytest.param("0:w1 0' 1:c1,2 1' 2:c1,3 2'", 5, id="two cas from one value"),
        pytest.param("0:w1 0' 1:w2 1' 0:c1,3 0'", 5, id="a cas from an overwritten value"),
        pytest.param("0:w1 0' 1:c1,2 1' 2:r 2'1", 5, id="a read of what a cas replaced"),
        pytest.param("0:w1 0' 1:c1,9 1!", 3, id="a refused cas of the only value there can be"),
        pytest.param("0:w1 0' 2:c1,2 1:c1,9 1! 2!", 5, id="two cas refused though nothing else was written"),
        pytest.param("0:w1 1:w2 0' 1' 2:c1,8 2! 3:c2,9 3!", 7, id="two values left, and both are refused"),
        pytest.param(
            "0:w1 1:w2 2:cnil,8 2! 3:w3 3' 4:r 5:r 4'1 5'2 0' 1'", 9, id="what makes room early must not be seen late"
        ),
        pytest.param("0:w1 0' 1:w3 1' 2:r 2'3 0:c1,2 3:r 3'2 0'", 8, id="a value between a cas and what it expected"),
        pytest.param("0:c5,6 1:c6,7 1' 0' 2:r 2'7", 2, id="a chain of cas that hangs in the air"),
    ],
)
def test_is_not_linearizable_from_that_completion_on(text: str, certain: int) -> None:
    result = check(text)

    assert result.validity == "invalid"
    assert result.certain == certain


def test_a_value_that_a_refused_cas_would_have_written_may_be_written_by_another() -> None:
    """In the prefixes before its refusal two operations may write that value, and this check leaves those to others."""
    assert check("0:w1 0' 1:c7,2 1! 1:c1,2 1' 0:r 0'2").validity == "valid"

    result = check("0:w1 0' 1:c7,2 2:c1,2 2' 1! 0:r 0'1")

    assert result.validity == "invalid"
    assert result.certain in (None, 7)


def test_a_violation_names_the_operations_that_suffice_to_see_it() -> None:
    operations = history("0:w1 0' 1:w2 1' 2:w3 2' 3:r 3'1").operations()

    result = registers.REGISTERS.decide(operations, CAS_REGISTER)

    assert result.blocked == operations[3]
    assert operations[0] in result.culprits
    assert registers.REGISTERS.decide(result.culprits, CAS_REGISTER).validity == "invalid"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0:w1 0' 1:w1 1'", "a value is written twice"),
        ("0:w1 0' 1:wnil 1'", "a value is written twice"),
        ("0:w1 0' 1:c1,2 1? 2:c1,2 2?", "a value is written twice"),
    ],
)
def test_says_why_it_does_not_apply(text: str, reason: str) -> None:
    operations = history(text).operations()

    assert reason == registers.REGISTERS.rows_of(operations, CAS_REGISTER)
    assert check(text).validity == "unknown"
    assert check(text).reason == reason


@pytest.mark.parametrize(
    ("text", "validity"),
    [
        ("0:x.p1 0' 1:x.p2 1! 1:x.r 1'1", "valid"),
        ("0:x.p1 0' 1:x.p2 1' 1:x.r 1'2", "invalid"),
        ("0:x.m1 0! 0:x.p2 0' 0:x.m3 0'2 0:x.r 0'3", "valid"),
        ("0:x.p1 0' 1:x.m2 1? 2:x.r 2'1", "valid"),
        ("0:x.p1 0' 1:x.m2 1? 2:x.r 2'2", "unknown"),
    ],
)
def test_keys_of_maps_are_registers(text: str, validity: str) -> None:
    assert validity == registers.REGISTERS.decide(history(text).operations(), MAP).validity


def test_a_refusal_does_not_make_long_histories_slow() -> None:
    """Every step leaves a choice that a search would have to remember; the walk forgets it."""
    rounds = 400
    text = " ".join(
        f"0:w{2 * n} 1:w{2 * n + 1} 2:c{2 * n},{-n - 1} 2! 3:c{2 * n + 1},{-n - rounds - 1} 3! 0' 1'"
        for n in range(rounds)
    )

    result = check(text)

    assert result.validity == "valid"


def test_a_step_limit_makes_the_verdict_unknown() -> None:
    result = check("0:w1 0' 1:r 1'1", Limits(steps=1))

    assert result.validity == "unknown"
    assert "step limit" in result.reason
