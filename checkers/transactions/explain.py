"""Why a cycle is one: data first, sentences second.

Each step of a cycle says that one transaction must come before the next. The analysis that made the edge finds its
evidence again (`Analysis.why`: the key, what was read, what was written) and puts it into words (`Analysis.say`).
Process and real-time order are explained here, from the lines of the history alone.
"""

from __future__ import annotations

from typing import Any, Protocol

from checkers.verdict import Anomaly

from .graph import KINDS, PROCESS, REALTIME, Cycle
from .nodes import Transactions, micro


class Analysis(Protocol):
    """What knows the evidence of the edges that it made."""

    transactions: Transactions

    def why(self, kind: int, source: int, target: int) -> dict[str, Any]:
        """Find the evidence of an edge, as data: at least `key`."""
        ...

    def say(self, evidence: dict[str, Any]) -> str:
        """Put evidence into words; the evidence holds the names of the two transactions."""
        ...


def cycle_anomaly(checker: str, name: str, cycle: Cycle, count: int, analysis: Analysis) -> Anomaly:
    """Make the anomaly of a cycle, with its transactions and the reason of each of its steps."""
    transactions = analysis.transactions
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


def _step(kind: int, source: int, target: int, analysis: Analysis) -> dict[str, Any]:
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
        step |= analysis.why(kind, source, target)
        step["because"] = analysis.say(step)
    return step


def _sentences(name: str, cycle: Cycle, steps: list[dict[str, Any]], transactions: Transactions) -> str:
    lines = [f"{name}: {len(steps)} transactions each of which must come before the next, in a circle."]
    lines += [f"Let {transactions.name(who)} = {micro(transactions.done[who])}." for who in cycle.transactions]
    for position, step in enumerate(steps):
        so = "Then" if position < len(steps) - 1 else "But then"
        lines.append(f"{so} {step['source']} < {step['target']}, because {step['because']}.")
    return "\n".join(lines)
