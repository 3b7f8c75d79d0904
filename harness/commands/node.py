"""`foreshock node`: a real Raft node as an OS process, and two ways to look at its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from .arguments import json_option
from .real_nodes import HELP, access_options, become, node_option, option_option, words_of

MACHINES: Final = (
    "counter",
    "counter-explicit",
    "list",
    "lock",
    "map",
    "participant",
    "queue",
    "register",
    "set",
)
"""A test holds these to the package's own list, which is not imported here."""


@click.group("node", invoke_without_command=True, context_settings=HELP)
@click.option("--name", metavar="NAME", help="Who this node is.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Where its log and snapshots are.")
@node_option(
    "Where a server is reached: at the first start this node and the first members; later nobody, or whoever moved.",
    required=False,
)
@click.option("--listen", metavar="HOST:PORT", help="Listen there.  [default: where --node says that it is reached]")
@click.option("--machine", type=click.Choice(MACHINES), help="What the group replicates.  [default: register]")
@click.option("--group", metavar="NAME", help="The Raft group.  [default: g0]")
@click.option("--voters", metavar="NAMES", help="First members, separated by commas.  [default: every --node]")
@click.option("--learners", metavar="NAMES", help="First members that only listen, separated by commas.")
@click.option("--join", is_flag=True, help="Begin as a member of nothing: a running cluster takes this node in.")
@access_options
@click.option("--insecure", is_flag=True, help="Let others than this machine in without any proof.")
@click.option("--http", metavar="HOST:PORT", help="Answer HTTP there, on loopback.")
@click.option("--http-tls", is_flag=True, help="HTTPS there, for who has a certificate of the same authority.")
@click.option(
    "--http-peer",
    multiple=True,
    metavar="NAME=HOST:PORT",
    help="Where a peer answers HTTP: redirect to the leader there instead of forwarding.",
)
@click.option("--max-request-bytes", metavar="BYTES", help="Refuse larger requests.  [default: 16777216]")
@click.option(
    "--test-control",
    metavar="SOCKET",
    help="For tests: whoever listens there may disturb the disk and the clocks of this node.",
)
@click.option("--test-secret-file", metavar="FILE", help="What that test and this node know.")
@click.option("--adopt", is_flag=True, help="Give an identity to data of a release that had none.")
@option_option("An option of the cluster, the same for all its nodes.")
def command(**values: Any) -> None:
    """Run one real node of a cluster; or, with a command, look at its data.

    \b
    foreshock node --name n1 --data n1 --node n1=127.0.0.1:7101 --node n2=127.0.0.1:7102
    foreshock node --name n1 --data n1
    foreshock node --name n3 --data n3 --join --node n3=127.0.0.1:7103 --node n1=127.0.0.1:7101

    The first line begins a cluster, the second starts the node again, the third joins a running cluster that takes it
    in with `foreshock cluster add`. The node logs JSON lines to its standard error and stops in order on SIGTERM or
    Ctrl-C. Exit 0 it was told to stop; 1 it refused to start or its disk failed; 254 bad arguments; 255 our own fault.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        return
    for name in ("name", "data"):
        if values[name] is None:
            raise click.MissingParameter(ctx=ctx, param=next(one for one in command.params if one.name == name))
    become("serve", words_of(values))


def _data_option(function: Any) -> Any:
    group = click.option("--group", metavar="NAME", help="The Raft group.  [default: g0]")
    data = click.option(
        "--data", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The data directory of a node."
    )
    return data(group(json_option(function)))


@command.command("dump", context_settings=HELP)
@_data_option
def _dump(data: Path, group: str | None, as_json: bool) -> None:
    """Print the log in a data directory as `index (term): COMMAND(args)`; the node need not run, and must not."""
    become("dump", words_of({"data": data, "group": group, "json": as_json}))


@command.command("verify", context_settings=HELP)
@_data_option
def _verify(data: Path, group: str | None, as_json: bool) -> None:
    """Say what is wrong with a data directory. Exit 1 when that cannot be mended by the node itself."""
    become("verify", words_of({"data": data, "group": group, "json": as_json}))
