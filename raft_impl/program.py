"""One node as an OS process, a client for it, the administration of a cluster, and two ways to look at data.

    python -m raft_impl serve --name n1 --data DIR --node n1=127.0.0.1:7101 --node n2=... [--machine map]
    python -m raft_impl call --node n1=127.0.0.1:7101 --node n2=... write x 5
    python -m raft_impl shell --node n1=127.0.0.1:7101 --node n2=...
    python -m raft_impl cluster status --node n1=127.0.0.1:7101 --node n2=...
    python -m raft_impl dump --data DIR [--group g0]
    python -m raft_impl verify --data DIR

`-o NAME=VALUE` sets an option of `runtime.options`, for all nodes alike.

A node logs JSON lines to its standard error. It stops on SIGTERM or SIGINT: it hands over its leaderships, answers
those who wait, and closes; being killed is as safe. Exit codes: 0 done, 1 the node refused to start or its disk failed
(also: the call was refused, or what `verify` found is fatal), 2 the outcome of the call is unknown, 130 Ctrl-C ended
something else than a node, 254 bad arguments.
"""

from __future__ import annotations

import argparse
import importlib.util
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import trio

from .errors import Negative, NoClient, RaftError, Unknown
from .machines import CATALOG
from .machines.base import MALFORMED, UNSUPPORTED
from .machines.calls import CALL_BYTES_MAX, DEPTH_MAX, TOO_LARGE
from .runtime.client import NO_CLIENT, NOT_LEADER
from .runtime.inspection import dump_log, verify
from .runtime.node import REQUEST_BYTES_MAX
from .runtime.options import resolve_real
from .server.access import access_of, add_access_arguments, read_secret
from .server.arguments import (
    Address,
    BadArguments,
    check_members,
    check_name,
    is_loopback,
    parse_address,
    parse_names,
    parse_nodes,
)
from .server.cluster_commands import add_cluster_commands
from .server.control import Control
from .server.endings import EXIT_BAD_ARGUMENTS, EXIT_FAILED, ending_of
from .server.handshake import Party
from .server.identity import DEFAULT_MACHINE, Wanted
from .server.identity import FILE_NAME as IDENTITY_FILE
from .server.process import Settings, run
from .server.real_env import RealDisk, RealEnvironment
from .server.shell import add_shell
from .server.transport import Access, ping_ms
from .surface import make_client

