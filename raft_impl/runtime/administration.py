"""What administrators ask of a server over the wire, and its answers.

A question is the `call` of a request with `Action.ADMIN`, so it is greeted, ordered and taken at most once like any
other request (see `wire`): a late copy of a removal has no effect. `StatusNow`, `SnapshotNow` and `DumpLog` are
answered by the server that is asked, the others by the leader. A change and a transfer are answered when they have
*begun*; who wants to know how they ended asks for the status.

The answer is an `Outcome`: what was asked for, or the word with which it was refused for good. What may be possible a
moment later (no leader yet, another change under way) is a refusal of the request, which clients repeat.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..machines.base import MALFORMED, OK
from ..protocol.state import Entry, Index
from .driver_messages import Reply, Request, Status
from .inspection import describe
from .member import Member
from .questions import (
    DUMPED_COUNT_MAX,
    ChangeMembers,
    Dumped,
    DumpLog,
    LogStatus,
    Members,
    NodeStatus,
    Outcome,
    Peer,
    Question,
    SnapshotNow,
    StatusNow,
    Transfer,
    decode_question,
)

_LINE_LENGTH_MAX: Final = 1000
_DUMPED_LENGTH_MAX: Final = 200_000
_MILLISECOND_NS: Final = 1_000_000
_PASSING: Final = frozenset({"not-leader", "not-ready", "transferring", "change-in-progress"})
"""Refusals that another attempt may not meet."""


def answer(now: int, member: Member, request: Request) -> Reply:
    """Carry out a question at a replica, which is not collecting a batch."""
    try:
        question = decode_question(request.call)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Reply(request.id, Status.REFUSED, MALFORMED)
    outcome = _carry_out(now, member, question)
    if outcome.refused in _PASSING:
        return Reply(request.id, Status.REFUSED, outcome.refused, None, member.core.leader)
    return Reply(request.id, Status.DONE, OK, msgspec.to_builtins(outcome))


def _carry_out(now: int, member: Member, question: Question) -> Outcome:
    match question:
        case StatusNow():
            return Outcome(status=status_of(now, member))
        case DumpLog():
            return Outcome(dumped=_dump(member, question))
        case SnapshotNow():
            return Outcome(
                refused=member.administer(now, "compact", {}), snapshot_index=member.inspect()["snapshot_index"]
            )
        case Transfer() | ChangeMembers() if not member.is_leader:
            return Outcome(refused="not-leader")
        case Transfer():
            target = question.target or member.successor()
            if target is None:
                return Outcome(refused="no-other-voter")
            return Outcome(refused=member.administer(now, "transfer", {"target": target}), target=target)
        case ChangeMembers():
            return Outcome(refused=member.administer(now, "change", msgspec.structs.asdict(question)))


def status_of(now: int, member: Member) -> NodeStatus:
    """What a replica is and how far its log goes."""
    core, found = member.core.status(), member.inspect()
    membership = core.membership
    return NodeStatus(
        node=core.node,
        group=member.group,
        role=core.role.value,
        term=core.term,
        leader=core.leader,
        log=LogStatus(
            first=core.first,
            last=core.last,
            entry_count=core.last - core.first + 1,
            durable=core.durable,
            commit=core.commit,
            applied=core.applied,
            snapshot=found["snapshot_index"],
        ),
        sessions=found["sessions"],
        waiting_clients=found["waiting_clients"],
        digest=found["digest"],
        feature_level=found["level"],
        known_level=found["known_level"],
        election_count=core.election_count,
        victory_count=core.victory_count,
        fsync_count=found["fsync_count"],
        fsync_ns=found["fsync_ns"],
        members=Members(
            voters=membership.voters,
            outgoing=membership.outgoing,
            learners=membership.learners,
            addresses=dict(membership.addresses),
        ),
        members_index=core.membership_index,
        peers={
            str(name): Peer(
                pace=peer.pace,
                match=peer.match,
                next=peer.next,
                inflight=peer.inflight,
                heard_ms_ago=max(0, now - peer.heard_ns) // _MILLISECOND_NS,
            )
            for name, peer in core.peers.items()
        },
    )


def _dump(member: Member, wanted: DumpLog) -> Dumped:
    """As many lines as fit one answer; a line that is too long is cut, and says so."""
    first = max(wanted.first, member.core.status().first)
    last = first + min(wanted.count_max, DUMPED_COUNT_MAX) - 1
    lines: list[str] = []
    length = 0
    for entry in member.core.entries(Index(first), Index(last)):
        line = f"{entry.index} ({entry.term}): {_describe(entry)}"
        if len(line) > _LINE_LENGTH_MAX:
            line = f"{line[:_LINE_LENGTH_MAX]}... ({len(line)} characters)"
        length += len(line)
        lines.append(line)
        if length > _DUMPED_LENGTH_MAX:
            break
    after = first + len(lines)
    return Dumped(lines=tuple(lines), next=after if lines and after <= member.core.status().last else 0)


def _describe(entry: Entry) -> str:
    """An entry in words; one that cannot be read must not stop the server that shows it."""
    try:
        return describe(entry)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return f"unreadable {entry.kind.name.lower()} of {len(entry.data)} bytes"
