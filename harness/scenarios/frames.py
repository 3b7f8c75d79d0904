"""Frames: a scenario as a sequence of pictures, taken from the running world after each thing that happened.

A scenario's commands are steps; a command that delivers many messages is many beats, one a message. After each beat
`Film.take` looks at every node (what `show` prints, and the portrait that the server gives of itself), at the clocks,
the links and the messages that wait, and reads from the trace which messages moved. Nothing here is drawn or invented:
a page that shows frames shows what the code did.

Within a beat one thing causes another: a message arrives, so its receiver answers. Each motion and each change of a
node therefore has a slot, a small number, and what has slot 2 follows from what had slot 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from checkers.trace import Row
from harness.sim.kernel.events import FAR
from harness.sim.world import SimWorld
from harness.systems.system import Portrayed, System

from .node_state import NodeState
from .plan import GROUP
from .transcript import ANSWERED, Transcript

Fate = Literal["leaves", "arrives", "passes", "lost"]
"""What a message does in a beat: leave its sender and wait, arrive where it waited for, do both, or end on the way."""

_TEXT_MAX: Final = 200


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """A message: its number in the trace, its ends, its kind, and what it says."""

    message: int
    source: str
    target: str
    kind: str
    text: str


class Motion(msgspec.Struct, frozen=True, kw_only=True):
    """How one message moved in a beat, from the begin of a slot to the end of it."""

    flight: Flight
    fate: Fate
    slot: int


class NodeFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One node in a picture.

    `entries` are the entries of its log in words, `machine` the records of its state machine, `granted` who has voted
    for it in the election that it runs. `left_ns` is the time until it acts by itself, on its own clock, which has
    moved by `moved_ns` in this beat; None where it waits for no time. `slot` says when in the beat it changed.
    """

    state: NodeState
    leader: str | None = None
    entries: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    left_ns: int | None = None
    moved_ns: int = 0
    slot: int = 0


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A client: what it asks or asked last, and how that ended ("" while it waits)."""

    op: str = ""
    outcome: str = ""
    answer: str = ""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The world after a beat of step `step`, and what moved in the beat."""

    step: int
    lines: tuple[str, ...]
    nodes: tuple[NodeFrame, ...]
    clients: tuple[ClientFrame, ...]
    waiting: tuple[Flight, ...]
    motions: tuple[Motion, ...]
    cut: tuple[tuple[str, str], ...]


