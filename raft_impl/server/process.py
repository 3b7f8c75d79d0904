"""One node as an OS process: what it must know before it starts, how it runs, and how it leaves.

The order at a start is what keeps a mistake from doing harm: arguments are checked before anything is touched, the
directory says whose it is before the log is read, and the log is read before any peer is heard.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import trio

from ..errors import Corrupt, DiskFailed, RaftError
from ..machines.features import require_known
from ..runtime.questions import StatusNow
from ..runtime.wal import disk_word
from ..surface import FEATURE_LEVELS, FORMAT_VERSION, GroupSpec, Server, make_client, make_server
from .acquaintances import Acquaintances
from .address_book import spelled, told_to_others
from .arguments import Address, BadArguments, check_members, is_loopback, parse_address
from .control import Control, disturbed
from .endings import CannotStart, ending_of
from .faults import Faults, FaultyClock, FaultyDisk
from .feature_gate import WORD as FEATURE_REFUSED
from .feature_gate import FeatureGate
from .handshake import Party
from .identity import Identity, Wanted, adopt, begin_log, first_identity, read, take_up, write
from .real_env import Notes, RealDisk, RealEnvironment
from .transport import ACCEPTED_LATER_MAX, Access, Limits, ping_ms

_LOGGED: Final = frozenset({"role", "term", "vote", "snapshot", "config", "mark"})
"""Kinds of notes that are worth a line in the log of a live node."""
_OPEN_FILES_WANTED: Final = 4096
_FILES_RESERVED: Final = 64
"""Descriptors for the log, its snapshots, and the connections between nodes."""
_CLIENTS_MIN: Final = 16
_HTTP_CONNECTIONS_MAX: Final = 256
_HTTP_FILES_RESERVED: Final = 64
"""Descriptors with which the HTTP gateway speaks with the cluster: its sessions, each with some servers."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was typed about one node."""

    wanted: Wanted
    nodes: Mapping[str, Address]
    """Addresses that were typed: of this node, and of others as far as the log does not say them."""
    data: Path
    options: Mapping[str, Any]
    access: Access
    is_insecure: bool = False
    """Others may reach this node though nothing keeps strangers out."""
    request_bytes_max: int
    joins: bool = False
    """A cluster that runs already is to take this node in."""
    adopts: bool = False
    """The directory is of a release that knew no identities."""
    http: Address | None = None
    """Where to answer HTTP."""
    http_is_secure: bool = False
    """HTTPS, under the certificates of the node."""
    listen: Address | None = None
    """Where to listen, if that is not where others reach this node: behind a forwarded port, or a proxy."""
    control: Control | None = None
    """A test that may disturb this node's disk and clocks."""
    http_peers: Mapping[str, Address] = msgspec.field(default_factory=dict)
    """Where peers answer HTTP: operations are redirected to the leader there, and forwarded without this."""


def run(settings: Settings) -> None:
    """Run one node until it is told to stop. Whatever ends it otherwise is raised, after a line in its log."""
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    logger = structlog.get_logger(node=settings.wanted.node)
    try:
        trio.run(_run if settings.control is None else _run_disturbed, settings, logger)
    except BaseException as error:
        ending = ending_of(error)
        logger.error("died", word=ending.word, why=ending.sentence, traceback=ending.traceback)  # noqa: TRY400
        raise


async def _run_disturbed(settings: Settings, logger: Any) -> None:
    assert settings.control is not None, "only called with one"
    async with disturbed(settings.control, settings.wanted.node) as faults:
        logger.warning("disturbed", why="a test may disturb the disk and the clocks of this node")
        await _run(settings, logger, faults)


