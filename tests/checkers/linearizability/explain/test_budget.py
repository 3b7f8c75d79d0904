"""A verdict comes at once, and all explanations together spend one budget and no more."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from checkers import History, Op, check
from checkers.linearizability.explain import budget as budgets
from checkers.linearizability.explain.budget import Budget
from checkers.linearizability.result import Limits, LinearizabilityResult
from checkers.models import ILLEGAL, Model, named
from checkers.operation import INF, Operation
from tests.checkers import brute, engine_agreement
from tests.checkers.mini import history

ACCOUNTS = 8

HERE = Path(__file__).parent


def _bank_step(state: tuple[int, ...], operation: Operation) -> Any:
    """Step a bank as a user would write it, without a word about what operations need or leave."""
    if operation.f == "read":
        return state if operation.type == "info" or operation.result == state else ILLEGAL
    source, target, amount = operation.value
    balances = list(state)
    balances[source] -= amount
    balances[target] += amount
    return tuple(balances)


BANK = Model(name="bank", init=(100,) * ACCOUNTS, step=_bank_step)


def bank_history(count: int, *, clients: int = 5, bad_read: float = 0.9) -> list[Op]:
    """Run a bank under concurrent clients; of the reads after that share of the history, one is wrong."""
    rng = random.Random(7)
    balances = [100] * ACCOUNTS
    lines: list[Op] = []
    pending: dict[int, tuple[str, Any, Any]] = {}
    called, is_spoiled = 0, False
    while called < count or pending:
        process = rng.randrange(clients)
        if process in pending:
            f, value, result = pending.pop(process)
            if f == "read" and not is_spoiled and called > bad_read * count:
                result, is_spoiled = (result[0] + 1, *result[1:]), True
            lines.append(_line(lines, process, "ok", f, value if f == "transfer" else list(result)))
        elif called < count:
            called += 1
            if rng.random() < 0.5:
                pending[process] = "read", None, tuple(balances)
                lines.append(_line(lines, process, "invoke", "read", None))
            else:
                source, target, amount = rng.randrange(ACCOUNTS), rng.randrange(ACCOUNTS), rng.randint(1, 5)
                balances[source] -= amount
                balances[target] += amount
                pending[process] = "transfer", [source, target, amount], None
                lines.append(_line(lines, process, "invoke", "transfer", [source, target, amount]))
    return lines


def _line(lines: list[Op], process: int, kind: Any, f: str, value: Any) -> Op:
    return Op(index=len(lines), time=len(lines), process=process, type=kind, f=f, value=value)


def test_a_violation_that_is_dear_to_explain_is_told_within_the_limit() -> None:
    """Decided in milliseconds; every attempt to explain it used to take the whole limit, and there were dozens."""
    began = time.monotonic()
    told: list[tuple[str, float]] = []

    verdict = check(
        History.from_jsonl(HERE / "slow_counter.jsonl"),
        "counter",
        time_limit_s=1.0,
        on_decided=lambda validity: told.append((validity, time.monotonic() - began)),
    )

    assert verdict.validity == "invalid"
    assert verdict.anomalies[0].index == 108
    assert time.monotonic() - began < 5
    assert [validity for validity, _ in told] == ["invalid"]


def test_a_model_of_the_users_own_gets_its_verdict_within_the_limit() -> None:
    verdict = check(History(bank_history(400)), BANK, time_limit_s=20.0, explain_limit_s=2.0)

    assert verdict.validity == "invalid"
    assert verdict.anomalies[0].evidence["completing"]["f"] == "read"
    assert verdict.seconds < 20


def test_one_budget_is_for_all_violations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine violated objects together are asked about for little more than one budget."""
    asked: list[int] = []
    original = Budget.spend

    def spend(self: Budget, steps: int) -> None:
        if self._whole is None:
            asked.append(steps)
        original(self, steps)

    monkeypatch.setattr(Budget, "spend", spend)
    monkeypatch.setattr(budgets.Budget.__init__, "__kwdefaults__", {**_defaults(), "steps": 20_000})
    words = " ".join(f"0:k{key}.w{value} 0'" for key in range(9) for value in range(40))
    words += "".join(f" 1:k{key}.r 1'{key}" for key in range(9))

    verdict = check(history(words), "register", algorithm="jit")

    assert len(verdict.anomalies) == 9
    assert 0 < sum(asked) < 25_000


def _defaults() -> dict[str, Any]:
    return dict(Budget.__init__.__kwdefaults__ or {})


@pytest.mark.parametrize("steps", [0, 1, 30, 300, 3_000])
@pytest.mark.parametrize("name", ["cas-register", "counter", "queue", "mutex"])
def test_what_is_said_under_any_budget_is_true(name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails by the certain index fails by brute force, and so do the operations that are said to suffice."""
    monkeypatch.setattr(Budget.__init__, "__kwdefaults__", {**_defaults(), "steps": steps})
    seen = 0
    for _, model, part in engine_agreement.examples(name, 1, 60):
        if brute.is_linearizable(part.operations, model) or part.voids:
            continue
        lines = _lines(part.operations)
        anomaly = check(History(lines), model).anomalies[0]
        evidence = anomaly.evidence
        prefix = [operation for operation in History(lines).operations() if operation.call <= evidence["certain_index"]]

        assert not brute.is_linearizable(brute.prefix(prefix, evidence["certain_index"]), model)
        if evidence.get("since", 0) is None:
            kept = {row["call"] for row in evidence["minimal_history"]}
            freed = _freed_but(brute.prefix(prefix, evidence["certain_index"]), kept, model)
            assert not brute.is_linearizable(freed, model)
        seen += 1
    assert seen > 2


def _freed_but(operations: list[Operation], calls: set[int], model: Model) -> list[Operation]:
    freed = [
        Operation(o.process, o.f, o.key, o.value, None, "info", None, o.call - 1_000, INF)
        for o in operations
        if o.call not in calls and not model.only_looks(o)
    ]
    return freed + [operation for operation in operations if operation.call in calls]


def _lines(operations: list[Operation]) -> list[Op]:
    """Write operations as lines again, one process for each."""
    lines = []
    for number, operation in enumerate(operations):
        base = {"process": number, "f": operation.f, "key": operation.key}
        lines.append(Op(index=operation.call, time=operation.call, type="invoke", value=operation.value, **base))
        if operation.type != "info":
            value = operation.result if operation.type == "ok" else operation.value
            lines.append(
                Op(
                    index=operation.ret,
                    time=operation.ret,
                    type=operation.type,
                    value=value,
                    error=operation.error,
                    **base,
                )
            )
    return sorted(lines, key=lambda line: line.index)


def test_a_part_cannot_spend_what_the_others_need() -> None:
    def decide(model: Model, operations: object, limits: Limits) -> LinearizabilityResult:
        return LinearizabilityResult(validity="unknown", engine="test", steps=limits.steps or 0)

    whole = Budget(decide, steps=100)
    part = whole.part(4)
    part.decide(named("register"), [], Limits(steps=1_000))

    assert part.is_spent
    assert part.decide(named("register"), [], Limits()) is budgets.SPENT
    assert whole.limits().steps == 75


def test_seconds_end_a_budget_too() -> None:
    now = 0.0
    budget = Budget(lambda model, operations, limits: budgets.SPENT, seconds=3.0, clock=lambda: now)

    assert not budget.is_spent
    assert budget.part(3).limits().seconds == 1.0
    now = 3.0
    assert budget.is_spent
