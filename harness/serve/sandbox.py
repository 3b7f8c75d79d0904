"""The sandbox: a scenario up to one of its commands, or a run up to a moment, and what a person did after it.

Everything that was done stands in the address, and the whole script is performed anew for each page: the same script
gives the same run, so a page can be passed on, the browser's way back takes a command back, and nothing is kept here.
A person may act on clocks, messages, links, nodes and clients; what describes the cluster comes from the library, or
from the plan of the run.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from harness.archive.layout import read_trace
from harness.errors import BadInput
from harness.plans.plan import decode
from harness.reports.texts import plain
from harness.run.replay import first_difference, trace_events
from harness.scenarios import library
from harness.scenarios.frames import Frame
from harness.scenarios.language import Script, Step, is_client, render
from harness.scenarios.plan import GROUP
from harness.scenarios.runner import Result, perform
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from harness.systems.system import System
from harness.walkthroughs.page import Acts, NodeActs
from harness.walkthroughs.replayed import NS_A_MS, ReplayedWorld, script_from
from harness.walkthroughs.written import page_of

from .addresses import BadAddress
from .folders import MISFITS

COMMANDS_MAX: Final = 200
_DESCRIBING: Final = ("nodes", "spare", "preset")
_ALLOWED: Final = frozenset((
    "timer", "advance", "deliver", "again", "drop", "settle", "cut", "mend", "crash", "restart", "hold-disk",
    "free-disk", "campaign", "transfer", "compact", "change", "show", "waiting", "progress",
))  # fmt: skip
_COMMAND: Final = re.compile(r"[A-Za-z0-9_>*,|=.\- ]{1,100}")
_WRITES: Final = {
    "register": ("write", "x"),
    "map": ("write", "x"),
    "counter": ("add", "n"),
    "set": ("add", "s"),
    "list": ("append", "l"),
    "queue": ("enqueue", "q"),
}
"""The op that a button writes with, and its key, by machine."""
_UNREADABLE: Final = ("queue",)
_OF_A_PERSON: Final = 9_000
"""From here on a person writes numbers in a run, which has written small ones."""
SECONDS_MAX: Final = 40
_AGAIN_SECONDS: Final = 5


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of a run. `moments` are others of it, with words on what happens then; times are ns of the run.

    `is_named`: the address names the moment, and so it is the address that is wrong where the run has none such.
    `folder` has the stored trace, to be compared with what happens again; `system` is the code that made the run.
    """

    run: str
    plan: bytes
    at_ns: int
    is_named: bool = False
    moments: tuple[tuple[int, str], ...] = ()
    folder: Path | None = None
    system: str = "raft_impl"


class Attempt(msgspec.Struct, frozen=True):
    """What stands in the address: a scenario, how many of its commands are kept, and the commands after them.

    With a `beginning` there is no scenario.
    """

    scenario: str
    at: int | None
    commands: tuple[str, ...]
    beginning: Beginning | None = None


def _kept(attempt: Attempt) -> Script:
    """What stands before what was done."""
    one = attempt.beginning
    if one is not None:
        plan = decode(one.plan, f"the plan of {one.run}")
        title = f"{one.run} from {one.at_ns / NS_A_MS:g} ms on, and what was done from there"
        return script_from(plan, one.at_ns, name=f"{one.run}.txt", title=title)
    known = library.read(library.find(attempt.scenario))
    least = next(
        (place for place, step in enumerate(known.steps) if step.words[0] not in _DESCRIBING), len(known.steps)
    )
    kept = len(known.steps) if attempt.at is None else min(max(attempt.at, least), len(known.steps))
    steps = tuple(msgspec.structs.replace(step, line=0) for step in known.steps[:kept])
    return Script(name=f"{attempt.scenario}.txt", steps=steps)


