"""`python -m raft_impl cluster`: status, members, transfer, snapshot, add, remove, replace, promote and dump.

Exit codes: 0 done, 1 refused (or, for `status` and `members`, no server leads), 2 begun and not seen to end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import trio

from ..errors import RaftError, Refused, Unknown
from ..runtime.questions import ChangeMembers, NodeStatus
from .access import access_of, add_access_arguments
from .address_book import spelled
from .administrator import Administrator, Asker, NotLetIn
from .arguments import BadArguments, check_name, is_unspecified, parse_nodes
from .endings import EXIT_FAILED
from .hints import HINTS

EXIT_UNKNOWN: Final = 2
_DEFAULT_TIMEOUT_S: Final = 15.0

Act = Callable[[argparse.Namespace, Administrator], Awaitable[int]]


def add_cluster_commands(commands: Any, options_of: Callable[[argparse.Namespace], Mapping[str, Any]]) -> None:
    """Add `cluster` to the command line. `options_of` reads `-o`."""
    cluster = commands.add_parser("cluster", help="administer a running cluster")
    actions = cluster.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, act: Act) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=act.__doc__)
        parser.add_argument("--node", dest="nodes", action="append", required=True, metavar="NAME=HOST:PORT")
        parser.add_argument("--group", default="g0")
        add_access_arguments(parser)
        parser.add_argument("--timeout", type=float, default=_DEFAULT_TIMEOUT_S, metavar="SECONDS")
        parser.add_argument("--json", dest="as_json", action="store_true")
        parser.add_argument("-o", dest="options", action="append", default=[], metavar="NAME=VALUE")
        parser.set_defaults(run=lambda parsed: _run(parsed, options_of(parsed), act), typed=f"foreshock cluster {name}")
        return parser

    add("status", _status)
    add("members", _members)
    add("transfer", _transfer).add_argument("name", nargs="?")
    add("snapshot", _snapshot).add_argument("name", nargs="?")
    adding = add("add", _add)
    adding.add_argument("server", metavar="NAME=HOST:PORT")
    adding.add_argument("--learner", action="store_true")
    replacing = add("replace", _replace)
    replacing.add_argument("name", metavar="OLD")
    replacing.add_argument("server", metavar="NEW=HOST:PORT")
    add("promote", _promote).add_argument("name")
    add("remove", _remove).add_argument("name")
    dumping = add("dump", _dump)
    dumping.add_argument("name", nargs="?")
    dumping.add_argument("--first", type=int, default=0)
    dumping.add_argument("--count", type=int, default=None)


def _run(parsed: argparse.Namespace, options: Mapping[str, Any], act: Act) -> int:
    nodes = parse_nodes(parsed.nodes)
    name = getattr(parsed, "name", None)
    if name is not None:
        check_name("NAME", name)
    if not 0 < parsed.timeout <= 3600:
        raise BadArguments(f"--timeout is {parsed.timeout:g}; expected more than 0 and at most 3600 seconds")
    administrator = Administrator(
        Asker(nodes, parsed.group, options, access=access_of(parsed), cluster=parsed.cluster or ""),
        patience_s=parsed.timeout,
    )
    try:
        return trio.run(act, parsed, administrator)
    except RaftError as error:
        outcome = "unknown" if isinstance(error, Unknown) else "refused"
        hint = error.sentence if isinstance(error, NotLetIn) else HINTS.get(error.word, "")
        if parsed.as_json:
            _print_json({"outcome": outcome, "word": error.word, "hint": hint})
        else:
            _complain(f"{outcome}: {error.word}{f'; {hint}' if hint else ''}")
        return EXIT_UNKNOWN if outcome == "unknown" else EXIT_FAILED


async def _status(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """say what each server is and how far it is"""
    listing = await administrator.status()
    leader = listing.leader
    if parsed.as_json:
        _print_json(listing)
    else:
        rows = [_row(status) for status in listing.nodes.values()]
        missing = {**dict.fromkeys(listing.silent, "silent"), **dict.fromkeys(listing.refused, "refused")}
        rows += [(name, word, *["-"] * (len(_HEAD) - 2)) for name, word in missing.items()]
        _print_table(_HEAD, sorted(rows))
        for name, (word, sentence) in sorted(listing.refused.items()):
            print(f"{name}: {word}: {sentence}")
        for name, peer in sorted(leader.peers.items()) if leader is not None else ():
            ago = f"heard {peer.heard_ms_ago} ms ago"
            print(f"{name}: {peer.pace}, has {peer.match} of {leader.log.last if leader else 0}, {ago}")
    return 0 if leader is not None else EXIT_FAILED


async def _members(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """say who votes and who listens, as the leader knows it"""
    return _show_members(parsed, await administrator.members())


async def _transfer(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """hand leadership to NAME, or to the most up-to-date voter"""
    leader = await administrator.transfer(parsed.name)
    if parsed.as_json:
        _print_json({"outcome": "done", "leader": leader.node, "term": leader.term})
    else:
        print(f"{leader.node} leads in term {leader.term}")
    return 0


async def _snapshot(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """have NAME, or every server, take a snapshot"""
    names = [parsed.name] if parsed.name else await administrator.names()
    taken = {}
    for name in names:
        try:
            taken[name] = await administrator.snapshot(name)
        except Refused as error:
            if error.word != "nothing-new":
                raise
    if parsed.as_json:
        _print_json({"outcome": "done", "snapshots": taken})
    else:
        for name in names:
            print(f"{name}: snapshot at {taken[name]}" if name in taken else f"{name}: nothing new")
    return 0


async def _add(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """take NAME in as a voter, once it has caught up, or with --learner as one who only listens"""
    name, addresses = _newcomer(parsed)
    members = (await administrator.members()).members
    if name in (*members.voters, *members.learners):
        raise Refused("is-member")
    names = (name,)
    change = ChangeMembers(listen=names, addresses=addresses)
    if not parsed.learner:
        change = ChangeMembers(vote=names, addresses=addresses)
    return _show_members(parsed, await administrator.change(change))


async def _replace(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """put NEW in the place of OLD once it has caught up; with the same name, change where OLD is reached"""
    new, addresses = _newcomer(parsed)
    old = parsed.name
    members = (await administrator.members()).members
    if old not in (*members.voters, *members.learners):
        raise Refused("no-member")
    if new == old:
        change = ChangeMembers(addresses=addresses)
    elif new in (*members.voters, *members.learners):
        raise Refused("is-member")
    elif old in members.voters:
        change = ChangeMembers(vote=(new,), leave=(old,), addresses=addresses)
    else:
        change = ChangeMembers(listen=(new,), leave=(old,), addresses=addresses)
    return _show_members(parsed, await administrator.change(change))


def _newcomer(parsed: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Name and address of a server that is named with its address, or with that of its `--node`."""
    name, is_there, _ = parsed.server.partition("=")
    nodes = parse_nodes([parsed.server], flag="NAME") if is_there else parse_nodes(parsed.nodes)
    check_name("NAME", name)
    if name not in nodes:
        raise BadArguments(f"NAME is {name}, whose address is not known; expected {name}=HOST:PORT")
    if is_unspecified(nodes[name][0]):
        raise BadArguments(f"{name} is at {spelled(nodes[name])}; expected an address that others can reach")
    return name, {name: spelled(nodes[name])}


