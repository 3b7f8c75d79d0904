"""The conversation of `replay --step`: lines in, events and tables out; and the tables that `--until` shows.

On a terminal it asks with a prompt. Piped, each line is a command, and a line that is none ends it with exit code 254,
so that a script is either understood whole or refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

import click

from checkers.trace import Row
from harness import quantities
from harness.archive.layout import Event
from harness.errors import BadInput, one_of
from harness.plans.plan import Plan
from harness.walk import breakpoints, tables
from harness.walk.divergence import Parting, Told
from harness.walk.standing import Standing
from harness.walk.walk import Walk

from .printing import clipped, print_table, say, wrapped

_HELP: Final = """\
step [N]            let the next event happen, or the next N; an empty line is `step`
continue            go on to the next breakpoint, or to the end
break PREDICATE     stop there: leader [NODE], role ROLE [NODE], commit INDEX [NODE],
                    apply INDEX [NODE], deliver KIND [SOURCE>TARGET], crash [NODE],
                    lose KIND [SOURCE>TARGET], fault [ID], op OUTCOME [F], kind KIND [ACTOR]
breaks              list the breakpoints
delete N            delete one of them
until TIME|INDEX    go to 1500ms or to event 1500, forwards or back; `until failure`
back [N]            go back by one event, or by N
show                how everything stands: replicas, messages, operations, faults
why                 what led to this event
help, quit"""
_CAUSES: Final = "because"


class Conversation:
    """Reads commands until `quit` or the end of the input. `failure` is where the run was first seen to be wrong."""

    def __init__(self, plan: Plan, rows: Sequence[Row], failure: int | None) -> None:
        self._walk = Walk(plan, rows)
        self._failure = failure
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "step": self._step,
            "continue": self._continue,
            "break": self._break,
            "breaks": self._breaks,
            "delete": self._delete,
            "until": self._until,
            "back": self._back,
            "show": self._show,
            "why": self._why,
            "help": self._help,
        }

    def hold(self) -> None:
        """Talk. Raises BadInput for a line that is no command, unless a person can type another one."""
        is_person = sys.stdin.isatty()
        rows = self._walk.rows
        failure = "" if self._failure is None else f"; it is wrong at {self._failure}"
        click.echo(f"{len(rows)} events in {rows[-1][0] / 1e9:.3f} s{failure}" if rows else "no events")
        if is_person:
            click.echo("`help` lists the commands, an empty line goes on by one event")
        while True:
            if is_person:
                click.echo("> ", nl=False)
            line = sys.stdin.readline()
            if not line:
                return
            words = line.split() or ["step"]
            if words[0] in ("quit", "exit"):
                return
            if words[0].startswith("#"):
                continue
            try:
                self._perform(words)
            except BadInput as error:
                if not is_person:
                    raise
                click.echo(f"found {error.found}; expected {error.expected}")

    def _perform(self, words: list[str]) -> None:
        near = [name for name in self._commands if name.startswith(words[0])]
        name = words[0] if words[0] in self._commands else near[0] if len(near) == 1 else ""
        if not name:
            expected = one_of([*self._commands, "quit"], typed=words[0])
            raise BadInput(f"command {words[0]!r}", expected, "replay --step")
        self._commands[name](words[1:])

    def _step(self, words: list[str]) -> None:
        for _ in range(_count(words, "step")):
            self._tell(self._walk.step())
            if self._walk.is_over:
                return

    def _continue(self, words: list[str]) -> None:
        _nothing(words, "continue")
        found = self._walk.to_breakpoint()
        if found is None:
            click.echo("the run is over")
            return
        print_event(found[0])
        click.echo(f"    at the breakpoint: {found[1].text}")

    def _break(self, words: list[str]) -> None:
        if not words:
            raise BadInput("no predicate", "`break leader`, or another line of `help`", "break")
        self._walk.breakpoints.append(breakpoints.read(" ".join(words)))

    def _breaks(self, words: list[str]) -> None:
        _nothing(words, "breaks")
        for number, one in enumerate(self._walk.breakpoints, 1):
            click.echo(f"{number:>3} {one.text}")

    def _delete(self, words: list[str]) -> None:
        number = _count(words, "delete")
        if not words or number > len(self._walk.breakpoints):
            raise BadInput(" ".join(words) or "no number", "the number of a breakpoint in `breaks`", "delete")
        del self._walk.breakpoints[number - 1]

    def _until(self, words: list[str]) -> None:
        if len(words) != 1:
            raise BadInput(f"{len(words)} words", "`until 1500ms`, `until 1500` or `until failure`", "until")
        if words[0] == "failure":
            if self._failure is None:
                raise BadInput("no failure", "a run in which something was seen to be wrong", "until")
            self._tell(self._walk.to_index(self._failure))
        elif words[0].isdigit():
            self._tell(self._walk.to_index(int(words[0])))
        else:
            self._tell(self._walk.to_time(_time(words[0])))

    def _back(self, words: list[str]) -> None:
        self._tell(self._walk.to_index(self._walk.index - _count(words, "back")))

    def _show(self, words: list[str]) -> None:
        _nothing(words, "show")
        print_standing(self._walk.standing)

    def _why(self, words: list[str]) -> None:
        _nothing(words, "why")
        causes = self._walk.causes()
        for cause in causes:
            print_cause(cause)
        if not causes:
            click.echo("    nothing: the plan says so")

    def _help(self, _: list[str]) -> None:
        click.echo(_HELP)

    def _tell(self, told: Told | None) -> None:
        if told is None:
            click.echo("the run is over" if self._walk.is_over else "at the beginning")
        else:
            print_event(told)


def print_event(told: Told) -> None:
    """Print an event on one line."""
    assert told.time_ns is not None
    click.echo(clipped(f"{told.index:>7} {told.time_ns / 1e6:>11.3f} ms  {told.text}"))


def print_cause(told: Told) -> None:
    """Print a link of the chain that led to an event."""
    place = "" if told.index is None or told.time_ns is None else f"{told.index} at {told.time_ns / 1e6:.3f} ms: "
    for line in wrapped(f"{_CAUSES} {place}{told.text}", indent="    "):
        click.echo(line)


def print_standing(standing: Standing) -> None:
    """Print how everything stands."""
    print_table(tables.columns(standing), tables.replicas(standing), droppable=("durable", "vote"))
    groups = {
        "members": tables.members(standing),
        "on the way": tables.messages(standing) or ["nothing"],
        "waiting": tables.calls(standing) or ["no operation"],
        "faults": tables.faults(standing) or ["none in force"],
    }
    for name, lines in groups.items():
        for position, line in enumerate(lines):
            say("" if position else name, line)


def print_parting(parting: Parting | None, names: tuple[str, str]) -> None:
    """Print where two runs part, and what led to it on either side."""
    if parting is None:
        say("difference", "none: every event happened alike")
        return
    if parting.plans_differ_in:
        say("plans", f"differ in {', '.join(parting.plans_differ_in[:8])}")
    say("alike", f"the first {parting.index} events, up to {parting.time_ns / 1e6:.3f} ms; then")
    sides = (parting.a, parting.b)
    is_shared = parting.a.causes == parting.b.causes
    for name, side in zip(names, sides, strict=True):
        click.echo(f"\n{name}:")
        for line in wrapped(side.text, indent="    "):
            click.echo(line)
        if parting.a.text == parting.b.text:
            click.echo(f"    {_different(side.event or {}, (sides[side is parting.a]).event or {})}")
        for cause in () if is_shared else side.causes:
            print_cause(cause)
    if is_shared and parting.a.causes:
        click.echo("\nboth:")
        for cause in parting.a.causes:
            print_cause(cause)


def _different(mine: Event, other: Event) -> str:
    """The fields of an event that the other one has not, or has otherwise."""
    return ", ".join(f"{name} {value}" for name, value in mine.items() if other.get(name) != value)


def _count(words: Sequence[str], command: str) -> int:
    if not words:
        return 1
    if len(words) > 1 or not words[0].isdigit() or int(words[0]) < 1:
        raise BadInput(" ".join(words), f"`{command} N` with a number from 1 on", command)
    return int(words[0])


def _nothing(words: Sequence[str], command: str) -> None:
    if words:
        raise BadInput(f"{' '.join(words)!r} behind {command!r}", f"`{command}` alone", "replay --step")


def _time(text: str) -> int:
    try:
        return quantities.duration(text)
    except ValueError as error:
        raise BadInput(str(error), "1500ms, 1500 or failure", "until") from None
