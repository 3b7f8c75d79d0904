"""The sandbox: a scenario, up to one of its commands, and what a person did after it.

Everything that was done stands in the address, and the whole script is performed anew for each page: the same script
gives the same run, so a page can be passed on, the browser's way back takes a command back, and nothing is kept here.
A person may act on clocks, messages, links, nodes and clients; what describes the cluster comes from the library alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from harness.errors import BadInput
from harness.scenarios import library
from harness.scenarios.frames import Frame
from harness.scenarios.language import Script, Step, is_client, render
from harness.scenarios.runner import Result, perform
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from harness.walkthroughs.page import Acts, NodeActs
from harness.walkthroughs.written import page_of

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


class Attempt(msgspec.Struct, frozen=True):
    """What stands in the address: a scenario, how many of its commands are kept, and the commands after them."""

    scenario: str
    at: int | None
    commands: tuple[str, ...]


def script_of(attempt: Attempt) -> Script:
    """The script of an attempt. Raises BadInput for a command that nobody may give here, or too many."""
    known = library.read(library.find(attempt.scenario))
    least = next(
        (place for place, step in enumerate(known.steps) if step.words[0] not in _DESCRIBING), len(known.steps)
    )
    kept = len(known.steps) if attempt.at is None else min(max(attempt.at, least), len(known.steps))
    if len(attempt.commands) > COMMANDS_MAX:
        raise BadInput(f"{len(attempt.commands)} commands", f"at most {COMMANDS_MAX}", "the sandbox")
    added = []
    for text in attempt.commands:
        words = tuple(text.split())
        if not words or not _COMMAND.fullmatch(text) or not (words[0] in _ALLOWED or is_client(words[0])):
            raise BadInput(f"command {text[:60]!r}", f"one of {', '.join(sorted(_ALLOWED))}, or c1 write x 1", "")
        added.append(Step(line=0, words=words))
    if added:
        added[0] = msgspec.structs.replace(added[0], before=("", "# What was done in the sandbox."))
    steps = (*(msgspec.structs.replace(step, line=0) for step in known.steps[:kept]), *added)
    return Script(name=f"{attempt.scenario}.txt", steps=steps)


def _perform(attempt: Attempt) -> tuple[Result, str, str, bytes]:
    with Checkouts() as checkouts:
        system = catalog.load_systems(catalog.bind("raft_impl", checkouts))["default"]
        refusal = ""
        try:
            result = perform(script_of(attempt), system, is_filmed=True)
        except BadInput as error:
            if not attempt.commands:
                raise
            refusal = f"found {error.found}; expected {error.expected}"
            attempt = msgspec.structs.replace(attempt, commands=attempt.commands[:-1])
            result = perform(script_of(attempt), system, is_filmed=True)
        machine = _machine(result.script)
        page = page_of(result, system, acts=_acts(attempt, result, machine, refusal))
    return result, refusal, machine, page


def make_sandbox(attempt: Attempt) -> bytes:
    """The page of an attempt, whose last command is left out, and said to be wrong, if it cannot be carried out."""
    return _perform(attempt)[3]


def make_file(attempt: Attempt) -> bytes:
    """What was done as a scenario file, with its transcript."""
    result, *_ = _perform(attempt)
    return render(result.script, result.transcripts).encode()


def _machine(script: Script) -> str:
    words = dict(word.split("=", 1) for word in script.steps[0].words[1:] if "=" in word)
    return words.get("machine", "register")


def _acts(attempt: Attempt, result: Result, machine: str, refusal: str) -> Acts:
    """What can be done now."""
    frame = result.frames[-1]
    names = [node.state.node for node in frame.nodes]
    client, number = _free_client(result, frame), len(result.script.steps)
    nodes = []
    for node in frame.nodes:
        name, state = node.state.node, node.state
        if state.term is None:
            nodes.append(NodeActs(name=name, acts=(("start again", f"restart {name}"),)))
            continue
        others = " ".join(other for other in names if other != name)
        acts = [("timer fires", f"timer {name}"), ("crash", f"crash {name}")]
        acts += [("cut off", f"cut {name} | {others}")] if others else []
        if machine in _WRITES:
            f, key = _WRITES[machine]
            acts.append((f"{f} {number}", f"{client} {f} {key} {number} at {name}"))
            acts += [("read", f"{client} read {key} at {name}")] if machine not in _UNREADABLE else []
        nodes.append(NodeActs(name=name, acts=tuple(acts)))
    seen: dict[tuple[str, str, str], str] = {}
    for flight in frame.waiting:
        seen.setdefault((flight.source, flight.target, flight.kind), flight.text)
    kept = len(result.script.steps) - len(attempt.commands)
    last = len(result.script.steps) - 1
    begins = [place for place, one in enumerate(result.frames) if one.step >= last]
    return Acts(
        scenario=attempt.scenario,
        at=kept,
        commands=attempt.commands,
        refusal=refusal,
        nodes=tuple(nodes),
        messages=tuple((f"{source}>{target}", kind, text) for (source, target, kind), text in seen.items()),
        begin=max(0, begins[0] - 1) if begins and attempt.commands else len(result.frames) - 1,
    )


def _free_client(result: Result, frame: Frame) -> str:
    """A client that waits for nothing, or a new one."""
    names: Sequence[str] = result.script.clients
    for name, state in zip(names, frame.clients, strict=True):
        if state.outcome or not state.op:
            return name
    return f"c{1 + max((int(name[1:]) for name in names), default=0)}"
