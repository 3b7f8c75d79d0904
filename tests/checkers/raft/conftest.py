"""A trace written by hand: one line a thing that a replica said or that its disk did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checkers.raft.invariants import Invariants

GROUP = "g0"


class Trace:
    """Feed hand-made rows to the invariants; each row happens a nanosecond after the one before."""

    def __init__(self, *voters: str) -> None:
        self.invariants = Invariants({GROUP: voters})
        self.index = 0
        self.time_ns = 0

    @property
    def found(self) -> list[str]:
        """The violations in order of discovery, each as `kind` or `kind/detail`."""
        return [anomaly.signature.removeprefix("raft/") for anomaly in self.invariants.anomalies]

    def row(self, kind: str, actor: str, *fields: Any) -> Trace:
        self.time_ns += 1
        self.invariants.observe(self.index, (self.time_ns, kind, actor, *fields))
        self.index += 1
        return self

    def note(self, kind: str, actor: str, *fields: Any) -> Trace:
        return self.row(kind, actor, GROUP, *fields)

    def follows(self, actor: str, term: int) -> Trace:
        return self.note("role", actor, "follower", term)

    def leads(self, actor: str, term: int) -> Trace:
        self.note("term", actor, term)
        return self.note("role", actor, "leader", term)

    def append(self, actor: str, first: int, text: str) -> Trace:
        """Append entries written as term and payload: `1x 2y`."""
        return self.note("log-append", actor, first, entries(text))

    def replicate(self, actors: str, first: int, text: str, *, term: int) -> Trace:
        """Append to each actor's log, and make it durable there."""
        for actor in actors:
            self.note("term", actor, term).append(actor, first, text).sync(actor, first + len(text.split()) - 1, term)
        return self

    def truncate(self, actor: str, first: int) -> Trace:
        return self.note("log-truncate", actor, first)

    def commit(self, actor: str, index: int) -> Trace:
        return self.note("commit", actor, index)

    def apply(self, actor: str, index: int, payload: str, state: str) -> Trace:
        return self.note("apply", actor, index, payload.encode(), state.encode())

    def vote(self, actor: str, term: int, candidate: str) -> Trace:
        return self.note("vote", actor, term, candidate)

    def config(self, actor: str, index: int, voters: str, outgoing: str = "") -> Trace:
        return self.note("config", actor, index, tuple(voters), tuple(outgoing), ())

    def configured(self, actor: str, index: int, term: int, voters: str, *, last: int | None = None) -> Trace:
        """An fsync that shows the configuration in an entry."""
        fact = (GROUP, last or index, term, None, None, ((index, term, tuple(voters), (), ()),))
        return self.row("fsync", actor, 1, (fact,))

    def snapshot(self, actor: str, how: str, index: int, term: int, state: str = "") -> Trace:
        return self.note("snapshot", actor, how, index, term, state.encode())

    def sync(self, actor: str, last: int, term: int, vote: str | None = None, last_term: int | None = None) -> Trace:
        fact = (GROUP, last, term, vote) if last_term is None else (GROUP, last, term, vote, last_term)
        return self.row("fsync", actor, 1, (fact,))

    def restart(self, actor: str, term: int, log: str = "", *, vote: str | None = None, first: int = 1) -> Trace:
        """Crash and start; recover term, vote and log, all at one instant, as the core's first Ready does."""
        self.crash(actor)
        self.recover("role", actor, "follower", term)
        self.recover("term", actor, term)
        if vote:
            self.recover("vote", actor, term, vote)
        if log:
            self.recover("log-append", actor, first, entries(log))
        return self

    def crash(self, actor: str) -> Trace:
        self.row("crash", actor, 1, "kill").row("start", actor, 2, "default")
        self.time_ns += 1
        return self

    def recover(self, kind: str, actor: str, *fields: Any) -> Trace:
        """A note of the recovery: at the same instant as the one before."""
        self.time_ns -= 1
        return self.note(kind, actor, *fields)


def entries(text: str) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(word[:-1]), word[-1].encode()) for word in text.split())


@pytest.fixture
def trace() -> Trace:
    """A trace of the group g0 with voters a, b and c."""
    return Trace("a", "b", "c")


@pytest.fixture
def trace_of() -> Callable[..., Trace]:
    """Make a trace of the group g0 with the given voters."""
    return Trace