async def _run(settings: Settings, logger: Any, faults: Faults | None = None) -> None:
    open_files = _raise_file_limit()
    if settings.http is not None:
        open_files -= _http_connections(open_files) + _HTTP_FILES_RESERVED
    limits = _limits(open_files)
    name = settings.wanted.node
    disk = _open_disk(settings.data, faults)
    try:
        address = _own_address(settings, disk)
        listener = await _listen(name, settings.listen or address, settings)
        if settings.listen is None:
            address = (address[0], listener.socket.getsockname()[1])
        identity = await _identity(settings, disk, {**settings.nodes, name: address})
        if settings.listen is None and identity.listen != spelled(address):
            identity = await write(disk, msgspec.structs.replace(identity, listen=spelled(address)))
        nodes = {**_read_addresses(identity.addresses), **settings.nodes, name: address}
        gate = FeatureGate(name)
        env = _environment(settings, identity, nodes, disk, limits, gate, logger, faults)
        async with trio.open_nursery() as nursery:
            await nursery.start(env.network.run, listener)
            if not identity.has_log:
                await _introduce(nodes, identity, env, logger)
                identity = await begin_log(disk, identity)
            await _serve(settings, identity, env, nodes, gate, logger)
            nursery.cancel_scope.cancel()
    finally:
        disk.close()


def _environment(
    settings: Settings,
    identity: Identity,
    nodes: Mapping[str, Address],
    disk: RealDisk,
    limits: Limits,
    gate: FeatureGate,
    logger: Any,
    faults: Faults | None,
) -> RealEnvironment:
    def log_notes(notes: Notes) -> None:
        for kind, *fields in notes:
            if kind in _LOGGED:
                logger.info(kind, fields=[_plain(field) for field in fields])

    party = Party(
        name=identity.node,
        role="node",
        cluster=identity.cluster,
        instance=identity.instance,
        machines={identity.group: identity.machine},
        ping_ms=ping_ms(settings.options),
        format_version=FORMAT_VERSION,
        feature_levels=FEATURE_LEVELS,
    )
    acquaintances = Acquaintances(disk)

    async def judge(peer: Party) -> None:
        gate.judge(peer)
        await acquaintances.meet(peer)

    env = RealEnvironment(
        identity.node,
        nodes,
        disk,
        log_notes,
        clock=None if faults is None else FaultyClock(faults),
        party=party,
        access=settings.access,
        limits=limits,
        judge=judge,
        on_event=lambda event, fields: logger.warning(event, **fields),
    )
    if faults is not None:
        faults.on_rate = env.clock_changed
    return env


async def _introduce(nodes: Mapping[str, Address], identity: Identity, env: RealEnvironment, logger: Any) -> None:
    """Be met by more than half of the others before taking part (see `acquaintances`)."""
    members = (*identity.voters, *identity.learners) or tuple(identity.addresses) or tuple(nodes)
    others = sorted(set(members) - {identity.node})
    network = env.network
    logger.info("introducing", to=others)
    for other in others:
        network.dial(other)
    enough = len(others) // 2 + 1 if others else 0
    while len(network.contacts.peers.keys() & set(others)) < enough:
        for word, sentence in network.contacts.refusals.values():
            if word in ("identity-lost", FEATURE_REFUSED):
                raise CannotStart(word, sentence)
        await network.contacts.news()


def _own_address(settings: Settings, disk: RealDisk) -> Address:
    """Where others reach this node: as it was told, else where it listened before."""
    name = settings.wanted.node
    if name in settings.nodes:
        return settings.nodes[name]
    if settings.listen is not None:
        raise BadArguments(f"--listen without --node {name}; expected --node {name}=HOST:PORT, where others reach it")
    known = read(disk)
    if known is None or not known.listen:
        raise BadArguments(f"--name is {name}, which has no address; expected --node {name}=HOST:PORT")
    return parse_address("listen", known.listen)


async def _identity(settings: Settings, disk: RealDisk, nodes: Mapping[str, Address]) -> Identity:
    """Who this node is: as it was, or, in an empty directory, as it was typed."""
    wanted = settings.wanted
    learners = wanted.learners or ()
    if settings.joins:
        first = msgspec.structs.replace(wanted, voters=(), learners=())
    else:
        voters = wanted.voters or tuple(node for node in nodes if node not in learners)
        first = msgspec.structs.replace(wanted, voters=voters, learners=learners)
    if settings.adopts:
        return await adopt(disk, first_identity(first, nodes))
    identity = await take_up(disk, first if settings.joins else wanted)
    if identity is not None:
        return identity
    if settings.joins:
        return await write(disk, await _ask_cluster(settings, first))
    _check_beginning(first, nodes)
    return await write(disk, first_identity(first, nodes))


