"""From the transactions of a history to a verdict: infer, build the graph, search it, say what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from checkers.admission import NOTHING_JUDGED
from checkers.verdict import Anomaly, Verdict

from . import explain
from .analysis import Analysis
from .anomalies import judge, require_models
from .nodes import Transactions


class NotUnique(Exception):
    """Something was written to a key twice: which of the writes a read shows cannot be said."""


def decide(
    checker: str,
    transactions: Transactions,
    infer: Callable[[Transactions], Analysis[Any]],
    expect: Sequence[str],
    *,
    process: bool,
    realtime: bool,
    budget: int,
) -> Verdict:
    """Judge transactions against the expected models; an assumption that does not hold makes the verdict unknown."""
    require_models(expect)
    begin = time.perf_counter()
    try:
        verdict = _decide(checker, transactions, infer(transactions), expect, process, realtime, budget)
    except NotUnique as error:
        model = "+".join(expect)
        verdict = Verdict(
            validity="unknown",
            checker=checker,
            model=model,
            ops=len(transactions),
            reason=str(error),
            details={"not-unique": True},
        )
    return msgspec.structs.replace(verdict, seconds=time.perf_counter() - begin)


def _decide(
    checker: str,
    transactions: Transactions,
    analysis: Analysis[Any],
    expect: Sequence[str],
    process: bool,
    realtime: bool,
    budget: int,
) -> Verdict:
    if not any(transactions.committed):
        model = "+".join(expect)
        return Verdict(validity="unknown", checker=checker, model=model, ops=len(transactions), reason=NOTHING_JUDGED)
    graph = transactions.graph(process=process, realtime=realtime)
    analysis.add_edges(graph)
    found = graph.find_cycles(budget=budget)
    cycles: dict[str, Anomaly] = {}
    for name, cycle in found.cycles.items():
        named = analysis.name(name)
        if named not in cycles:
            cycles[named] = explain.cycle_anomaly(checker, named, cycle, found.counts[name], analysis)
    return judge(
        [*analysis.anomalies.values(), *cycles.values()],
        expect,
        checker=checker,
        ops=len(transactions),
        steps=found.visited + graph.edge_count,
        incomplete="" if found.complete else f"the search for cycles visited {found.visited} edges, its limit",
        notes=analysis.notes,
    )
