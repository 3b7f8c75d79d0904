"""Operations on registers as what they read and write, for the order of processes.

An event needs a value to be there, or refuses one, and writes one, each or not. Reads of unknown outcome say nothing.
A write of unknown outcome is `optional`, unless a value was read that only it writes; if nothing needs it, it is
left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Final, NamedTuple

from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.operation import Operation

NOTHING: Final = object()
"""Stands where an event does not read, refuse or write: null is a value."""


class Event(NamedTuple):
    """What one operation reads (must be there, must not be there) and writes."""

    operation: Operation
    key: Hashable
    needs: Any = NOTHING
    refuses: Any = NOTHING
    writes: Any = NOTHING
    optional: bool = False

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing."""
        return self.writes is NOTHING


Processes = Sequence[Sequence[Event]]


def processes_of(history: History, initial: Any) -> list[list[Event]]:
    """Split a history into the events of each process, in the order in which it did them."""
    events = [event for operation in history.operations() if (event := _event(operation, history)) is not None]
    watched = {event.key for event in events if event.refuses is not NOTHING}
    wanted = {(event.key, event.needs) for event in events if event.needs is not NOTHING}
    processes: dict[int, list[Event]] = {}
    for event in _with_certain(events, initial):
        if not event.optional or event.key in watched or (event.key, event.writes) in wanted:
            processes.setdefault(event.operation.process, []).append(event)
    return list(processes.values())


def _with_certain(events: list[Event], initial: Any) -> list[Event]:
    """Make certain what was certainly read, to the fixed point: a crashed cas may feed another one."""
    written = Counter((event.key, event.writes) for event in events if not event.only_reads)
    while True:
        seen = {(event.key, event.needs) for event in events if event.needs is not NOTHING and not event.optional}
        certain = []
        for event in events:
            value = (event.key, event.writes)
            was_read = event.optional and event.writes != initial and written[value] == 1 and value in seen
            certain.append(event._replace(optional=False) if was_read else event)
        if certain == events:
            return events
        events = certain


def values_are_unique(processes: Processes, initial: Any) -> bool:
    """Say whether each read saw one certain write, so that who read from whom is known."""
    seen: set[tuple[Hashable, Any]] = set()
    for process in processes:
        for event in process:
            if event.optional or event.refuses is not NOTHING:
                return False
            if not event.only_reads:
                value = (event.key, event.writes)
                if value in seen or event.writes == initial:
                    return False
                seen.add(value)
    return True


def _event(operation: Operation, history: History) -> Event | None:
    key, crashed = operation.key, operation.is_crashed
    match operation.f:
        case "read":
            return None if crashed else Event(operation, key, needs=operation.result)
        case "write":
            return Event(operation, key, writes=operation.value, optional=crashed)
        case "cas":
            old, new = operation.value
            if operation.is_negative:
                return Event(operation, key, refuses=old)
            return Event(operation, key, needs=old, writes=new, optional=crashed)
        case other:
            raise MalformedHistory(other, "read, write or cas", history.where_index(operation.call))
