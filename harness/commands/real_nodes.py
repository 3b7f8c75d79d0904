"""What the commands about real nodes share: their options, and the way to the program of the package itself.

`node`, `client` and `cluster` hand over to `python -m raft_impl` of this installation: its process, its exit codes. The
harness keeps its hands off: only the adapter knows the package, and this does not import it. What is typed is checked
twice, here for its form and there for its meaning.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

PROGRAM: Final = "raft_impl"
HELP: Final = {"help_option_names": ["-h", "--help"]}
_FILE: Final = click.Path(path_type=Path)
_NUMBER: Final = re.compile(r"-\d.*")


def node_option(text: str, *, required: bool = True) -> Callable[..., Any]:
    """`--node NAME=HOST:PORT`, for each server once."""
    return click.option("--node", multiple=True, required=required, metavar="NAME=HOST:PORT", help=text)


def option_option(text: str) -> Callable[..., Any]:
    """`-o NAME=VALUE`."""
    return click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help=text)


def access_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Who is let in; the same for every command that speaks with nodes."""
    for option in reversed(
        (
            click.option("--cluster", metavar="ID", help="Speak with this cluster only."),
            click.option("--secret-file", type=_FILE, metavar="FILE", help="What all nodes and clients know."),
            click.option("--tls-cert", type=_FILE, metavar="PEM", help="The certificate to show."),
            click.option("--tls-key", type=_FILE, metavar="PEM", help="The key of that certificate."),
            click.option("--tls-ca", type=_FILE, metavar="PEM", help="Who may issue certificates."),
        )
    ):
        function = option(function)
    return function


class WithNumbers(click.Command):
    """Takes `-5` for an argument, as a counter's client means it, and still refuses options that it does not know."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.ignore_unknown_options = True
        ends_options = "--" in args
        left = super().parse_args(ctx, args)
        for parameter in self.get_params(ctx):
            value = ctx.params.get(parameter.name or "")
            if isinstance(parameter, click.Argument) and isinstance(value, str) and not ends_options:
                _refuse_option(ctx, value)
        return left


def _refuse_option(ctx: click.Context, text: str) -> None:
    if text.startswith("-") and len(text) > 1 and not _NUMBER.fullmatch(text):
        raise click.NoSuchOption(text.partition("=")[0], ctx=ctx)


def words_of(values: dict[str, Any]) -> list[str]:
    """Options as words: every value of a repeated one, a flag by its name alone, nothing for what was not typed."""
    words: list[str] = []
    for name, value in values.items():
        flag = "-o" if name == "options" else f"--{name.replace('_', '-')}="
        if value is True:
            words.append(flag.removesuffix("="))
        elif isinstance(value, tuple):
            words += [f"{flag}{one}" for one in value]
        elif value is not None and value is not False:
            words.append(f"{flag}{value}")
    return words


def positional(*values: str | None) -> list[str]:
    """Arguments stand behind `--`, so that none is taken for an option."""
    given = [value for value in values if value is not None]
    return ["--", *given] if given else []


def become(*words: str | Sequence[str]) -> None:
    """Turn this process into the package's own program, which answers Ctrl-C from its first line on."""
    sys.stdout.flush()
    typed = [part for word in words for part in ([word] if isinstance(word, str) else word)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        os.execv(sys.executable, [sys.executable, *_looking_elsewhere(), "-m", PROGRAM, *typed])
    finally:  # of a start that failed
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _looking_elsewhere() -> list[str]:
    """Keep the interpreter from a folder of that name where the caller happens to be, if it is not this package."""
    found = importlib.util.find_spec(PROGRAM)
    is_here = found is not None and found.origin is not None and Path(found.origin).parents[1] == Path.cwd()
    return [] if is_here else ["-P"]
