"""One run: from a plan and a binding to an outcome.

The phases in order: warm-up, faults, heal, recovery, quiet, final reads. What happens after the heal is led by
`recovery`; the run ends when every thread of the healed set is done and the healed replicas agree, when something is
overdue, or at the horizon. Then the history is checked, liveness is judged (tolerable plans only), the gates are asked,
and everything is merged: invalid > unknown > valid.

`run` is a pure function of its arguments, but for the wall-clock figures in the outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from checkers import check
from checkers.op import Op
from checkers.raft.liveness import Bound, Standing, first_fresh_ok
from checkers.raft.liveness import judge as judge_liveness
from checkers.raft.reads import CHECKER as READS
from checkers.verdict import Anomaly, Verdict, merge
from harness.judged import JudgedAnomaly, judged
from harness.options import OptionValues
from harness.outcome import FaultCounts, Metrics, OpCounts, Outcome
from harness.plans.classify import Classification, classify, lost_nodes
from harness.plans.drawn_options import longest_election_timeout_ns
from harness.plans.plan import Plan
from harness.sim.process import SimProcess
from harness.sim.recorder import Sink
from harness.sim.replies import CHECKER as CLIENT
from harness.sim.replies import Replies, reads_by_lease
from harness.sim.world import SimWorld
from harness.systems.binding import Binding
from harness.systems.catalog import load_systems
from harness.systems.system import System

from . import exceptions, sessions
from . import gates as gate
from .calm import CalmWatch, pace_of
from .declarations import undeclared
from .interpreter import Thread
from .marks import marks_of
from .recovery import LOOK_EVERY_NS, Recovery


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is made and judged. None of it changes what happens up to the instant at which the run ends."""

    keep_rows: bool = False
    stop_at_first: bool = False
    """End at the first broken invariant."""
    gates: bool = True
    explain: bool = True
    """Say why a history is wrong, and not only that it is: mostly longer than the run."""
    can_branch: bool = False
    """Whether the run can go on in other ways from some moment on (`multiverse`)."""
    primary_only: bool = False
    """Judge no further than the primary signature needs: a broken invariant comes before what any checker finds."""
    until_ns: int | None = None
    until_index: int | None = None
    """Stop at this instant, or soon after this index of the trace, and keep the state of every node."""

    @property
    def is_partial(self) -> bool:
        """Whether the run stops early: gates and liveness say nothing about a part of a run."""
        return self.until_ns is not None or self.until_index is not None


WHOLE: Final = RunOptions()
"""A run to its end, judged in every respect, without its trace."""


def run(plan: Plan, binding: Binding, options: RunOptions = WHOLE, sink: Sink | None = None) -> Outcome:
    """Run a plan in the simulated world and judge it. Raises ValueError for options that the code does not know.

    The `sink` is given the history and the whole trace while the run goes on.
    """
    began = time.perf_counter()
    simulation = Simulation(plan, load_systems(binding), options, sink)
    simulation.run()
    return outcome_of(simulation, binding, began)


def outcome_of(simulation: Simulation, binding: Binding, began: float) -> Outcome:
    """Judge a simulation that has run; it began when `time.perf_counter` showed `began`."""
    ran = time.perf_counter()
    outcome = simulation.judge()
    ended = time.perf_counter()
    return msgspec.structs.replace(
        outcome,
        binding=binding.recorded(),
        code_digest=binding.code_digest,
        check_seconds=round(ended - ran, 6),
        wall_seconds=round(ended - began, 6),
    )


