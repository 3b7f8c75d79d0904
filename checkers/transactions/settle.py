"""What the graph leaves open is put to an exact decision: a witness that is replayed, or a proof that there is none.

Each model that can be put as "events in a row" has its form here: whether reads and writes of a transaction are one
event or two (snapshots), and which order beyond the data counts. Repeatable read forbids the circles of serializability
(items only), so it has the same form. Consistent view is weaker than snapshot isolation and has no such form: a row of
snapshots proves it, and a fractured read refutes it, since consistent view implies read atomic; where there is neither,
the verdict is `unknown`. Read atomic is decided by `read_atomic`. The models below are decided by the graph alone: with
wr acyclic, any order that keeps it orders all versions without a circle of ww and wr.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from checkers.linearizability.result import Meter
from checkers.operation import INF
from checkers.values import show
from checkers.verdict import Anomaly

from . import read_atomic
from .analysis import Analysis
from .explain import fractured_read
from .graph import KINDS, RW, WR, WW, Graph
from .nodes import brief, micro
from .replay import replay, replay_atomic
from .search import STEP_LIMIT, Learned, Outcome, find_order


class Form(NamedTuple):
    """How a model is put as events in a row, and the suffix of the anomalies that it forbids."""

    snapshots: bool
    suffix: str = ""
    is_exact: bool = True


FORMS: Final = {
    "strict-serializable": Form(snapshots=False, suffix="-realtime"),
    "strong-session-serializable": Form(snapshots=False, suffix="-process"),
    "serializable": Form(snapshots=False),
    "repeatable-read": Form(snapshots=False),
    "strong-snapshot-isolation": Form(snapshots=True, suffix="-realtime"),
    "strong-session-snapshot-isolation": Form(snapshots=True, suffix="-process"),
    "snapshot-isolation": Form(snapshots=True),
    "consistent-view": Form(snapshots=True, is_exact=False),
}

READ_ATOMIC: Final = "read-atomic"

DECIDED: Final = (*FORMS, READ_ATOMIC)
"""What `settle` decides."""

STEPS_SHOWN_MAX: Final = 8
"""How many steps of a proof are told in sentences; the evidence has all."""


class Settled(NamedTuple):
    """What came of it: nothing at all means that a witness was found and replayed."""

    anomaly: Anomaly | None
    reason: str
    machine_dependent: bool
    steps: int

    @property
    def is_proved(self) -> bool:
        """Whether the model holds."""
        return self.anomaly is None and not self.reason


def settle(
    model: str,
    suffix: str,
    analysis: Analysis[Any],
    graph: Graph,
    *,
    step_limit: int = STEP_LIMIT,
    meter: Meter,
) -> Settled:
    """Decide one of `DECIDED` where the graph found nothing against it; `suffix` is that of its form, or ""."""
    if model == READ_ATOMIC:
        return _settle_atomic(analysis, graph)
    form = FORMS[model]._replace(suffix=suffix)
    transactions = analysis.transactions
    process, realtime = form.suffix == "-process", form.suffix == "-realtime"
    outcome = find_order(
        graph,
        analysis.reads(),
        [int(operation.ret) if operation.ret != INF else 2**62 for operation in transactions.operations],
        snapshots=form.snapshots,
        process=process,
        realtime=realtime,
        limit=step_limit,
        meter=meter,
    )
    if outcome.order is not None:
        replay(transactions, analysis.happened, outcome.order, process=process, realtime=realtime)
        return Settled(None, "", False, outcome.steps)
    if outcome.reason:
        return Settled(None, f"{model}: {outcome.reason}", outcome.machine_dependent, outcome.steps)
    if not form.is_exact:
        atomic = _settle_atomic(analysis, graph)
        if not atomic.is_proved:
            return atomic
        reason = f"{model}: no circle was found, and no row of snapshots either, which {model} does not need"
        return Settled(None, reason, False, outcome.steps)
    return Settled(_anomaly(form, analysis, outcome), "", False, outcome.steps)


def _settle_atomic(analysis: Analysis[Any], graph: Graph) -> Settled:
    outcome = read_atomic.decide(graph, analysis.reads())
    if outcome.broken is not None or outcome.circle is not None:
        return Settled(fractured_read(outcome, analysis), "", False, outcome.steps)
    replay_atomic(analysis.transactions, analysis.happened, outcome.order)
    return Settled(None, "", False, outcome.steps)


def _anomaly(form: Form, analysis: Analysis[Any], outcome: Outcome) -> Anomaly:
    """Name the weakest anomaly that every order has, and tell the proof."""
    transactions = analysis.transactions
    kind = ("G-nonadjacent" if form.snapshots else "G2-item") + form.suffix
    learned = _relevant(outcome)
    who = sorted({who for circle in (outcome.circle, *(step.circle for step in learned)) for who in circle})
    name = transactions.name
    what = "no order of snapshots of" if form.snapshots else "no order of"
    whom = ", ".join(map(name, who)) if len(who) <= STEPS_SHOWN_MAX else f"these {len(who)} transactions"
    lines = [f"{kind}: {what} {whom} explains what they read; each has a circle."]
    lines += [f"Let {name(one)} = {micro(transactions.done[one])}." for one in who]
    for step in learned[-STEPS_SHOWN_MAX:]:
        lines.append(f"{name(step.first)} < {name(step.second)}, or else {_circle(step.circle, analysis)}.")
    lines.append(f"But then {_circle(outcome.circle, analysis)}.")
    return Anomaly(
        checker=analysis.CHECKER,
        kind=kind,
        index=transactions.certain_at(who),
        message="\n".join(lines),
        evidence={
            "transactions": [transactions.describe(one) for one in who],
            "steps": [
                {
                    "first": name(step.first),
                    "second": name(step.second),
                    "otherwise": [name(one) for one in step.circle],
                }
                for step in learned
            ],
            "cycle": [name(one) for one in reversed(outcome.circle)],
        },
    )


def _circle(circle: Sequence[int], analysis: Analysis[Any]) -> str:
    """A chain of blockers, told from the first to come: each is blocked by the one after it."""
    name = analysis.transactions.name
    row = [*reversed(circle), circle[-1]]
    reasons = [reason for first, second in pairwise(row) if (reason := _before(first, second, analysis))]
    told = " < ".join(map(name, row))
    return f"{told} ({'; '.join(dict.fromkeys(reasons))})" if reasons else told


def _before(first: int, second: int, analysis: Analysis[Any]) -> str:
    """Say in a few words why one comes before the other, if what they did says so; else it was said before."""
    source, target = analysis.transactions.name(first), analysis.transactions.name(second)
    for kind in (WR, RW, WW):
        if (why := analysis.why(kind, first, second)) is not None:
            return analysis.claim({"type": KINDS[kind], "source": source, "target": target, **why})
    key = _replaced(first, second, analysis)
    if key is None:
        return ""
    read = next(value for f, name, value in analysis.transactions.done[first] if f == "r" and name == key)
    return f"{source} read {show(key)} = {brief(read)}, and not what {target} wrote"


def _replaced(first: int, second: int, analysis: Analysis[Any]) -> Hashable | None:
    """Name an object of which the first read a version that the second replaced."""
    if not analysis.transactions.committed[first]:
        return None
    wrote = {key for f, key, _ in analysis.transactions.done[second] if f == analysis.WRITE}
    met: dict[Hashable, None] = {}
    for f, key, _ in analysis.transactions.done[first]:
        if f == analysis.WRITE:
            wrote.discard(key)  # what it reads after that is its own
        elif key in wrote and not any(analysis.evidence(WR, second, first, analysis.key(key))):
            met.setdefault(key)
    return next(iter(met), None)


def _relevant(outcome: Outcome) -> list[Learned]:
    """What was learned about the transactions of the last circle, and of the circles behind that."""
    wanted, found = set(outcome.circle), []
    for step in reversed(outcome.learned):
        if step.first in wanted and step.second in wanted:
            found.append(step)
            wanted.update(step.circle)
    found.reverse()
    return found
