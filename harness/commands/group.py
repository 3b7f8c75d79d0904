"""The group of all commands: each is a file beside this one, imported only when it is used."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Final

import click

from harness.errors import BadInput, Exit, perhaps

_NAME: Final = "foreshock"
_COMPLETION: Final = "_FORESHOCK_COMPLETE"
"""The variable in which a shell asks for completions, by click's convention."""
_RENAMED: Final = {"--flavour": "--variant"}

COMMANDS: Final[dict[str, str]] = {
    "run": "Draw one plan and run it.",
    "suite": "Run many seeds over a matrix of workloads and profiles.",
    "replay": "Run a stored plan again and prove that it is the same run.",
    "shrink": "Find the smallest plan that fails in the same way.",
    "explain": "Say which faults a failure needs, who did what, and when it was bound to happen.",
    "report": "Write the page of a stored run: one file that needs no network.",
    "compare": "Run the same plans on two versions of the implementation.",
    "bisect": "Find the first commit on which a plan fails.",
    "maelstrom": "Run a program of the Maelstrom protocol as live processes.",
    "check": "Check any stored history, also of other tools.",
    "recheck": "Check the history of a stored run under today's checkers.",
    "mutants": "Search planted bugs: does the harness find what it should?",
    "new-system": "Write the files with which a system of your own begins.",
    "node": "Run one real Raft node as an OS process; dump or verify its data.",
    "client": "Call a cluster of real nodes.",
    "cluster": "Administer a cluster of real nodes: status, members, leader, snapshots, log.",
    "scenario": "Run a scripted walk-through and compare its transcript.",
    "runs": "List, filter, verify, export and delete stored runs.",
    "signatures": "Say what failed over the nights: since when, how often, and whether that changes.",
    "serve": "Show a results folder in a browser.",
    "bundle": "Write a stored run as one file that replays on another machine.",
    "doctor": "Say what this machine can do.",
    "compile": "Make runs faster with extension modules of the same code.",
}
"""Every command with its line in `foreshock --help`, which imports none of them."""


class _Commands(click.Group):
    """Imports a command's module when the command is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"harness.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise BadInput(f"command {args[0]!r}", f"a command of `{_NAME} --help`{perhaps(args[0], COMMANDS)}", _NAME)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=_NAME, message="%(prog)s %(version)s")
def cli() -> None:
    """Find the failure before production does, and keep it as a seed.

    \b
    foreshock run --seed 3 --workload register   one simulated cluster under faults
    foreshock suite --count 100                  a hundred of them
    foreshock check history.jsonl                a history of your own

    `foreshock COMMAND --help` shows the options and an example of each command.
    """


def invoke(arguments: Sequence[str]) -> int:
    """Parse and run. Returns the exit code; raises BadInput for arguments that cannot be used.

    click's own `main` would answer Ctrl-C and a closed pipe with exit code 1, which says `invalid` here.
    """
    if instruction := os.environ.get(_COMPLETION):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, _NAME, _COMPLETION, instruction)
    try:
        with cli.make_context(_NAME, list(arguments)) as context:
            if os.environ.get("NO_COLOR"):
                context.color = False
            code = cli.invoke(context)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        where = error.ctx.command_path if error.ctx else _NAME
        raise BadInput("no arguments", "a command; see --help", where) from None
    except click.UsageError as error:
        raise _usage(error, arguments) from None
    except click.ClickException as error:
        raise BadInput(error.format_message(), "arguments as --help shows them", "the command line") from None
    return code if isinstance(code, int) else Exit.VALID


def _usage(error: click.UsageError, arguments: Sequence[str]) -> BadInput:
    """Say a usage error of click in our three parts. Its parser does not say which command it was parsing."""
    named = f"{_NAME} {arguments[0]}" if arguments and arguments[0] in COMMANDS else _NAME
    where = error.ctx.command_path if error.ctx else named
    match error:
        case click.NoSuchOption():
            near = f", perhaps {' or '.join(sorted(error.possibilities))}" if error.possibilities else ""
            renamed = _RENAMED.get(error.option_name)
            expected = f"{renamed}, its name today" if renamed else f"an option of `{where} --help`{near}"
            return BadInput(f"option {error.option_name}", expected, where)
        case click.BadOptionUsage():
            return BadInput(
                f"option {error.option_name} without a value", f"a value as `{where} --help` shows it", where
            )
        case click.MissingParameter() if error.param is not None:
            hint = error.param.make_metavar(error.ctx) if error.ctx else error.param.human_readable_name
            if isinstance(error.param, click.Option):
                hint = f"{error.param.opts[0]} {hint}"
            return BadInput(f"no {error.param.human_readable_name}", f"{where} {hint}", where)
        case click.BadParameter() if error.param is not None:
            return BadInput(error.message.rstrip("."), f"a value as `{where} --help` shows it", error.param.opts[-1])
    return BadInput(error.format_message().rstrip("."), f"arguments as `{where} --help` shows them", where)
