"""The page of a walk-through: a scenario's film with its transcript, in one HTML file that asks for nothing.

The page plays frames that `harness.scenarios.frames` took of the running code. Most nodes look the same from one frame
to the next, so what a node is, a log and a message are stored once each, and frames name them by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.errors import BadInput
from harness.options import OptionValues
from harness.reports.document import Markup, as_script_data, environment, policy
from harness.reports.texts import PageData, plain
from harness.scenarios.frames import ClientFrame, Frame, NodeFrame
from harness.scenarios.language import QUIETLY
from harness.scenarios.runner import Result

_HERE: Final = Path(__file__).parent
_COMMENT: Final = "#"
_MILLISECOND_US: Final = 1_000


class NodeActs(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done to one node: labels of buttons, and the commands that they give."""

    name: str
    acts: tuple[tuple[str, str], ...]


class Acts(msgspec.Struct, frozen=True, kw_only=True):
    """What a person can do next in a sandbox, and what was done; `begin` is the frame before the last command.

    `address` and `where` are where it begins, which its forms keep. `at` is how many commands of a scenario are kept, 0
    where a run is. `moments` are others of the run: what happens then, its address, and whether it is this one.
    """

    name: str
    address: str
    where: tuple[str, str]
    at: int
    commands: tuple[str, ...]
    refusal: str
    note: str = ""
    moments: tuple[tuple[str, str, bool], ...] = ()
    report: str = ""
    nodes: tuple[NodeActs, ...]
    messages: tuple[tuple[str, str, str], ...]
    begin: int


def render(result: Result, options: OptionValues, *, acts: Acts | None = None, is_served: bool = False) -> str:
    """Make the page of a scenario that was performed with a film. Raises BadInput where it has none.

    With `acts` it is a sandbox, whose forms go to the server that made it. `is_served`: that server has other pages.
    """
    if not result.frames:
        raise BadInput("a scenario without a film", "one that was performed with `is_filmed`", result.script.name)
    script = (_HERE / "walkthrough.js").read_text(encoding="utf-8")
    style = (_HERE / "walkthrough.css").read_text(encoding="utf-8")
    data = film_data(result, options)
    if acts is not None:
        data = {**data, "begin": acts.begin}
    template = environment(_HERE).get_template("walkthrough.html.jinja")
    page: str = template.render(
        policy=policy(script, style, forms="'none'" if acts is None else "'self'"),
        acts=acts,
        is_served=is_served,
        script=Markup(script),
        style=Markup(style),
        data=Markup(as_script_data(data)),
        name=plain(data["name"]),
        title=plain(data["title"]),
        steps=data["steps"],
        verdict=result.verdict.validity,
        violations=[plain(one) for one in result.violations],
        is_as_meant=result.is_judged_as_expected,
    )
    return page


def film_data(result: Result, options: OptionValues) -> PageData:
    """What the script plays.

    `steps` are [command, comment, lines, whether it is quick]; `logs` are [first index, terms, words]; `states` are
    what a node is; `flights` are [source, target, kind, text, number]. A frame is [step, lines, nodes, clients,
    waiting, motions, cut links]; there a node is [state, time left, time moved, slot], times in microseconds and -1 for
    none, and a motion is [flight, fate, slot].
    """
    script = result.script
    logs, states, flights = _Table(), _Table(), _Table()
    clients = _Table()

    def node(one: NodeFrame) -> list[int]:
        state = one.state
        log = logs.place([state.first, list(state.log), [plain(text) for text in one.entries]])
        seen = {
            "role": state.role,
            "term": state.term,
            "vote": state.vote,
            "leader": one.leader,
            "log": log,
            "written": state.log_text,
            "commit": state.commit,
            "applied": state.applied,
            "members": state.members,
            "isMember": _is_member(one),
            "machine": [plain(text) for text in one.machine],
            "granted": one.granted,
            "needed": len(state.voters) // 2 + 1,
        }
        left = -1 if one.left_ns is None else one.left_ns // 1_000
        return [states.place(seen), left, one.moved_ns // 1_000, one.slot]

    def client(one: ClientFrame) -> int:
        return clients.place([plain(one.op), one.outcome, plain(one.answer)])

    def flight(one: Any) -> int:
        return flights.place([one.source, one.target, one.kind, plain(one.text), one.message])

    frames = [
        [
            frame.step,
            [plain(line) for line in frame.lines],
            [node(one) for one in frame.nodes],
            [client(one) for one in frame.clients],
            [flight(one) for one in frame.waiting],
            [[flight(one.flight), one.fate, one.slot] for one in frame.motions],
            [list(edge) for edge in frame.cut],
        ]
        for frame in result.frames
    ]
    return {
        "name": Path(script.name).stem,
        "title": script.title,
        "nodes": [one.state.node for one in result.frames[0].nodes],
        "clients": list(result.clients),
        "steps": _steps(result),
        "after": _comment(script.after),
        "logs": logs.rows,
        "states": states.rows,
        "clientStates": clients.rows,
        "flights": flights.rows,
        "frames": frames,
        "election": int(options.get("election_timeout_ms", 150)) * 2 * _MILLISECOND_US,
        "heartbeat": int(options.get("heartbeat_ms", 50)) * _MILLISECOND_US,
    }


class _Table:
    """Values by number; equal values have one number."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._places: dict[bytes, int] = {}

    def place(self, value: Any) -> int:
        """Number of a value, which is taken in when it is new."""
        at = self._places.setdefault(msgspec.json.encode(value), len(self.rows))
        if at == len(self.rows):
            self.rows.append(value)
        return at


def _is_member(one: NodeFrame) -> bool:
    state = one.state
    members = (*state.voters, *state.outgoing, *state.learners)
    return not members or state.node in members


def _steps(result: Result) -> list[list[Any]]:
    steps = []
    for place, (step, transcript) in enumerate(zip(result.script.steps, result.transcripts, strict=True)):
        before = step.before[1:] if place == 0 else step.before
        lines = [plain(line) for line in transcript]
        steps.append([plain(step.text), _comment(before), lines, step.words[0] == QUIETLY])
    return steps


def _comment(lines: Sequence[str]) -> str:
    """The comment among some lines, as one paragraph."""
    return plain(" ".join(line.lstrip("# ") for line in lines if line.startswith(_COMMENT)), 4_000)


def frames_of_steps(frames: Sequence[Frame], step_count: int) -> list[int]:
    """For each step the frame that shows the world after it."""
    last, found = 0, []
    for step in range(step_count):
        while last + 1 < len(frames) and frames[last + 1].step <= step:
            last += 1
        found.append(last)
    return found