class Simulation:
    """A world with its threads, run once."""

    def __init__(
        self, plan: Plan, systems: Mapping[str, System], options: RunOptions = WHOLE, sink: Sink | None = None
    ) -> None:
        self.plan = plan
        self.systems = systems
        self.capabilities = frozenset(word for system in systems.values() for word in system.capabilities)
        self.options = options
        self.world = SimWorld(
            plan,
            systems,
            keep_rows=options.keep_rows,
            stop_at_first=options.stop_at_first,
            sink=sink,
            can_branch=options.can_branch,
        )
        self._options = self.world.versions.resolved()
        self.threads: list[Thread] = []
        self.checkpoints: dict[int, Callable[[int], None]] = {}
        """What is called with a moment when the run is there, before any event of that instant."""
        self.replies = Replies(plan.check.model, self.world.recorder, self.world.observer.reads, plan.actors)
        self.replies.reads.reads_by_lease = partial(reads_by_lease, self.world.hosts)
        self.classification: Classification = classify(plan)
        self._heal_index = 0
        self._is_live = plan.check.liveness and self.classification.plan_class == "tolerable"
        self._bound = Bound(
            heal_ns=plan.phases.heal_ns,
            timeout_ns=longest_election_timeout_ns(self._options),
            timeouts=plan.check.bound_timeouts,
        )
        self._state: dict[str, Any] = {}
        self._standing: dict[tuple[str, str], Standing] = {}
        self._attach_programs()
        pace = pace_of(plan, self._options) if self._is_live and self._has_leader else None
        self.recovery = Recovery(
            plan,
            self.world,
            self.threads,
            bound=self._bound,
            heartbeat_ns=int(self._options.get("heartbeat_ms", 0)) * 1_000_000,
            is_judged=self._is_live,
            capabilities=self.capabilities,
            is_orderly=pace is not None and bool(self._options.get("pre_vote")),
            has_converged=self._has_converged,
        )
        self.calm = None if pace is None else CalmWatch(plan, self.world, pace, options=self._options)
        """Who watches for stretches in which a quorum can talk, where such a one can be judged."""

    def run(self, take_over: Callable[[], None] | None = None) -> None:
        """Run to the end, or to where the options say; there, `take_over` may go on with it in place of an end."""
        kernel, plan, until_ns = self.world.kernel, self.plan, self.options.until_ns

        def begin() -> None:
            for at_ns, call in self.checkpoints.items():
                kernel.between(at_ns, call, at_ns)
            for redraw in plan.schedule.redraws or ():
                kernel.between(redraw.at_ns, kernel.chance.redraw, redraw.key)
            if self.calm is not None:
                self.calm.begin()
            self.world.nemesis.schedule()
            kernel.exactly(plan.phases.heal_ns, self._heal)
            kernel.exactly(plan.phases.horizon_ns, lambda _: kernel.stop("horizon"))
            if until_ns is not None:
                kernel.exactly(until_ns, self._stop_until if take_over is None else lambda _: take_over())
            if self.options.until_index is not None:
                kernel.exactly(0, self._watch_index)

        self.world.run(begin)
        if self.calm is not None:
            self.calm.close()

    # -- while it runs --------------------------------------------------------------------------------------------

    def _attach_programs(self) -> None:
        plan, world = self.plan, self.world
        for program in plan.programs:
            actor = plan.actors[program.client]
            group = actor.groups[0]
            servers = plan.groups[group].voters
            system, given = self.systems[actor.code], world.versions.options(program.client)

            def new_client(
                environment: SimProcess, system: System = system, actor: Any = actor, group: str = group,
                servers: tuple[str, ...] = servers, given: OptionValues = given,
            ) -> Any:  # fmt: skip
                return system.client(environment, actor, group, servers, given)

            thread = Thread(
                program,
                thread_count=len(plan.programs),
                kernel=world.kernel,
                recorder=world.recorder,
                new_client=new_client,
                phases=plan.phases,
                replies=self.replies,
                reaches_healed=self._reaches_healed(program.client),
                closes_later=plan.phases.quiet_ns > 0,
            )
            self.threads.append(thread)
            world.entrypoints[program.client] = thread.entrypoint
            world.on_client_crash[program.client] = thread.on_crash

    @property
    def _has_leader(self) -> bool:
        return "leader" in self.capabilities

    def _reaches_healed(self, client: str) -> bool:
        """Whether a client can count on an answer after the heal.

        One that sticks to a home needs that home healed, and a member: one that was removed knows no leader, and a
        partial heal, or a node that is lost, leaves the members as they are.
        """
        phases, actor = self.plan.phases, self.plan.actors[client]
        lost = lost_nodes(self.plan)
        healed = phases.healed if phases.heal == "partial" else tuple(self.plan.actors)
        if client not in healed or actor.routing != "home" or (phases.heal == "total" and not lost):
            return client in healed
        configurations = (voters for fault in self.plan.faults for voters in fault.configurations)
        stays = all(actor.home in voters for voters in configurations)
        return stays and actor.home in healed and actor.home not in lost

    def _heal(self, _: None) -> None:
        self.world.log.keep_from_here()
        self._heal_index = self.world.log.index
        self._standing = self.world.observer.standing()
        self.world.nemesis.heal()
        self._stop_if_over(None)

    def _stop_if_over(self, _: None) -> None:
        """Is the run over?"""
        kernel = self.world.kernel
        why = self.recovery.look(kernel.now)
        if why is not None:
            kernel.stop(why)
        else:
            kernel.exactly(kernel.now + LOOK_EVERY_NS, self._stop_if_over)

    def _has_converged(self) -> bool:
        """Whether every healed replica that can be up has applied the same state, up to the leader's commit.

        A system without a leader does not say what it has applied: it is asked for progress only.
        """
        if not self._has_leader:
            return True
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
        """The members that are healed and can be up.

        Where some nodes are not healed, or lost for good, the members stay those that there are at that time.
        """
        plan, observer = self.plan, self.world.observer
        members: Sequence[str] = (*plan.groups[group].voters, *plan.groups[group].learners)
        if plan.phases.heal == "partial" or lost_nodes(plan):
            leader = observer.leader(group)
            in_force = observer.configurations.get((group, leader)) if leader is not None else None
            if in_force is not None:
                members = sorted({name for part in in_force for name in part})
        if plan.phases.heal == "partial":
            members = [name for name in members if name in plan.phases.healed]
        return [name for name in members if not self.world.hosts[name].refused]

    def _stop_until(self, _: None) -> None:
        """Stop here, and keep what each replica that is up says of itself."""
        self._state = {
            name: host.server.inspect() for name, host in self.world.hosts.items() if host.server is not None
        }
        self.world.kernel.stop("until")

    def _watch_index(self, _: None) -> None:
        kernel = self.world.kernel
        assert self.options.until_index is not None
        if self.world.log.index > self.options.until_index:
            self._stop_until(None)
        else:
            kernel.exactly(kernel.now + 100_000, self._watch_index)

    # -- afterwards -----------------------------------------------------------------------------------------------

    def judge(self) -> Outcome:
        """Check what happened, and say it."""
        plan, world, options = self.plan, self.world, self.options
        fingerprint = world.log.close()
        world.invariants.finish(world.log.index)
        world.invariants.release()  # the check of the history takes as much as the entries did
        outcomes = world.nemesis.finish()
        history, history_sha256 = world.recorder.history, world.recorder.close()
        raised, tracebacks = exceptions.summarize([*world.node_anomalies, *self.replies.anomalies()])
        told = [*raised, *world.versions.wrong, *undeclared(world, self.capabilities)]
        verdicts = [
            _verdict("raft", world.violations),
            _verdict("node", [anomaly for anomaly in told if anomaly.checker != CLIENT]),
            _verdict(CLIENT, [anomaly for anomaly in told if anomaly.checker == CLIENT]),
        ]
        judge_all = not (options.primary_only and any(verdict.anomalies for verdict in verdicts))
        if judge_all:
            checked = check(
                history,
                plan.check.model,
                step_limit=plan.check.step_limit,
                state_limit=plan.check.state_limit,
                explain=options.explain,
            )
            losses = [loss for thread in self.threads for loss in thread.sessions.losses]
            verdicts = [checked, *verdicts, sessions.judge(plan, self._options, losses), self.replies.reads.verdict()]
        if judge_all and not options.is_partial and self._is_live:
            verdicts.append(self._judge_liveness())
            if self.calm is not None:
                verdicts.append(self.calm.verdict(history))
        if options.gates and not options.is_partial:
            verdicts.append(gate.judge(plan, history, outcomes, self.capabilities))
        verdict = merge(verdicts)
        anomalies = tuple(
            judged(anomaly, allowed=self.classification.allows(anomaly.signature)) for anomaly in verdict.anomalies
        )
        ops = OpCounts.of(history)
        return Outcome(
            plan=plan,
            plan_sha256=plan.sha256,
            fingerprint=fingerprint,
            history_sha256=history_sha256,
            history=history,
            rows=world.log.kept if world.log.kept_from == 0 else None,
            verdict=verdict,
            plan_class=self.classification.plan_class,
            anomalies=anomalies,
            primary=primary(anomalies),
            ops=ops,
            faults=FaultCounts.of(outcomes, planned=len(outcomes)),
            fault_outcomes=outcomes,
            fault_hits=world.nemesis.hits,
            messages=world.network.messages,
            simulated_ns=world.kernel.now,
            recovery_ms=self._recovery_ms(),
            resolved_options=self._options,
            marks=dict(sorted((*world.recorder.marks.items(), *self._client_marks(history).items()))),
            metrics=self._metrics(ops.ok),
            stopped=world.kernel.why,
            tracebacks=tracebacks,
        )

    def _client_marks(self, history: Sequence[Op]) -> dict[str, int]:
        phases = self.plan.phases
        return marks_of(history, threads=len(self.plan.programs), warmup_ns=phases.warmup_ns, heal_ns=phases.heal_ns)

    def _judge_liveness(self) -> Verdict:
        plan, log = self.plan, self.world.log
        if not self.world.nemesis.healed or log.kept_from is None:
            return Verdict(validity="unknown", checker="liveness", reason="the run ended before the heal")
        return judge_liveness(
            log.kept[self._heal_index - log.kept_from :],
            self.world.recorder.history,
            healed={group: self._healed_replicas(group) for group in plan.groups} if self._has_leader else {},
            bound=self._bound,
            end_ns=self.world.kernel.now,
            first_index=self._heal_index,
            standing=self._standing,
            requests=self.recovery.requests(),
            quiet=self.recovery.quiet,
        )

    def _recovery_ms(self) -> float | None:
        """From the heal to the first ok completion of an op that began after it."""
        first_ns = first_fresh_ok(self.world.recorder.history, self._bound)
        return None if first_ns is None else (first_ns - self.plan.phases.heal_ns) / 1e6

    def _metrics(self, ok: int) -> Metrics:
        world, converged_ns = self.world, self.recovery.converged_ns
        kernel, network, observer = world.kernel, world.network, world.observer
        latencies = _latencies_ms(world.recorder.history)
        return Metrics(
            events=kernel.pops,
            passes=kernel.passes,
            delivered=network.delivered,
            rows=self.world.log.base,
            elections=observer.elections,
            leaderless_ms=observer.leaderless_ns / 1e6 if self._has_leader else None,
            messages_per_op=round(network.messages / ok, 3) if ok else None,
            converged_ms=(converged_ns - self.plan.phases.heal_ns) / 1e6 if converged_ns else None,
            latency_p50_ms=latencies[len(latencies) // 2] if latencies else None,
            latency_p99_ms=latencies[len(latencies) * 99 // 100] if latencies else None,
            fsyncs=sum(host.device.fsyncs for host in self.world.hosts.values()),
            violations=_violations(self.world),
            state=self._state,
        )


def _violations(world: SimWorld) -> dict[str, int]:
    """How often each invariant was broken in each group."""
    counts = world.invariants.counts if world.violations else {}
    return {f"{group}/{kind}": number for (group, kind), number in sorted(counts.items())}


def _latencies_ms(history: Sequence[Op]) -> list[float]:
    """How long each ok op took, sorted."""
    begun: dict[int | str, int] = {}
    latencies = []
    for op in history:
        if op.type == "invoke":
            begun[op.process] = op.time
        elif op.type == "ok":
            latencies.append((op.time - begun[op.process]) / 1e6)
    return sorted(latencies)


def primary(anomalies: tuple[JudgedAnomaly, ...]) -> str | None:
    """The signature of the earliest broken invariant, else of the earliest checker anomaly; ties by name.

    That a read was answered by a deposed leader comes last: where it did harm, what a client saw says more.
    """
    if not anomalies:
        return None

    def rank(anomaly: JudgedAnomaly) -> tuple[int, int, str]:
        kind = 0 if anomaly.checker in ("raft", "node", "run") else 2 if anomaly.checker == READS else 1
        return (kind, anomaly.index if anomaly.index is not None else 2**62, anomaly.signature)

    return min(anomalies, key=rank).signature


def _verdict(checker: str, anomalies: list[Anomaly]) -> Verdict:
    return Verdict(validity="invalid" if anomalies else "valid", checker=checker, anomalies=tuple(anomalies))
