"""Generators: values that say which calls clients make, and when.

In a hurry
----------
A generator is an immutable value. Small ones are combined into the schedule of a whole run, and `evaluate` turns that
into a plain list of calls with due times:

    writes  = calls(lambda context: Call(f="write", key="x", value=context.fresh()))
    reads   = calls(lambda context: Call(f="read", key="x"))
    traffic = time_limit(10 * SECOND, stagger(20 * MILLISECOND, mix((1, writes), (2, reads))))
    evaluate(phases(traffic, each_thread(once(Call(f="read", key="x")))), threads=5, chance=stream)

Most names are Jepsen's, and mean the same. One thing differs, and it decides everything else.

Drawn, not generated while running ---------------------------------- Jepsen asks its generator for the next operation
while the test runs, and tells it of every completion. Whatever the generator answers then depends on timing: cut one
operation out of such a run, and everything behind it changes, so that a failing run cannot be made smaller. Here the
generator is asked *before* the run, against an imagined clock, and leaves data: per thread a list of calls. Deleting
one deletes one element.

The price is that a generator cannot see results. What depends on them is written down symbolically and resolved by the
thread that runs the call: `{"last-read": "x"}` is whatever this thread's latest successful read of x returned.
So there are no promises, no `until-ok` and no updates; the final reads, which do repeat until they succeed, are a phase
of the plan and not a generator.

The protocol ------------ A generator has one method. `next(context)` answers None when it is exhausted, else an
`Event` and the generator that goes on from there:

    context   time_ns     the imagined time; never goes back
              threads     who may be given the call
              chance      the stream that all draws come from
              numbers     counts up; `fresh()` is unique within the run
    event     due_ns      when, at or after the context's time
              thread      who
              calls       what: usually one call. A *burst* of several is done by one thread back to back (read it, then
                          compare-and-set what was read). None at all is a rest, which only lets time pass.

Asking draws, so that an answer which is not used at once is kept, never asked for again: that is what `_Soonest` is
about.

Time ---- A leaf is due at once; `stagger`, `delay` and `rest` are what lets time pass. A thread starts a call at its
due time or when its previous call has ended, whichever is later: due times are intentions, as in an open system,
where clients do not come more slowly because the cluster is slow. Likewise the barrier between `phases` is one of due
times. `stagger` is Jepsen's: the gaps are uniform in [0, 2 dt), dt on average, **over all threads together**. Uniform
gaps make calls coincide often, which regular ones never do and exponential ones do with long silences between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from .chance import Chance

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000

CALL_LIMIT: Final = 1_000_000
"""More calls than any run makes in a day: a generator that passes it never ends, or never lets time pass."""


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a client shall do: a function, mostly of a key."""

    f: str
    key: str | None = None
    value: Any = None


class Event(msgspec.Struct, frozen=True):
    """One step of a schedule: who makes which calls, when."""

    due_ns: int
    thread: int
    calls: tuple[Call, ...]


class Context(msgspec.Struct, frozen=True):
    """What a generator may look at when it is asked for its next event."""

    time_ns: int
    threads: tuple[int, ...]
    chance: Chance
    numbers: Iterator[int]

    def fresh(self) -> int:
        """A number that no other call of the run got, counting up from 1."""
        return next(self.numbers)

    def at(self, time_ns: int) -> Context:
        """The same context, not before a time."""
        if time_ns <= self.time_ns:
            return self
        return Context(time_ns, self.threads, self.chance, self.numbers)

    def among(self, threads: tuple[int, ...]) -> Context:
        """The same context, for these threads."""
        return Context(self.time_ns, threads, self.chance, self.numbers)

    def event(self, *calls: Call) -> Event:
        """Have one of the threads make the calls now, one after another."""
        return Event(self.time_ns, self.chance.choice(self.threads), calls)


class Generator(msgspec.Struct, frozen=True):
    """The protocol; see the head of this file."""

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        """The next event and what comes after it, or None."""
        raise NotImplementedError


Step = Callable[[Context], Call | tuple[Call, ...]]


def evaluate(generator: Generator, *, threads: int, chance: Chance, start_ns: int = 0) -> tuple[Event, ...]:
    """Ask a generator until it is exhausted. Returns its events, rests left out, by due time.

    Raises ValueError when it does not end within `CALL_LIMIT` calls.
    """
    events: list[Event] = []
    numbers = itertools.count(1)
    context = Context(start_ns, tuple(range(threads)), chance, numbers)
    for _ in range(CALL_LIMIT):
        answer = generator.next(context)
        if answer is None:
            return tuple(events)
        event, generator = answer
        context = context.at(event.due_ns)
        if event.calls:
            events.append(event)
    raise ValueError(f"generator: {CALL_LIMIT} events and no end; expected limit() or time_limit() around it")


