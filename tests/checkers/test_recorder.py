"""Histories that tests of one's own record, and histories made of pairs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import History, Pair, Recorder, check
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
    """One precedes another exactly if it returned at an instant before the other's call."""
    spans = [(min(a, b), max(a, b), client) for a, b, client in spans]
    pairs = [Pair("write", n, call=a, ret=b, process=client) for n, (a, b, client) in enumerate(spans)]

    operations = {operation.value: operation for operation in History.from_pairs(pairs).operations()}

    for one, (_, end, _) in enumerate(spans):
        for other, (begin, _, _) in enumerate(spans):
            assert (operations[one].ret < operations[other].call) == (end < begin)


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
