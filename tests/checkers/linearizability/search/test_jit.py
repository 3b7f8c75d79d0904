"""The general engine where it is hard: concurrency, crashes, violations that nothing cheap can see."""

from __future__ import annotations

import dataclasses
import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks import histories
from checkers import MODELS, check
from checkers.history import History
from checkers.linearizability.result import Limits
from checkers.linearizability.search import jit, wgl
from checkers.linearizability.search.encoding import LOOK, REST, WRITE, EncodedOperations
from checkers.linearizability.search.frontier import COUNT_BITS, Frontier, _best
from checkers.linearizability.search.read_from import find_refutation
from checkers.operation import Operation
from harness.testing.strategies import operations
from tests.checkers import brute
from tests.checkers.mini import history
from tests.checkers.objects import record

CAS = MODELS["cas-register"]


def recorded(seed: int, count: int, processes: int, crash: float = 0.0) -> list[Operation]:
    lines = record(random.Random(seed), "cas-register", count=count, processes=processes, values=5, crash=crash)
    return History(lines).operations()


@pytest.mark.parametrize(("processes", "crash"), [(5, 0.0), (60, 0.0), (20, 0.02), (10, 0.3)])
def test_a_valid_history_is_found_valid_with_a_witness_at_any_concurrency(processes: int, crash: float) -> None:
    for seed in range(3):
        found = recorded(seed, 400, processes, crash)

        result = jit.check_operations(found, CAS, Limits(steps=400_000), witness=True)

        assert result.validity == "valid"
        assert result.order is not None
        assert brute.is_witness(result.order, found, CAS)
        assert result.steps < 25 * len(found)


def test_a_violation_that_no_cheap_test_sees_is_found_at_the_completion_that_the_reference_names() -> None:
    """Exactly one answer is wrong, and every value seen had a source in time."""
    found = 0
    for seed in range(200):
        rng = random.Random(seed)
        spoiled = recorded(seed, 60, 5)
        place = rng.choice([n for n, o in enumerate(spoiled) if o.f == "read" and o.type == "ok"])
        spoiled[place] = msgspec.structs.replace(spoiled[place], result=rng.randrange(5))
        if find_refutation(EncodedOperations(spoiled, CAS)) is not None:
            continue

        result, reference = jit.check_operations(spoiled, CAS), wgl.check_operations(spoiled, CAS)

        assert result.validity == reference.validity
        if result.validity == "invalid":
            found += 1
            assert result.blocked == reference.blocked
    assert found >= 5


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations("cas-register", count=8))
def test_what_the_cheap_refutation_refutes_is_not_linearizable(drawn: list[Operation]) -> None:
    refutation = find_refutation(EncodedOperations(drawn, CAS))

    if refutation is not None:
        assert not brute.is_linearizable(drawn, CAS)


@pytest.mark.parametrize(
    ("text", "observer", "overwriter"),
    [
        ("0:w1 0' 0:w2 0' 1:r 1'1", 4, 2),
        ("0:r 0'1", 0, None),
        ("0:w1 0' 1:r 1'nil", 2, 0),
        ("0:w1 0' 1:c1,2 1' 2:c1,3 2'", 4, 2),
    ],
)
def test_the_cheap_refutation_names_who_looked_and_who_had_overwritten(
    text: str, observer: int, overwriter: int | None
) -> None:
    refutation = find_refutation(EncodedOperations(history(text).operations(), CAS))

    assert refutation is not None
    assert refutation.observer.call == observer
    assert (None if refutation.overwriter is None else refutation.overwriter.call) == overwriter


@pytest.mark.parametrize("text", ["0:w1 1:w2 0' 1' 2:r 2'1", "0:w1 0? 1:w2 1' 2:r 2'1", "0:c0,1 1:w0 2:r 2'1 0' 1'"])
def test_the_cheap_refutation_abstains_where_a_source_may_have_come_last(text: str) -> None:
    assert find_refutation(EncodedOperations(history(text).operations(), CAS)) is None


def test_a_concurrent_burst_that_a_narrow_beam_gets_wrong_is_decided_by_going_back() -> None:
    """Six enqueues overlap, and are taken out in an order that the first guess cannot know."""
    calls = " ".join(f"{process}:e{process}" for process in range(6))
    returns = " ".join(f"{process}'" for process in range(6))
    order = [3, 0, 5, 1, 4, 2]
    taken = " ".join(f"9:d 9'{value}" for value in order)
    wrong = " ".join(f"9:d 9'{value}" for value in (3, 0, 5, 1, 4, 4))

    for text, expected in ((f"{calls} {returns} {taken}", "valid"), (f"{calls} {returns} {wrong}", "invalid")):
        assert jit.check_operations(history(text).operations(), MODELS["queue"]).validity == expected


def test_crashed_operations_of_one_class_are_counted_together() -> None:
    """Forty crashed adds would be two to the forty subsets."""
    crashed = " ".join(f"{process}:+1 {process}?" for process in range(40))

    verdicts = [
        jit.check_operations(history(f"{crashed} 90:r 90'{total} 91:r 91'{total}").operations(), MODELS["counter"])
        for total in (40, 41)
    ]

    assert [verdict.validity for verdict in verdicts] == ["valid", "invalid"]
    assert max(verdict.steps for verdict in verdicts) < 5_000


