"""Whose data a directory holds: written once, durably, before the first entry, and compared at every later start.

    identity.json    {"format":1,"cluster":"...","node":"n1","instance":"...","group":"g0",...} and its CRC-32

A log says what was promised, but not who promised it to whom. Given to another node, or to the same node under another
machine or another set of voters, it would be taken up without a word, and what was acknowledged would be lost. So the
flags of the first start are kept, and a later start may repeat them or leave them out, but not contradict them.

*The cluster id* is given with `--cluster`, or is a digest of the flags that all first nodes share, addresses included
(as etcd does it); so two clusters whose nodes have the same names are still two.

*The instance* is a random number of this directory. A node that lost its disk and begins again under its old name has
another one, and those who knew it refuse it (see `acquaintances`): it may have voted, and acknowledged, what it no
longer knows. It comes back under a new name, by a change of the membership.

*The log* is begun, empty, before `has_log` is set. From then on a directory without a log has lost it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from zlib import crc32

import msgspec

from ..errors import Corrupt
from ..runtime.env import Disk
from ..runtime.logfiles import groups_on, has_segments
from ..runtime.scenario_support import prepare_disk
from .address_book import told_to_others
from .arguments import Address, BadArguments

FILE_NAME: Final = "identity.json"
FORMAT: Final = 1
DEFAULT_MACHINE: Final = "register"
_TEMPORARY_NAME: Final = "identity.tmp"
_INSTANCE_BYTES: Final = 8


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a data directory knows of itself."""

    format: int
    cluster: str
    node: str
    instance: str
    group: str
    machine: str
    voters: tuple[str, ...]
    """The members of the group before the log says otherwise; nobody for a node that joins a running cluster."""
    learners: tuple[str, ...]
    has_log: bool = False
    addresses: Mapping[str, str] = {}
    """Where those members are reached; those of the running cluster for a node that joins it."""
    listen: str = ""
    """Where this node listened last."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags of one start say; None where they say nothing."""

    node: str
    group: str | None = None
    machine: str | None = None
    cluster: str | None = None
    voters: tuple[str, ...] | None = None
    learners: tuple[str, ...] | None = None


class Contradiction(BadArguments):
    """The flags of this start are not those under which the directory began."""


async def take_up(disk: Disk, wanted: Wanted) -> Identity | None:
    """The identity of a directory that has one; None for an empty directory.

    Raises Contradiction when the flags are others, Corrupt when the files do not belong together.
    """
    identity = read(disk)
    owned = groups_on(disk)
    if identity is None:
        if owned:
            where = (
                f"there is a log of {', '.join(owned)} and no {FILE_NAME}; data of a release without it needs --adopt"
            )
            raise Corrupt("identity-missing", where)
        return None
    _compare(identity, wanted)
    if identity.has_log and not has_segments(disk, identity.group):
        raise Corrupt("log-missing", f"{FILE_NAME} says that node {identity.node} had a log of {identity.group}")
    if not identity.has_log and owned and not has_segments(disk, identity.group):
        raise Corrupt("identity-mixed", f"{FILE_NAME} is of {identity.group}, the files are of {', '.join(owned)}")
    return identity


async def adopt(disk: Disk, first: Identity) -> Identity:
    """Give an identity to a directory of a release that had none. Raises Contradiction when it needs none."""
    if read(disk) is not None:
        raise Contradiction(f"--adopt: there is an {FILE_NAME} already; start without it")
    if not has_segments(disk, first.group):
        raise Contradiction(f"--adopt: there is no log of {first.group}; start an empty directory without it")
    return await write(disk, msgspec.structs.replace(first, has_log=True))


async def begin_log(disk: Disk, identity: Identity) -> Identity:
    """Begin the log, so that its loss can be told from its absence."""
    if not has_segments(disk, identity.group):
        await prepare_disk(disk, identity.group, term=0, vote=None, terms=())
    return await write(disk, msgspec.structs.replace(identity, has_log=True))


def first_identity(
    wanted: Wanted,
    addresses: Mapping[str, Address],
    *,
    cluster: str | None = None,
    joined: Mapping[str, str] | None = None,
) -> Identity:
    """The identity of an empty directory.

    `cluster` is that of the running cluster which this node joins, and `joined` are the addresses of its members.
    """
    group, machine = wanted.group or "g0", wanted.machine or DEFAULT_MACHINE
    voters, learners = wanted.voters or (), wanted.learners or ()
    chosen = cluster or wanted.cluster or _cluster_id(group, machine, voters, learners, addresses)
    return Identity(
        format=FORMAT,
        cluster=chosen,
        node=wanted.node,
        instance=secrets.token_hex(_INSTANCE_BYTES),
        group=group,
        machine=machine,
        voters=voters,
        learners=learners,
        addresses=joined or told_to_others({name: addresses[name] for name in (*voters, *learners)}),
    )


def read(disk: Disk) -> Identity | None:
    """The identity on a disk, if there is one. Raises Corrupt when it is damaged or newer than this code."""
    if FILE_NAME not in disk.names():
        return None
    body, _, checksum = disk.read(FILE_NAME).rstrip(b"\n").rpartition(b"\n")
    if checksum != b"%08x" % crc32(body):
        raise Corrupt("identity-corrupt", f"{FILE_NAME}: its checksum does not fit")
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if msgspec.json.decode(found["format"], type=int) != FORMAT:
            raise Corrupt("format-version", f"{FILE_NAME}: this code reads format {FORMAT}")
        return msgspec.json.decode(body, type=Identity)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        raise Corrupt("identity-corrupt", f"{FILE_NAME}: it is no identity") from None


async def write(disk: Disk, identity: Identity) -> Identity:
    """Make an identity durable."""
    body = msgspec.json.encode(identity)
    disk.write(_TEMPORARY_NAME, b"%s\n%08x\n" % (body, crc32(body)))
    await disk.fsync(_TEMPORARY_NAME)
    disk.rename(_TEMPORARY_NAME, FILE_NAME)
    await disk.fsync_directory()
    return identity


def _compare(identity: Identity, wanted: Wanted) -> None:
    """Raise Contradiction for the first flag that differs."""
    pairs = (
        ("--name", identity.node, wanted.node),
        ("--cluster", identity.cluster, wanted.cluster),
        ("--group", identity.group, wanted.group),
        ("--machine", identity.machine, wanted.machine),
        ("--voters", ",".join(sorted(identity.voters)), _joined(wanted.voters)),
        ("--learners", ",".join(sorted(identity.learners)), _joined(wanted.learners)),
    )
    for flag, found, given in pairs:
        if given is not None and given != found:
            raise Contradiction(f"{flag} is {given!r}; this data directory began with {found!r} ({FILE_NAME})")


def _joined(names: tuple[str, ...] | None) -> str | None:
    return ",".join(sorted(names)) if names is not None else None


def _cluster_id(
    group: str,
    machine: str,
    voters: tuple[str, ...],
    learners: tuple[str, ...],
    addresses: Mapping[str, Address],
) -> str:
    members = [(name, *addresses[name]) for name in sorted((*voters, *learners))]
    shared = msgspec.json.encode([group, machine, sorted(voters), sorted(learners), members])
    return sha256(shared).hexdigest()[:16]
