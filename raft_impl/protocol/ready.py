"""The contract between the core and its driver: one value that says everything the core wants done.

Every input of the core (`step`, `propose`, `read`, ...) returns a `Ready`. The caller's duties, in order:

1. `send_now` may leave at once: nothing in it depends on anything that is not durable here (a leader's appends and
   heartbeats, refusals, pre-votes).
2. If `persist` is set: write it (snapshot, truncation, entries, hard state), make it durable, and then call
   `persisted(now, token)` with its token. Writes become durable in the order of their tokens; one call may report
   several at once, by the last of them. The driver need not look at what a write held: if part of it has been
   truncated since, the log knows (see `log`). An error while writing is fatal for the node: it never retries.
3. `send_after` and `answer_after` leave only when the token of this `Ready` is durable (at once when `persist` is None
   and nothing earlier is outstanding; else with the latest outstanding token).
4. `restore`, then `apply`: replace the machine, then apply entries in order, each exactly once; report `applied`.
   Only what is committed and durable here is ever in `apply`.
5. While `wants_timeout` is set, hand in a random election timeout (`offer_timeout`, which gives the next `Ready`): the
   core keeps one in stock.
6. Call `wake(now)` when the monotonic clock reaches `wake_at_ns` of the latest `Ready`.

The synchronous driver (write, fsync, `persisted`, send all, apply, answer) is the simplest legal one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .state import Entry, HardState, Index, NodeId, Snapshot, Term

FAR_NS: Final = 1 << 62
"""A time that never comes."""


class Persist(msgspec.Struct, frozen=True):
    """What must become durable, as one unit, in the order of `token`.

    First the `snapshot`: only when it is durable may anything it covers be removed. Then the log is cut, from
    `truncate_from` on, and `entries` are added, which follow on what is left of it. A snapshot whose last entry is not
    in the log comes with `truncate_from` = 1: nothing is left, and the next entries follow on the snapshot. In any
    case, the driver may later drop entries up to the snapshot's index, as many as it likes.
    """

    token: int
    hard_state: HardState | None = None
    truncate_from: Index | None = None
    entries: tuple[Entry, ...] = ()
    snapshot: Snapshot | None = None


class Proposed(msgspec.Struct, frozen=True, gc=False):
    """The proposal `tag` was appended at (index, term). Its fate is known when that index is applied."""

    tag: Any
    index: Index
    term: Term


class ReadAt(msgspec.Struct, frozen=True, gc=False):
    """The read `tag` may be answered from the machine once `index` is applied here."""

    tag: Any
    index: Index


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The request `tag` was refused before it had any effect; `reason` is a word, `leader` a hint where to go."""

    tag: Any
    reason: str
    leader: NodeId | None = None


class Transferred(msgspec.Struct, frozen=True, gc=False):
    """The transfer `tag` ended this leadership: another term has begun, most likely with `leader`, its successor."""

    tag: Any
    leader: NodeId | None


Answer = Proposed | ReadAt | Refused | Transferred


class Ready(msgspec.Struct, gc=False):
    """All that the core wants done after one input, or after a held batch of inputs."""

    persist: Persist | None = None
    send_now: list[tuple[NodeId, Any]] = []
    send_after: list[tuple[NodeId, Any]] = []
    answer_after: list[Answer] = []
    restore: Snapshot | None = None
    apply: list[Entry] = []
    notes: list[tuple[Any, ...]] = []
    """What happened, for a trace, as (kind, *fields); `log-append` holds the entries themselves."""
    wants_timeout: bool = False
    wake_at_ns: int = 0