async def _ask_cluster(settings: Settings, first: Wanted) -> Identity:
    """The identity of a node that joins: cluster, machine and members are those of the first node that answers."""
    name = f"{first.node}-joining"
    others = [other for other in settings.nodes if other != first.node]
    if not others:
        raise BadArguments("--join with no other node; expected --node NAME=HOST:PORT of a member")
    party = Party(name=name, role="client", cluster=first.cluster or "", ping_ms=ping_ms(settings.options))
    env = RealEnvironment(name, settings.nodes, party=party, access=settings.access)
    network = env.network
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run, None)
        for other in others:
            network.dial(other)
        while not network.contacts.peers:
            if network.contacts.refusals.keys() >= set(others):
                word, sentence = network.contacts.refusals[others[0]]
                raise CannotStart(word, sentence)
            await network.contacts.news()
        peer = next(iter(network.contacts.peers.values()))
        group = first.group or next(iter(peer.machines), "g0")
        joined = await _ask_members(env, group, peer.name, settings.options)
        nursery.cancel_scope.cancel()
    machine = peer.machines.get(group, first.machine)
    if first.machine is not None and machine != first.machine:
        raise BadArguments(f"--machine is {first.machine!r}; {group} of {peer.name} is {machine!r}")
    return first_identity(
        msgspec.structs.replace(first, group=group, machine=machine),
        settings.nodes,
        cluster=peer.cluster,
        joined=joined,
    )


async def _ask_members(env: RealEnvironment, group: str, server: str, options: Mapping[str, Any]) -> Mapping[str, str]:
    """Where the members of a running cluster are, as one of its servers says; nothing if that does not know it."""
    client = make_client(env, group=group, servers=(server,), options=options)
    try:
        status = (await client.administer(StatusNow())).status
    except RaftError:
        return {}
    if status is None:
        return {}
    try:
        require_known(status.feature_level, FEATURE_LEVELS[1], f"{group} at {server}")
    except Corrupt as error:
        raise CannotStart(error.word, error.where) from None
    return status.members.addresses


def _read_addresses(texts: Mapping[str, str]) -> dict[str, Address]:
    return {name: parse_address(name, text) for name, text in texts.items()}


def _check_beginning(first: Wanted, nodes: Mapping[str, Address]) -> None:
    voters, learners = first.voters or (), first.learners or ()
    check_members(first.node, voters, learners, nodes)
    if first.node not in voters and first.node not in learners:
        raise BadArguments(
            f"--name is {first.node}, which is neither voter nor learner; expected one of them, or --join"
        )


async def _serve(
    settings: Settings,
    identity: Identity,
    env: RealEnvironment,
    nodes: Mapping[str, Address],
    gate: FeatureGate,
    logger: Any,
) -> None:
    group = identity.group
    told = {**told_to_others(nodes), **identity.addresses}
    spec = GroupSpec(machine=identity.machine, voters=identity.voters, learners=identity.learners, addresses=told)
    server = make_server(
        env, groups={group: spec}, options=settings.options, request_bytes_max=settings.request_bytes_max
    )
    await server.start()
    _check_reachable(server, identity, nodes, logger)
    env.network.is_member = server.is_member
    gate.levels = lambda: {group: server.level(group)}
    async with trio.open_nursery() as nursery:
        logger.info("started", address=list(nodes[identity.node]), cluster=identity.cluster, groups=[group])
        nursery.start_soon(_stop_on_signal, server, settings.options, logger, nursery.cancel_scope)
        if settings.http is not None:
            nursery.start_soon(_serve_http, settings, identity, server, nodes, logger)
        await env.serve(server)
    logger.info("stopped", **server.inspect())


