"""The first sentence of a violation of a counter or a set: it names what cannot be, and is never said of what can."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers import check
from checkers.linearizability.explain.counters import impossible_sum
from checkers.linearizability.explain.sets import impossible_set
from checkers.linearizability.partition import Part
from tests.checkers import brute, campaign
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
