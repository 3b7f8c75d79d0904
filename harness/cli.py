"""The command line: one command a file in `harness/commands`, imported only when it is used.

Scripts depend on three things that this file keeps for all commands. Exit codes are those of `harness.errors.Exit`,
with click's own code 2 for usage errors mapped to 254, because 2 says `unknown` here. Bad input is one line on stderr;
a traceback means a bug of ours. With `--json`, stdout carries exactly one JSON document, also for errors.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from .errors import Exit

COMMANDS: Final[dict[str, str]] = {
    "run": "Draw one plan and run it.",
    "suite": "Run many seeds over a matrix of workloads and profiles.",
    "replay": "Run a stored plan again and prove that it is the same run.",
    "compare": "Run the same plans on two versions of the implementation.",
    "check": "Check any stored history, also of other tools.",
    "recheck": "Check the history of a stored run under today's checkers.",
    "mutants": "Search planted bugs: does the harness find what it should?",
    "node": "Run one real Raft node as an OS process; dump or verify its data.",
    "client": "Call a cluster of real nodes.",
    "scenario": "Run a scripted walk-through and compare its transcript.",
    "runs": "List, filter and delete stored runs.",
    "doctor": "Say what this machine can do.",
}
"""Every command with its line in `foreshock --help`, which imports none of them."""


class _Commands(click.Group):
    """Imports a command's module when the command is looked up."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"harness.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="foreshock", message="%(prog)s %(version)s")
def cli() -> None:
    """Find the failure before production does, and keep it as a seed."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line. Returns the exit code."""
    as_json = "--json" in arguments
    try:
        code = cli.main(args=list(arguments), prog_name="foreshock", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        return _refuse("no arguments", "a command; see --help", error.ctx.command_path if error.ctx else "", as_json)
    except click.UsageError as error:
        return _refuse(*_usage(error), as_json)
    except click.ClickException as error:
        return _refuse(error.format_message(), "arguments as --help shows them", "the command line", as_json)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone (`foreshock runs | head`): nothing is wrong, and nobody listens.
        sys.stdout = None
        return 141
    except Exception as error:
        if all(hasattr(error, name) for name in ("found", "expected", "where")):
            parts: Any = error
            return _refuse(str(parts.found), str(parts.expected), str(parts.where), as_json)
        return _confess(error, as_json)
    return code if isinstance(code, int) else Exit.VALID


def _usage(error: click.UsageError) -> tuple[str, str, str]:
    """Say a usage error of click in our three parts."""
    where = error.ctx.command_path if error.ctx else "foreshock"
    match error:
        case click.NoSuchOption():
            near = f", perhaps {' or '.join(sorted(error.possibilities))}" if error.possibilities else ""
            return f"option {error.option_name}", f"an option of `{where} --help`{near}", where
        case click.MissingParameter() if error.param is not None:
            hint = error.param.make_metavar(error.ctx) if error.ctx else error.param.human_readable_name
            return f"no {error.param.human_readable_name}", f"{where} {hint}", where
        case click.BadParameter() if error.param is not None:
            return error.message.rstrip("."), f"a value as `{where} --help` shows it", error.param.opts[-1]
    return error.format_message().rstrip("."), f"arguments as `{where} --help` shows them", where


def _refuse(found: str, expected: str, where: str, as_json: bool) -> int:
    found, expected, where = (" ".join(text.split()) for text in (found, expected, where))
    print(f"error: found {found}; expected {expected}; {where}", file=sys.stderr)
    _print_error(found, expected, where, as_json)
    return Exit.BAD_INPUT


def _confess(error: Exception, as_json: bool) -> int:
    """Report a bug of ours: the traceback for who repairs it, one line for who reads the end of a log."""
    traceback.print_exception(error, file=sys.stderr)
    last = traceback.extract_tb(error.__traceback__)[-1]
    found = " ".join(f"{type(error).__name__}: {error}".split())
    expected, where = "no internal error", f"{last.filename}:{last.lineno}"
    print(f"internal error: {found}; {where}", file=sys.stderr)
    _print_error(found, expected, where, as_json)
    return Exit.INTERNAL


def _print_error(found: str, expected: str, where: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        error = {"found": found, "expected": expected, "where": where}
        print(msgspec.json.encode({"error": error}).decode())
