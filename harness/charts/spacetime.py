"""Messages around a failure in text: a column for each actor, time runs down, an arrow for each message that matters.

    seconds    n1      n2      n3      c3
      4.8358                           |       process 7 asks read x
      5.2502   |       C<--------------|       request (2 times)
      5.3733   L       |       |       |       n1 leads in term 22
      5.3761   L<----------------------|       request, 32 ms on its way
      5.3821   L---------------------->|       reply
    > 5.3821   L       |       |       |       process 7 is told read x 95

A trace has a hundred thousand events, and a screen two dozen lines. Each event has a weight: what happened to the
operations of the counterexample, who led, and who went down or came back counts most, then faults, votes and messages
that were lost, then messages that arrived. Those of the greatest weight are taken, the latest first, and told in the
order of time. A message stands where it ended: where it arrived, or where it was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from checkers.trace import Row
from harness.plans.plan import Plan
from harness.reports.messages import slow_ns
from harness.reports.texts import value_text
from harness.walk.standing import Standing
from harness.walk.telling import tell

from .drawing import Drawing, Glyphs, Style, cut, one_cell

_TIME: Final = 11
_NOTE_MIN: Final = 30
_LANE_MIN: Final = 4
_LANE_MAX: Final = 8
_BEFORE_NS: Final = 1_500_000_000
"""Time before the failure from which events are taken, if the operations of the counterexample are not older."""
_EARLIER_MAX: Final = 4
"""Events of the counterexample from before that time."""
_RECENT_NS: Final = 60_000_000
"""What happened so shortly before the failure weighs more."""
_DECIDES, _MATTERS, _TELLS, _FILLS = 8, 6, 4, 2
_IS_RECENT: Final = 2


class Focus(msgspec.Struct, frozen=True, kw_only=True):
    """What an excerpt is about: the index at which the run was seen to be wrong, and operations by call and return.

    `actors` are nodes that an anomaly is about.
    """

    index: int
    calls: tuple[tuple[int, int], ...] = ()
    actors: tuple[str, ...] = ()


class _Event(msgspec.Struct, kw_only=True):
    """Something that a row of the drawing shows: a text, or a message from `source` to `target`.

    `leads`, `stands` and `down` are the nodes that lead, are candidates, or are down after it.
    """

    index: int
    time_ns: int
    weight: int
    text: str
    style: Style = ""
    source: str = ""
    target: str = ""
    is_lost: bool = False
    is_failure: bool = False
    is_alike: bool = False
    count: int = 1
    leads: frozenset[str] = frozenset()
    stands: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()


def spacetime(
    rows: Sequence[Row], plan: Plan, focus: Focus, *, width: int, lines_max: int, glyphs: Glyphs
) -> Drawing | None:
    """Draw what led to a failure, in at most `lines_max` lines; None where the trace has nothing of it."""
    reader = _Reader(plan, focus)
    events = reader.read(rows)
    chosen = _weightiest(_joined(events), lines_max - 2)
    if not chosen:
        return None
    actors = _actors(plan, chosen, reader.clients_of(focus, rows))
    return _draw(chosen, actors, width, glyphs)


def _joined(events: Iterable[_Event]) -> list[_Event]:
    """Messages of one kind on one link, with none of equal weight between, are one event."""
    joined: list[_Event] = []
    latest: dict[tuple[str, str, str, bool], _Event] = {}
    for event in events:
        if not event.source and not event.is_alike:
            if event.weight >= _MATTERS:
                latest.clear()
            joined.append(event)
            continue
        name = (event.source, event.target, event.text, event.is_lost)
        before = latest.get(name)
        if before is not None and before.weight == event.weight and event.weight < _DECIDES:
            before.count += 1
            continue
        latest[name] = event
        joined.append(event)
    return joined


def _weightiest(events: Sequence[_Event], count: int) -> list[_Event]:
    ordered = sorted(events, key=lambda event: (event.weight, event.index), reverse=True)
    return sorted(ordered[:count], key=lambda event: event.index)


def _actors(plan: Plan, events: Iterable[_Event], clients: Sequence[str]) -> list[str]:
    """Nodes, and the clients that messages went to or came from."""
    seen = {name for event in events for name in (event.source, event.target)}
    nodes = list(plan.nodes)
    return [*nodes, *(name for name in plan.clients if name in seen and name in clients)]


class _Reader:
    """Reads rows up to the failure, and gives the events among them that may be shown."""

    def __init__(self, plan: Plan, focus: Focus) -> None:
        self._focus = focus
        self._plan = plan
        self._clients = {program.thread: program.client for program in plan.programs}
        self._several = len(plan.groups) > 1
        self._begins = {call for call, _ in focus.calls}
        self._ends = {ret for _, ret in focus.calls}
        self._sent: dict[int, tuple[int, str, str, str]] = {}  # time, source, target, kind
        self._roles: dict[tuple[str, str], str] = {}
        self._down: set[str] = set()
        self._open: dict[str, int] = {}  # clients with an operation of the counterexample on its way
        self._slow_nodes_ns, self._slow_clients_ns = slow_ns(plan, plan.links.node), slow_ns(plan, plan.links.client)
        self._tellers: dict[str, Callable[..., _Event | None]] = {
            "start": self._start, "stop": self._end, "crash": self._end, "refuse": self._end, "role": self._role,
            "vote": self._vote, "log-truncate": self._truncate, "snapshot": self._snapshot, "config": self._config,
            "persist-fail": self._persist_fail, "fault-begin": self._fault_begin, "fault-end": self._fault_end,
            "send": self._send, "duplicate": self._duplicate, "deliver": self._deliver, "drop": self._drop,
            "op": self._op,
        }  # fmt: skip

    def clients_of(self, focus: Focus, rows: Sequence[Row]) -> list[str]:
        """The clients whose operations the counterexample names; all, where it names none."""
        named = [rows[call][3][0] for call, _ in focus.calls if 0 <= call < len(rows) and rows[call][1] == "op"]
        return [self._client(process) for process in named] or list(self._plan.clients)

    def read(self, rows: Sequence[Row]) -> list[_Event]:
        last = min(self._focus.index, len(rows) - 1)
        if last < 0:
            return []
        since_ns = rows[last][0] - _BEFORE_NS
        recent = [rows[call][0] for call, ret in self._focus.calls if ret == last and 0 <= call < last]
        since_ns = min([since_ns, *recent])
        events, earlier = list[_Event](), list[_Event]()
        for index in range(last + 1):
            time_ns, kind, actor, *fields = rows[index]
            tell = self._tellers.get(kind)
            event = None if tell is None else tell(time_ns, actor, *fields)
            if kind == "op":
                event = self._operation(index, event, fields[0])
            elif index == self._focus.index:
                event = event or _event(_DECIDES, _in_words(rows, index, self._plan), "wrong")
                event.weight, event.style = _DECIDES + 1, "wrong"
            if event is None or (time_ns < since_ns and event.weight < _DECIDES):
                continue
            event.index, event.time_ns, event.is_failure = index, time_ns, index == self._focus.index
            event.leads = self._having("leader")
            event.stands = self._having("candidate")
            event.down = frozenset(self._down)
            if time_ns >= rows[last][0] - _RECENT_NS:
                event.weight += _IS_RECENT
            (earlier if time_ns < since_ns else events).append(event)
        return [*earlier[-_EARLIER_MAX:], *events]

    def _having(self, role: str) -> frozenset[str]:
        return frozenset(actor for (actor, _), has in self._roles.items() if has == role)

    def _client(self, process: Any) -> str:
        return self._clients.get(process % max(1, len(self._clients)), "") if isinstance(process, int) else ""

    # -- clients --------------------------------------------------------------------------------------------------

    def _operation(self, index: int, event: _Event | None, op: Sequence[Any]) -> _Event | None:
        client = self._client(op[0])
        if index in self._begins:
            self._open[client] = index
        elif index in self._ends:
            self._open.pop(client, None)
        elif index != self._focus.index:
            return None if self._focus.calls or op[1] == "invoke" else self._any_answer(op)
        if event is not None and index == self._focus.index:
            event.style, event.weight = "wrong", _DECIDES + 1
        return event

    def _any_answer(self, op: Sequence[Any]) -> _Event:
        """An answer of a run whose failure names no operation: alike ones are told together."""
        _, outcome, f, _, _, error = op
        words = {"ok": f"{f} is answered", "fail": f"{f} is refused ({error})"}
        event = _event(_TELLS + (outcome != "ok"), words.get(outcome, f"nothing is learnt of {f} ({error})"))
        event.is_alike = True
        return event

    def _op(self, _: int, __: str, op: Sequence[Any]) -> _Event:
        process, outcome, f, key, value, error = op
        asked = " ".join([str(f), *([] if key is None else [str(key)])])
        said = asked if value is None else f"{asked} {value_text(value)}"
        words = {"invoke": f"asks {said}", "ok": f"is told {said}", "fail": f"is refused {said} ({error})"}
        text = words.get(outcome, f"does not learn of {said} ({error})")
        return _event(_DECIDES, f"process {process} {text}", "strong")

    # -- messages -------------------------------------------------------------------------------------------------

    def _send(self, time_ns: int, actor: str, id_: int, target: str, kind: str, _size: int) -> None:
        self._sent[id_] = (time_ns, actor, target, kind)

    def _duplicate(self, _: int, __: str, id_: int, copy: int) -> None:
        if id_ in self._sent:
            self._sent[copy] = self._sent[id_]

    def _deliver(self, time_ns: int, _: str, id_: int, __: str) -> _Event | None:
        return self._arrival(time_ns, id_, "")

    def _drop(self, time_ns: int, _: str, id_: int, reason: str) -> _Event | None:
        return self._arrival(time_ns, id_, reason)

    def _arrival(self, time_ns: int, id_: int, lost: str) -> _Event | None:
        message = self._sent.pop(id_, None)
        if message is None:
            return None
        sent_ns, source, target, kind = message
        ends = {source, target}
        is_of_clients = bool(ends & set(self._plan.clients))
        if is_of_clients and not ends & self._open.keys():
            return None
        weight = _MATTERS if is_of_clients else _FILLS
        if lost:
            weight = _FILLS + 1 if lost == "down" else _TELLS
            text, style = f"{kind} lost: {lost}", "warning"
        else:
            slow = time_ns - sent_ns > (self._slow_clients_ns if is_of_clients else self._slow_nodes_ns)
            text, style = kind + (f", {(time_ns - sent_ns) / 1e6:.0f} ms on its way" if slow else ""), ""
            weight += int(slow)
        event = _event(weight, text, style)  # type: ignore[arg-type]
        event.source, event.target, event.is_lost = source, target, bool(lost)
        return event

    # -- nodes ----------------------------------------------------------------------------------------------------

    def _of(self, group: str) -> str:
        return f" of {group}" if self._several else ""

    def _weight(self, actor: str, weight: int) -> int:
        return weight + int(actor in self._focus.actors)

    def _start(self, _: int, actor: str, incarnation: int, __: str) -> _Event | None:
        self._down.discard(actor)
        if incarnation == 1 or actor in self._plan.clients:
            return None
        return _event(self._weight(actor, _MATTERS), f"{actor} starts again", "strong")

    def _end(self, _: int, actor: str, __: int, reason: str) -> _Event | None:
        self._down.add(actor)
        for name, group in list(self._roles):
            if name == actor:
                del self._roles[name, group]
        if actor in self._plan.clients:
            return None
        return _event(self._weight(actor, _MATTERS + 1), f"{actor} goes down ({reason})", "wrong")

    def _role(self, _: int, actor: str, group: str, role: str, term: int) -> _Event | None:
        before = self._roles.get((actor, group))
        self._roles[actor, group] = role
        if role == "leader":
            return _event(self._weight(actor, _MATTERS + 1), f"{actor} leads in term {term}{self._of(group)}", "good")
        if before == "leader":
            return _event(self._weight(actor, _MATTERS), f"{actor} stops leading, term {term}{self._of(group)}", "good")
        if role == "candidate":
            return _event(self._weight(actor, _TELLS), f"{actor} stands in term {term}{self._of(group)}")
        return None

    def _vote(self, _: int, actor: str, group: str, term: int, candidate: str) -> _Event | None:
        if candidate == actor:
            return None
        text = f"{actor} votes for {candidate}, term {term}{self._of(group)}"
        return _event(self._weight(actor, _TELLS), text)

    def _truncate(self, _: int, actor: str, group: str, first: int) -> _Event:
        text = f"{actor} drops its entries from {first} on{self._of(group)}"
        return _event(self._weight(actor, _TELLS), text, "warning")

    def _snapshot(self, _: int, actor: str, group: str, how: str, index: int, __: int, ___: Any) -> _Event | None:
        if how != "installed":
            return None
        return _event(self._weight(actor, _TELLS), f"{actor} installs snapshot {index}{self._of(group)}")

    def _config(
        self, _: int, actor: str, group: str, index: int, voters: Sequence[str], outgoing: Sequence[str], __: Any
    ) -> _Event | None:
        if not index:
            return None
        joint = f" and of {','.join(outgoing)}" if outgoing else ""
        return _event(self._weight(actor, _TELLS), f"{actor}: voters {','.join(voters)}{joint}{self._of(group)}")

    def _persist_fail(self, _: int, actor: str, operation: str, reason: str) -> _Event:
        return _event(self._weight(actor, _MATTERS), f"{actor} fails to {operation} ({reason})", "warning")

    # -- faults ---------------------------------------------------------------------------------------------------

    def _fault_begin(self, _: int, __: str, fault: str, kind: str, targets: Sequence[str]) -> _Event:
        return _event(_TELLS + 1, f"{fault} {kind}{' of ' + ','.join(targets) if targets else ''} begins", "warning")

    def _fault_end(self, _: int, __: str, fault: str, kind: str, ___: str) -> _Event:
        if fault == "heal":
            return _event(_DECIDES, "everything is healed", "warning")
        return _event(_TELLS, f"{fault} {kind} ends", "warning")


def _in_words(rows: Sequence[Row], index: int, plan: Plan) -> str:
    """The event at which a rule was broken, as it is told in a walk through the run."""
    standing = Standing(plan)
    for row in rows[: index + 1]:
        standing.read(row)
    return tell(rows[index], standing).partition(" (message ")[0]


def _event(weight: int, text: str, style: Style = "") -> _Event:
    return _Event(index=0, time_ns=0, weight=weight, text=text, style=style)


# -- drawing ----------------------------------------------------------------------------------------------------------


def _draw(events: Sequence[_Event], actors: Sequence[str], width: int, glyphs: Glyphs) -> Drawing:
    space = max(len(actors) * _LANE_MIN, width - _TIME - _NOTE_MIN)
    lane = min(_LANE_MAX, space // len(actors))
    lanes = {actor: _TIME + at * lane for at, actor in enumerate(actors)}
    note = _TIME + len(actors) * lane
    drawing = Drawing(width)
    head = drawing.line(("seconds", "dim"))
    for actor, column in lanes.items():
        drawing.put(head, column, cut(one_cell(actor), lane - 1), "strong")
    for event in events:
        sign = ">" if event.is_failure else " "
        row = drawing.line((sign, "wrong"), (f"{event.time_ns / 1e9:7.4f}", "dim"))
        for actor, column in lanes.items():
            drawing.put(row, column, *_lane(actor, event, glyphs))
        if event.source in lanes and event.target in lanes and event.source != event.target:
            _arrow(drawing, row, event, lanes, glyphs)
        times = f" ({event.count} times)" if event.count > 1 else ""
        drawing.put(row, note, cut(one_cell(event.text + times), width - note), event.style)
    return drawing


def _lane(actor: str, event: _Event, glyphs: Glyphs) -> tuple[str, Style]:
    if actor in event.leads:
        return glyphs.lead, "good"
    if actor in event.down:
        return glyphs.down, ""
    return (glyphs.stand, "warning") if actor in event.stands else (glyphs.lane, "dim")


def _arrow(drawing: Drawing, row: int, event: _Event, lanes: Mapping[str, int], glyphs: Glyphs) -> None:
    source, target = lanes[event.source], lanes[event.target]
    style: Style = "warning" if event.is_lost else ""
    if event.is_lost:
        reached = (source + 2 * target) // 3
        low, high = min(source, reached), max(source, reached)
        drawing.put(row, low + 1, glyphs.line * (high - low - 1), style)
        drawing.put(row, reached, glyphs.lost, style)
        return
    low, high = min(source, target), max(source, target)
    drawing.put(row, low + 1, glyphs.line * (high - low - 1), style)
    drawing.put(row, target - 1 if target > source else target + 1, glyphs.right if target > source else glyphs.left)
