"""`foreshock client`: one call to a cluster of real nodes, or a shell for its counters."""

from __future__ import annotations

from typing import Any

import click

from .arguments import json_option
from .real_nodes import HELP, WithNumbers, access_options, become, node_option, option_option, positional, words_of


@click.command("client", cls=WithNumbers, context_settings=HELP)
@click.argument("f", required=False)
@click.argument("key", required=False)
@click.argument("value", required=False)
@node_option("A server; one that runs suffices, and names the others.")
@click.option("--group", default="g0", show_default=True, help="The Raft group.")
@click.option("--shell", is_flag=True, help="Use counters by hand: create, increment, decrement, get, dump, snapshot.")
@access_options
@option_option("An option of the cluster's clients: client_timeout_ms=30000, say.")
@json_option
def command(f: str | None, key: str | None, value: str | None, shell: bool, **values: Any) -> None:
    """Call the state machine of a cluster: the command F, mostly with a KEY, and a VALUE in JSON or as a bare word.

    \b
    foreshock client --node n1=127.0.0.1:7101 write x 5              register, map
    foreshock client --node n1=127.0.0.1:7101 read x                 any of them
    foreshock client --node n1=127.0.0.1:7101 add-and-get visits -1  counter
    foreshock client --node n1=127.0.0.1:7101 --shell

    The answer is printed as JSON. Exit 0 done; 1 refused: it surely did not happen, or the machine said no; 2 unknown:
    it may have happened.
    """
    if shell:
        if f is not None or values.pop("as_json"):
            raise click.UsageError("--shell with a command or --json; it reads commands itself")
        become("shell", words_of(values))
    if f is None:
        raise click.UsageError("no command to call, and no --shell", ctx=click.get_current_context())
    values["json"] = values.pop("as_json")
    become("call", words_of(values), positional(f, key, value))
