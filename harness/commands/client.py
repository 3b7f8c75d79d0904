"""`foreshock client`: one call to a cluster of real nodes."""

from __future__ import annotations

import click

from .node import PASS_ON, become


@click.command("client", context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Call a cluster: --node n1=HOST:PORT --node n2=... write x 5. Exit 0 done, 1 refused, 2 unknown."""
    become("call", *arguments)
    return 0
