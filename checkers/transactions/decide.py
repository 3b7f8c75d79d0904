"""From the transactions of a history to a verdict: infer, build the graph, search it, settle what it leaves open.

Registers are analysed in rounds, each with one more inference (`rw_register`); lists in one. Where the strongest model
is expected of registers, a witness is looked for first, with what was read alone: with one, there is nothing to accuse,
and neither the bolder rounds nor the search for circles are needed. Otherwise each round is searched for circles, and
what the graph holds nothing against is settled (`settle`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from checkers.admission import NOTHING_JUDGED
from checkers.linearizability.result import LimitReached, Meter
from checkers.verdict import Anomaly, Verdict

from . import explain
from .analysis import Analysis
from .anomalies import judge
from .graph import Found, Graph
from .nodes import Transactions
from .settle import DECIDED, FORMS, READ_ATOMIC, Settled, settle

STRONGEST: Final = "strict-serializable"

FORM_SUFFIXES: Final = ("", "-process", "-realtime")

QUICK_STEPS: Final = 2_000_000
"""Steps of the first search for a witness, which has the plain graph only: two seconds."""

WITNESSED: Final = "an order of all transactions that explains what they read was found, and replayed"


class NotUnique(Exception):
    """Something was written to a key twice: which of the writes a read shows cannot be said."""


class Budget(NamedTuple):
    """What may be spent: edges that the search for circles visits, steps of each search for an order, time and memory.

    `meter` is looked at before each analysis too, which takes most of the time and memory of a long history.
    """

    edges: int
    steps: int
    meter: Meter


class _Round(NamedTuple):
    """One analysis, its graph, and what the search for circles found in it."""

    analysis: Analysis[Any]
    graph: Graph

    def anomalies(self, checker: str, found: Found) -> list[Anomaly]:
        """List what is wrong: what the analysis saw itself, and the circles."""
        circles: dict[str, Anomaly] = {}
        for name, cycle in found.cycles.items():
            named = self.analysis.name(name)
            if named not in circles:
                circles[named] = explain.cycle_anomaly(checker, named, cycle, found.counts[name], self.analysis)
        return [*self.analysis.anomalies.values(), *circles.values()]


class Rounds:
    """The analyses of one history; each is made when it is first asked for."""

    def __init__(
        self,
        transactions: Transactions,
        infer: Callable[[str], Analysis[Any]],
        suffixes: Sequence[str],
        *,
        process: bool,
        realtime: bool,
    ) -> None:
        self.transactions = transactions
        self.infer = infer
        self.suffixes = suffixes
        self.process = process
        self.realtime = realtime
        self._made: dict[str, _Round] = {}

    def judge(self, checker: str, expect: Sequence[str], budget: Budget) -> Verdict:
        """Judge against the expected models; an assumption that does not hold makes the verdict unknown."""
        begin = time.perf_counter()
        ops = len(self.transactions)
        unknown = Verdict(validity="unknown", checker=checker, model="+".join(expect), ops=ops)
        if any(self.transactions.committed):
            try:
                verdict = self._judge(checker, expect, budget)
            except NotUnique as error:
                verdict = msgspec.structs.replace(unknown, reason=str(error), details={"not-unique": True})
            except LimitReached as limit:
                verdict = msgspec.structs.replace(
                    unknown, reason=limit.reason, machine_dependent=limit.machine_dependent
                )
        else:
            verdict = msgspec.structs.replace(unknown, reason=NOTHING_JUDGED)
        return msgspec.structs.replace(verdict, seconds=time.perf_counter() - begin)

    def _judge(self, checker: str, expect: Sequence[str], budget: Budget) -> Verdict:
        settled: dict[str, Settled] = {}
        plain = self._round("", budget)
        if STRONGEST in expect and self.realtime and not plain.analysis.knows_versions and not plain.analysis.anomalies:
            quick = settle(STRONGEST, "-realtime", *plain, step_limit=QUICK_STEPS, meter=budget.meter)
            if quick.is_proved:
                return self._verdict(checker, plain, [], expect, [quick], quick.steps)
        telling: Verdict | None = None
        steps = 0
        for suffix in self.suffixes:
            made = self._round(suffix, budget)
            found = made.graph.find_cycles(budget=budget.edges)
            steps += found.visited + made.graph.edge_count
            anomalies = made.anomalies(checker, found)
            incomplete = "" if found.complete else f"the search for cycles visited {found.visited} edges, its limit"
            verdict = self._verdict(checker, made, anomalies, expect, [], steps, incomplete)
            if verdict.validity == "invalid":
                return verdict
            if telling is None:
                telling, told = verdict, anomalies
            is_clear = not found.cycles and made.analysis.knows_versions
            for model in expect:
                # A known order of versions leaves nothing open, but the search for circles knows no fractured reads.
                is_open = not is_clear and (made.analysis.leaves_open or model == READ_ATOMIC)
                is_of_round = model in DECIDED and self._suffix(model) in self._judged_in(suffix)
                if is_of_round and model not in settled and (is_open or incomplete):
                    settled[model] = self._settle(model, budget)
        assert telling is not None, "there is at least one round"
        steps += sum(one.steps for one in settled.values())
        if not settled:
            return msgspec.structs.replace(telling, steps=steps)
        return self._verdict(checker, plain, told, expect, list(settled.values()), steps)

    def _round(self, suffix: str, budget: Budget) -> _Round:
        made = self._made.get(suffix)
        if made is None:
            budget.meter.check(0, 0)
            analysis = self.infer(suffix)
            process, realtime = self.process and suffix != "-realtime", self.realtime and suffix != "-process"
            graph = self.transactions.graph(process=process, realtime=realtime)
            analysis.add_edges(graph)
            made = self._made[suffix] = _Round(analysis, graph)
        return made

    def _suffix(self, model: str) -> str:
        """Which order beyond the data a model is judged with; what the caller does not want counts for none."""
        suffix = FORMS[model].suffix if model in FORMS else ""
        is_wanted = {"": True, "-process": self.process, "-realtime": self.realtime}[suffix]
        return suffix if is_wanted else ""

    def _judged_in(self, suffix: str) -> tuple[str, ...]:
        """The suffixes whose models a round judges: its own; where there is one round, it is that of every model."""
        return FORM_SUFFIXES if len(self.suffixes) == 1 else (suffix,)

    def _settle(self, model: str, budget: Budget) -> Settled:
        suffix = self._suffix(model)
        made = self._round(suffix if suffix in self.suffixes else self.suffixes[0], budget)
        return settle(model, suffix, made.analysis, made.graph, step_limit=budget.steps, meter=budget.meter)

    def _verdict(
        self,
        checker: str,
        made: _Round,
        anomalies: Sequence[Anomaly],
        expect: Sequence[str],
        settled: Sequence[Settled],
        steps: int,
        incomplete: str = "",
    ) -> Verdict:
        proofs = [one.anomaly for one in settled if one.anomaly is not None]
        reasons = [incomplete, *(one.reason for one in settled)]
        verdict = judge(
            [*anomalies, *proofs],
            expect,
            checker=checker,
            ops=len(self.transactions),
            steps=steps,
            incomplete="; ".join(reason for reason in reasons if reason),
            notes=[*made.analysis.notes, *(WITNESSED for _ in settled[:1] if all(one.is_proved for one in settled))],
        )
        if not settled:
            return verdict
        return msgspec.structs.replace(
            verdict,
            engine="dependency-graph+order",
            machine_dependent=verdict.validity == "unknown" and any(one.machine_dependent for one in settled),
        )
