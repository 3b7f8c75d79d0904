"""One node as an OS process, a client for it, and two ways to look at its data.

    python -m raft_impl serve --name n1 --data DIR --node n1=127.0.0.1:7101 --node n2=... [--machine map]
    python -m raft_impl call --node n1=127.0.0.1:7101 --node n2=... write x 5
    python -m raft_impl dump --data DIR [--group g0]
    python -m raft_impl verify --data DIR

`-o NAME=VALUE` sets an option of `runtime.options`, for all nodes alike.

A node logs JSON lines to its standard error. It stops on SIGTERM or SIGINT: it hands over its leaderships, answers
those who wait, and closes; being killed is as safe. Exit codes: 0 done, 1 the node refused to start or its disk failed
(also: the call was refused, or what `verify` found is fatal), 2 the outcome of the call is unknown, 254 bad arguments.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import structlog
import trio

from .errors import Corrupt, DiskFailed, NoClient, RaftError, Unknown
from .machines import CATALOG
from .runtime.inspection import dump_log, verify
from .runtime.options import resolve
from .runtime.real_env import Notes, RealDisk, RealEnvironment
from .runtime.transport import Address
from .surface import GroupSpec, Server, make_client, make_server

EXIT_FAILED: Final = 1
EXIT_UNKNOWN: Final = 2
EXIT_BAD_ARGUMENTS: Final = 254

_LOGGED: Final = frozenset({"role", "term", "snapshot", "config", "mark"})
"""Kinds of notes that are worth a line in the log of a live node."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
    except (Corrupt, DiskFailed, OSError) as error:
        print(f"raft_impl: {error}", file=sys.stderr)
        return EXIT_FAILED
    except ValueError as error:
        print(f"raft_impl: {error}", file=sys.stderr)
        return EXIT_BAD_ARGUMENTS
    return code


def serve(parsed: argparse.Namespace) -> int:
    """Run one node until it is told to stop."""
    if parsed.name not in parsed.nodes:
        raise ValueError(f"--name is {parsed.name!r}; expected one of the nodes {', '.join(parsed.nodes)}")
    voters = tuple(parsed.voters.split(",")) if parsed.voters else tuple(parsed.nodes)
    learners = tuple(name for name in parsed.learners.split(",") if name)
    spec = GroupSpec(machine=parsed.machine, voters=voters, learners=learners)
    trio.run(_serve, parsed.name, dict(parsed.nodes), parsed.data, {parsed.group: spec}, _options(parsed))
    return 0


async def _serve(
    name: str, nodes: dict[str, Address], data: Path, groups: dict[str, GroupSpec], options: dict[str, Any]
) -> None:
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    logger = structlog.get_logger(node=name)

    def log_notes(notes: Notes) -> None:
        for kind, *fields in notes:
            if kind in _LOGGED:
                logger.info(kind, fields=[_plain(field) for field in fields])

    host, port = nodes[name]
    listener = (await trio.open_tcp_listeners(port, host=host))[0]
    nodes[name] = listener.socket.getsockname()[:2]
    disk = RealDisk(data)
    try:
        env = RealEnvironment(name, nodes, disk, log_notes)
        server = make_server(env, groups=groups, options=options)
        await server.start()
        async with trio.open_nursery() as nursery:
            await nursery.start(env.network.run, listener)
            logger.info("started", address=list(nodes[name]), groups=sorted(groups))
            nursery.start_soon(_stop_on_signal, server, options, logger, nursery.cancel_scope)
            await env.serve(server)
    except* DiskFailed as failures:
        raise _first(failures) from None
    finally:
        disk.close()
    logger.info("stopped", **server.inspect())


async def _stop_on_signal(server: Server, options: dict[str, Any], logger: Any, scope: trio.CancelScope) -> None:
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


def call(parsed: argparse.Namespace) -> int:
    """Execute one command in a fresh session and print the answer as JSON."""
    return trio.run(_call, dict(parsed.nodes), parsed.group, _options(parsed), parsed.f, parsed.key, parsed.value)


async def _call(
    nodes: dict[str, Address], group: str, options: dict[str, Any], f: str, key: str | None, value: str | None
) -> int:
    env = RealEnvironment(f"client-{trio.current_time():.6f}", nodes)
    async with trio.open_nursery() as nursery:
        await nursery.start(env.network.run, None)
        client = make_client(env, group=group, servers=tuple(nodes), options=options)
        try:
            await client.open()
            print(msgspec.json.encode(await client.call(f, key, _json(value))).decode())
            code = 0
        except (RaftError, NoClient) as error:
            print(f"raft_impl: {type(error).__name__.lower()}: {error.word}", file=sys.stderr)
            code = EXIT_UNKNOWN if isinstance(error, Unknown) else EXIT_FAILED
        nursery.cancel_scope.cancel()
    return code


def dump(parsed: argparse.Namespace) -> int:
    """Print the log as `index (term): command`."""
    disk = RealDisk(_existing(parsed.data))
    try:
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

    def add(name: str, run: Any) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--group", default="g0")
        command.set_defaults(run=run)
        return command

    serving, calling = add("serve", serve), add("call", call)
    for command in (serving, calling):
        command.add_argument("--node", dest="nodes", action=_AddNode, required=True, metavar="NAME=HOST:PORT")
        command.add_argument("-o", dest="options", action="append", default=[], metavar="NAME=VALUE")
    serving.add_argument("--name", required=True)
    serving.add_argument("--data", type=Path, required=True)
    serving.add_argument("--machine", choices=sorted(CATALOG), default="register")
    serving.add_argument("--voters", default="", help="names, separated by commas; default: all nodes")
    serving.add_argument("--learners", default="", help="names, separated by commas")
    calling.add_argument("f")
    calling.add_argument("key", nargs="?")
    calling.add_argument("value", nargs="?", help="JSON, or a bare word")
    for command in (add("dump", dump), add("verify", check)):
        command.add_argument("--data", type=Path, required=True)
    return parser


class _AddNode(argparse.Action):
    """Collects NAME=HOST:PORT into a dictionary."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None) -> None:
        name, is_there, address = str(values).partition("=")
        host, _, port = address.rpartition(":")
        if not (name and is_there and host and port.isdecimal() and int(port) < 1 << 16):
            parser.error(f"--node is {values!r}; expected NAME=HOST:PORT")
        nodes = dict(getattr(namespace, self.dest) or {})
        nodes[name] = (host, int(port))
        setattr(namespace, self.dest, nodes)


def _options(parsed: argparse.Namespace) -> dict[str, Any]:
    pairs = {}
    for text in parsed.options:
        name, is_there, value = text.partition("=")
        if not is_there:
            raise ValueError(f"-o is {text!r}; expected NAME=VALUE")
        pairs[name] = value
    return resolve(pairs)


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise ValueError(f"--data is {str(directory)!r}; expected a directory")
    return directory


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _first(failures: BaseExceptionGroup[DiskFailed]) -> DiskFailed:
    """A disk that fails in several places at once is one failure."""
    failure: Any = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    assert isinstance(failure, DiskFailed)
    return failure


if __name__ == "__main__":
    sys.exit(main())
