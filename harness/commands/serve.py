"""`foreshock serve`: a results folder in a browser."""

from __future__ import annotations

import ipaddress
import secrets
from pathlib import Path
from typing import Final

import click

from harness.errors import BadInput, Exit

from .arguments import results_option
from .printing import say

_TOKEN_BYTES: Final = 24


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="An IP address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, metavar="N", help="0: any.")
@results_option
def command(host: str, port: int, results: Path) -> int:
    """Show a results folder in a browser: campaigns, runs, failures by signature, reports, walk-throughs.

    It reads and changes nothing. On an address that other machines reach it prints a token, without which it answers
    nobody; the connection itself is plain HTTP. Ends with Ctrl-C.

    Example: foreshock serve --results results. Exit 0 when it was told to stop. Needs foreshock[http].
    """
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise BadInput(f"host {host!r}", "an IP address, such as 127.0.0.1 or 0.0.0.0", "--host") from None
    if not results.is_dir():
        raise BadInput("no such folder", "a results folder that foreshock has written", str(results))
    try:
        from harness.serve import listening
    except ModuleNotFoundError as error:
        raise BadInput(f"no module {error.name}", "foreshock[http] installed", "foreshock serve") from None
    token = None if is_loopback else secrets.token_urlsafe(_TOKEN_BYTES)

    def tell(address: str) -> None:
        say("open", address if token is None else f"{address}/?token={token}", whole=True)

    try:
        listening.run(results.resolve(), host, port, token, tell)
    except OSError as error:
        raise BadInput(f"{error.strerror or error}", "an address that is free", f"{host}:{port}") from None
    return Exit.VALID