class _Calls(Generator, frozen=True):
    step: Step

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        made = self.step(context)
        return context.event(*made) if isinstance(made, tuple) else context.event(made), self


def calls(step: Step) -> Generator:
    """Whatever `step` draws, for ever. A tuple of calls is a burst: one thread makes them back to back."""
    return _Calls(step)


class _Once(Generator, frozen=True):
    calls: tuple[Call, ...]

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        return context.event(*self.calls), _NOTHING


def once(*calls: Call) -> Generator:
    """One event: a call, or a burst of them."""
    return _Once(calls)


class _Rest(Generator, frozen=True):
    rest_ns: int

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        return Event(context.time_ns + self.rest_ns, context.threads[0], ()), _NOTHING


def rest(rest_ns: int) -> Generator:
    """Let time pass."""
    return _Rest(rest_ns)


class _Concat(Generator, frozen=True):
    generators: tuple[Generator, ...]

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        for place, generator in enumerate(self.generators):
            answer = generator.next(context)
            if answer is not None:
                event, after = answer
                return event, _Concat((after, *self.generators[place + 1 :]))
        return None


_NOTHING: Final = _Concat(())


def concat(*generators: Generator) -> Generator:
    """All of the first, then all of the second, and so on."""
    return _Concat(generators)


phases = concat
"""The same, by the name under which a schedule reads better: each begins when the one before has nothing left."""


class _Repeat(Generator, frozen=True):
    again: int | None
    original: Generator
    current: Generator

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.current.next(context)
        if answer is not None:
            return answer[0], _Repeat(self.again, self.original, answer[1])
        if self.again == 0:
            return None
        answer = self.original.next(context)
        if answer is None:  # empty from the start: repeating it would never end
            return None
        return answer[0], _Repeat(None if self.again is None else self.again - 1, self.original, answer[1])


def repeat(times: int | None, generator: Generator) -> Generator:
    """A generator from its start again, so many times in all; None: for ever."""
    return _NOTHING if times == 0 else _Repeat(None if times is None else times - 1, generator, generator)


class _FlipFlop(Generator, frozen=True):
    turn: Generator
    other: Generator

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.turn.next(context)
        return None if answer is None else (answer[0], _FlipFlop(self.other, answer[1]))


def flip_flop(first: Generator, second: Generator) -> Generator:
    """One event of the first, one of the second, and so on, until one of them has none left."""
    return _FlipFlop(first, second)


class _Limit(Generator, frozen=True):
    left: int
    inner: Generator

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.inner.next(context) if self.left > 0 else None
        return None if answer is None else (answer[0], _Limit(self.left - bool(answer[0].calls), answer[1]))


def limit(count: int, generator: Generator) -> Generator:
    """At most so many events; a burst is one."""
    return _Limit(count, generator)


class _TimeLimit(Generator, frozen=True):
    limit_ns: int
    inner: Generator
    end_ns: int | None = None

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        end_ns = context.time_ns + self.limit_ns if self.end_ns is None else self.end_ns
        answer = self.inner.next(context) if context.time_ns < end_ns else None
        if answer is None or answer[0].due_ns >= end_ns:
            return None
        return answer[0], _TimeLimit(self.limit_ns, answer[1], end_ns)


def time_limit(limit_ns: int, generator: Generator) -> Generator:
    """Only what is due within so long of the first time it is asked."""
    return _TimeLimit(limit_ns, generator)


class _Paced(Generator, frozen=True):
    gap_ns: int
    drawn: bool
    inner: Generator
    earliest_ns: int = 0

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.inner.next(context.at(self.earliest_ns))
        if answer is None:
            return None
        event, after = answer
        if event.due_ns < self.earliest_ns:
            event = Event(self.earliest_ns, event.thread, event.calls)
        gap_ns = 0
        for _ in event.calls:
            gap_ns += context.chance.below(2 * self.gap_ns) if self.drawn else self.gap_ns
        return event, _Paced(self.gap_ns, self.drawn, after, event.due_ns + gap_ns)


def stagger(mean_ns: int, generator: Generator) -> Generator:
    """Put gaps uniform in [0, 2 * mean_ns) between calls, of all threads together. After a burst come all its gaps."""
    return _Paced(mean_ns, True, generator)