_LEAVE_S: Final = 0.01
"""How long a client that is done stays for its farewell to leave; what is lost expires."""
EXIT_UNKNOWN: Final = 2
_ANSWERS: Final = {
    TOO_LARGE: "the request has more bytes than a server takes (--max-request-bytes)",
    UNSUPPORTED: "the machine has no such command, or some member is of a release that does not know it",
    MALFORMED: (
        f"the machine has no such command, or takes no such key or value with it; values nest at most {DEPTH_MAX} deep"
    ),
}
"""What a person should know of words that come from a server's judgement, whatever the state of the cluster."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        ending = ending_of(error)
        print(ending.line, file=sys.stderr)
        if getattr(parsed, "as_json", False):
            _print_json(ending.document(parsed.typed))
        return ending.exit_code
    return code


def serve(parsed: argparse.Namespace) -> int:
    """Run one node until it is told to stop."""
    nodes = parse_nodes(parsed.nodes)
    check_name("--name", parsed.name)
    for flag, name in (("--group", parsed.group), ("--cluster", parsed.cluster)):
        if name is not None:
            check_name(flag, name)
    voters = parse_names("--voters", parsed.voters) if parsed.voters is not None else None
    learners = parse_names("--learners", parsed.learners) if parsed.learners is not None else None
    if parsed.join and (voters or learners):
        raise BadArguments("--join with --voters or --learners; expected none: the cluster says who its members are")
    if not (parsed.data / IDENTITY_FILE).exists():  # else the directory knows more than was typed
        check_members(parsed.name, voters or (), learners or (), nodes)
    run(
        Settings(
            wanted=Wanted(
                node=parsed.name,
                group=parsed.group,
                machine=parsed.machine,
                cluster=parsed.cluster,
                voters=voters,
                learners=learners,
            ),
            nodes=nodes,
            data=parsed.data,
            listen=parse_address("--listen", parsed.listen) if parsed.listen else None,
            options=_options(parsed),
            access=access_of(parsed),
            is_insecure=parsed.insecure,
            request_bytes_max=_request_bytes_max(parsed.max_request_bytes),
            joins=parsed.join,
            adopts=parsed.adopt,
            http=_http_address(parsed) if parsed.http or parsed.http_tls else None,
            http_is_secure=parsed.http_tls,
            http_peers=_http_peers(parsed, nodes),
            control=_control(parsed),
        )
    )
    return 0


def _control(parsed: argparse.Namespace) -> Control | None:
    if parsed.test_control is None and parsed.test_secret_file is None:
        return None
    if parsed.test_control is None or parsed.test_secret_file is None:
        raise BadArguments("--test-control without --test-secret-file, or the other way; expected both, or neither")
    return Control(path=parsed.test_control, secret=read_secret("--test-secret-file", parsed.test_secret_file))


def _http_address(parsed: argparse.Namespace) -> Address:
    if parsed.http_tls and not (parsed.http and parsed.tls_cert):
        raise BadArguments("--http-tls without --http or --tls-cert; expected all of them")
    host, port = parse_address("--http", parsed.http)
    if not (is_loopback(host) or parsed.insecure or parsed.http_tls):
        raise BadArguments(f"--http is {parsed.http!r}; expected a loopback address, or --http-tls, or --insecure")
    if importlib.util.find_spec("hypercorn") is None or importlib.util.find_spec("starlette") is None:
        raise BadArguments("--http without Starlette and Hypercorn; expected: pip install 'foreshock[http]'")
    return host, port


def _http_peers(parsed: argparse.Namespace, nodes: Mapping[str, Address]) -> dict[str, Address]:
    if parsed.http_peers and not parsed.http:
        raise BadArguments("--http-peer without --http; expected both, or neither")
    peers = parse_nodes(parsed.http_peers, flag="--http-peer")
    for name in peers:
        if name not in nodes:
            raise BadArguments(f"--http-peer names {name}; expected one of the nodes {', '.join(nodes)}")
    return peers


def call(parsed: argparse.Namespace) -> int:
    """Execute one command, in a session of its own unless it only reads, and print the answer as JSON."""
    value = _json(parsed.value)
    return trio.run(_call, parsed, value, parse_nodes(parsed.nodes), access_of(parsed), _options(parsed))


async def _call(
    parsed: argparse.Namespace, value: Any, nodes: dict[str, Address], access: Access, options: dict[str, Any]
) -> int:
    name = f"client-{secrets.token_hex(4)}"
    party = Party(name=name, role="client", cluster=parsed.cluster or "", ping_ms=ping_ms(options))
    env = RealEnvironment(name, nodes, party=party, access=access)
    client = make_client(env, group=parsed.group, servers=tuple(nodes), options=options)
    code = EXIT_FAILED
    async with trio.open_nursery() as nursery:
        await nursery.start(env.network.run, None)
        nursery.start_soon(_give_up_when_refused, parsed, env, nodes, nursery.cancel_scope)
        try:
            found = await client.call(parsed.f, parsed.key, value)
            _print_json({"outcome": "done", "value": found} if parsed.as_json else found)
            code = 0
        except (RaftError, NoClient) as error:
            _complain(parsed, *_told(error, client.leader, env, nodes))
            code = EXIT_UNKNOWN if isinstance(error, Unknown) else EXIT_FAILED
        client.close()
        await trio.sleep(_LEAVE_S)  # what was just queued may leave
        nursery.cancel_scope.cancel()
    return code


async def _give_up_when_refused(
    parsed: argparse.Namespace, env: RealEnvironment, nodes: dict[str, Address], scope: trio.CancelScope
) -> None:
    """When every node refuses us, waiting does not help. Nothing was asked of any of them then."""
    while not (env.network.contacts.refusals.keys() >= nodes.keys() and not env.network.contacts.peers):
        await env.network.contacts.news()
    words = sorted({word for word, _ in env.network.contacts.refusals.values()})
    _complain(parsed, "refused", words[0] if parsed.as_json else "", _refusals(env))  # people read it in the hint
    scope.cancel()


def _complain(parsed: argparse.Namespace, outcome: str, word: str, hint: str) -> None:
    """Say how a call failed, for people or for programs."""
    if parsed.as_json:
        _print_json({"outcome": outcome, "word": word, "hint": hint})
    else:
        print(": ".join(part for part in (outcome, word, hint) if part), file=sys.stderr)


def _print_json(value: Any) -> None:
    print(msgspec.json.encode(value).decode())


def _told(
    error: RaftError, leader: str | None, env: RealEnvironment, nodes: dict[str, Address]
) -> tuple[str, str, str]:
    """What a failed call means for the operation, the word, and what to look at."""
    outcome = "refused" if isinstance(error, NoClient) else type(error).__name__.lower()
    word = error.word
    if word in _ANSWERS or isinstance(error, Negative):
        return outcome, word, _ANSWERS.get(word, "")
    reached = env.network.contacts.peers
    away = sorted(nodes.keys() - reached.keys())
    hints = []
    if word == NO_CLIENT:
        word = "no-quorum" if reached else "unreachable"
        hints += ["no leader could open a session in time"] if reached else []
    elif word == NOT_LEADER and leader is None:
        word = "no-quorum"
        hints.append("no node knows a leader: too few of the group's voters can reach each other")
    elif word in (NOT_LEADER, "not-ready") and 2 * len(away) >= len(nodes):
        word = "no-quorum"  # a server that has just lost the others may still know who led them
    if env.network.contacts.refusals:
        hints.append(_refusals(env))
    elif away:
        hints.append(f"no connection to {', '.join(away)}")
    return outcome, word, "; ".join(hints)


def _refusals(env: RealEnvironment) -> str:
    return "; ".join(sorted({f"{word}: {sentence}" for word, sentence in env.network.contacts.refusals.values()}))


def dump(parsed: argparse.Namespace) -> int:
    """Print the log as `index (term): command`."""
    disk = RealDisk(_existing(parsed.data))
    try:
        if parsed.as_json:
            _print_json({"group": parsed.group, "lines": list(dump_log(disk, parsed.group))})
        else:
            for line in dump_log(disk, parsed.group):
                print(line)
    finally:
        disk.close()
    return 0


def check(parsed: argparse.Namespace) -> int:
    """Print what is wrong with a data directory."""
    disk = RealDisk(_existing(parsed.data))
    try:
        findings = verify(disk)
    finally:
        disk.close()
    if parsed.as_json:
        _print_json({"findings": findings})
        return EXIT_FAILED if any(finding.is_fatal for finding in findings) else 0
    for finding in findings:
        print(f"{finding.group}: {finding.what}: {finding.where}{' (fatal)' if finding.is_fatal else ''}")
    if not findings:
        print("sound")
    return EXIT_FAILED if any(finding.is_fatal for finding in findings) else 0


class _Parser(argparse.ArgumentParser):
    """Bad arguments are one line and 254, as everywhere in the project."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_ARGUMENTS, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="raft_impl", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Any, typed: str, default_group: str | None = "g0") -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--group", default=default_group)
        command.set_defaults(run=run, typed=typed)
        return command

    serving, calling = add("serve", serve, "foreshock node", None), add("call", call, "foreshock client")
    for command in (serving, calling):
        command.add_argument(
            "--node", dest="nodes", action="append", default=[], required=command is calling, metavar="NAME=HOST:PORT"
        )
        add_access_arguments(command)
        command.add_argument("-o", dest="options", action="append", default=[], metavar="NAME=VALUE")
    serving.add_argument("--name", required=True)
    serving.add_argument("--data", type=Path, required=True)
    serving.add_argument("--machine", choices=sorted(CATALOG), help=f"default: {DEFAULT_MACHINE}")
    serving.add_argument(
        "--listen", metavar="HOST:PORT", help="listen there; default: at this node's own --node address"
    )
    serving.add_argument("--voters", help="first members, separated by commas; default: all nodes")
    serving.add_argument("--learners", help="first members that only listen, separated by commas")
    serving.add_argument("--insecure", action="store_true", help="let others than this machine in without any proof")
    serving.add_argument("--max-request-bytes", default=str(REQUEST_BYTES_MAX), metavar="BYTES")
    serving.add_argument("--join", action="store_true", help="begin as nobody's member: a running cluster takes it in")
    serving.add_argument("--http", metavar="HOST:PORT", help="answer HTTP there, on loopback (see server.http)")
    serving.add_argument("--http-tls", action="store_true", help="HTTPS there, for who has a certificate")
    serving.add_argument(
        "--http-peer",
        dest="http_peers",
        action="append",
        default=[],
        metavar="NAME=HOST:PORT",
        help="where a peer answers HTTP: redirect to the leader there instead of forwarding",
    )
    serving.add_argument(
        "--test-control",
        type=Path,
        metavar="SOCKET",
        help="for tests: whoever listens there may disturb the disk and the clocks of this node (see server.control)",
    )
    serving.add_argument("--test-secret-file", type=Path, metavar="FILE", help="what that test and this node know")
    serving.add_argument("--adopt", action="store_true", help="give an identity to data of a release without them")
    calling.add_argument("f")
    calling.add_argument("key", nargs="?")
    calling.add_argument("value", nargs="?", help="JSON, or a bare word")
    add_cluster_commands(commands, _options)
    add_shell(commands, _options)
    looking = add("dump", dump, "foreshock node dump"), add("verify", check, "foreshock node verify")
    for command in looking:
        command.add_argument("--data", type=Path, required=True)
    for command in (calling, *looking):
        command.add_argument("--json", dest="as_json", action="store_true")
    return parser


def _request_bytes_max(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and 0 < int(text) <= CALL_BYTES_MAX):
        raise BadArguments(f"--max-request-bytes is {text!r}; expected a whole number from 1 to {CALL_BYTES_MAX}")
    return int(text)


def _options(parsed: argparse.Namespace) -> dict[str, Any]:
    pairs = {}
    for text in parsed.options:
        name, is_there, value = text.partition("=")
        if not is_there:
            raise BadArguments(f"-o is {text!r}; expected NAME=VALUE")
        pairs[name] = value
    try:
        return resolve_real(pairs)
    except ValueError as error:
        raise BadArguments(str(error)) from None


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise BadArguments(f"--data is {str(directory)!r}; expected a directory")
    return directory


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    except RecursionError:
        raise BadArguments(
            f"the value nests too deep; expected at most {DEPTH_MAX} lists and objects within one another"
        ) from None
