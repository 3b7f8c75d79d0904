"""Orders in two shards: every way to be half done has its name, and what is right is valid."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import ILLEGAL, MODELS, History, MalformedHistory, Op, check
from checkers.atomic_commit import KINDS
from tests.checkers import many_shards

Event = tuple[int, str, str, Any]
SHARDS = ["g0", "g1"]


def history(*events: Event) -> History:
    """Events (process, type, f, value) of one customer. An order is its number, a read its list of each shard."""
    ops = []
    for index, (process, type_, f, value) in enumerate(events):
        if f == "order":
            value = [value, SHARDS]
        elif type_ == "ok":
            value = [[shard, orders] for shard, orders in zip(SHARDS, value, strict=True)]
        error = {"fail": "aborted", "info": "timeout"}.get(type_)
        ops.append(
            Op(index=index, time=index, process=process, type=type_, f=f, key="x", value=value, error=error)  # type: ignore[arg-type]
        )
    return History(ops)


def order(number: int, type_: str = "ok", process: int = 0) -> tuple[Event, Event]:
    return (process, "invoke", "order", number), (process, type_, "order", number)


def read(*lists: list[int], process: int = 1) -> tuple[Event, Event]:
    return (process, "invoke", "read", None), (process, "ok", "read", lists)


def test_orders_in_both_shards_are_valid() -> None:
    verdict = check(history(*order(1), *order(2), *read([1, 2], [1, 2])), "orders")

    assert (verdict.validity, verdict.model, verdict.engine) == ("valid", "orders", "shards+lists")


def test_an_order_of_unknown_outcome_may_be_there_or_not_and_may_come_late() -> None:
    crashed = order(1, "info")

    for reads in ([read([], [])], [read([1], [1])], [read([], []), read([1], [1])]):
        assert check(history(*crashed, *(event for one in reads for event in one)), "orders").validity == "valid"


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ((*order(1), *read([1], [])), "half-transaction"),
        ((*order(1, "info"), *read([], [1])), "half-transaction"),
        ((*order(1), *read([], [])), "lost-order"),
        ((*order(1, "info"), *read([1], [1]), *read([], [])), "lost-order"),
        ((*order(1), *read([1, 1], [1, 1])), "applied-twice"),
        ((*order(1), *read([1], [1, 1])), "applied-twice"),
        ((*order(1, "fail"), *read([1], [1])), "aborted-order"),
        (read([7], [7]), "phantom-order"),
        ((*order(1), *order(2), *read([1, 2], [2, 1])), "shards-disagree"),
        ((*order(1), *order(1), *read([1, 1], [1])), "half-transaction"),
        ((*order(1), *order(1), *read([1], [1, 1])), "half-transaction"),
        ((*order(1), *order(1), *read([1, 1, 1], [1, 1, 1])), "applied-twice"),
        ((*order(1), *order(1, "fail"), *read([1, 1], [1, 1])), "applied-twice"),
        ((*order(1, "fail"), *order(1, "fail"), *read([1], [1])), "aborted-order"),
    ],
)
def test_what_is_wrong_is_named_at_the_line_where_it_shows(events: tuple[Event, ...], kind: str) -> None:
    verdict = check(history(*events), "orders")

    assert verdict.validity == "invalid"
    assert [anomaly.kind for anomaly in verdict.anomalies] == [kind]
    assert verdict.anomalies[0].signature == f"atomic-commit/{kind}"
    assert verdict.anomalies[0].index == len(events) - 1


@pytest.mark.parametrize(
    "events",
    [
        (*order(1), *order(1), *read([1, 1], [1, 1])),
        (*order(1), *order(1, "fail"), *read([1], [1])),
        (*order(1, "fail"), *order(1), *read([1], [1])),
        (*order(1), *order(1, "info"), *read([1], [1]), *read([1, 1], [1, 1])),
    ],
)
def test_an_order_that_is_placed_twice_may_be_there_as_often(events: tuple[Event, ...]) -> None:
    assert check(history(*events), "orders").validity == "valid"


def test_an_order_that_is_placed_twice_and_there_once_is_lost() -> None:
    verdict = check(history(*order(1), *order(1), *read([1], [1])), "orders")

    assert [anomaly.checker for anomaly in verdict.anomalies] == ["linearizability"]


@pytest.mark.parametrize("seed", range(200))
def test_it_says_what_every_order_says(seed: int) -> None:
    """`python -m tests.checkers.agreement --path many-shards` does so at length."""
    _, wrong, judged = many_shards.disagreement(random.Random(seed))

    assert wrong is None, list(judged)


def test_every_kind_is_in_the_list() -> None:
    assert len(set(KINDS)) == 6


def test_orders_in_an_order_against_real_time_are_left_to_linearizability() -> None:
    verdict = check(history(*order(1), *order(2), *read([2, 1], [2, 1])), "orders")

    assert [anomaly.checker for anomaly in verdict.anomalies] == ["linearizability"]


def test_a_read_that_began_before_an_order_was_ok_need_not_have_it() -> None:
    placed = order(1)
    begun, ended = read([], [])

    assert check(history(begun, *placed, ended), "orders").validity == "valid"


@pytest.mark.parametrize("value", [17, [17], [17, []], [17, "g0"]])
def test_an_order_of_another_form_is_refused(value: Any) -> None:
    ops = [
        Op(index=index, time=index, process=0, type=type_, f="order", key="x", value=value)  # type: ignore[arg-type]
        for index, type_ in enumerate(("invoke", "ok"))
    ]

    with pytest.raises(MalformedHistory, match="number, \\[shard"):
        check(History(ops), "orders")


@settings(max_examples=300)
@given(st.data())
def test_it_says_what_the_definition_says(data: st.DataObject) -> None:
    """Against a search for an order of the sequential model, over small concurrent histories."""
    events: list[Event] = []
    open_: dict[int, Event] = {}
    fresh = iter(range(1, 9))
    lists = st.lists(st.integers(1, 3), max_size=3)
    for _ in range(data.draw(st.integers(2, 9))):
        process = data.draw(st.integers(0, 2))
        if process not in open_:
            f = data.draw(st.sampled_from(("order", "read")))
            open_[process] = (process, "invoke", f, next(fresh) if f == "order" else None)
            events.append(open_[process])
            continue
        _, _, f, value = open_.pop(process)
        if f == "order":
            events.append((process, data.draw(st.sampled_from(("ok", "ok", "fail"))), f, value))
        else:
            one = data.draw(lists)
            other = data.draw(st.sampled_from((one, one, data.draw(lists))))
            events.append((process, "ok", f, (one, other)))

    judged = history(*events)

    expected = check(judged, "orders", algorithm="wgl").validity
    assert check(judged, "orders").validity == expected


def test_the_model_says_illegal_where_one_shard_differs() -> None:
    (operation,) = history(*read([1], [])).operations()

    assert MODELS["orders"].step((1,), operation) is ILLEGAL
