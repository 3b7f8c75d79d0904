"""Generators: values that say which calls clients make, and when.

A generator is an immutable value. Small ones are combined into the schedule of a whole run, and `evaluate` turns that
into calls with due times, one after another:

    writes  = calls(lambda context: Call(f="write", key="x", value=context.fresh()))
    reads   = calls(lambda context: Call(f="read", key="x"))
    traffic = time_limit(10 * SECOND, stagger(20 * MILLISECOND, mix((1, writes), (2, reads))))
    evaluate(traffic, threads=5, stream=stream)

Most names are Jepsen's and mean the same. One thing differs, and it decides everything else.

**Drawn before the run.** Jepsen asks its generator for the next operation while the test runs, and informs it of every
completion. What the generator answers then depends on timing: if one operation is removed from such a run, everything
after it changes, so that a failing run cannot be made smaller. Here the generator is asked *before* the run, against an
imagined clock, and leaves data: per thread a list of calls. Removing one call removes one element.

The price is that a generator cannot see results. What depends on them is written symbolically and resolved by the
thread that runs the call: `{"last-read": "x"}` is what this thread's latest successful read of x returned. There are
therefore no promises, no `until-ok` and no updates; the final reads, which do repeat until they succeed, are a phase of
the plan and not a generator.

**The protocol.** A generator has one method. `next(context)` answers None when it is exhausted, else an `Event` and the
generator that continues from there:

    context   time_ns     the imagined time; never goes back
              threads     the threads that may be given the call
              stream      the random stream that all draws come from
              numbers     counts up; `fresh()` is unique within the run
    event     due_ns      when, at or after the context's time
              thread      the thread that makes the calls
              calls       usually one call. A *burst* of several is made by one thread back to back (read a key, then
                          compare-and-set what was read)

**Time.** A leaf is due at once; `stagger` lets time pass. A thread starts a call at its due time or
when its previous call has ended, whichever is later: due times are intentions, as in an open system, where clients do
not slow down because the cluster is slow. `stagger` is Jepsen's: the gaps are uniform in [0, 2 dt), dt on average,
**over all threads together**. Uniform gaps often let calls coincide, which regular gaps never do and exponential ones
do with long silences between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from .streams import Stream

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000

CALL_LIMIT: Final = 1_000_000
"""More calls than a run makes in a day: a generator that passes this never ends, or never lets time pass."""


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a client is to do: a function, usually of a key."""

    f: str
    key: str | None = None
    value: Any = None


class Event(msgspec.Struct, frozen=True):
    """One step of a schedule: which thread makes which calls, and when."""

    due_ns: int
    thread: int
    calls: tuple[Call, ...]


class Context(msgspec.Struct, frozen=True):
    """What a generator may look at when it is asked for its next event."""

    time_ns: int
    threads: tuple[int, ...]
    stream: Stream
    numbers: Iterator[int]

    def fresh(self) -> int:
        """A number that no other call of the run has, counting up from 1."""
        return next(self.numbers)

    def at(self, time_ns: int) -> Context:
        """The same context, not before a time."""
        if time_ns <= self.time_ns:
            return self
        return Context(time_ns, self.threads, self.stream, self.numbers)

    def event(self, *calls: Call) -> Event:
        """Have one of the threads make the calls now, one after another."""
        return Event(self.time_ns, self.stream.choice(self.threads), calls)


class Generator(msgspec.Struct, frozen=True):
    """The protocol; see the head of this file."""

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        """The next event and what comes after it, or None."""
        raise NotImplementedError


Step = Callable[[Context], Call | tuple[Call, ...]]


def evaluate(generator: Generator, *, threads: int, stream: Stream, start_ns: int = 0) -> Iterator[Event]:
    """Ask a generator until it is exhausted. Yields its events, by due time.

    Raises ValueError when it does not end within `CALL_LIMIT` calls.
    """
    numbers = itertools.count(1)
    context = Context(start_ns, tuple(range(threads)), stream, numbers)
    for _ in range(CALL_LIMIT):
        answer = generator.next(context)
        if answer is None:
            return
        event, generator = answer
        context = context.at(event.due_ns)
        yield event
    raise ValueError(f"generator: {CALL_LIMIT} events and no end; expected limit() or time_limit() around it")


class _Calls(Generator, frozen=True):
    step: Step

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        made = self.step(context)
        return context.event(*made) if isinstance(made, tuple) else context.event(made), self


def calls(step: Step) -> Generator:
    """The calls that `step` draws, without end. A tuple of calls is a burst: one thread makes them back to back."""
    return _Calls(step)


class _Once(Generator, frozen=True):
    calls: tuple[Call, ...]

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        return context.event(*self.calls), _NOTHING


def once(*calls: Call) -> Generator:
    """One event: a call, or a burst of them."""
    return _Once(calls)


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


class _Limit(Generator, frozen=True):
    left: int
    inner: Generator

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.inner.next(context) if self.left > 0 else None
        return None if answer is None else (answer[0], _Limit(self.left - 1, answer[1]))


def limit(count: int, generator: Generator) -> Generator:
    """At most `count` events; a burst is one."""
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
    """Only what is due within `limit_ns` of the first time it is asked."""
    return _TimeLimit(limit_ns, generator)


class _Staggered(Generator, frozen=True):
    mean_ns: int
    inner: Generator
    earliest_ns: int = 0

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        answer = self.inner.next(context.at(self.earliest_ns))
        if answer is None:
            return None
        event, after = answer
        earliest_ns = event.due_ns
        for _ in event.calls:
            earliest_ns += context.stream.below(2 * self.mean_ns)
        return event, _Staggered(self.mean_ns, after, earliest_ns)


def stagger(mean_ns: int, generator: Generator) -> Generator:
    """Put gaps uniform in [0, 2 * mean_ns) between calls, of all threads together. After a burst come all its gaps."""
    return _Staggered(mean_ns, generator)


class _Mix(Generator, frozen=True):
    generators: tuple[Generator, ...]
    weights: tuple[tuple[int, int], ...]  # of each, by its place

    def next(self, context: Context) -> tuple[Event, Generator] | None:
        if not self.generators:
            return None
        place = context.stream.weighted(self.weights)
        answer = self.generators[place].next(context)
        before, behind = self.generators[:place], self.generators[place + 1 :]
        if answer is None:
            weights = [weight for other, weight in self.weights if other != place]
            return _Mix((*before, *behind), tuple(enumerate(weights))).next(context)
        event, after = answer
        return event, self if after is self.generators[place] else _Mix((*before, after, *behind), self.weights)


def mix(*branches: tuple[int, Generator]) -> Generator:
    """Draw for each event which of the (weight, generator) pairs gives it, until all are exhausted."""
    kept = [(weight, generator) for weight, generator in branches if weight > 0]
    return _Mix(tuple(generator for _, generator in kept), tuple(enumerate(weight for weight, _ in kept)))