def script_of(attempt: Attempt) -> Script:
    """The script of an attempt. Raises BadAddress for a command that nobody may give here, or too many."""
    kept = _kept(attempt)
    if len(attempt.commands) > COMMANDS_MAX:
        raise BadAddress(f"{len(attempt.commands)} commands", f"at most {COMMANDS_MAX}", "the sandbox")
    added = []
    for text in attempt.commands:
        words = tuple(text.split())
        if not words or not _COMMAND.fullmatch(text) or not (words[0] in _ALLOWED or is_client(words[0])):
            raise BadAddress(f"command {text[:60]!r}", f"one of {', '.join(sorted(_ALLOWED))}, or c1 write x 1", "")
        added.append(Step(line=0, words=words))
    if added:
        added[0] = msgspec.structs.replace(added[0], before=("", "# What was done in the sandbox."))
    return msgspec.structs.replace(kept, steps=(*kept.steps, *added))


def _perform(attempt: Attempt) -> tuple[Result, bytes]:
    """Perform an attempt on the code of this installation, and make its page."""
    with Checkouts() as checkouts:
        system = catalog.load_systems(catalog.bind("raft_impl", checkouts))["default"]
    refusal = ""
    with limited():
        try:
            result, note = _performed(attempt, system)
        except BadAddress as error:
            if not attempt.commands:
                raise
            refusal = f"found {error.found}; expected {error.expected}"
            attempt = msgspec.structs.replace(attempt, commands=attempt.commands[:-1])
            result, note = _performed(attempt, system)
        return result, page_of(result, acts=_acts(attempt, result, refusal, note), is_served=True)


def _performed(attempt: Attempt, system: System) -> tuple[Result, str]:
    """Perform an attempt once. Raises BadAddress for a moment or a command that its address names in vain."""
    script, one = script_of(attempt), attempt.beginning
    if one is None:
        return _filmed(script, system, attempt), ""
    try:
        scripted = ReplayedWorld(script, system)
        result = _filmed(script, system, attempt, scripted)
    except BadInput:
        raise
    except MISFITS as error:
        found = f"a plan that the code here does not take ({type(error).__name__}: {error})"
        raise BadInput(found, "one that this version drew", one.run) from error
    return result, _sameness(scripted, one)


def _filmed(script: Script, system: System, attempt: Attempt, within: ReplayedWorld | None = None) -> Result:
    one = attempt.beginning
    try:
        return perform(script, system, is_filmed=True, within=within)
    except BadInput as error:
        if isinstance(error, TooLong) or not (attempt.commands or (one is not None and one.is_named)):
            raise
        raise BadAddress(error.found, error.expected, error.where) from None


def _sameness(scripted: ReplayedWorld, one: Beginning) -> str:
    """Whether what happened before the moment is what had happened in the run."""
    made = ""
    if one.system != "raft_impl":
        made = f" The run was made by {plain(one.system)}, this by the code installed here."
    rows = scripted.before()
    stored = None if one.folder is None else read_trace(one.folder)
    if stored is None:
        return f"Replayed from its plan; no trace was kept to compare it with.{made}"
    other = first_difference("trace", islice(stored, len(rows)), trace_events(rows))
    if other is None:
        return f"Up to this moment it is, event by event, the stored run.{made}"
    if other.before is None:
        return f"Until event {other.index} it is the stored run, whose trace ends there, before this moment.{made}"
    return f"Until event {other.index} it is the stored run, and then another one.{made}"


class TooLong(BadInput):
    """The time is over, for all that is tried of an attempt together."""


class _Alarm:
    """Raises TooLong wherever the code happens to be."""

    def __init__(self) -> None:
        self.has_rung = False

    def __call__(self, *_: object) -> None:
        self.has_rung = True
        raise _too_long()


