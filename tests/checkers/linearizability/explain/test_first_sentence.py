"""The first sentence of a violation of a counter or a set: it names what cannot be, and is never said of what can."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers import check
from checkers.linearizability.explain.contradiction import OF_MODELS
from checkers.linearizability.explain.counters import impossible_sum
from checkers.linearizability.explain.sets import impossible_set
from checkers.linearizability.partition import Part
from tests.checkers import brute, campaign, engine_agreement
from tests.checkers.mini import history


def first_sentence(text: str, model: str, **options: Any) -> str:
    (anomaly,) = check(history(text), model, **options).anomalies
    return anomaly.message.split(". Certain")[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0:+2 0' 1:+3 1' 2:r 2'7", "process 2 read 7, but all that was added by then comes to 5"),
        ("0:+2 0' 1:+3 2:r 2'7 1'", "process 2 read 7, but all that was added by then comes to at most 5"),
        (
            "0:+2 0~ 2:r 2'2",
            "process 2 read 2, but all that was added by then comes to 0; the add of 2 by process 0 failed",
        ),
        ("0:+2 0' 1:+3 2:r 2'1 1'", "process 2 read 1, but what was added before comes to at least 2"),
        (
            "0:+2 0' 1:@3 1'9",
            "process 1 was answered 9 to its add-and-get of 3,"
            " but all that was added by then, its own included, comes to 5",
        ),
        ("0:+5 0' 1:@1 1'6 3:+-2 2:r 2'3 3'", "process 2 read 3, but what was added before comes to at least 4"),
        (
            "0:+5 1:r 1'5 2:r 2'0 0'",
            "process 2 read 0 after process 1 had read 5, and nothing was subtracted in between",
        ),
        (
            "0:+5 3:+1 1:r 1'5 2:r 2'0 0' 3'",
            "process 2 read 0 after process 1 had read 5, and nothing was subtracted in between",
        ),
        (
            "0:+5 0' 3:+-1 1:r 1'5 2:r 2'3 3' 4:+-1 4'",
            "process 2 read 3, but what was added before comes to at least 4",
        ),
    ],
)
def test_a_counter_out_of_bounds_is_told_with_the_bound(text: str, sentence: str) -> None:
    assert first_sentence(text, "counter") == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0:A1 0' 1:q 1'[]", "process 1 read a set without 1, which process 0 had added"),
        ("0:A1 0' 0:A2 0' 1:q 1'[]", "process 1 read a set without 1 (and 1 more), which process 0 had added"),
        ("0:A1 1:q 1'[1] 2:q 2'[] 0'", "process 2 read a set without 1, which process 1 had read"),
        ("0:q 0'[4]", "process 0 read 4, which was never added"),
        ("0:A4 0~ 1:q 1'[4]", "process 1 read 4, but the add of 4 of process 0 failed"),
        ("1:q 1'[4] 0:A4 0'", "process 1 read 4 before process 0 called its add of 4"),
        ("0:A4 0' 1:q 1'[4,4]", "process 1 read 4 twice in one set"),
    ],
)
def test_an_element_that_is_missing_or_came_from_nowhere_is_named(text: str, sentence: str) -> None:
    assert first_sentence(text, "set") == sentence


@pytest.mark.parametrize(
    ("model", "text", "sentence"),
    [
        ("mutex", "0:U 0'", "process 0 released the lock, which nobody held"),
        ("mutex", "0:L 0!", "process 0 was refused the lock as held, while nobody held it"),
        ("mutex", "0:L 0' 1:L 1'", "process 1 acquired the lock while process 0 held it"),
        ("owned-mutex", "0:L 0' 1:U 1'", "process 1 released the lock, which it did not hold"),
        ("queue", "0:e1 0' 1:d 1'7", "process 1 dequeued 7, which was never put in"),
        ("queue", "0:e1 0~ 1:d 1'1", "process 1 dequeued 1, but the enqueue of process 0 failed"),
        ("queue", "0:e1 0' 1:d 1'1 2:d 2'1", "process 2 dequeued 1, which process 1 had dequeued already"),
        ("queue", "0:e1 0' 0:e2 0' 1:d 1'2", "process 1 dequeued 2 before 1, which process 0 had put in first"),
        ("queue", "0:e1 0' 1:d 1!", "process 1 found the queue empty after process 0 had put 1 in"),
        ("list", "0:a1 0' 1:q 1'[]", "process 1 read a list without 1, which process 0 had appended"),
        ("list", "0:a1 0' 1:q 1'[1,9]", "process 1 read 9, which was never appended"),
        ("list", "0:a1 0~ 1:q 1'[1]", "process 1 read 1, but the append of process 0 failed"),
        ("list", "1:q 1'[1] 0:a1 0'", "process 1 read 1 before process 0 called its append"),
        ("list", "0:a1 0' 0:a2 0' 1:q 1'[2,1]", "process 1 read 2 before 1, but 1 was appended first"),
        (
            "list",
            "0:a1 1:a2 0' 1' 2:q 2'[1,2] 3:q 3'[2,1]",
            "process 3 read [2, 1] after process 2 had read [1, 2], which it does not begin with",
        ),
    ],
)
def test_locks_queues_and_lists_are_told_in_their_words(model: str, text: str, sentence: str) -> None:
    assert first_sentence(text, model) == sentence


@pytest.mark.parametrize("name", ["mutex", "queue", "list", "unique-list", "kv"])
def test_the_words_of_an_object_are_never_said_of_what_an_order_explains(name: str) -> None:
    said = {True: 0, False: 0}
    for seed, model, part in engine_agreement.examples(name, 1, 500):
        is_fine = brute.is_linearizable(part.operations, model)
        for operation in part.operations:
            sentences = [say(part, model, part.operations, operation) for say in OF_MODELS]
            assert not (any(sentences) and is_fine), (seed, sentences)
            said[is_fine] += 1 if any(sentences) or is_fine else 0

    assert min(said.values()) > 10


@pytest.mark.parametrize("path", ["counter-one-delta", "counter-small", "counter-small-scattered", "set"])
def test_it_is_never_said_of_an_answer_that_an_order_explains(path: str) -> None:
    said = {True: 0, False: 0}
    for seed in range(400):
        made = campaign.PATHS[path]
        operations = campaign.history(random.Random(f"{path}/{seed}"), made)
        part = Part(keys=(None,), operations=operations, voids=[])
        is_fine = brute.is_linearizable(operations, made.model)
        for operation in operations:
            sentence = impossible_sum(part, made.model, (), operation) or impossible_set(
                part, made.model, (), operation
            )
            assert not (sentence and is_fine), (seed, sentence)
            said[is_fine] += 1 if sentence or is_fine else 0

    assert min(said.values()) > 50