async def _promote(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """make the learner NAME a voter, once it has caught up"""
    if parsed.name not in (await administrator.members()).members.learners:
        raise Refused("no-learner")
    return _show_members(parsed, await administrator.change(ChangeMembers(vote=(parsed.name,))))


async def _remove(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """remove NAME from the group"""
    members = (await administrator.members()).members
    if parsed.name not in (*members.voters, *members.learners):
        raise Refused("no-member")
    return _show_members(parsed, await administrator.change(ChangeMembers(leave=(parsed.name,))))


async def _dump(parsed: argparse.Namespace, administrator: Administrator) -> int:
    """print the log of NAME, or of the leader, as `index (term): command`"""
    name = parsed.name or (await administrator.members()).node
    lines = await administrator.dump(name, parsed.first, parsed.count)
    if parsed.as_json:
        _print_json({"node": name, "lines": lines})
    else:
        for line in lines:
            print(line)
    return 0


_HEAD: Final = ("node", "role", "term", "leader", "log", "commit", "applied", "snapshot", "sessions", "level")


def _row(status: NodeStatus) -> tuple[str, ...]:
    log = status.log
    span = f"{log.first}..{log.last}" if log.entry_count else "empty"
    level = f"{status.feature_level} of {status.known_level}"
    words = (span, log.commit, log.applied, log.snapshot, status.sessions, level)
    return (status.node, status.role, str(status.term), status.leader or "-", *map(str, words))


def _show_members(parsed: argparse.Namespace, leader: NodeStatus) -> int:
    members = leader.members
    if parsed.as_json:
        _print_json({"outcome": "done", "leader": leader.node, "members": members})
        return 0
    print(f"voters    {' '.join(members.voters)}")
    if members.outgoing:
        print(f"from      {' '.join(members.outgoing)}")
    if members.learners:
        print(f"learners  {' '.join(members.learners)}")
    print(f"leader    {leader.node}")
    for name, address in sorted(members.addresses.items()):
        print(f"{name:8}  {address}")
    return 0


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_json(value: Any) -> None:
    print(msgspec.json.encode(value).decode())


def _complain(sentence: str) -> None:
    print(sentence, file=sys.stderr)
