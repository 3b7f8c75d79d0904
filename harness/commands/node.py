"""`foreshock node` and `foreshock client`: a real Raft node as an OS process, and a client for a cluster of them.

Both hand over to `python -m raft_impl` of this installation: its process, its exit codes. The harness keeps its hands
off: only the adapter knows the package, and this does not import it.
"""

from __future__ import annotations

import os
import sys

import click

PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}


@click.command("node", context_settings=PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run one real node: --name n1 --data DIR --node n1=HOST:PORT --node n2=... [-o NAME=VALUE]; also dump, verify."""
    inspecting = arguments[:1] in (("dump",), ("verify",))
    become(*(() if inspecting else ("serve",)), *arguments)
    return 0


def become(*arguments: str) -> None:
    """Turn this process into the package's own program."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "raft_impl", *arguments])