@pytest.mark.parametrize("crashed", ["1:w2 1? 2:c1,2 2?", "2:c1,2 2? 1:w2 1?"])
def test_which_crashed_operation_was_used_is_remembered(crashed: str) -> None:
    """The first read of 2 must be owed to the cas, because only the write can be the source of the second one."""
    found = history(f"0:w1 0' {crashed} 3:r 3'2 0:w3 0' 3:r 3'3 3:r 3'2")
    once_more = history(f"0:w1 0' {crashed} 3:r 3'2 0:w3 0' 3:r 3'3 3:r 3'2 0:w3 0' 3:r 3'2")

    assert jit.check_operations(found.operations(), CAS).validity == "valid"
    assert jit.check_operations(once_more.operations(), CAS).validity == "invalid"


@pytest.mark.parametrize("crashed", ["1:c5,6 1?", "1:c1,1 1?", ""])
def test_a_crashed_operation_that_is_illegal_moves_nothing(crashed: str) -> None:
    """The state was 1 all the time, so no answer may say that it was not."""
    found = history(f"0:w1 0' {crashed} 2:c1,2 2! 2:r 2'1").operations()

    assert jit.check_operations(found, CAS).validity == "invalid"


@pytest.mark.parametrize("returns", ["1' 2'", "2' 1'"])
@pytest.mark.parametrize(("later", "validity"), [("3:c3,9 3!", "valid"), ("3:c3,9 3! 3:c2,9 3!", "invalid")])
def test_a_refusal_alone_can_need_one_of_two_concurrent_writes_to_be_last(
    returns: str, later: str, validity: str
) -> None:
    found = history(f"0:w1 0' 1:w2 2:w3 {returns} {later}").operations()

    assert jit.check_operations(found, CAS).validity == validity


def test_values_without_a_read_are_one_state() -> None:
    writes = " ".join(f"{process}:w{process + 10} {process}?" for process in range(30))

    encoding = EncodedOperations(history(f"{writes} 90:w1 90' 91:r 91'1 92:c5,6 92!").operations(), CAS)

    assert encoding.states.count(REST) == 1
    assert [encoding.sorts.count(WRITE), encoding.sorts.count(LOOK)] == [2, 2]


def test_a_frontier_keeps_only_what_nothing_dominates() -> None:
    """Fewer obligations and fewer crashed ones used are better; other states or changes done cannot be compared."""
    guards = 1 << COUNT_BITS - 1 | 1 << 2 * COUNT_BITS - 1
    one, other = 1, 1 << COUNT_BITS
    frontier = Frontier(guards)

    added = [
        frontier.add((0, 0, 0b11, one, None)),
        frontier.add((0, 0, 0b11, one + other, None)),
        frontier.add((0, 0, 0b01, other, None)),
        frontier.add((0, 0, 0b01, one, None)),
        frontier.add((1, 0, 0b11, one, None)),
        frontier.add((0, 1, 0b11, one, None)),
    ]

    assert added == [True, False, True, True, True, True]
    assert sorted(frontier.configs()) == [
        (0, 0, 0b01, one, None),
        (0, 0, 0b01, other, None),
        (0, 1, 0b11, one, None),
        (1, 0, 0b11, one, None),
    ]
    assert frontier.size == 4


def test_a_beam_keeps_the_least_burdened_and_as_many_states_as_it_can() -> None:
    crowd = [(0, 0, 0b11, 0, None), (0, 0, 0b1, 1, None), (0, 1, 0b0, 1, None), (1, 0, 0b111, 0, None)]

    assert _best(crowd, 2) == [(0, 0, 0b11, 0, None), (1, 0, 0b111, 0, None)]
    assert _best(crowd, 3) == [(0, 0, 0b11, 0, None), (1, 0, 0b111, 0, None), (0, 1, 0b0, 1, None)]


def test_a_memory_limit_gives_unknown_and_says_so() -> None:
    blind = dataclasses.replace(MODELS["list"], name="list without look ahead", can_reach=None)
    verdict = check(history("0:a1 1:a2 0' 1' 2:q 2'[1,3]"), "list", memory_limit_bytes=1, step_limit=None)
    bounded = check(
        history(" ".join(f"{p}:a{p}" for p in range(9)) + " " + " ".join(f"{p}'" for p in range(9)) + " 9:q 9'[77]"),
        blind,
        memory_limit_bytes=1,
    )

    assert verdict.validity == "invalid"
    assert (bounded.validity, bounded.machine_dependent) == ("unknown", True)
    assert "memory limit of 1 bytes reached" in bounded.reason


def test_steps_are_the_same_every_time() -> None:
    found = recorded(3, 200, 8, 0.05)

    assert jit.check_operations(found, CAS).steps == jit.check_operations(list(reversed(found)), CAS).steps


def few_values(seed: int) -> list[Operation]:
    """Record mostly reads and cas of five values, of which one in a hundred crashes, and flip the answer of one cas."""
    made = histories.record(histories.Registers((5, 1, 4), values=5), 10_000, concurrency=10, crashed=0.01, seed=seed)
    histories.flip_failed_cas(made, random.Random(seed))
    return made.operations()


@pytest.mark.parametrize("seed", [1, 7, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4, 5, 6, 8))])
def test_one_flipped_cas_among_few_values_and_crashes_is_decided(seed: int) -> None:
    """Crashed operations explain nearly anything, at a price: what used the fewest of them is followed first."""
    found = jit.check_operations(few_values(seed), CAS, Limits(steps=200_000))

    assert found.validity == ("invalid" if seed in (1, 2, 8) else "valid")


def test_a_beam_keeps_what_used_the_fewest_crashed_operations() -> None:
    """Four of one class are more than three, and one of each of two classes is less than three of one."""
    another = 1 << COUNT_BITS
    configs = [(0, 0, 0, used, None) for used in (4, 3, 1 + another, 2 * another + 3)]

    assert [config[3] for config in _best(configs, 2)] == [1 + another, 3]
