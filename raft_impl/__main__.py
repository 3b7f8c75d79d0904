"""One node as an OS process, a client for it, the administration of a cluster, and two ways to look at data.

    python -m raft_impl serve --name n1 --data DIR --node n1=127.0.0.1:7101 --node n2=... [--machine map]
    python -m raft_impl call --node n1=127.0.0.1:7101 --node n2=... write x 5
    python -m raft_impl cluster status --node n1=127.0.0.1:7101 --node n2=...
    python -m raft_impl dump --data DIR [--group g0]
    python -m raft_impl verify --data DIR

`-o NAME=VALUE` sets an option of `runtime.options`, for all nodes alike.

A node logs JSON lines to its standard error. It stops on SIGTERM or SIGINT: it hands over its leaderships, answers
those who wait, and closes; being killed is as safe. Exit codes: 0 done, 1 the node refused to start or its disk failed
(also: the call was refused, or what `verify` found is fatal), 2 the outcome of the call is unknown, 254 bad arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec
import trio

from .errors import NoClient, RaftError, Unknown
from .machines import CATALOG
from .runtime.inspection import dump_log, verify
from .runtime.options import resolve
from .server.arguments import BadArguments, check_members, check_name, parse_names, parse_nodes
from .server.cluster_commands import add_cluster_commands
from .server.endings import EXIT_BAD_ARGUMENTS, EXIT_FAILED, ending_of
from .server.identity import DEFAULT_MACHINE, Wanted
from .server.process import Settings, run
from .server.real_env import RealDisk, RealEnvironment
from .server.transport import Address
from .surface import make_client

EXIT_UNKNOWN: Final = 2


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
            options=_options(parsed),
            joins=parsed.join,
            adopts=parsed.adopt,
        )
    )
    return 0


def call(parsed: argparse.Namespace) -> int:
    """Execute one command in a fresh session and print the answer as JSON."""
    return trio.run(
        _call, parse_nodes(parsed.nodes), parsed.group, _options(parsed), parsed.f, parsed.key, parsed.value
    )


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

    def add(name: str, run: Any, default_group: str | None = "g0") -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--group", default=default_group)
        command.set_defaults(run=run)
        return command

    serving, calling = add("serve", serve, None), add("call", call)
    for command in (serving, calling):
        command.add_argument("--node", dest="nodes", action="append", required=True, metavar="NAME=HOST:PORT")
        command.add_argument("-o", dest="options", action="append", default=[], metavar="NAME=VALUE")
    serving.add_argument("--name", required=True)
    serving.add_argument("--data", type=Path, required=True)
    serving.add_argument("--machine", choices=sorted(CATALOG), help=f"default: {DEFAULT_MACHINE}")
    serving.add_argument("--voters", help="first members, separated by commas; default: all nodes")
    serving.add_argument("--learners", help="first members that only listen, separated by commas")
    serving.add_argument("--cluster", help="id of the cluster; default: a digest of members and addresses")
    serving.add_argument("--join", action="store_true", help="begin as nobody's member: a running cluster takes it in")
    serving.add_argument("--adopt", action="store_true", help="give an identity to data of a release without them")
    calling.add_argument("f")
    calling.add_argument("key", nargs="?")
    calling.add_argument("value", nargs="?", help="JSON, or a bare word")
    add_cluster_commands(commands, _options)
    for command in (add("dump", dump), add("verify", check)):
        command.add_argument("--data", type=Path, required=True)
    return parser


def _options(parsed: argparse.Namespace) -> dict[str, Any]:
    pairs = {}
    for text in parsed.options:
        name, is_there, value = text.partition("=")
        if not is_there:
            raise BadArguments(f"-o is {text!r}; expected NAME=VALUE")
        pairs[name] = value
    try:
        return resolve(pairs)
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


if __name__ == "__main__":
    sys.exit(main())
