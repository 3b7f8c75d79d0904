"""Why a cycle is one: data first, sentences second.

Each step of a cycle says that one transaction must come before the next. The analysis that made the edge finds its
evidence again (`Analysis.why`: the key, what was read, what was written) and puts it into words (`Analysis.say`).
Process and real-time order are explained here, from the lines of the history alone.

The graph only holds edges between neighbours in the order of versions, so a cycle may walk through dozens of writers
of one object. `shorten` replaces such walks by what they say together: "T3 read x and did not see what T9 appended
later".
"""

from __future__ import annotations

from typing import Any

from checkers.verdict import Anomaly

from .analysis import Analysis
from .graph import DEPENDENCIES, KINDS, PROCESS, REALTIME, RW, WR, WW, Cycle, Step, classify
from .nodes import Transactions, micro


def cycle_anomaly(checker: str, name: str, cycle: Cycle, count: int, analysis: Analysis[Any]) -> Anomaly:
    """Make the anomaly of a cycle, with its transactions and the reason of each of its steps."""
    transactions = analysis.transactions
    cycle = shorten(cycle, analysis)
    steps = [_step(kind, source, target, analysis) for source, kind, target in cycle.edges()]
    return Anomaly(
        checker=checker,
        kind=name,
        index=transactions.certain_at(cycle.transactions),
        message=_sentences(name, cycle, steps, transactions),
        evidence={
            "cycle": [transactions.name(transaction) for transaction in cycle.transactions],
            "transactions": [transactions.describe(transaction) for transaction in cycle.transactions],
            "steps": steps,
            "components": count,
        },
    )


def shorten(cycle: Cycle, analysis: Analysis[Any]) -> Cycle:
    """Replace walks over neighbouring versions by single steps, as long as the cycle keeps its name."""
    steps = list(cycle.steps)
    position = 0
    while position < len(steps):
        _jump(steps, position, analysis)
        position += 1
    shorter = Cycle(tuple(steps))
    return shorter if classify(shorter) == classify(cycle) else cycle


def _jump(steps: list[Step], position: int, analysis: Analysis[Any]) -> None:
    """Join as many steps from `position` on as one dependency says together."""
    source, first = steps[position]
    end = position + 1
    while end < len(steps) and steps[end].kind & DEPENDENCIES:
        end += 1
    if not first & (DEPENDENCIES | RW):
        return
    # An rw step must not come to stand right before another one: that would be a graver class.
    if first == RW and steps[end % len(steps)].kind == RW:
        end -= 1
    for stop in range(end, position + 1, -1):
        target = steps[stop % len(steps)].source
        for kind in (RW,) if first == RW else (WR, WW):
            if target != source and analysis.why(kind, source, target) is not None:
                steps[position:stop] = [Step(source, kind)]
                return


def _step(kind: int, source: int, target: int, analysis: Analysis[Any]) -> dict[str, Any]:
    transactions = analysis.transactions
    before, after = transactions.operations[source], transactions.operations[target]
    step: dict[str, Any] = {
        "type": KINDS[kind],
        "source": transactions.name(source),
        "target": transactions.name(target),
    }
    if kind == PROCESS:
        step["process"] = before.process
        step["because"] = f"process {before.process} ran {step['source']} before {step['target']}"
    elif kind == REALTIME:
        step |= {"return": before.ret, "call": after.call}
        step["because"] = (
            f"{step['source']} completed (line {before.ret}) before {step['target']} was invoked (line {after.call})"
        )
    else:
        evidence = analysis.why(kind, source, target)
        assert evidence is not None, "an edge of the graph has evidence"
        step |= evidence
        step["because"] = analysis.say(step)
    return step


def _sentences(name: str, cycle: Cycle, steps: list[dict[str, Any]], transactions: Transactions) -> str:
    lines = [f"{name}: {len(steps)} transactions each of which must come before the next, in a circle."]
    lines += [f"Let {transactions.name(who)} = {micro(transactions.done[who])}." for who in cycle.transactions]
    for position, step in enumerate(steps):
        so = "Then" if position < len(steps) - 1 else "But then"
        lines.append(f"{so} {step['source']} < {step['target']}, because {step['because']}.")
    return "\n".join(lines)