def _too_long() -> TooLong:
    return TooLong(f"more than {SECONDS_MAX} s of work", "a shorter run, or an earlier moment", "the sandbox")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise TooLong in what takes too long, such as a plan that was written to keep others busy. Of a main thread.

    Within another one it does nothing: there is one time for all.
    """
    before = signal.getsignal(signal.SIGALRM)
    if isinstance(before, _Alarm):
        yield
        return
    alarm = _Alarm()
    signal.signal(signal.SIGALRM, alarm)
    # Again and again: it is raised wherever the code happens to be, and a node may take it for an error of its own.
    signal.setitimer(signal.ITIMER_REAL, SECONDS_MAX, _AGAIN_SECONDS)
    try:
        yield
    except Exception as error:  # of a nursery that was ended, or of a decoder that took it for damage
        if alarm.has_rung and not isinstance(error, TooLong):
            raise _too_long() from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def make_sandbox(attempt: Attempt) -> bytes:
    """The page of an attempt, whose last command is left out, and said to be wrong, if it cannot be carried out."""
    return _perform(attempt)[1]


def make_file(attempt: Attempt) -> bytes:
    """What was done as a scenario file, with its transcript."""
    result, _ = _perform(attempt)
    return render(result.script, result.transcripts).encode()


def _writing(result: Result, one: Beginning | None) -> tuple[str, str, str] | None:
    """The machine of the group, and with which op and key a button writes; None where no button does."""
    if one is not None:
        plan = decode(one.plan, one.run)
        machine = plan.groups[GROUP].machine
        keys = (op.key for program in plan.programs for op in program.ops if op.key is not None)
        f, key = _WRITES.get(machine, ("", ""))
        return (machine, f, next(keys, key)) if f else None
    words = dict(word.split("=", 1) for word in result.script.steps[0].words[1:] if "=" in word)
    machine = words.get("machine", "register")
    return (machine, *_WRITES[machine]) if machine in _WRITES else None


def _acts(attempt: Attempt, result: Result, refusal: str, note: str) -> Acts:
    """What can be done now."""
    one = attempt.beginning
    writing = _writing(result, one)
    frame = result.frames[-1]
    names = [node.state.node for node in frame.nodes]
    client, number = _free_client(result, frame, may_be_new=one is None), len(result.script.steps)
    number += 0 if one is None else _OF_A_PERSON
    nodes = []
    for node in frame.nodes:
        name, state = node.state.node, node.state
        if state.term is None:
            nodes.append(NodeActs(name=name, acts=(("start again", f"restart {name}"),)))
            continue
        others = " ".join(other for other in names if other != name)
        acts = [("timer fires", f"timer {name}"), ("crash", f"crash {name}")]
        acts += [("cut off", f"cut {name} | {others}")] if others else []
        if writing is not None:
            machine, f, key = writing
            acts.append((f"{f} {number}", f"{client} {f} {key} {number} at {name}"))
            acts += [("read", f"{client} read {key} at {name}")] if machine not in _UNREADABLE else []
        nodes.append(NodeActs(name=name, acts=tuple(acts)))
    seen: dict[tuple[str, str, str], str] = {}
    for flight in frame.waiting:
        seen.setdefault((flight.source, flight.target, flight.kind), flight.text)
    kept = len(result.script.steps) - len(attempt.commands)
    last = len(result.script.steps) - 1
    begins = [place for place, one in enumerate(result.frames) if one.step >= last]
    name = attempt.scenario if one is None else one.run
    address = f"/sandbox/{quote(name)}" if one is None else f"/sandbox/run/{quote(name)}"
    moments = () if one is None else one.moments
    return Acts(
        name=name,
        address=address,
        where=("at", str(kept)) if one is None else ("ms", _ms(one.at_ns)),
        at=kept if one is None else 0,
        commands=attempt.commands,
        refusal=refusal,
        note=note,
        moments=tuple(
            (f"{_ms(at_ns)} ms: {plain(words)}", f"{address}?ms={_ms(at_ns)}", one is not None and at_ns == one.at_ns)
            for at_ns, words in moments
        ),
        report="" if one is None or one.folder is None else f"/report/{quote(one.run)}",
        nodes=tuple(nodes),
        messages=tuple((f"{source}>{target}", kind, text) for (source, target, kind), text in seen.items()),
        begin=max(0, begins[0] - 1) if begins and attempt.commands else len(result.frames) - 1,
    )


def _ms(time_ns: int) -> str:
    """A time as the address has it."""
    return f"{time_ns / NS_A_MS:.6f}".rstrip("0").rstrip(".")


def _free_client(result: Result, frame: Frame, *, may_be_new: bool) -> str:
    """A client that waits for nothing, or a new one; where there can be none, the first, which does it later."""
    names: Sequence[str] = result.clients
    for name, state in zip(names, frame.clients, strict=True):
        if state.outcome or not state.op:
            return name
    if not may_be_new and names:
        return names[0]
    return f"c{1 + max((int(name[1:]) for name in names), default=0)}"
