"""Engines agree with brute force, with each other, and with what models say about themselves."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import ILLEGAL, MODELS, EnginesDisagree, Model, check
from checkers.history import History
from checkers.linearizability.front.engines import ENGINES
from checkers.linearizability.result import LinearizabilityResult
from checkers.linearizability.search import jit, wgl
from checkers.models.model import ANYTHING, KEEPS, SOMETHING, OtherThan, Unsaid
from checkers.operation import Operation
from harness.testing.strategies import ANSWERS, operations
from tests.checkers import brute, engine_agreement
from tests.checkers.mini import history
from tests.checkers.objects import OBJECTS, damaged, record

QUIET = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", ANSWERS)
def test_engines_agree_with_brute_force_on_whatever_hypothesis_makes(name: str) -> None:
    model = MODELS[name]

    @QUIET
    @given(operations(name))
    def agree(drawn: list[Operation]) -> None:
        expected = "valid" if brute.is_linearizable(drawn, model) else "invalid"
        found = jit.check_operations(drawn, model, witness=True)

        assert [found.validity, wgl.check_operations(drawn, model).validity] == [expected, expected]
        assert found.order is None or brute.is_witness(found.order, drawn, model)

    agree()


@pytest.mark.parametrize("name", OBJECTS)
def test_engines_agree_with_brute_force_on_recorded_and_spoiled_histories(name: str) -> None:
    """Verdict, witness order, and the first line at which a violation is certain."""
    found = [
        (seed, engine_agreement.disagreement(model, part))
        for seed, model, part in engine_agreement.examples(name, 1, 120)
    ]

    assert [(seed, wrong) for seed, wrong in found if wrong] == []


@pytest.mark.parametrize("name", ["cas-register", "counter", "map", "queue", "set", "mutex"])
def test_the_general_engine_agrees_with_the_reference_on_larger_histories(name: str) -> None:
    for seed in range(25):
        rng = random.Random(seed)
        lines = record(rng, name, count=30, processes=5, values=4, crash=0.02)
        for _ in range(seed % 3):
            lines = damaged(rng, lines, 4)

        verdict = check(History(lines), OBJECTS[name][0], cross_check=True, algorithm="jit", explain=False)

        assert verdict.validity in ("valid", "invalid")


@pytest.mark.parametrize("name", ANSWERS)
def test_access_says_what_step_does(name: str) -> None:
    """The general engine trusts `access` instead of asking `step`: they must be one."""
    model = MODELS[name]

    @QUIET
    @given(operations(name), st.integers(0, 2))
    def agree(drawn: list[Operation], value: int) -> None:
        for operation in drawn:
            for state in _states(model, drawn, value):
                after = model.step(state, operation)
                needs, sets = model.access(operation)
                if isinstance(needs, OtherThan):
                    legal = state != needs.state
                else:
                    legal = needs is ANYTHING or (not isinstance(needs, Unsaid) and state == needs)
                if needs is SOMETHING or sets is SOMETHING or operation.f == "size":
                    continue
                if not legal:
                    assert after is ILLEGAL or (operation.type == "info" and after == state)
                else:
                    assert after == (state if sets is KEEPS else sets)

    agree()


def _states(model: Model, drawn: list[Operation], value: int) -> list[object]:
    states: list[object] = [model.init]
    for operation in drawn:
        for state in list(states):
            after = model.step(state, operation)
            if after is not ILLEGAL and after not in states and len(states) < 12:
                states.append(after)
    return states


def test_cross_check_reports_a_disagreement_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """One engine is made to lie; no verdict may come of it."""

    def lie(*_: object, **__: object) -> LinearizabilityResult:
        return LinearizabilityResult(validity="invalid", engine="registers")

    monkeypatch.setitem(ENGINES, "registers", lie)

    with pytest.raises(EnginesDisagree, match="registers says invalid, wgl says valid"):
        check(history("0:w1 0' 1:r 1'1"), "register", cross_check=True)


def test_a_witness_is_an_order_of_all_completed_operations_by_their_calls() -> None:
    verdict = check(history("0:w1 1:w2 2:r 0' 1' 2'1 3:r 3'2"), "register", witness=True)

    assert verdict.details["witness"] == {"": [0, 2, 1, 6]}
