"""Replay: a stored plan run again, and the proof that it was the same run.

Equal fingerprints mean that everything happened alike: plan, world, history, trace and schedule. Where they differ, the
stored trace (or, without one, the history) is laid beside the new one and the first line that differs is shown. Whether
a difference is a finding or a bug of ours depends on what else differs: code under test, interpreter or harness. When
none does, determinism is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec

from checkers.op import encode_op
from checkers.trace import Row, as_event
from harness.archive.find import StoredRun, read_history
from harness.archive.layout import HISTORY, Event, decoded, read_trace
from harness.archive.provenance import provenance
from harness.errors import BadInput
from harness.outcome import Outcome
from harness.record import RunRecord
from harness.systems.binding import Binding

from .execution import execute
from .runner import RunOptions

KEPT: Final = RunOptions(keep_rows=True)
"""A whole run with its trace, so that the first difference can be found in it."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where two runs differ. A side is None when its run had ended."""

    stream: str
    index: int
    time_ns: int
    before: Event | None
    now: Event | None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay showed. `identical` is None when there was nothing to compare with.

    `differs` names what else differs between the two runs: code, harness, python, trio.
    """

    outcome: Outcome
    identical: bool | None
    differs: list[str]
    first_difference: Difference | None

    @property
    def broken(self) -> bool:
        """The same everything gave another run: determinism is broken."""
        return self.identical is False and not self.differs


def replay(stored: StoredRun, binding: Binding, options: RunOptions = KEPT) -> Replayed:
    """Run a stored plan again and compare it with what was stored."""
    where = str(stored.folder or "the plan file")
    outcome = execute(stored.plan, binding, options, where=where)
    if stored.record is None:
        return Replayed(outcome=outcome, identical=None, differs=[], first_difference=None)
    identical = outcome.fingerprint == stored.record.fingerprint
    return Replayed(
        outcome=outcome,
        identical=identical,
        differs=_differs(stored.record, binding),
        first_difference=None if identical else _first_difference(stored, outcome),
    )


def first_difference(stream: str, before: Iterable[Event], now: Iterable[Event]) -> Difference | None:
    """Lay two streams of events side by side; None when they are equal."""
    for old, new in zip_longest(before, now):
        if old != new:
            some = old if old is not None else new
            assert some is not None
            return Difference(stream=stream, index=some["index"], time_ns=some["time"], before=old, now=new)
    return None


def trace_events(rows: Iterable[Row]) -> Iterator[Event]:
    """Give the rows of a trace, from its first, as its stored lines read: JSON values only."""
    encode, decode = msgspec.json.encode, msgspec.json.Decoder(Event).decode
    for index, row in enumerate(rows):
        yield decode(encode(as_event(index, row)))


def _first_difference(stored: StoredRun, outcome: Outcome) -> Difference | None:
    assert stored.folder is not None
    trace = read_trace(stored.folder)
    if trace is not None and outcome.rows is not None:
        difference = first_difference("trace", trace, trace_events(outcome.rows))
        if difference is not None:
            return difference
    now = decoded(encode_op(op) for op in outcome.history)
    return first_difference("history", _stored_history(stored.folder), now)


def _stored_history(folder: Path) -> Iterator[Event]:
    try:
        yield from decoded(line for line in read_history(folder).splitlines() if line.strip())
    except BadInput:
        raise
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BadInput(f"a damaged history ({error})", "a history as a run stores it", str(folder / HISTORY)) from None


def _differs(record: RunRecord, binding: Binding) -> list[str]:
    code = [] if record.code_digest == binding.code_digest else ["code"]
    return code + record.provenance.differences(provenance())
