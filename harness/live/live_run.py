"""One live run: start the nodes, wait for a leader, traffic and faults, the heal, final reads, and the verdict.

The phases are those of the plan by the wall clock, counted from when the cluster serves. After the heal each thread
makes its recovery op and its final reads, each until it is answered; the run ends when all have, or at the horizon.

What is judged: the history by the model of its workload; that no two nodes led in one term, as far as they tell; that
no node ended by itself; what sessions promise; and that the run says something (gates).
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from checkers import History, check
from checkers.raft.invariants import Invariants
from checkers.raft.liveness import Bound, first_fresh_ok
from checkers.trace import Row
from checkers.verdict import Anomaly, Verdict, merge
from harness.errors import BadInput
from harness.judged import judged
from harness.outcome import FaultCounts, Metrics, OpCounts, Outcome
from harness.plans.classify import classify
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import Plan
from harness.run import exceptions, gates, sessions
from harness.run.drawing import LiveNetwork
from harness.run.interpreter import Thread
from harness.run.runner import primary
from harness.sim.nemesis import Nemesis
from harness.sim.observer import Observer
from harness.sim.recorder import Recorder
from harness.sim.replies import CHECKER as CLIENT
from harness.sim.replies import Replies
from harness.systems.binding import RecordedBinding, RecordedCode
from harness.systems.system import SystemClient, require_members

from .addresses import Addresses
from .asking import Asking
from .callers import Sockets, caller
from .clients import ClientTask
from .drawing import CLOCK_OFF, LATE, possible
from .fault_world import LiveFaultWorld
from .interrupts import run_in_trio, terminated_as_interrupted
from .lateness import Lateness
from .mistakes import mistakes_told
from .namespaces import Namespaces, kinds_with
from .network import Network
from .proxies import Proxy
from .specs import WORLD
from .supervisor import Launch, Supervisor
from .systems.system import LiveClient, LiveSystem, Site
from .timetable import Timetable

READY_SECONDS_MAX: Final = 60
"""A cluster that does not serve by then never will."""
_ASK_READY_SECONDS: Final = 0.05
_RESTART_NS: Final = 1_000_000_000
"""How long after its disk has ended it a node is started again, as by an init system."""
_TIMEOUT_MS: Final = 1000
"""Election timeout of a system that does not say its own."""
_LOOK_NS: Final = 50_000_000
"""How often, after the heal, it is asked whether all is done."""
_JUDGED: Final = ("start", "crash", "role", "term")
"""Rows that say enough to be judged without those that a process does not tell."""

_LOG_BYTES_MAX: Final = 4 << 20
"""Of the log of each node, the end is kept in the run folder."""


class LiveResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left: its outcome, and the logs of its nodes."""

    outcome: Outcome
    logs: dict[str, bytes]


class _NeverServed(BadInput):
    """The nodes were started, and go on to run, but are no cluster: on a machine that is too busy, say."""


def run(
    plan: Plan, system: LiveSystem, *, network: LiveNetwork = "proxies", may_never_serve: bool = False
) -> LiveResult:
    """Run a plan with real processes and judge it. Leaves no process behind, however it ends. Raises BadInput.

    `network`: faults of links are brought about by proxies, or in network namespaces, where the harness must be in one.
    `may_never_serve`: a cluster that does not serve in time is a run that says nothing, and no error.
    """
    began = time.perf_counter()
    has_namespaces = network == "namespaces"
    plan = possible(plan, kinds_with(network, system.fault_kinds), tells_votes=system.tells_terms)
    try:
        options = system.resolve(plan.options)
    except ValueError as error:
        raise BadInput(" ".join(str(error).split()), f"options that {system.name} understands", "the plan") from error
    if len(plan.groups) > 1:
        raise BadInput(f"{len(plan.groups)} groups", "one: a live cluster has one", f"workload {plan.drawn.workload}")
    addresses = Addresses(plan.nodes, plan.clients, system.ports, has_namespaces=has_namespaces)
    with (
        mistakes_told(system.code),
        terminated_as_interrupted(),
        tempfile.TemporaryDirectory(prefix="foreshock-live-", ignore_cleanup_errors=True) as folder,
    ):
        logs = Path(folder, "logs")
        logs.mkdir()

        def launch(name: str) -> Any:
            launch = system.launch(site, name)
            if not isinstance(launch, Launch):
                raise BadInput(f"{launch!r}", "`launch` to return a Launch", system.name)
            return live.namespaces.inside(name, launch) if live.namespaces is not None else launch

        with Supervisor(logs, launch) as supervisor:
            site = Site(
                plan=plan,
                options=options,
                addresses=addresses,
                data=Path(folder),
                supervisor=supervisor,
                inside=system.inside(plan, Path(folder)),
            )
            live = LiveRun(site, system, has_namespaces=has_namespaces)
            try:
                run_in_trio(live.run)
            except _NeverServed:
                if not may_never_serve:
                    raise
                live.never_served = True
            finally:
                if live.namespaces is not None:
                    live.namespaces.close()
        ran = time.perf_counter()
        outcome = live.judge()
        kept = {name: _end_of(supervisor.log(name)) for name in plan.nodes}
    ended = time.perf_counter()
    outcome = msgspec.structs.replace(
        outcome, check_seconds=round(ended - ran, 6), wall_seconds=round(ended - began, 6)
    )
    return LiveResult(outcome=outcome, logs=kept)


