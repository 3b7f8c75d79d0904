"""Logs with offsets (`kafka`): one message an offset, and who reads on from an offset misses none.

    send    key, message               -> offset
    poll    ((key, from), ...)         -> ((key, ((offset, message), ...)), ...)
    commit  ((key, offset), ...)
    committed (key, ...)               -> ((key, offset), ...)

Offsets may have gaps. What is known of a key's log is every offset that a send was told or a poll returned. Then

* inconsistent-offset: two different messages at one offset;
* nonmonotonic-send: one process sent twice to a key, one after the other, and got no greater offset;
* nonmonotonic-poll: a poll returned offsets that do not grow, or lie before where it asked from;
* skipped: a poll returned an offset and not a known one between that and where it asked from; who goes on reading from
  there never sees it;
* lost: an acknowledged message of which a final poll (invoked after the last send) that asked from before it returned
  nothing, although nothing is left to wait for;
* phantom-commit: a committed offset that nobody had asked to commit.

After the workload `kafka` of Jepsen, whose further anomalies (of transactions and rebalances) have no place here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from checkers.history import History
from checkers.operation import Operation
from checkers.values import show
from checkers.verdict import Anomaly, Verdict

from .quiet import final_reads

CHECKER: Final = "offset-logs"
QUERIES: Final = ("poll", "committed", "commit")
"""What adds no message: final polls come after everything else."""


class Seen(NamedTuple):
    """A message at an offset of a key, with the line that tells."""

    key: Any
    offset: int
    message: Any
    line: int


def check(history: History) -> Verdict:
    """Compare all that is known of the logs; of each kind of anomaly the first is told."""
    operations = history.operations()
    answered = sorted((one for one in operations if one.type == "ok"), key=lambda one: one.ret)
    known = _known(answered)
    anomalies = [
        *_inconsistent(answered),
        *_sends(operations),
        *(anomaly for one in answered if one.f == "poll" for anomaly in _poll(one, known)),
        *_lost(operations, answered),
        *_commits(operations),
    ]
    first: dict[str, Anomaly] = {}
    for anomaly in sorted(anomalies, key=lambda one: one.index or 0):
        first.setdefault(anomaly.kind, anomaly)
    polled = any(messages for one in answered if one.f == "poll" for _, messages in one.result)
    return Verdict(
        validity="invalid" if first else "valid" if polled else "unknown",
        checker=CHECKER,
        engine="offsets",
        model="kafka",
        ops=len(operations),
        anomalies=tuple(first.values()),
        reason="" if first or polled else "no poll returned a message",
        steps=sum(map(len, known.values())),
        details={"messages": sum(map(len, known.values())), "keys": len(known)},
    )


def _seen(answered: list[Operation]) -> Iterator[Seen]:
    """What tells of a message at an offset, in the order of lines."""
    for one in answered:
        if one.f == "send":
            yield Seen(one.key, one.result, one.value, one.ret)
        elif one.f == "poll":
            for key, messages in one.result:
                for offset, message in messages:
                    yield Seen(key, offset, message, one.ret)


def _known(answered: list[Operation]) -> dict[Any, list[int]]:
    """All known offsets of each key, ascending."""
    offsets: dict[Any, set[int]] = {}
    for one in _seen(answered):
        offsets.setdefault(one.key, set()).add(one.offset)
    return {key: sorted(found) for key, found in offsets.items()}


def _inconsistent(answered: list[Operation]) -> Iterator[Anomaly]:
    first: dict[tuple[Any, int], Seen] = {}
    for one in _seen(answered):
        before = first.setdefault((one.key, one.offset), one)
        if before.message != one.message:
            what = (
                f"key {show(one.key)} has at offset {one.offset} message {show(before.message)} (index {before.line}) "
                f"and {show(one.message)} (index {one.line})"
            )
            yield _anomaly("inconsistent-offset", one.line, what, one.key)


def _sends(operations: list[Operation]) -> Iterator[Anomaly]:
    last: dict[tuple[int, Any], int] = {}
    for one in operations:
        if one.f == "send" and one.type == "ok":
            before = last.get((one.process, one.key), -1)
            if one.result <= before:
                what = (
                    f"process {one.process} sent {show(one.value)} to key {show(one.key)} and got offset {one.result}, "
                    f"after {before} for what it had sent before"
                )
                yield _anomaly("nonmonotonic-send", one.ret, what, one.key)
            last[one.process, one.key] = one.result


def _poll(poll: Operation, known: dict[Any, list[int]]) -> Iterator[Anomaly]:
    asked = dict(poll.value)
    for key, messages in poll.result:
        offsets = [offset for offset, _ in messages]
        if not offsets:
            continue
        start = asked.get(key, 0)
        if any(later <= earlier for earlier, later in zip([start - 1, *offsets], offsets, strict=False)):
            what = f"process {poll.process} polled key {show(key)} from {start} and got offsets {_listed(offsets)}"
            yield _anomaly("nonmonotonic-poll", poll.ret, what, key)
        log = known[key]
        between = log[bisect_left(log, start) : bisect_left(log, max(offsets))]
        if skipped := [offset for offset in between if offset not in frozenset(offsets)]:
            what = (
                f"process {poll.process} polled key {show(key)} from {start} and got {_listed(offsets)}, "
                f"but not {_listed(skipped)}, which the log holds too"
            )
            yield _anomaly("skipped", poll.ret, what, key)


def _lost(operations: list[Operation], answered: list[Operation]) -> Iterator[Anomaly]:
    told: dict[Any, list[int]] = {}
    for one in answered:
        if one.f == "send":
            told.setdefault(one.key, []).append(one.result)
    for poll in final_reads(operations, QUERIES):
        if poll.f != "poll":
            continue
        returned = {key for key, messages in poll.result if messages}
        for key, start in poll.value:
            missing = sorted(offset for offset in told.get(key, ()) if offset >= start)
            if missing and key not in returned:
                what = (
                    f"process {poll.process} polled key {show(key)} from {start} after the last send and got nothing, "
                    f"but acknowledged were {_listed(missing)}"
                )
                yield _anomaly("lost", poll.ret, what, key)


def _commits(operations: list[Operation]) -> Iterator[Anomaly]:
    asked: dict[tuple[Any, int], int] = {}
    for one in operations:
        if one.f == "commit":
            for key, offset in one.value:
                asked.setdefault((key, offset), one.call)
    for one in operations:
        if one.f == "committed" and one.type == "ok":
            for key, offset in one.result:
                if asked.get((key, offset), one.ret) >= one.ret:
                    what = f"process {one.process} was told that {offset} is committed of key {show(key)}; nobody had"
                    yield _anomaly("phantom-commit", one.ret, what, key)


def _listed(offsets: list[int]) -> str:
    return ", ".join(map(str, offsets[:5])) + (", ..." if len(offsets) > 5 else "")


def _anomaly(kind: str, index: int, what: str, key: Any) -> Anomaly:
    return Anomaly(checker=CHECKER, kind=kind, index=index, message=what, evidence={"key": key})
