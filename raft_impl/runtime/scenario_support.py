"""What scripted walk-throughs need: a message in words, and a disk that holds a given log before a server starts.

append t2 prev=(3, t1) commit=3 entries=[4 (2): no-op]
vote t3 last=(5, t2)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..protocol import messages as m
from ..protocol.ready import Persist
from ..protocol.state import Entry, EntryKind, HardState, Index, NodeId, Term
from .env import Disk
from .inspection import describe
from .wal import Wal
from .wire import decode, encode

_SEGMENT_BYTES: Final = 1 << 20


def describe_frame(frame: bytes) -> str:
    """A peer's message in one line; "damaged" for what the checksum refuses."""
    decoded = decode(frame)
    if decoded is None:
        return "damaged"
    message = decoded[1]
    kind = type(message).__struct_config__.tag or type(message).__name__.lower()
    words = [str(kind), *([f"t{message.term}"] if hasattr(message, "term") else []), *_details(message)]
    return " ".join(words)


def lie_of(frame: bytes) -> bytes | None:
    """What a liar sends in the place of a refusal: a vote granted, an append acknowledged. None of anything else."""
    decoded = decode(frame)
    if decoded is None:
        return None
    group, message = decoded
    match message:
        case m.VoteReply(granted=False):
            return encode(group, m.VoteReply(message.term, True))
        case m.AppendReject():
            return encode(group, m.AppendReply(message.term, message.prev_index))
    return None


def _details(message: Any) -> list[str]:
    match message:
        case m.PreVote() | m.Vote():
            transfer = ["for a transfer"] if getattr(message, "transfer", False) else []
            return [f"last=({message.last_index}, t{message.last_term})", *transfer]
        case m.PreVoteReply() | m.VoteReply():
            return ["granted" if message.granted else "refused"]
        case m.Append():
            entries = ", ".join(f"{entry.index} ({entry.term}): {describe(entry)}" for entry in message.entries)
            previous = f"prev=({message.prev_index}, t{message.prev_term})"
            return [previous, f"commit={message.commit}", f"entries=[{entries}]"]
        case m.AppendReply():
            return [f"match={message.match}"]
        case m.AppendReject():
            conflict = f"conflict=({message.conflict_index}, t{message.conflict_term})"
            return [f"prev={message.prev_index}", conflict]
        case m.Heartbeat():
            return [f"round={message.round}", f"commit={message.commit}"]
        case m.HeartbeatReply():
            return [f"round={message.round}"]
        case m.SnapshotChunk():
            last = " last" if message.done else ""
            return [f"({message.meta.index}, t{message.meta.term}) bytes {message.offset}+{len(message.data)}{last}"]
        case m.SnapshotReply():
            return [f"{message.index} next byte {message.next_offset}"]
        case m.ReadReply():
            return [f"index={message.index}" if message.index is not None else "refused"]
        case _:
            return []


async def prepare_disk(disk: Disk, group: str, *, term: int, vote: str | None, terms: Sequence[int]) -> None:
    """Write a log whose entry i + 1 has term `terms[i]` (no-ops), and the hard state, as a server would have."""
    log = Wal(disk, group, segment_bytes=_SEGMENT_BYTES, trailing_entries=0)
    await log.recover()
    entries = tuple(Entry(Index(i), Term(t), EntryKind.NOOP) for i, t in enumerate(terms, 1))
    last = Term(terms[-1] if terms else 0)
    hard_state = HardState(Term(max(term, last)), NodeId(vote) if vote is not None else None)
    log.write(Persist(1, hard_state=hard_state, entries=entries))
    await log.sync()
