"""`foreshock cluster`: administer a running cluster. Hands over to the package's own program, like `node`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import click

from .arguments import Decorator, json_option
from .real_nodes import HELP, access_options, become, node_option, option_option, positional, words_of


class _Group(click.Group):
    """Shows its commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group("cluster", cls=_Group, context_settings=HELP)
def command() -> None:
    """Administer a running cluster: its state, its members, its leader.

    \b
    foreshock cluster status --node n1=127.0.0.1:7101
    foreshock cluster add n4=127.0.0.1:7104 --node n1=127.0.0.1:7101 --node n2=127.0.0.1:7102

    Each command takes addresses of servers, and waits until what it began is done. Exit 0 done; 1 refused, or no server
    leads; 2 begun and not seen to end: look at the status.
    """


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command, handed over as they came; the function gives the words that are its own."""
    options: list[Decorator] = [
        node_option("A server; one that runs suffices, and names the others."),
        click.option("--group", default="g0", show_default=True, help="The Raft group."),
        click.option("--timeout", type=float, metavar="SECONDS", help="How long to wait for the end.  [default: 15]"),
        option_option("An option of the cluster's clients."),
        access_options,
        json_option,
    ]

    @functools.wraps(function)
    def run(as_json: bool, **values: Any) -> None:
        own = {name: values.pop(name) for name in inspect.signature(function).parameters}
        words = words_of({**values, "json": as_json})
        become("cluster", function.__name__.removeprefix("_"), words, function(**own))

    decorated: Callable[..., Any] = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


@command.command("status", context_settings=HELP)
@_common
def _status() -> list[str]:
    """Say of each server its role, term and leader, and how far its log, commits and snapshots are.

    The followers' progress is the leader's view. Exit 1 when no server leads.
    """
    return []


@command.command("members", context_settings=HELP)
@_common
def _members() -> list[str]:
    """Say who votes, who only listens and who leads, as the leader knows it."""
    return []


@command.command("transfer", context_settings=HELP)
@_common
@click.argument("name", required=False)
def _transfer(name: str | None) -> list[str]:
    """Hand leadership to the voter NAME; without one, to the most up-to-date voter."""
    return positional(name)


@command.command("snapshot", context_settings=HELP)
@_common
@click.argument("name", required=False)
def _snapshot(name: str | None) -> list[str]:
    """Have the server NAME take a snapshot now; without one, every server."""
    return positional(name)


@command.command("add", context_settings=HELP)
@_common
@click.argument("server", metavar="NAME=HOST:PORT")
@click.option("--learner", is_flag=True, help="It only listens, and does not count for majorities.")
def _add(server: str, learner: bool) -> list[str]:
    """Take the running server NAME into the group.

    It listens until it has caught up, and votes from then on. Its address becomes part of the membership, so that
    nobody else has to be told; NAME alone will do if there is a --node with its address.
    """
    return [*(["--learner"] if learner else []), *positional(server)]


@command.command("replace", context_settings=HELP)
@_common
@click.argument("old")
@click.argument("server", metavar="NEW=HOST:PORT")
def _replace(old: str, server: str) -> list[str]:
    """Put the running server NEW in the place of the member OLD, once it has caught up.

    With one name for both, change where that member is reached: then start it there, with the same data directory.
    """
    return positional(old, server)


@command.command("promote", context_settings=HELP)
@_common
@click.argument("name")
def _promote(name: str) -> list[str]:
    """Make the learner NAME a voter, once it has caught up."""
    return positional(name)


@command.command("remove", context_settings=HELP)
@_common
@click.argument("name")
def _remove(name: str) -> list[str]:
    """Remove the member NAME from the group; its process may be stopped after that."""
    return positional(name)


@command.command("dump", context_settings=HELP)
@_common
@click.argument("name", required=False)
@click.option("--first", type=click.IntRange(0), metavar="INDEX", help="Begin there.  [default: where the log begins]")
@click.option("--count", type=click.IntRange(1), metavar="N", help="At most N entries.  [default: all]")
def _dump(name: str | None, first: int | None, count: int | None) -> list[str]:
    """Print the log of the server NAME as `index (term): command`; without one, the leader's."""
    words = [f"--first={first}"] if first is not None else []
    words += [f"--count={count}"] if count is not None else []
    return [*words, *positional(name)]
