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
    calls,
    concat,
    evaluate,
    limit,
    mix,
    once,
    stagger,
    time_limit,
)

T = TypeVar("T")


def say(word: str) -> Generator:
    """One call of this name."""
    return once(Call(f=word))


def keep_saying(word: str) -> Generator:
    """The call of this name, without end."""
    return calls(lambda context: Call(f=word))


def words(made: Generator, threads: int = 3, seed: int = 1) -> str:
    """What is called, in order, one letter each."""
    return "".join(call.f for event in schedule(made, threads, seed) for call in event.calls)


def times(made: Generator, threads: int = 3, start_ns: int = 0) -> list[tuple[int, str]]:
    """When what is called."""
    return [(event.due_ns, event.calls[0].f) for event in schedule(made, threads, start_ns=start_ns)]


def schedule(made: Generator, threads: int = 3, seed: int = 1, start_ns: int = 0) -> tuple[generator.Event, ...]:
    return tuple(evaluate(made, threads=threads, stream=Stream(seed, "test"), start_ns=start_ns))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (concat(), ""),
        (say("a"), "a"),
        (once(Call(f="a"), Call(f="b")), "ab"),
        (concat(say("a"), concat(), say("b")), "ab"),
        (concat(limit(2, keep_saying("a")), say("b")), "aab"),
        (limit(3, keep_saying("a")), "aaa"),
        (limit(0, keep_saying("a")), ""),
        (limit(5, say("a")), "a"),
        (mix((1, say("a")), (0, say("b"))), "a"),
        (mix(), ""),
    ],
)
def test_what_is_called(made: Generator, expected: str) -> None:
    assert expected == words(made)


def test_without_pacing_all_is_due_at_once() -> None:
    assert times(concat(say("a"), say("b"))) == [(0, "a"), (0, "b")]


@pytest.mark.parametrize("start_ns", [0, 7])
def test_a_time_limit_counts_from_when_it_is_first_asked_and_excludes_its_end(start_ns: int) -> None:
    unlimited = times(limit(50, stagger(10, keep_saying("a"))), start_ns=start_ns)

    limited = times(time_limit(unlimited[20][0] - start_ns, stagger(10, keep_saying("a"))), start_ns=start_ns)

    assert limited == [call for call in unlimited if call[0] < unlimited[20][0]]
    assert limited[0] == (start_ns, "a")


def test_a_burst_is_one_event_of_one_thread_and_has_the_gaps_of_all_its_calls() -> None:
    burst = calls(lambda context: (Call(f="a"), Call(f="b")))

    events = schedule(limit(2_000, stagger(10, burst)))

    assert {"".join(call.f for call in event.calls) for event in events} == {"ab"}
    assert pytest.approx(events[-1].due_ns / len(events), rel=0.05) == 2 * 9.5


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


def test_all_threads_take_part() -> None:
    assert set(range(5)) == {event.thread for event in schedule(limit(100, keep_saying("a")), threads=5)}


def test_fresh_numbers_are_unique_in_a_schedule() -> None:
    def numbered(context: Context) -> Call:
        return Call(f="write", value=context.fresh())

    made = limit(60, mix((1, stagger(10, calls(numbered))), (1, calls(numbered))))

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
        | few.map(lambda parts: mix(*((place + 1, part) for place, part in enumerate(parts))))
        | st.tuples(st.integers(0, 4), smaller).map(lambda pair: limit(*pair))
        | st.tuples(st.integers(1, 50), smaller).map(lambda pair: stagger(*pair))
        | st.tuples(st.integers(0, 50), smaller).map(lambda pair: time_limit(*pair))
    )


@given(st.recursive(LEAVES, _grown, max_leaves=8), st.integers(0, 100), st.integers(1, 4))
def test_any_schedule_is_reproducible_in_order_and_for_existing_threads(
    made: Generator, seed: int, threads: int
) -> None:
    first = schedule(made, threads, seed)

    assert first == schedule(made, threads, seed)
    assert [event.due_ns for event in first] == sorted(event.due_ns for event in first)
    assert all(0 <= event.thread < threads and event.calls for event in first)
