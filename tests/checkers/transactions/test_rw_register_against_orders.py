"""On small histories of registers nothing is accused where some order of the transactions explains what they saw."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from checkers.admission import NOTHING_JUDGED
from checkers.history import History, Op, Operation
from checkers.transactions import rw_register

KEYS = ("x", "y")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Transactions that read any value that a transaction writes to the key, with real-time intervals at random."""
    count = draw(st.integers(1, 5))
    outcomes = [draw(st.sampled_from(["ok", "ok", "ok", "ok", "info", "fail"])) for _ in range(count)]
    written: dict[str, list[int]] = {key: [] for key in KEYS}
    asked: list[list[list[Any]]] = []
    for _ in range(count):
        asked.append([])
        for f, key in draw(st.lists(st.tuples(st.sampled_from("rrw"), st.sampled_from(KEYS)), min_size=1, max_size=3)):
            if f == "w":
                written[key].append(len(written[key]) + 1)
            asked[-1].append([f, key, written[key][-1] if f == "w" else None])
    done = [_answer(draw, value, written) for value in asked]
    waiting, running = list(range(count)), []
    ops: list[Op] = []
    while waiting or running:
        if waiting and (not running or draw(st.booleans())):
            running.append(number := waiting.pop(0))
            type: Any = "invoke"
        else:
            number = running.pop(draw(st.integers(0, len(running) - 1)))
            type = outcomes[number]
        value = done[number] if type == "ok" else asked[number]
        ops.append(Op(index=len(ops), time=len(ops), process=number, type=type, f="txn", value=value))
    return History(ops)


def _answer(draw: st.DrawFn, value: list[list[Any]], written: dict[str, list[int]]) -> list[list[Any]]:
    met: dict[str, int | None] = {}
    answered = []
    for f, key, what in value:
        if f == "w":
            met[key] = what
        elif key not in met:
            met[key] = draw(st.sampled_from([None, *written[key]]))
        answered.append([f, key, met[key]])
    return answered


def some_order_explains(history: History, *, realtime: bool) -> bool:
    """Try every order of the transactions that happened, with every choice of those that may have."""
    operations = history.operations(with_void=True)
    surely = [operation for operation in operations if operation.type == "ok"]
    maybe = [operation for operation in operations if operation.type == "info"]
    choices = [surely + list(some) for size in range(len(maybe) + 1) for some in combinations(maybe, size)]
    return any(_explains(order, realtime) for chosen in choices for order in permutations(chosen))


def _explains(order: tuple[Operation, ...], realtime: bool) -> bool:
    if realtime and any(b.ret < a.call for position, a in enumerate(order) for b in order[position + 1 :]):
        return False
    registers: dict[str, int] = {}
    for operation in order:
        for f, key, value in operation.result if operation.type == "ok" else operation.value:
            if f == "w":
                registers[key] = value
            elif operation.type == "ok" and registers.get(key) != value:
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(histories(), st.booleans())
def test_no_explicable_history_is_accused(history: History, strict: bool) -> None:
    expect = "strict-serializable" if strict else "serializable"

    verdict = rw_register.check(history, expect=(expect,))

    explicable = some_order_explains(history, realtime=strict)
    event(f"{verdict.validity}, {'explicable' if explicable else 'inexplicable'}")
    assert verdict.validity != "unknown" or verdict.reason == NOTHING_JUDGED
    assert not (verdict.validity == "invalid" and explicable)
