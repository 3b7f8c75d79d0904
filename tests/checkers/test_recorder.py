"""Histories that tests of one's own record, and histories made of pairs."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, MalformedHistory, Pair, Recorder, check
from checkers.importers import load
from checkers.models import ILLEGAL, Model
from checkers.operation import Operation
from checkers.picture import draw


def rows(history: History) -> list[tuple[object, ...]]:
    return [(op.process, op.type, op.f, op.value, op.error) for op in history]


def test_calls_are_recorded_with_what_they_asked_and_were_told() -> None:
    recorder = Recorder()

    with recorder.call("a", "write", 1):
        pass
    with recorder.call("a", "read") as call:
        call.result = 1
    with recorder.call("b", "cas", [2, 3]) as call:
        call.fail("precondition-failed")

    assert rows(recorder.history()) == [
        (0, "invoke", "write", 1, None),
        (0, "ok", "write", 1, None),
        (0, "invoke", "read", None, None),
        (0, "ok", "read", 1, None),
        (1, "invoke", "cas", (2, 3), None),
        (1, "fail", "cas", (2, 3), "precondition-failed"),
    ]
    assert check(recorder.history()).validity == "valid"


def test_a_call_that_raises_is_of_unknown_outcome_and_its_client_goes_on_as_another_process() -> None:
    recorder = Recorder()

    with pytest.raises(TimeoutError), recorder.call("a", "write", 1):
        raise TimeoutError
    with recorder.call("a", "read") as call:
        call.result = 1

    assert [(op.process, op.type, op.error) for op in recorder.history()] == [
        (0, "invoke", None),
        (0, "info", "TimeoutError"),
        (1, "invoke", None),
        (1, "ok", None),
    ]
    assert check(recorder.history()).validity == "valid"


def test_a_call_that_is_under_way_is_of_unknown_outcome() -> None:
    recorder = Recorder()

    with recorder.call("a", "write", 1):
        assert recorder.history().counts() == {"ok": 0, "fail": 0, "info": 1}


def test_what_is_changed_after_a_call_does_not_change_what_was_recorded() -> None:
    recorder = Recorder()
    seen = [1]

    with recorder.call("a", "read") as call:
        call.result = seen
    seen.append(2)

    assert recorder.history()[1].value == (1,)


def test_threads_share_a_recorder() -> None:
    recorder = Recorder()
    ready = threading.Barrier(4)

    def client(name: int) -> None:
        ready.wait()
        for number in range(50):
            with recorder.call(name, "add", 100 * name + number):
                pass

    threads = [threading.Thread(target=client, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert recorder.history().counts() == {"ok": 200, "fail": 0, "info": 0}


def test_pairs_are_ordered_by_their_instants_whatever_these_are() -> None:
    def at(second: int) -> datetime:
        return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)

    history = History.from_pairs(
        [
            Pair("read", result=1, call=at(2), ret=at(3)),
            Pair("write", 1, call=at(0), ret=at(2)),
            Pair("write", 2, call=at(5)),
        ]
    )

    assert [(op.process, op.type, op.f, op.value) for op in history] == [
        (0, "invoke", "write", 1),
        (1, "invoke", "read", None),
        (0, "ok", "write", 1),
        (1, "ok", "read", 1),
        (2, "invoke", "write", 2),
    ]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), max_size=6))
def test_pairs_overlap_as_closed_intervals_do(spans: list[tuple[int, int, int]]) -> None:
    """One precedes another of another process exactly if it returned at an instant before the other's call."""
    spans = [(min(a, b), max(a, b), client) for a, b, client in spans]
    pairs = [Pair("write", n, call=a, ret=b, process=client) for n, (a, b, client) in enumerate(spans)]

    operations = {operation.value: operation for operation in History.from_pairs(pairs).operations()}

    for one, (_, end, client) in enumerate(spans):
        for other, (begin, _, same) in enumerate(spans):
            precedes = operations[one].ret < operations[other].call
            if client != same or end != begin:
                assert precedes == (end < begin)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=12))