class Film:
    """Takes the frames of one scenario."""

    def __init__(self, world: SimWorld, transcript: Transcript, system: System) -> None:
        self.frames: list[Frame] = []
        self._world, self._transcript, self._system = world, transcript, system
        self._read = 0  # rows of the trace that are in a frame
        self._flights: dict[int, Flight] = {}
        self._clocks: dict[str, int] = {}  # what each actor's clock showed in the last frame
        self._clients = {name: ClientFrame() for name in world.plan.clients}
        self._entries: dict[str, dict[tuple[int, int], str]] = {}  # of each node when it was last up, by index and term

    def begin_here(self) -> None:
        """What happened until now is in no frame; messages that wait are known all the same."""
        self._read = self._world.log.index
        for message, (link, kind, frame) in self._world.network.waiting.items():
            text = _short(self._system.describe_frame(frame))
            source, target = link.source, link.target.name
            self._flights[message] = Flight(message=message, source=source, target=target, kind=kind, text=text)

    def take(self, step: int, lines: Sequence[str], *, acts: bool, still: bool = False) -> None:
        """Take a frame of what is now, unless nothing happened since the last one and the step does not act either.

        `still`: how it came about is of no interest.
        """
        rows = self._world.log.since(self._read)
        self._read += len(rows)
        moved = self._clock_moves()
        if self.frames and not (rows or any(moved.values()) or (acts and self.frames[-1].step != step)):
            return
        motions, slots = self._motions(rows, 1 if any(moved.values()) else 0)
        for row in rows:
            if row[1] == "op":
                self._note_op(row[3])
        self.frames.append(
            Frame(
                step=step,
                lines=tuple(lines),
                nodes=tuple(
                    self._node(state, moved[state.node], slots.get(state.node, 0))
                    for state in self._transcript.node_states()
                ),
                clients=tuple(self._clients.values()),
                waiting=tuple(self._flights[message] for message in self._world.network.waiting),
                motions=() if still else tuple(motions),
                cut=tuple(
                    (source, target)
                    for source, links in self._world.network.links.items()
                    for target, link in links.items()
                    if link.cuts
                ),
            )
        )

    # Nodes.

    def _clock_moves(self) -> dict[str, int]:
        shown = {name: host.clock.monotonic_ns() for name, host in self._world.hosts.items()}
        moves = {name: time_ns - self._clocks.get(name, time_ns) for name, time_ns in shown.items()}
        self._clocks = shown
        return moves

    def _node(self, state: NodeState, moved_ns: int, slot: int) -> NodeFrame:
        host = self._world.hosts[state.node]
        server, process = host.server, host.process
        places = list(enumerate(state.log, state.first))
        if server is None or process is None:
            known = self._entries.get(state.node, {})
            entries = tuple(known.get(place, "") for place in places)
            return NodeFrame(state=state, entries=entries, moved_ns=moved_ns, slot=slot)
        portrait = server.portrait(GROUP) if isinstance(server, Portrayed) else {}
        entries = tuple(_short(text) for text in portrait.get("entries", ()))
        self._entries[state.node] = dict(zip(places, entries, strict=False))
        deadline_ns = process.timer.deadline_ns
        return NodeFrame(
            state=state,
            leader=server.inspect()[GROUP].get("leader"),
            entries=entries,
            machine=tuple(_short(_record(one)) for one in portrait.get("machine", ())),
            granted=tuple(portrait.get("granted", ())),
            left_ns=None if deadline_ns >= FAR else max(0, deadline_ns - process.clock.monotonic_ns()),
            moved_ns=moved_ns,
            slot=slot,
        )

    # Messages.

    def _motions(self, rows: Sequence[Row], begin: int) -> tuple[list[Motion], dict[str, int]]:
        """What the messages did, and for each actor the slot in which it acted; clocks move in the first slot."""
        slots: dict[str, int] = dict.fromkeys(self._world.plan.nodes, begin)
        motions: dict[int, Motion] = {}
        for row in rows:
            match row[1]:
                case "send":
                    message = row[3]
                    self._flights[message] = self._flight(row)
                    slot = slots.get(row[2], begin)
                    motions[message] = Motion(flight=self._flights[message], fate="leaves", slot=slot)
                case "deliver" | "drop":
                    message, lost = row[3], row[1] == "drop"
                    sent = motions.pop(message, None)
                    slot = begin if sent is None else sent.slot
                    fate: Fate = "lost" if lost else "arrives" if sent is None else "passes"
                    flight = self._flights.get(message)  # None: a client sent it before the film began
                    if flight is not None:
                        motions[message] = Motion(flight=flight, fate=fate, slot=slot)
                    if not lost:
                        slots[row[2]] = max(slots.get(row[2], 0), slot + 1)
        return list(motions.values()), slots

    def _flight(self, row: Row) -> Flight:
        _, _, source, message, target, kind, _ = row
        entry = self._world.network.waiting.get(message)
        frame = entry[2] if entry is not None else self._transcript.frame_of(message)
        text = self._system.describe_frame(frame) if frame is not None else kind
        return Flight(message=message, source=source, target=target, kind=kind, text=_short(text))

    # Clients.

    def _note_op(self, op: tuple[Any, ...]) -> None:
        process, kind, f, key, value, error = op
        clients = self._world.plan.clients
        name = clients[process % len(clients)]
        if kind == "invoke":
            words = [f, *(_plain(part) for part in (key, value) if part is not None)]
            self._clients[name] = ClientFrame(op=_short(" ".join(words)))
            return
        if kind == "ok" and f == "add-and-get":
            value = value[1]
        answer = error or (_plain(value) if kind == "ok" and f in ANSWERED else "")
        self._clients[name] = ClientFrame(op=self._clients[name].op, outcome=kind, answer=_short(answer))


def _record(record: Any) -> str:
    """A record of a machine: most are `[key, value]`."""
    if isinstance(record, list) and len(record) == 2:
        return f"{_plain(record[0])} = {_plain(record[1])}"
    return _plain(record)


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain(part) for part in value) + "]"
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 3] + "..."
