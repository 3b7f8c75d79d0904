"""Explanations: what is said is true, is enough, and is no more than needed."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from checkers import History, check
from checkers.intervals import Pair
from checkers.linearizability.explain.budget import Budget
from checkers.linearizability.explain.configurations import configuration_graph
from checkers.linearizability.explain.explain import explain
from checkers.linearizability.explain.reduction import late_excerpts, reduce
from checkers.linearizability.front.engines import decide
from checkers.linearizability.partition import Part, pending
from checkers.models import ILLEGAL, Model, named
from checkers.operation import INF, Operation
from tests.checkers import brute, engine_agreement, golden
from tests.checkers.mini import history
from tests.checkers.objects import OBJECTS, record


@pytest.mark.parametrize("name", golden.names())
def test_a_golden_history_is_explained_as_before(name: str) -> None:
    assert golden.say(name) == golden.told(name)


def budget() -> Budget:
    return Budget(lambda model, operations, limits: decide(operations, model, limits)[0])


def violations(name: str, count: int) -> list[tuple[Model, Part]]:
    return [
        (model, part)
        for _, model, part in engine_agreement.examples(name, 1, count)
        if not brute.is_linearizable(part.operations, model)
    ]


@pytest.mark.parametrize("name", OBJECTS)
def test_a_minimal_sub_history_fails_and_no_longer_once_any_operation_is_freed(name: str) -> None:
    """Freed: dropped if it only looks, else at any time or never. By brute force, which knows nothing of engines."""
    for model, part in violations(name, 60)[:8]:
        reduction = reduce(part.operations, model, budget())

        assert reduction.minimal
        calls = {operation.call for operation in reduction.kept}
        assert not brute.is_linearizable(freed_but(part.operations, calls, model), model)
        for call in calls:
            assert brute.is_linearizable(freed_but(part.operations, calls - {call}, model), model)


def freed_but(operations: list[Operation], calls: set[int], model: Model) -> list[Operation]:
    kept = [operation for operation in operations if operation.call in calls]
    freed = [
        Operation(o.process, o.f, o.key, o.value, None, "info", None, o.call - 1_000, INF)
        for o in operations
        if o.call not in calls and not model.only_looks(o)
    ]
    return freed + kept


@pytest.mark.parametrize("name", OBJECTS)
def test_the_blocked_operation_is_impossible_in_every_state_named(name: str) -> None:
    for model, part in violations(name, 60)[:8]:
        result, _ = decide(part.operations, model, engine_agreement.jit.NO_LIMITS)
        evidence = explain(part, model, result, budget()).evidence
        blocked = next(o for o in part.operations if o.call == evidence["blocked"]["call"])
        reachable = states_of(model, part.operations)

        assert evidence["states"]
        for row in evidence["states"]:
            states = [state for state in reachable if model.describe_state(state) == row["state"]]
            assert all(model.step(state, blocked) is ILLEGAL for state in states)


def states_of(model: Model, operations: list[Operation]) -> set[object]:
    found: set[object] = {model.init}
    for _ in operations:
        for operation in operations:
            found |= {model.step(state, pending(operation)) for state in list(found)[:200]} - {ILLEGAL}
    return found


def test_evidence_is_data_before_it_is_sentences() -> None:
    anomaly = check(history("0:x.w1 0' 0:x.w2 0' 1:x.r 1'1 1:x.w9"), "register").anomalies[0]

    assert anomaly.index == 5
    assert anomaly.evidence["key"] == "x"
    assert anomaly.evidence["prefix_length"] == 3
    assert [row["call"] for row in anomaly.evidence["minimal_history"]] == [0, 2, 4]
    assert anomaly.evidence["blocked"]["text"] == "read -> 1"
    assert anomaly.evidence["last_placed"]["text"] == "write 2"
    assert anomaly.evidence["states"] == [{"state": "2", "order": ["write 1", "write 2"]}]


def test_only_the_first_violations_are_explained_in_full() -> None:
    text = " ".join(f"0:k{number}.r 0'7" for number in range(9))

    verdict = check(history(text), "register")

    assert len(verdict.anomalies) == 9
    assert sum("minimal_history" in anomaly.evidence for anomaly in verdict.anomalies) == 5


def test_a_long_history_with_one_stale_read_is_explained_by_a_handful_of_operations() -> None:
    rng = random.Random(5)
    words, value = [], 0
    for number in range(600):
        if rng.random() < 0.5:
            value += 1
            words.append(f"{number % 3}:w{value} {number % 3}'")
        else:
            words.append(f"{number % 3}:r {number % 3}'{value or 'nil'}")
    words.append("7:r 7'5")

    evidence = check(history(" ".join(words)), "register").anomalies[0].evidence

    assert len(evidence["minimal_history"]) == 3
    assert evidence["minimal"]


@pytest.mark.parametrize("name", ["cas-register", "counter", "queue", "mutex", "set"])
def test_an_excerpt_that_begins_late_never_accuses_a_valid_history(name: str) -> None:
    """From the states that were possible at any completion, what was called after it has an order."""
    for seed in range(25):
        rng = random.Random(seed)
        operations = History(record(rng, name, count=12, processes=4, values=2, crash=0.1)).operations()
        model = named(OBJECTS[name][0])

        for excerpt in late_excerpts(operations, model, budget()):
            after = excerpt.free + excerpt.operations
            assert any(brute.is_linearizable(after, model.starting_at(start)) for start in excerpt.starts)


def test_an_excerpt_about_repeated_values_begins_where_few_states_were_possible() -> None:
    """Sixty writes of two values; every write of the value that was seen would have to be told."""
    words = " ".join(f"{number % 3}:w{number % 2} {number % 3}'" for number in range(60))

    anomaly = check(history(f"{words} 0:w7 0' 1:r 1'1 2:w1"), "register").anomalies[0]

    evidence = anomaly.evidence
    assert evidence["since"] is not None
    assert evidence["minimal"]
    assert len(evidence["minimal_history"]) <= 12
    assert "read -> 1" in [row["text"] for row in evidence["minimal_history"]]
    assert f"At index {evidence['since']} the state could only be {evidence['starts'][0]}" in anomaly.message


def test_the_configuration_graph_holds_every_order_of_a_small_history() -> None:
    operations = history("0:w1 1:w2 0' 1' 2:r 2'1").operations()

    graph = configuration_graph(operations, named("register"))

    assert sorted(state for _, state in graph.nodes(data="state")) == ["1", "1", "1", "2", "2", "null"]
    assert {(graph.edges[edge]["operation"]) for edge in graph.edges} == {"write 1", "write 2", "read -> 1"}


def test_verdicts_do_not_depend_on_the_order_of_hashes() -> None:
    """Two fresh processes with different hash seeds say the same, and take the same number of steps."""
    program = (
        "import random; from checkers import History, check; from tests.checkers.objects import *\n"
        "for name in OBJECTS:\n"
        "    for seed in range(4):\n"
        "        rng = random.Random(seed)\n"
        "        lines = damaged(rng, record(rng, name, count=14, processes=4, values=2, crash=0.1), 2)\n"
        "        verdict = check(History(lines), OBJECTS[name][0])\n"
        "        print(name, seed, verdict.validity, verdict.steps, verdict.details, verdict.anomalies)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(golden.FOLDER.parents[2])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(said) == 1
    assert b"invalid" in said.pop()


def test_an_explanation_is_the_same_every_time() -> None:
    lines = history("0:w1 1:w2 0' 1' 2:r 2'1 3:r 3'2 2:r 2'1")

    assert check(lines, "register").anomalies == check(History(list(lines)), "register").anomalies


def test_between_tells_the_states_that_were_possible_after_each_return() -> None:
    """Two overlapping writes leave two states; the read of 2 leaves one of them, which the last read contradicts."""
    told = check(
        History.from_pairs([
            Pair("write", 1, call=0, ret=3),
            Pair("write", 2, call=1, ret=2),
            Pair("read", result=2, call=4, ret=5),
            Pair("read", result=1, call=6, ret=7),
        ]),
        "register",
    )  # fmt: skip

    evidence = told.anomalies[0].evidence

    assert [(row["ret"], sorted(row["states"]), row["count"]) for row in evidence["between"]] == [
        (3, ["1", "2"], 2),
        (5, ["2"], 1),
    ]
    assert evidence["blocked"]["text"] == "read -> 1"