def test_what_one_process_did_stays_in_its_order(ends: list[tuple[int, int]]) -> None:
    """Each client calls at the instant of its last return, or later."""
    pairs, last = [], {}
    for number, (length, client) in enumerate(ends):
        begin = last.get(client, 0) + length % 2
        last[client] = begin + length // 2
        pairs.append(Pair("write", number, call=begin, ret=last[client], process=client))

    history = History.from_pairs(pairs)

    assert not history.is_unordered
    for client in range(3):
        mine = [operation.value for operation in history.operations() if operation.process == client]
        assert mine == [number for number, (_, other) in enumerate(ends) if other == client]


def test_many_operations_of_one_client_at_one_instant_take_no_time_each_for_all_others() -> None:
    """A table with times in whole seconds has them; 20,000 took 15 s."""
    pairs = [Pair("write", number, call=0, ret=0, process=0) for number in range(20_000)]
    began = time.process_time()

    history = History.from_pairs(pairs)

    assert time.process_time() - began < 5
    assert [op.value for op in history] == [number for number in range(20_000) for _ in range(2)]


def touching(*clients: int) -> list[Pair]:
    """Each client writes 1 to its own key, and reads nothing there from the instant at which that returned."""
    return [
        pair
        for client in clients
        for pair in (
            Pair("write", 1, key=client, call=0, ret=1, process=client),
            Pair("read", key=client, result=None, call=1, ret=2, process=client),
        )
    ]


def test_a_call_at_the_instant_of_the_last_return_of_its_process_comes_after_it() -> None:
    one, two = History.from_pairs(touching(0)), History.from_pairs(touching(0, 1))

    assert check(one, "register").validity == check(one, consistency="sequential").validity == "invalid"
    # Of two at one instant no lines can say it, and closed intervals allow it; the order of processes does not.
    assert two.touches
    assert check(two, "register").validity == "valid"
    assert check(two, consistency="sequential").validity == "invalid"


def touching_transactions(*more: Pair) -> History:
    pairs = [
        Pair(
            "txn",
            [[pair.f[0], pair.key, pair.value]],
            result=[[pair.f[0], pair.key, pair.value]],
            call=pair.call,
            ret=pair.ret,
            process=pair.process,
        )
        for pair in touching(0, 1)
    ]
    return History.from_pairs([*pairs, *more])


@pytest.mark.parametrize("expect", ["strict-serializable", "strong-session-serializable"])
def test_transactions_of_one_process_are_in_order_though_they_touch(expect: str) -> None:
    history = touching_transactions()

    assert check(history, "rw-register", expect=[expect]).validity == "invalid"
    assert check(history, "rw-register", expect=["serializable"]).validity == "valid"


SAME_WRITE_TWICE = [
    Pair("txn", [["w", "z", 1]], result=[["w", "z", 1]], call=call, ret=call + 1, process=2) for call in (20, 22)
]
"""Of another key, and of no matter: but no graph is made where a value is written twice."""


@pytest.mark.parametrize(
    ("expect", "validity"),
    [
        ([], "unknown"),
        (["strict-serializable"], "unknown"),
        (["strong-snapshot-isolation"], "unknown"),
        (["strong-session-serializable"], "unknown"),
        (["strong-session-snapshot-isolation"], "unknown"),
        (["serializable", "strong-session-serializable"], "unknown"),
        (["serializable"], "valid"),
    ],
)
def test_a_search_does_not_find_valid_what_it_knows_no_order_of(expect: list[str], validity: str) -> None:
    told: list[str] = []

    verdict = check(touching_transactions(*SAME_WRITE_TWICE), "rw-register", expect=expect, on_decided=told.append)

    assert (verdict.validity, told) == (validity, [validity])
    assert ("touch" in verdict.reason) == (validity == "unknown")


@pytest.mark.parametrize("option", [{"algorithm": "wgl"}, {"witness": True}, {"cross_check": True}, {"initial": {}}])
def test_an_order_that_is_asked_for_is_none_where_transactions_touch(option: dict[str, Any]) -> None:
    told: list[str] = []

    verdict = check(touching_transactions(), "rw-register", on_decided=told.append, **option)

    assert (verdict.validity, told) == ("unknown", ["unknown"])
    assert "touch" in verdict.reason
    assert "witness" not in verdict.details


