"""Generators: each combinator in the smallest schedule that shows what it does."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plans.rng import Stream
from workloads import generator
from workloads.generator import (
    Call,
    Context,
    Generator,
    any_of,
    calls,
    concat,
    delay,
    each_thread,
    evaluate,
    filter_calls,
    flip_flop,
    limit,
    map_calls,
    mix,
    on_threads,
    once,
    phases,
    repeat,
    reserve,
    rest,
    stagger,
    time_limit,
)

T = TypeVar("T")


def say(word: str) -> Generator:
    """One call of this name."""
    return once(Call(f=word))


def keep_saying(word: str) -> Generator:
    """The call of this name, for ever."""
    return calls(lambda context: Call(f=word))


def words(made: Generator, threads: int = 3, seed: int = 1) -> str:
    """What is called, in order, one letter each."""
    return "".join(call.f for event in schedule(made, threads, seed) for call in event.calls)


def times(made: Generator, threads: int = 3, start_ns: int = 0) -> list[tuple[int, str]]:
    """When what is called."""
    return [(event.due_ns, event.calls[0].f) for event in schedule(made, threads, start_ns=start_ns)]


def schedule(made: Generator, threads: int = 3, seed: int = 1, start_ns: int = 0) -> tuple[generator.Event, ...]:
    return evaluate(made, threads=threads, chance=Stream(seed, "test"), start_ns=start_ns)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (concat(), ""),
        (say("a"), "a"),
        (once(Call(f="a"), Call(f="b")), "ab"),
        (concat(say("a"), concat(), say("b")), "ab"),
        (phases(limit(2, keep_saying("a")), say("b")), "aab"),
        (limit(3, keep_saying("a")), "aaa"),
        (limit(0, keep_saying("a")), ""),
        (limit(5, say("a")), "a"),
        (repeat(3, concat(say("a"), say("b"))), "ababab"),
        (repeat(0, say("a")), ""),
        (repeat(None, concat()), ""),
        (limit(3, repeat(None, say("a"))), "aaa"),
        (flip_flop(keep_saying("a"), limit(2, keep_saying("b"))), "ababa"),
        (map_calls(lambda call: Call(f=call.f.upper()), concat(say("a"), say("b"))), "AB"),
        (filter_calls(lambda call: call.f != "a", concat(say("a"), say("b"))), "b"),
        (mix((1, say("a")), (0, say("b"))), "a"),
        (mix(), ""),
    ],
)
def test_what_is_called(made: Generator, expected: str) -> None:
    assert expected == words(made)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (delay(10, limit(3, keep_saying("a"))), [(0, "a"), (10, "a"), (20, "a")]),
        (concat(say("a"), rest(5), say("b")), [(0, "a"), (5, "b")]),
        (time_limit(25, delay(10, keep_saying("a"))), [(0, "a"), (10, "a"), (20, "a")]),
        (time_limit(20, delay(10, keep_saying("a"))), [(0, "a"), (10, "a")]),
        (
            concat(time_limit(10, delay(5, keep_saying("a"))), time_limit(10, delay(5, keep_saying("b")))),
            [(0, "a"), (5, "a"), (5, "b"), (10, "b")],
        ),
        (
            any_of(delay(20, limit(2, keep_saying("a"))), concat(rest(5), say("b"))),
            [(0, "a"), (5, "b"), (20, "a")],
        ),
        (delay(10, concat(say("a"), rest(100), say("b"))), [(0, "a"), (110, "b")]),
    ],
)
def test_when_it_is_due(made: Generator, expected: list[tuple[int, str]]) -> None:
    assert expected == times(made)


def test_time_starts_where_it_is_told_to() -> None:
    assert times(time_limit(15, delay(10, keep_saying("a"))), start_ns=7) == [(7, "a"), (17, "a")]


def test_a_burst_is_one_event_of_one_thread_and_has_the_gaps_of_all_its_calls() -> None:
    burst = calls(lambda context: (Call(f="a"), Call(f="b")))

    events = schedule(limit(2, delay(10, burst)))

    assert [(event.due_ns, "".join(call.f for call in event.calls)) for event in events] == [(0, "ab"), (20, "ab")]


def test_stagger_keeps_the_total_rate_with_gaps_up_to_twice_the_mean() -> None:
    due = [when for when, _ in times(limit(4_000, stagger(1_000, keep_saying("a"))), threads=7)]

    gaps = [after - before for before, after in itertools.pairwise(due)]
    assert all(0 <= gap < 2_000 for gap in gaps)
    assert pytest.approx(sum(gaps) / len(gaps), rel=0.05) == 1_000


def test_mix_draws_by_weight() -> None:
    counts = Counter(words(limit(4_000, mix((3, keep_saying("a")), (1, keep_saying("b"))))))

    assert pytest.approx(counts["a"], rel=0.05) == 3_000


def test_mix_goes_on_until_every_branch_is_exhausted() -> None:
    assert Counter("aaabb") == Counter(words(mix((1, limit(3, keep_saying("a"))), (9, limit(2, keep_saying("b"))))))


def test_each_thread_gets_a_copy_at_its_own_pace() -> None:
    events = schedule(each_thread(delay(10, limit(2, keep_saying("a")))), threads=3)

    assert [(event.due_ns, event.thread) for event in events] == [(0, 0), (0, 1), (0, 2), (10, 0), (10, 1), (10, 2)]


def test_reserve_gives_threads_to_generators_and_the_others_to_the_rest() -> None:
    made = reserve((2, keep_saying("a")), (1, keep_saying("b")), rest=keep_saying("c"))

    owners = {(event.calls[0].f, event.thread) for event in schedule(limit(200, stagger(5, made)), threads=5)}

    assert {("a", 0), ("a", 1)} >= {owner for owner in owners if owner[0] == "a"}
    assert {thread for word, thread in owners if word == "b"} <= {2}
    assert {thread for word, thread in owners if word == "c"} <= {3, 4}


def test_on_threads_uses_only_the_chosen_ones() -> None:
    made = on_threads(lambda thread: thread % 2 == 1, limit(50, keep_saying("a")))

    assert {1, 3} == {event.thread for event in schedule(made, threads=5)}


def test_all_threads_take_part() -> None:
    assert set(range(5)) == {event.thread for event in schedule(limit(100, keep_saying("a")), threads=5)}


def test_fresh_numbers_are_unique_also_when_answers_are_kept_for_later() -> None:
    def numbered(context: Context) -> Call:
        return Call(f="write", value=context.fresh())

    made = limit(60, each_thread(stagger(10, calls(numbered))))

    values = [event.calls[0].value for event in schedule(made, threads=4)]

    assert len(set(values)) == 60


def test_an_endless_generator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "CALL_LIMIT", 100)

    with pytest.raises(ValueError, match=r"expected limit\(\) or time_limit\(\)"):
        schedule(keep_saying("a"))


LEAVES = st.sampled_from("abc").map(say) | st.sampled_from("xyz").map(lambda word: limit(3, keep_saying(word)))


def _grown(smaller: st.SearchStrategy[Generator]) -> st.SearchStrategy[Generator]:
    few: st.SearchStrategy[Sequence[Generator]] = st.lists(smaller, min_size=1, max_size=3)
    return (
        few.map(lambda parts: concat(*parts))
        | few.map(lambda parts: any_of(*parts))
        | few.map(lambda parts: mix(*((place + 1, part) for place, part in enumerate(parts))))
        | smaller.map(each_thread)
        | st.tuples(st.integers(0, 4), smaller).map(lambda pair: limit(*pair))
        | st.tuples(st.integers(1, 50), smaller).map(lambda pair: stagger(*pair))
        | st.tuples(st.integers(0, 50), smaller).map(lambda pair: time_limit(*pair))
        | st.tuples(smaller, smaller).map(lambda pair: flip_flop(*pair))
        | st.tuples(smaller, smaller).map(lambda pair: reserve((1, pair[0]), rest=pair[1]))
    )


@given(st.recursive(LEAVES, _grown, max_leaves=8), st.integers(0, 100), st.integers(1, 4))
def test_any_schedule_is_reproducible_in_order_and_for_existing_threads(
    made: Generator, seed: int, threads: int
) -> None:
    first = schedule(made, threads, seed)

    assert first == schedule(made, threads, seed)
    assert [event.due_ns for event in first] == sorted(event.due_ns for event in first)
    assert all(0 <= event.thread < threads and event.calls for event in first)
