"""One run: from a plan and a binding to an outcome.

The phases in order: warm-up, faults, heal, recovery, final reads. The run ends when every thread of the healed set has
done its final reads and the healed replicas agree, or at the horizon. Then the history is checked, liveness is judged
(tolerable plans only), the gates are asked, and everything is merged: invalid > unknown > valid.

`run` is a pure function of its arguments, but for the wall-clock figures in the outcome.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from checkers import History, check
from checkers.raft.liveness import Bound, Standing
from checkers.raft.liveness import judge as judge_liveness
from checkers.verdict import Anomaly, Verdict, merge
from harness.faults.fault import OUTCOMES
from harness.outcome import JudgedAnomaly, Outcome
from harness.plans.classify import Classification, classify
from harness.plans.plan import Plan
from harness.sim.process import SimProcess
from harness.sim.world import SimWorld
from harness.systems.binding import Binding
from harness.systems.system import System
from harness.systems.versions import systems

from . import gates as gate
from .interpreter import Thread

_LOOK_NS: Final = 20_000_000
"""How often, after the heal, the runner looks whether the run is over."""


def run(
    plan: Plan,
    binding: Binding,
    *,
    keep_rows: bool = False,
    stop_at_first: bool = False,
    gates: bool = True,
    until_ns: int | None = None,
    until_index: int | None = None,
    fast: bool = True,
) -> Outcome:
    """Run a plan in the simulated world and judge it. Raises ValueError for options that the code does not know."""
    began = time.perf_counter()
    simulation = Simulation(plan, systems(binding), keep_rows=keep_rows, stop_at_first=stop_at_first, fast=fast)
    simulation.run(until_ns=until_ns, until_index=until_index)
    ran = time.perf_counter()
    partial = until_ns is not None or until_index is not None
    outcome = simulation.judge(gates=gates and not partial, liveness=not partial)
    outcome.binding = binding.recorded()
    outcome.code_digest = binding.code_digest
    outcome.check_seconds = time.perf_counter() - ran
    outcome.wall_seconds = time.perf_counter() - began
    return outcome


class Simulation:
    """A world with its threads, run once."""

    def __init__(
        self,
        plan: Plan,
        systems: Mapping[str, System],
        *,
        keep_rows: bool = False,
        stop_at_first: bool = False,
        fast: bool = True,
    ) -> None:
        self.plan = plan
        self.systems = systems
        self.capabilities = frozenset(word for system in systems.values() for word in system.capabilities)
        self.resolved = {label: system.resolve(plan.options) for label, system in systems.items()}
        self.world = SimWorld(plan, systems, keep_rows=keep_rows, fast=fast, stop_at_first=stop_at_first)
        self.threads: list[Thread] = []
        self.converged_ns: int | None = None
        self.classification: Classification = classify(plan)
        self._until_index: int | None = None
        self._heal_index = 0
        self._state: dict[str, Any] = {}
        self._standing: dict[tuple[str, str], Standing] = {}
        self._attach_programs()

    def run(self, *, until_ns: int | None = None, until_index: int | None = None) -> None:
        """Run to the end, or to an instant or an index of the trace."""
        kernel, plan = self.world.kernel, self.plan
        self._until_index = until_index

        def begin() -> None:
            self.world.nemesis.schedule()
            kernel.exactly(plan.phases.heal_ns, self._heal)
            kernel.exactly(plan.phases.horizon_ns, lambda _: kernel.stop("horizon"))
            if until_ns is not None:
                kernel.exactly(until_ns, self._stop_until)
            if until_index is not None:
                kernel.exactly(0, self._watch_index)

        self.world.run(begin)

    # -- while it runs --------------------------------------------------------------------------------------------

    def _attach_programs(self) -> None:
        plan, world = self.plan, self.world
        for program in plan.programs:
            actor = plan.actors[program.client]
            group = actor.groups[0]
            servers = plan.groups[group].voters
            system = self.systems[actor.code]

            def new_client(
                environment: SimProcess, system: System = system, actor: Any = actor, group: str = group,
                servers: tuple[str, ...] = servers,
            ) -> Any:  # fmt: skip
                return system.client(environment, actor, group, servers, plan.options)

            thread = Thread(
                program,
                thread_count=len(plan.programs),
                kernel=world.kernel,
                recorder=world.recorder,
                new_client=new_client,
                heal_ns=plan.phases.heal_ns,
                horizon_ns=plan.phases.horizon_ns,
                reaches_healed=self._reaches_healed(program.client),
            )
            self.threads.append(thread)
            world.entrypoints[program.client] = thread.entrypoint
            world.on_client_crash[program.client] = thread.on_crash

    def _reaches_healed(self, client: str) -> bool:
        """Whether a client can count on an answer after the heal: one that sticks to a home needs that home healed."""
        phases, actor = self.plan.phases, self.plan.actors[client]
        if phases.heal == "total":
            return True
        return client in phases.healed and (actor.routing != "home" or actor.home in phases.healed)

    def _heal(self, _: None) -> None:
        self.world.log.keep_from_here()
        self._heal_index = self.world.log.index
        self._standing = self.world.observer.standing()
        self.world.nemesis.heal()
        self._look(None)

    def _look(self, _: None) -> None:
        """Is the run over? Threads outside the healed set may never be done."""
        kernel = self.world.kernel
        if self.converged_ns is None and self._has_converged():
            self.converged_ns = kernel.now
        if all(thread.done or not thread.reaches_healed for thread in self.threads) and self._has_converged():
            self.converged_ns = self.converged_ns or kernel.now
            kernel.stop("done")
        else:
            kernel.exactly(kernel.now + _LOOK_NS, self._look)

    def _has_converged(self) -> bool:
        """Whether every healed replica that can be up has applied the same state, up to the leader's commit."""
        world = self.world
        for group in self.plan.groups:
            leader = world.observer.leader(group)
            if leader is None:
                return False
            committed = world.observer.committed(group, leader)
            states = set()
            for name in self._healed_replicas(group):
                states.add(world.observer.applied(group, name))
            if len(states) != 1:
                return False
            state = states.pop()
            if state is None or state[0] < committed:
                return False
        return True

    def _healed_replicas(self, group: str) -> list[str]:
        plan = self.plan
        healed = plan.phases.healed if plan.phases.heal == "partial" else plan.nodes
        return [name for name in plan.groups[group].voters if name in healed and not self.world.hosts[name].refused]

    def _stop_until(self, _: None) -> None:
        """Stop here, and keep what each replica that is up says of itself."""
        self._state = {
            name: host.server.inspect() for name, host in self.world.hosts.items() if host.server is not None
        }
        self.world.kernel.stop("until")

    def _watch_index(self, _: None) -> None:
        kernel = self.world.kernel
        assert self._until_index is not None
        if self.world.log.index > self._until_index:
            self._stop_until(None)
        else:
            kernel.exactly(kernel.now + 100_000, self._watch_index)

    # -- afterwards -----------------------------------------------------------------------------------------------

    def judge(self, *, gates: bool = True, liveness: bool = True) -> Outcome:
        """Check what happened, and say it."""
        plan, world = self.plan, self.world
        fingerprint = world.log.close()
        world.invariants.finish(world.log.index)
        outcomes = world.nemesis.finish()
        history = History(tuple(world.recorder.history))
        verdicts = [
            check(history, plan.check.model, step_limit=plan.check.step_limit, state_limit=plan.check.state_limit),
            _verdict("raft", world.violations),
            _verdict("node", world.node_anomalies),
        ]
        if liveness and plan.check.liveness and self.classification.plan_class == "tolerable":
            verdicts.append(self._judge_liveness())
        if gates:
            verdicts.append(gate.judge(plan, history, outcomes, self.capabilities))
        verdict = merge(verdicts)
        judged = tuple(self._judged(anomaly) for anomaly in verdict.anomalies)
        ops = Counter(op.type for op in history if op.type != "invoke")
        return Outcome(
            plan=plan,
            binding={},
            plan_sha256=plan.sha256,
            fingerprint=fingerprint,
            history_sha256=hashlib.sha256(history.to_jsonl()).hexdigest(),
            history=tuple(history),
            rows=world.log.kept if world.log.kept_from == 0 else None,
            verdict=verdict,
            plan_class=self.classification.plan_class,
            anomalies=judged,
            primary=primary(judged),
            ops={kind: ops[kind] for kind in ("ok", "fail", "info")},
            faults={
                "planned": len(outcomes),
                **{word.replace("-", "_"): sum(1 for value in outcomes.values() if value == word) for word in OUTCOMES},
            },
            fault_outcomes=outcomes,
            messages=world.network.messages,
            simulated_ns=world.kernel.now,
            wall_seconds=0.0,
            check_seconds=0.0,
            recovery_ms=self._recovery_ms(),
            resolved_options=self.resolved[next(iter(self.resolved))],
            code_digest="",
            marks=dict(sorted(world.recorder.marks.items())),
            metrics=self._metrics(ops["ok"]),
            stopped=world.kernel.why,
        )

    def _judge_liveness(self) -> Verdict:
        plan, log = self.plan, self.world.log
        if not self.world.nemesis.healed or log.kept_from is None:
            return Verdict(validity="unknown", checker="liveness", reason="the run ended before the heal")
        bound = Bound(
            heal_ns=plan.phases.heal_ns, timeout_ns=self._election_timeout_ns(), timeouts=plan.check.bound_timeouts
        )
        return judge_liveness(
            log.kept[self._heal_index - log.kept_from :],
            self.world.recorder.history,
            healed={group: self._healed_replicas(group) for group in plan.groups},
            bound=bound,
            end_ns=self.world.kernel.now,
            first_index=self._heal_index,
            standing=self._standing,
        )

    def _election_timeout_ns(self) -> int:
        """The largest election timeout a node can draw: timeouts are uniform in [T, 2T)."""
        resolved = self.resolved[next(iter(self.resolved))]
        return 2 * int(resolved.get("election_timeout_ms", 150)) * 1_000_000

    def _judged(self, anomaly: Anomaly) -> JudgedAnomaly:
        return JudgedAnomaly(
            kind=anomaly.kind,
            signature=anomaly.signature,
            checker=anomaly.checker,
            index=anomaly.index,
            allowed=self.classification.allows(anomaly.signature),
            message=anomaly.message,
            evidence=anomaly.evidence,
        )

    def _recovery_ms(self) -> float | None:
        """From the heal to the first ok completion of an op that began after it."""
        times = [t.first_ok_after_heal_ns for t in self.threads if t.first_ok_after_heal_ns is not None]
        return (min(times) - self.plan.phases.heal_ns) / 1e6 if times else None

    def _metrics(self, ok: int) -> dict[str, Any]:
        kernel, network = self.world.kernel, self.world.network
        counts = self.world.invariants.counts if self.world.violations else {}
        return {
            "events": kernel.pops,
            "passes": kernel.passes,
            "delivered": network.delivered,
            "rows": self.world.log.base,
            **({"state": self._state} if self._state else {}),
            "elections": self.world.observer.elections,
            "messages_per_op": round(network.messages / ok, 3) if ok else None,
            "converged_ms": (self.converged_ns - self.plan.phases.heal_ns) / 1e6 if self.converged_ns else None,
            "violations": {f"{g}/{kind}": n for (g, kind), n in sorted(counts.items())},
        }


def primary(anomalies: tuple[JudgedAnomaly, ...]) -> str | None:
    """The signature of the earliest broken invariant, else of the earliest checker anomaly; ties by name."""
    if not anomalies:
        return None

    def rank(anomaly: JudgedAnomaly) -> tuple[int, int, str]:
        invariant = anomaly.checker in ("raft", "node", "run")
        return (0 if invariant else 1, anomaly.index if anomaly.index is not None else 2**62, anomaly.signature)

    return min(anomalies, key=rank).signature


def _verdict(checker: str, anomalies: list[Anomaly]) -> Verdict:
    return Verdict(validity="invalid" if anomalies else "valid", checker=checker, anomalies=tuple(anomalies))
