"""`foreshock client`: one call to a cluster of real nodes, or a shell for its counters."""

from __future__ import annotations

import click

from .node import PASS_ON, become


@click.command("client", context_settings=PASS_ON)
@click.option("--shell", is_flag=True, help="Use counters by hand: create, increment, decrement, get, dump, snapshot.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(shell: bool, arguments: tuple[str, ...]) -> int:
    """Call a cluster: --node n1=HOST:PORT --node n2=... write x 5. Exit 0 done, 1 refused, 2 unknown."""
    become("shell" if shell else "call", *arguments)
    return 0
