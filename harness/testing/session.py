"""What the fixture `foreshock` is: one seed of a system, to be run once, and judged as a test."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from harness import quantities
from harness.errors import BadInput, Exit
from harness.outcome import Outcome
from harness.plans.plan import Plan, load
from harness.run.drawing import Drawing, abilities_of
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.run.twice import require_function_of_plan
from harness.systems import catalog
from harness.systems.binding import Binding
from harness.systems.checkouts import Checkouts

_OPTIONS: Final = RunOptions(keep_rows=True)


class Session:
    """A plan to run: that of the marker's seed, or one that is given to `run`."""

    def __init__(self, seed: int | None, system: str | None, words: Mapping[str, Any]) -> None:
        self.seed = seed
        self.has_run = False
        self.outcome: Outcome | None = None
        self._system = system or "raft_impl"
        self._words = words

    @property
    def drawing(self) -> Drawing:
        """What the marker says of the plan."""
        words = self._words
        duration = words.get("duration")
        return Drawing(
            system=self._system,
            workload=words.get("workload", "register"),
            profile=words.get("profile", "swarm"),
            nodes=words.get("nodes"),
            concurrency=words.get("concurrency"),
            rate=words.get("rate"),
            duration_ns=quantities.duration(duration) if duration is not None else None,
            explicit={name: _text(value) for name, value in words.get("options", {}).items()},
        )

    @property
    def plan(self) -> Plan:
        """The plan of the marker's seed."""
        if self.seed is None:
            raise BadInput("no marker `foreshock`", "the marker, or a plan: foreshock.run(plan)", "the test")
        return self.drawing.plan(self.seed, abilities_of(catalog.load_systems(_bind(self._system)).values()))

    def run(self, plan: Plan | Path | str | None = None, *, system: str | None = None) -> Outcome:
        """Run the plan, a stored one if it is given, and return its outcome when it is valid.

        Fails the test when the run is invalid by an anomaly that no broken assumption explains, and skips it when the
        run is unknown. Raises BadInput for a plan or system that cannot be used.
        """
        self.has_run = True
        binding = _bind(system or self._system)
        if plan is None:
            plan, reproduce = self.plan, self.drawing.command(self.seed or 0)
        else:
            where = "the plan that was given" if isinstance(plan, Plan) else str(plan)
            reproduce = f"foreshock run --plan {where}"
            plan = plan if isinstance(plan, Plan) else load(Path(plan))
        self.outcome = outcome = execute(plan, binding, _OPTIONS)
        _prove_once(plan.drawn.workload, binding, plan, outcome)
        if outcome.exit_code is Exit.UNKNOWN:
            pytest.skip(f"unknown: {outcome.verdict.reason}; {reproduce}")
        wrong = [anomaly for anomaly in outcome.anomalies if not anomaly.allowed]
        if wrong:
            pytest.fail(report(outcome, reproduce), pytrace=False)
        return outcome


def report(outcome: Outcome, reproduce: str) -> str:
    """An invalid run in the lines of a failed test."""
    lines = [f"{outcome.verdict.validity} ({outcome.plan_class} plan)"]
    for anomaly in outcome.anomalies:
        at = f" at index {anomaly.index}" if anomaly.index is not None else ""
        lines += ["", f"{anomaly.signature}{at}", *(f"    {line}" for line in anomaly.message.splitlines())]
    for text in outcome.tracebacks:
        lines += ["", *text.rstrip().splitlines()]
    return "\n".join([*lines, "", f"fingerprint {outcome.fingerprint}", f"reproduce   {reproduce}"])


_proven: Final[set[tuple[str, str]]] = set()
"""Code and workloads whose first run in this process was made twice."""


def _prove_once(workload: str, binding: Binding, plan: Plan, outcome: Outcome) -> None:
    if (binding.code_digest, workload) not in _proven:
        require_function_of_plan(plan, binding, outcome)
        _proven.add((binding.code_digest, workload))


@cache
def _checkouts() -> Checkouts:
    """Where git refs are checked out, for as long as this process lives."""
    checkouts = Checkouts()
    atexit.register(checkouts.close)
    return checkouts


def _bind(system: str) -> Binding:
    return catalog.bind(system, _checkouts())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