def _end_of(path: Path) -> bytes:
    return path.read_bytes()[-_LOG_BYTES_MAX:] if path.exists() else b""


def _no_cluster() -> str:
    return f"no cluster within {READY_SECONDS_MAX} s"


class LiveRun:
    """Nodes, proxies, clients and nemesis of one run."""

    def __init__(self, site: Site, system: LiveSystem, *, has_namespaces: bool = False) -> None:
        plan = site.plan
        self._site, self._plan, self._system = site, plan, system
        self._timetable = Timetable()
        self.namespaces = Namespaces(site.addresses, site.supervisor, self._now) if has_namespaces else None
        """Where the network is the kernel's."""
        self.never_served = False
        """Whether the nodes were no cluster in time."""
        self._network: Network | Namespaces = self.namespaces or Network(plan.schedule.seed)
        self._invariants = Invariants(
            {name: group.voters for name, group in plan.groups.items()},
            learners={name: group.learners for name, group in plan.groups.items()},
            durable_facts=False,
        )
        self._observer = Observer(plan.nodes, site.supervisor.is_up, lambda group, actor: (0, 0, b""), lambda *_: 0)
        self._recorder = Recorder(self._timetable, self._handlers())
        self._clients = {
            name: ClientTask(name, site.addresses.of_client(name), self._timetable, partial(self._network.heard, name))
            for name in plan.clients
        }
        self._replies = Replies(plan.check.model, self._recorder)
        self._world: LiveFaultWorld | None = None  # once faults can happen
        self._deaths: list[Anomaly] = []
        self._outcomes: dict[str, str] = {}
        self._hits: dict[str, int] = {}
        self._lasted_ns = 0
        self._lateness = Lateness()

    # -- while it runs ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end."""
        trio.socket.set_custom_socket_factory(Sockets())
        plan, supervisor, timetable = self._plan, self._site.supervisor, self._timetable
        supervisor.on_death = self._died
        async with trio.open_nursery() as nursery:
            if isinstance(self._network, Network):
                await self._start_proxies(self._network, nursery)
            if self._site.inside is not None:
                await nursery.start(self._site.inside.run)
            started = [name for name in plan.nodes if not self._system.is_out(self._site, name)]
            for name in started:
                supervisor.start(name, nursery)
            await self._until_ready()
            timetable.begin()
            for name in started:
                self._recorder.row("start", name, supervisor.incarnations[name], plan.actors[name].code)
            nursery.start_soon(self._system.watch, self._site, self._tell)
            nursery.start_soon(self._lateness.watch)
            self._world = self._fault_world(nursery)
            nemesis = Nemesis(plan, self._world)
            self._observer.on_leader = nemesis.on_leader
            threads = self._start_clients(nursery)
            nemesis.schedule()
            timetable.call_at(plan.phases.heal_ns, self._heal, nemesis)
            timetable.call_at(plan.phases.heal_ns, self._stop_if_done, threads)
            timetable.call_at(plan.phases.horizon_ns, timetable.stop, "horizon")
            await timetable.run()
            self._lasted_ns = timetable.now
            self._outcomes, self._hits = nemesis.finish(), nemesis.hits
            nursery.cancel_scope.cancel()

    def _now(self) -> int:
        return self._timetable.now

    async def _start_proxies(self, network: Network, nursery: trio.Nursery) -> None:
        addresses = self._site.addresses
        for name in self._plan.nodes:
            for port in addresses.ports:
                own, told = addresses.own(name, port), addresses.told(name, port)
                await nursery.start(Proxy(name, own, told, network, self._caller).run)

    def _caller(self, local: tuple[str, int], remote: tuple[str, int]) -> str | None:
        return self._site.addresses.client_at(local[0]) or caller(local, remote, self._site.supervisor.pids())

    async def _until_ready(self) -> None:
        """Wait until the cluster serves. Raises BadInput if it does not, with what a node said last."""
        with trio.move_on_after(READY_SECONDS_MAX):
            while not self._deaths and not await self._system.is_ready(self._site):  # noqa: ASYNC110
                await trio.sleep(_ASK_READY_SECONDS)  # what happens outside sends no event
            if not self._deaths:
                return
        supervisor = self._site.supervisor
        refuse = BadInput if self._deaths else _NeverServed
        speaks = next((name for name in self._plan.nodes if not supervisor.is_up(name)), self._plan.nodes[0])
        lines = "".join(f"\n  {line}" for line in supervisor.last_lines(speaks)) or " nothing"
        what = "a node that ended" if self._deaths else _no_cluster()
        raise refuse(
            f"{what}; {speaks} said last:{lines}", "nodes that start and serve as a cluster", self._system.name
        )

    def _start_clients(self, nursery: trio.Nursery) -> list[Thread]:
        plan, threads = self._plan, []
        for program in plan.programs:
            task, actor = self._clients[program.client], plan.actors[program.client]

            def new_client(tasks: trio.Nursery, name: str = program.client, actor: Any = actor) -> LiveClient:
                client = self._system.client(self._site, name, actor, tasks)
                require_members(client, SystemClient, "client()")
                require_members(client, LiveClient, "client()")
                return client

            task.thread = Thread(
                program,
                thread_count=len(plan.programs),
                kernel=self._timetable,
                recorder=self._recorder,
                new_client=task.opening(new_client),
                phases=plan.phases,
                replies=self._replies,
                reaches_healed=True,
            )
            threads.append(task.thread)
            task.start(nursery)
        return threads

    def _fault_world(self, nursery: trio.Nursery) -> LiveFaultWorld:
        return LiveFaultWorld(
            self._plan,
            timetable=self._timetable,
            recorder=self._recorder,
            network=self._network,
            observer=self._observer,
            supervisor=self._site.supervisor,
            clients=self._clients,
            nursery=nursery,
            on_killed=lambda name: self._system.last_words(self._site, name, self._tell),
            asking=Asking(self._administer, self._timetable, nursery),
            is_out=partial(self._system.is_out, self._site),
            inside=self._site.inside,
        )

    def _handlers(self) -> dict[str, Callable[[int, Row], None]]:
        """Let the observer follow the trace, and the invariants as much of it as they can judge here."""
        handlers = dict(self._observer.handlers())
        for kind in _JUDGED if self._system.tells_terms else ():
            judge, observe = self._invariants.HANDLERS[kind], handlers.get(kind)

            def both(index: int, row: Row, judge: Callable[[int, Row], None] = judge, observe: Any = observe) -> None:
                if observe is not None:
                    observe(index, row)
                judge(index, row)

            handlers[kind] = both
        return handlers

    def _tell(self, node: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._recorder.notes(node, list(rows))

    def _heal(self, nemesis: Nemesis) -> None:
        nemesis.heal()

    def _stop_if_done(self, threads: Sequence[Thread]) -> None:
        timetable = self._timetable
        if all(thread.done for thread in threads):
            timetable.stop("done")
        else:
            timetable.call_at(timetable.now + _LOOK_NS, self._stop_if_done, threads)

    async def _administer(self, node: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Ask a node, and start those that are members again."""
        system, site = self._system, self._site
        were_out = [name for name in self._plan.nodes if system.is_out(site, name)]
        taken = await system.administer(site, node, command, arguments)
        for name in were_out:
            if not system.is_out(site, name):
                self._restart(name)
        return taken

    def _died(self, name: str, how: str) -> None:
        """A node ended though nobody killed it. One that is no member may; one that was right to comes back."""
        if self._system.is_out(self._site, name):
            self._recorder.row("crash", name, self._site.supervisor.incarnations[name], "out")
            return
        if self._world is not None and (why := self._system.ended_rightly(self._site, name)):
            self._system.last_words(self._site, name, self._tell)
            self._recorder.row("crash", name, self._site.supervisor.incarnations[name], why)
            self._timetable.call_at(self._timetable.now + _RESTART_NS, self._restart, name)
            return
        lines = self._site.supervisor.last_lines(name)
        said = "".join(f"\n  {line}" for line in lines) if lines else " nothing"
        self._system.last_words(self._site, name, self._tell)
        self._recorder.row("crash", name, self._site.supervisor.incarnations[name], "died")
        self._deaths.append(
            Anomaly(
                checker="node",
                kind="died",
                index=self._timetable.log.index - 1,
                message=f"{name} ended by itself ({how}); it said last:{said}",
                evidence={"node": name, "how": how, "log": lines},
            )
        )

    def _restart(self, name: str) -> None:
        assert self._world is not None, "set before faults begin"
        if not self._timetable.closed and not self._site.supervisor.is_up(name):
            self._world.start(name)

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def judge(self) -> Outcome:
        """Check what happened, and say it."""
        plan, system, log = self._plan, self._system, self._timetable.log
        log.close()
        history = History(tuple(self._recorder.history))
        limits, options = plan.check, self._site.options
        timeout_ms = int(options.get("election_timeout_ms", _TIMEOUT_MS))
        losses = [loss for task in self._clients.values() if task.thread for loss in task.thread.sessions.losses]
        raised, tracebacks = exceptions.summarize(self._replies.anomalies())
        verdicts = [
            check(history, limits.model, step_limit=limits.step_limit, state_limit=limits.state_limit),
            _verdict("raft", self._invariants.anomalies),
            _verdict("node", self._deaths),
            _verdict(CLIENT, raised),
            sessions.judge(plan, options, losses),
            self._lateness.explained(gates.judge(plan, history, self._outcomes, ()), timeout_ms),
        ]
        if self.never_served:
            verdicts = [Verdict(validity="unknown", checker="cluster", reason=_no_cluster())]
        verdict, classification = merge(verdicts), classify(plan)
        anomalies = tuple(
            judged(anomaly, allowed=classification.allows(anomaly.signature)) for anomaly in verdict.anomalies
        )
        return Outcome(
            plan=plan,
            plan_sha256=plan.sha256,
            fingerprint="",
            history_sha256=hashlib.sha256(history.to_jsonl()).hexdigest(),
            history=tuple(history),
            rows=log.kept,
            verdict=verdict,
            plan_class=classification.plan_class,
            anomalies=anomalies,
            primary=primary(anomalies),
            ops=OpCounts.of(history),
            faults=FaultCounts.of(self._outcomes, planned=len(self._outcomes)),
            fault_outcomes=dict(self._outcomes),
            fault_hits=dict(self._hits),
            messages=self._network.counts["pieces"],
            simulated_ns=self._lasted_ns,
            recovery_ms=self._recovery_ms(),
            resolved_options=options,
            marks={
                **dict(sorted(self._recorder.marks.items())),
                **dict(sorted(self._network.counts.items())),
                LATE: self._lateness.ms_max,
                **self._clock_marks(),
            },
            metrics=Metrics(
                events=0,
                passes=0,
                delivered=self._network.counts["pieces"],
                rows=log.base,
                elections=self._observer.elections,
                messages_per_op=None,
                converged_ms=None,
                violations={},
            ),
            stopped=self._timetable.why,
            tracebacks=tracebacks,
            binding=RecordedBinding(
                codes={DEFAULT_LABEL: RecordedCode(spec=WORLD + system.code.spec, digest=system.code.digest)}
            ),
            code_digest=system.code.digest,
        )

    def _clock_marks(self) -> dict[str, int]:
        """By how much clocks were off, if they were."""
        off_ns = 0 if self._site.inside is None else self._site.inside.off_ns_max
        return {CLOCK_OFF: off_ns // 1_000_000} if off_ns else {}

    def _recovery_ms(self) -> float | None:
        """From the heal to the first ok completion of an op that began after it."""
        heal_ns = self._plan.phases.heal_ns
        first_ns = first_fresh_ok(self._recorder.history, Bound(heal_ns=heal_ns, timeout_ns=0, timeouts=0))
        return None if first_ns is None else (first_ns - heal_ns) / 1e6


def _verdict(checker: str, anomalies: Sequence[Anomaly]) -> Verdict:
    return Verdict(validity="invalid" if anomalies else "valid", checker=checker, anomalies=tuple(anomalies))
