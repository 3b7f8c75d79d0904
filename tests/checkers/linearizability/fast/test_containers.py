"""Sets, FIFO queues and locks without search."""

from __future__ import annotations

import pytest

from checkers.linearizability.fast import mutexes, queues, sets
from checkers.models import MUTEX, OWNED_MUTEX, QUEUE, SET
from tests.checkers.mini import history

ENGINES = {"set": (sets.SETS, SET), "queue": (queues.QUEUES, QUEUE), "mutex": (mutexes.MUTEXES, MUTEX)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("set", "0:A1 1:q 1'[] 1:q 1'[1] 0'", id="an add takes effect anywhere in its interval"),
        pytest.param("set", "0:A1 0? 1:q 1'[] 1:q 1'[1]", id="a crashed add takes effect late"),
        pytest.param("set", "0:A1 0' 1:A1 1!exists 1:A1 1'", id="what is there can be added again"),
        pytest.param("set", "0:A1 1:A2 2:q 2'[2] 2:q 2'[1,2] 0' 1'", id="reads that grow"),
        pytest.param("queue", "0:e1 0' 0:e2 0' 1:d 1'1 1:d 1'2 1:d 1!", id="first in, first out"),
        pytest.param("queue", "0:e1 1:e2 0' 1' 2:d 2'2 2:d 2'1", id="overlapping enqueues in either order"),
        pytest.param("queue", "0:e1 0? 1:d 1! 1:d 1'1", id="a crashed enqueue takes effect late"),
        pytest.param("queue", "0:e1 0' 0:e2 0' 1:d 1? 2:d 2'2", id="a crashed dequeue took the first"),
        pytest.param("queue", "0:e1 0' 1:d 2:d 2! 1'1", id="empty just after the last one was taken"),
        pytest.param("mutex", "0:L 0' 1:L 0:U 0' 1'", id="handed over"),
        pytest.param("mutex", "0:L 0' 1:L 1! 0:U 0' 1:L 1'", id="refused while held"),
        pytest.param("mutex", "0:L 0' 0:U 0? 1:L 1'", id="a crashed release took effect"),
        pytest.param("mutex", "0:L 0? 1:L 1! 2:U 2'", id="a crashed acquire was seen"),
    ],
)
def test_is_linearizable(name: str, text: str) -> None:
    engine, model = ENGINES[name]

    assert engine.decide(history(text).operations(), model).validity == "valid"


@pytest.mark.parametrize(
    ("name", "text", "certain"),
    [
        pytest.param("set", "0:A1 0' 1:q 1'[]", 3, id="lost element"),
        pytest.param("set", "0:q 0'[7]", 1, id="an element from nowhere"),
        pytest.param("set", "0:A1 1:q 1'[1] 2:q 2'[] 0'", 4, id="an element comes and goes"),
        pytest.param("set", "0:A1 1:A2 2:q 3:q 2'[1] 3'[2] 0' 1'", 5, id="two reads that differ both ways"),
        pytest.param("set", "0:A1 0!exists", 1, id="there before any client added it"),
        pytest.param("queue", "0:d 0'7", 1, id="a value from nowhere"),
        pytest.param("queue", "0:e1 0' 1:d 1'1 2:d 2'1", 5, id="taken twice"),
        pytest.param("queue", "0:e1 0' 0:e2 0' 1:d 1'2", 5, id="taken out of order"),
        pytest.param("queue", "0:e1 0' 0:e2 0' 1:d 1'2 1:d 1'1", 5, id="taken out of order, the first one later"),
        pytest.param("queue", "0:e1 0' 1:d 1!", 3, id="empty though it is not"),
        pytest.param("queue", "0:e1 0' 0:e2 0' 2:d 3:d 2'1 3!", 7, id="one left, and found empty"),
        pytest.param("mutex", "0:L 0' 1:L 1'", 3, id="held twice"),
        pytest.param("mutex", "0:U 0'", 1, id="released though free"),
        pytest.param("mutex", "0:L 0!", 1, id="refused though free"),
        pytest.param("mutex", "0:L 0' 0:U 0' 1:L 1!", 5, id="refused after the release"),
    ],
)
def test_is_not_linearizable_from_that_completion_on(name: str, text: str, certain: int) -> None:
    engine, model = ENGINES[name]

    result = engine.decide(history(text).operations(), model)

    assert result.validity == "invalid"
    assert result.certain == certain


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("queue", "0:e1 0' 1:e1 1'", "a value is enqueued twice"),
        ("set", "0:q 0'[1,1]", "a read that lists an element twice"),
    ],
)
def test_says_why_it_does_not_apply(name: str, text: str, reason: str) -> None:
    engine, model = ENGINES[name]

    assert reason == engine.rows_of(history(text).operations(), model)


def test_a_crashed_dequeue_that_decides_about_empty_is_left_to_another_engine() -> None:
    result = queues.QUEUES.decide(history("0:e1 0' 1:d 1? 2:d 2!").operations(), QUEUE)

    assert result.validity == "unknown"
    assert "crashed dequeue" in result.reason


def test_a_lock_that_knows_its_owner_is_left_to_another_engine() -> None:
    assert isinstance(mutexes.MUTEXES.rows_of(history("0:L 0'").operations(), OWNED_MUTEX), str)