def delay(gap_ns: int, generator: Generator) -> Generator:
    """Put gaps of exactly this length between calls."""
    return _Paced(gap_ns, False, generator)


class _Mix(Generator, frozen=True):
    branches: tuple[tuple[Generator, int], ...]

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        branches = self.branches
        while branches:
            place = context.chance.weighted([(place, weight) for place, (_, weight) in enumerate(branches)])
            generator, weight = branches[place]
            answer = generator.next(context)
            if answer is None:
                branches = branches[:place] + branches[place + 1 :]
            elif answer[1] is generator and branches is self.branches:
                return answer[0], self
            else:
                return answer[0], _Mix((*branches[:place], (answer[1], weight), *branches[place + 1 :]))
        return None


def mix(*branches: tuple[int, Generator]) -> Generator:
    """Draw for each event which of the (weight, generator) pairs gives it, until all are exhausted."""
    return _Mix(tuple((generator, weight) for weight, generator in branches if weight > 0))


class _Branch(msgspec.Struct, frozen=True):
    threads: tuple[int, ...]
    generator: Generator
    event: Event | None = None  # asked for and not used yet; `generator` is what comes after it

    def asked(self, context: Context) -> _Branch | None:
        if self.event is not None:
            return self
        answer = self.generator.next(context.among(self.threads))
        return None if answer is None else _Branch(self.threads, answer[1], answer[0])


class _Soonest(Generator, frozen=True):
    """Branches side by side, each with its threads; the event that is due first comes first, ties by place."""

    branches: tuple[_Branch, ...]

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        branches = [asked for branch in self.branches if (asked := branch.asked(context)) is not None]
        best: Event | None = None
        best_place = 0
        for place, branch in enumerate(branches):
            if branch.event is not None and (best is None or branch.event.due_ns < best.due_ns):
                best, best_place = branch.event, place
        if best is None:
            return None
        branches[best_place] = _Branch(branches[best_place].threads, branches[best_place].generator)
        if best.due_ns < context.time_ns:
            best = Event(context.time_ns, best.thread, best.calls)
        return best, _Soonest(tuple(branches))


class _Divided(Generator, frozen=True):
    """Becomes a `_Soonest` when it is first asked, for only then are the threads known."""

    divide: Callable[[tuple[int, ...]], tuple[_Branch, ...]]

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        return _Soonest(self.divide(context.threads)).next(context)


def each_thread(generator: Generator) -> Generator:
    """A copy of the generator for every thread."""
    return _Divided(lambda threads: tuple(_Branch((thread,), generator) for thread in threads))


def any_of(*generators: Generator) -> Generator:
    """Whatever any of them has that is due first."""
    return _Divided(lambda threads: tuple(_Branch(threads, generator) for generator in generators))


def reserve(*groups: tuple[int, Generator], rest: Generator) -> Generator:
    """The first so many threads for one generator, the next for another, and all others for `rest`."""

    def divide(threads: tuple[int, ...]) -> tuple[_Branch, ...]:
        branches = []
        for count, generator in groups:
            branches.append(_Branch(threads[:count], generator))
            threads = threads[count:]
        branches.append(_Branch(threads, rest))
        return tuple(branch for branch in branches if branch.threads)

    return _Divided(divide)


def on_threads(choose: Callable[[int], bool], generator: Generator) -> Generator:
    """Only the threads that `choose` takes."""
    return _Divided(
        lambda threads: tuple(_Branch(chosen, generator) for chosen in [tuple(filter(choose, threads))] if chosen)
    )


class _Mapped(Generator, frozen=True):
    change: Callable[[Call], Call]
    inner: Generator

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.inner.next(context)
        if answer is None:
            return None
        event, after = answer
        changed = Event(event.due_ns, event.thread, tuple(map(self.change, event.calls)))
        return changed, _Mapped(self.change, after)


def map_calls(change: Callable[[Call], Call], generator: Generator) -> Generator:
    """Every call changed by a function."""
    return _Mapped(change, generator)


class _Filtered(Generator, frozen=True):
    keep: Callable[[Call], bool]
    inner: Generator

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.inner.next(context)
        if answer is None:
            return None
        event, after = answer
        kept = Event(event.due_ns, event.thread, tuple(filter(self.keep, event.calls)))  # emptied: a rest
        return kept, _Filtered(self.keep, after)


def filter_calls(keep: Callable[[Call], bool], generator: Generator) -> Generator:
    """Only the calls that a function keeps; the time of the others passes."""
    return _Filtered(keep, generator)