def test_what_a_search_refutes_is_invalid_though_transactions_touch() -> None:
    stale = Pair("txn", [["r", "z", None]], result=[["r", "z", None]], call=30, ret=31, process=3)
    history = touching_transactions(*SAME_WRITE_TWICE, stale)
    told: list[str] = []

    assert check(history, "rw-register").validity == "invalid"
    assert check(history, "rw-register", algorithm="wgl").validity == "invalid"
    verdict = check(history, "rw-register", expect=["serializable"], on_decided=told.append)
    assert (verdict.validity, told) == ("unknown", ["unknown"])  # of weaker models it refutes none


def test_after_an_unknown_outcome_a_client_goes_on_as_another_process() -> None:
    calls = ((0, None, "write", 1, None), (3, 4, "write", 2, None), (5, 6, "read", None, None))
    pairs = [Pair(f, value, result=result, call=a, ret=b, process=0) for a, b, f, value, result in calls]

    history = History.from_pairs(pairs)

    assert [operation.process for operation in history.operations()] == [0, 1, 1]
    assert check(history, consistency="sequential").validity == "invalid"


def test_a_call_of_unknown_outcome_comes_after_what_its_process_did_at_the_same_instant() -> None:
    pairs = [
        Pair("write", 9, key="y", call=1, ret=1, process=1),
        Pair("read", key="x", result=1, call=1, ret=1, process=0),
        Pair("write", 1, key="x", call=1, ret=1, process=0, type="info"),
    ]

    assert check(History.from_pairs(pairs), consistency="sequential").validity == "invalid"


def test_what_a_client_does_after_an_unknown_outcome_at_the_same_instant_is_of_another_process() -> None:
    pairs = [
        Pair("write", 4, key="y", call=1, ret=2, process=1),
        Pair("read", key="x", call=2, process=1),
        Pair("read", key="y", result=None, call=2, ret=2, process=1),
    ]
    history = History.from_pairs(pairs)

    assert len({operation.process for operation in history.operations()}) == 2
    assert check(history, consistency="sequential").validity == "valid"


def test_overlapping_calls_of_one_process_are_counted_and_have_no_order() -> None:
    pairs = [Pair("write", 1, call=0, ret=10, process=0), Pair("read", result=None, call=5, ret=12, process=0)]
    history = History.from_pairs(pairs)

    assert history.notes == (
        "1 x call of a process whose last call had not returned: taken as of a process of its own",
    )
    assert check(history, "register").validity == "valid"
    found = check(history, consistency="sequential")
    assert (found.validity, found.reason) == (
        "unknown",
        "some calls of a process overlap, so that its order, which was asked for, is not known",
    )


@pytest.mark.parametrize(("call", "ret"), [(5, 3), (float("nan"), 3), (0, float("nan"))])
def test_an_interval_that_ends_before_it_begins_is_refused(call: float, ret: float) -> None:
    with pytest.raises(MalformedHistory, match="a return that is not before its call"):
        History.from_pairs([Pair("write", 1, call=call, ret=ret)])


def test_an_answer_of_null_is_not_taken_for_what_was_asked() -> None:
    def swap(state: int, operation: Operation) -> Any:
        return operation.value if operation.type == "info" or state == operation.result else ILLEGAL

    swapping = Model(name="swap", init=5, step=swap)

    assert check(History.from_pairs([Pair("swap", 5, result=None, call=0, ret=1)]), swapping).validity == "invalid"
    assert check(History.from_pairs([Pair("swap", 5, call=0, ret=1)]), swapping).validity == "valid"  # it repeats 5
    table = b"f,value,result,call,return\nswap,5,%s,0,1\n"
    assert check(load(table % b"null"), swapping).validity == check(load(table % b""), swapping).validity == "invalid"
    assert check(load(table % b"5"), swapping).validity == "valid"


def test_a_picture_has_a_lane_for_each_process_in_the_order_of_events() -> None:
    shown = [
        {"process": 0, "call": 0, "ret": 9, "text": "write 1"},
        {"process": 10, "call": 4, "ret": None, "text": "write 2 -> ?"},
        {"process": 0, "call": 11, "ret": 12, "text": "read -> 1"},
    ]

    assert draw(shown).splitlines() == [
        "process 0    |--------- write 1 ---------|             |- read -> 1 -|",
        "process 10                 |--------------------- write 2 -> ? -------------------->",
    ]
    assert draw([]) == ""
