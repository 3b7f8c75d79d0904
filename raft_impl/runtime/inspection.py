"""Looking at a data directory from outside, without changing it: what its logs say, and whether they can be trusted.

    1 (1): no-op
    2 (1): open session
    3 (1): write x 7 [session 2, sequence 1]
    4 (2): members n1 n2 n3

Both functions read through a `Disk` and write nothing; a torn tail is reported, not repaired.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import Corrupt
from ..machines.calls import deeply, read_call
from ..machines.commands import Action, decode_command
from ..protocol.membership import decode as decode_membership
from ..protocol.state import Entry, EntryKind, Membership, NodeId
from .env import Disk
from .logfiles import groups_on, read_log


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a data directory; `is_fatal` if a server refuses to start with it."""

    group: str
    where: str
    what: str
    is_fatal: bool


def dump_log(disk: Disk, group: str) -> Iterator[str]:
    """The snapshot and the entries of a group, a line each, as `index (term): command`. Raises Corrupt."""
    found = read_log(disk, group)
    if found.snapshot is not None:
        meta = found.snapshot.meta
        yield f"{meta.index} ({meta.term}): snapshot, {_describe_membership(meta.membership)}"
    for entry in found.entries:
        yield f"{entry.index} ({entry.term}): {describe(entry)}"


def verify(disk: Disk) -> list[Finding]:
    """Everything that is worth knowing about the data of all groups on a disk; an empty list is a clean bill."""
    findings = []
    for group in groups_on(disk):
        try:
            found = read_log(disk, group)
        except Corrupt as error:
            findings.append(Finding(group=group, where=error.where, what=error.word, is_fatal=True))
            continue
        if found.torn is not None:
            where = f"{found.torn.name} at {found.torn.size}"
            findings.append(Finding(group=group, where=where, what="torn tail", is_fatal=False))
        if found.unfinished:
            findings.append(Finding(group=group, where=found.unfinished, what="unfinished segment", is_fatal=False))
        findings += [
            Finding(group=group, where=name, what="leftover segment", is_fatal=False) for name in found.leftover
        ]
    return findings


def describe(entry: Entry) -> str:
    """What an entry says, for people."""
    match entry.kind:
        case EntryKind.NOOP:
            return "no-op"
        case EntryKind.CONFIG:
            try:
                return _describe_membership(decode_membership(entry.data))
            except (msgspec.MsgspecError, ValueError):
                return f"unreadable members {entry.data.hex()}"
        case EntryKind.COMMAND:
            return _describe_command(entry.data)
        case _:
            return f"{entry.kind.name.lower()} {entry.data.hex()}"


def _describe_membership(membership: Membership) -> str:
    addresses = dict(membership.addresses)

    def told(nodes: tuple[NodeId, ...]) -> list[str]:
        return [f"{node}={addresses[node]}" if addresses.get(node, node) != node else node for node in nodes]

    parts = ["members", *told(membership.voters)]
    if membership.outgoing:
        parts += ["from", *told(membership.outgoing)]
    if membership.learners:
        parts += ["learners", *told(membership.learners)]
    return " ".join(parts)


def _describe_command(data: bytes) -> str:
    try:
        command = decode_command(data)
    except (msgspec.MsgspecError, ValueError):
        return f"unreadable command {data.hex()}"
    if command.action is Action.OPEN:
        return "open session"
    if command.action is Action.CLOSE:
        return f"close session {command.session}"
    found = read_call(command.call)
    if found is None:
        return f"unreadable call {command.call.hex()}"
    f, key, value = found
    words = " ".join([str(f), *(_plain(part) for part in (key, value) if part is not None)])
    return f"{words} [session {command.session}, sequence {command.sequence}]" if command.session else words


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        text: bytes = deeply(msgspec.json.encode, value)
    except (msgspec.MsgspecError, TypeError, ValueError):  # an earlier version took more than JSON can hold
        return str(deeply(repr, value))
    return text.decode()
