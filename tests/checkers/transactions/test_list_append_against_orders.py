"""On small histories the graph finds a violation exactly when no order of the transactions explains what they saw."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from checkers.admission import NOTHING_JUDGED
from checkers.history import History, Op, Operation
from checkers.transactions import list_append

KEYS = ("x", "y")


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Transactions whose reads show some version of each list, with real-time intervals at random.

    Each list has one order of all elements, and a read shows a prefix of it, so that most versions fit each other and
    cycles decide.
    """
    count = draw(st.integers(1, 5))
    micro = st.lists(st.tuples(st.sampled_from("arr"), st.sampled_from(KEYS)), min_size=1, max_size=3)
    programs = [draw(micro) for _ in range(count)]
    outcomes = [draw(st.sampled_from(["ok", "ok", "ok", "ok", "info", "fail"])) for _ in range(count)]
    elements: dict[str, list[tuple[int, int]]] = {key: [] for key in KEYS}  # (element, transaction)
    asked: list[list[list[Any]]] = []
    for number, program in enumerate(programs):
        asked.append([])
        for f, key in program:
            if f == "a":
                elements[key].append((len(elements[key]), number))
                asked[-1].append(["append", key, len(elements[key]) - 1])
            else:
                asked[-1].append(["r", key, None])
    orders = {}
    for key in KEYS:
        may_show = [element for element, number in elements[key] if outcomes[number] != "fail"]
        orders[key] = draw(st.permutations(may_show))
    done = [_answer(draw, value, orders) for value in asked]
    return History(_interleave(draw, asked, done, outcomes))


def _answer(draw: st.DrawFn, value: list[list[Any]], orders: dict[str, list[int]]) -> list[list[Any]]:
    seen: dict[str, list[int]] = {}
    answered = []
    for f, key, element in value:
        own = [e for g, k, e in value if g == "append" and k == key]
        others = [e for e in orders[key] if e not in own]
        base = seen.get(key)
        if base is None:
            base = seen[key] = others[: draw(st.integers(0, len(others)))]
        if f == "append":
            answered.append([f, key, element])
            seen[key] = [*base, element]
        else:
            answered.append([f, key, list(base)])
    return answered


def _interleave(draw: st.DrawFn, asked: list[Any], done: list[Any], outcomes: list[str]) -> list[Op]:
    ops: list[Op] = []
    waiting, running = list(range(len(asked))), []
    while waiting or running:
        if waiting and (not running or draw(st.booleans())):
            number = waiting.pop(0)
            running.append(number)
            kind, value = "invoke", asked[number]
        else:
            number = running.pop(draw(st.integers(0, len(running) - 1)))
            kind = outcomes[number]
            value = done[number] if kind == "ok" else asked[number]
        type: Any = kind
        ops.append(Op(index=len(ops), time=len(ops), process=number, type=type, f="txn", value=value))
    return ops


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
    lists: dict[str, tuple[int, ...]] = {}
    for operation in order:
        for f, key, value in operation.result if operation.type == "ok" else operation.value:
            if f == "append":
                lists[key] = (*lists.get(key, ()), value)
            elif operation.type == "ok" and lists.get(key, ()) != value:
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(histories(), st.booleans())
def test_the_graph_agrees_with_every_order(history: History, realtime: bool) -> None:
    expect = "strict-serializable" if realtime else "serializable"

    verdict = list_append.check(history, expect=(expect,), realtime=realtime)

    event(verdict.validity)
    assert (verdict.validity != "invalid") == some_order_explains(history, realtime=realtime)
    assert verdict.validity != "unknown" or verdict.reason == NOTHING_JUDGED