async def _serve_http(
    settings: Settings, identity: Identity, server: Server, nodes: Mapping[str, Address], logger: Any
) -> None:
    from .http import run_http  # an extra, and of use to few

    assert settings.http is not None, "only called to serve it"
    listener = await _bind(settings.http)
    await run_http(
        listener,
        server,
        nodes,
        group=identity.group,
        machine=identity.machine,
        options=settings.options,
        peers=settings.http_peers,
        access=settings.access,
        cluster_id=identity.cluster,
        is_secure=settings.http_is_secure,
        connections_max=_http_connections(_raise_file_limit()),
        on_event=lambda event, fields: logger.warning(event, **fields),
    )


def _check_reachable(server: Server, identity: Identity, nodes: Mapping[str, Address], logger: Any) -> None:
    """The members must have an address: in the log, or, when a release without addresses wrote it, typed."""
    members = server.status(identity.group).members
    lost = sorted({*members.voters, *members.outgoing, *members.learners} - nodes.keys() - members.addresses.keys())
    if lost:
        raise BadArguments(
            f"{', '.join(lost)}: member of {identity.group} without an address; expected --node {lost[0]}=HOST:PORT"
        )
    name, here = identity.node, spelled(nodes[identity.node])
    if members.addresses.get(name, here) != here:
        why = (
            f"by the log of {name}, members look for it at {members.addresses[name]}; "
            f"unless they know it since, tell them: cluster replace {name} {name}={here}"
        )
        logger.warning("address-differs", word="address-differs", why=why)


async def _listen(name: str, address: Address, settings: Settings) -> trio.SocketListener:
    host, _ = address
    listener = await _bind(address, ACCEPTED_LATER_MAX)
    if not (settings.access.is_proof or settings.is_insecure or is_loopback(listener.socket.getsockname()[0])):
        raise BadArguments(
            f"{name} listens on {host} with nothing to keep strangers out; expected --secret-file, or --tls-cert with "
            "--tls-key and --tls-ca, or --insecure"
        )
    return listener


async def _bind(address: Address, accepted_later_max: int | None = None) -> trio.SocketListener:
    host, port = address
    try:
        return (await trio.open_tcp_listeners(port, host=host, backlog=accepted_later_max))[0]
    except socket.gaierror as error:
        raise BadArguments(f"{host}: {error.strerror}; expected a host name that this machine can resolve") from None
    except (OSError, BaseExceptionGroup) as error:
        raise CannotStart("cannot-listen", f"{host}:{port}: {ending_of(error).sentence}") from None


def _open_disk(directory: Path, faults: Faults | None) -> RealDisk:
    try:
        return RealDisk(directory) if faults is None else FaultyDisk(directory, faults)
    except OSError as error:
        raise DiskFailed(f"open {directory}", disk_word(error)) from error


def _raise_file_limit() -> int:
    """Take what this process may have: connections and files come out of one limit, low by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _OPEN_FILES_WANTED if soft == resource.RLIM_INFINITY else soft


def _http_connections(open_files: int) -> int:
    return min(_HTTP_CONNECTIONS_MAX, open_files // 5)


def _limits(open_files: int) -> Limits:
    """Connections that leave enough descriptors for files and for the other nodes."""
    usual = Limits()
    free = open_files - _FILES_RESERVED
    pending = min(usual.pending_count_max, free // 4)
    clients = min(usual.client_count_max, free - pending)
    if clients < _CLIENTS_MIN:
        sentence = f"this process may open {open_files} files; expected at least {_FILES_RESERVED + 2 * _CLIENTS_MIN}"
        raise CannotStart("too-many-open-files", f"{sentence} (ulimit -n)")
    return Limits(client_count_max=clients, pending_count_max=pending)


async def _stop_on_signal(server: Server, options: Mapping[str, Any], logger: Any, scope: trio.CancelScope) -> None:
    """Leave in good order: hand over leaderships (as long as two election timeouts), answer who waits, go."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            logger.info("stopping", signal=signal.Signals(number).name)
            break
        patience_s = 2 * options["election_timeout_ms"] / 1000
        for _ in range(20):
            if not server.resign():
                break
            await trio.sleep(patience_s / 20)
        server.retire()
        await trio.sleep(0.05)  # what was just queued may leave
        scope.cancel()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
