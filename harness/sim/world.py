"""The simulated world: the hosts, links, disks and clocks of one plan, and the processes on them.

Who owns what:

* the world starts, crashes and restarts processes, and ends the run;
* a `SimHost` (host.py) owns clocks, pauses and power, and the timing of its disk (device.py);
* a `SimProcess` (process.py) owns the inbox, the timer and the lifetime of one incarnation, and a driver (drivers.py)
  runs its code;
* the `Network` owns links and the delays of messages;
* the nemesis decides when hosts and links go wrong.

The world does not know what an actor does: servers come from the system's adapter, and the code of clients is put into
`entrypoints`.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import trio

from checkers.raft.invariants import Invariants
from checkers.trace import Row
from checkers.verdict import Anomaly
from harness.errors import BadInput
from harness.plans.plan import DiskSpec, Plan
from harness.systems.programs import native
from harness.systems.programs.program import TrioProgram
from harness.systems.system import Refusal, System, SystemServer, require_members

from .disk import Keeps
from .drivers import ClientDriver, Create, Entrypoint, ServerDriver, Start
from .fault_world import SimFaultWorld
from .host import SimHost
from .kernel import trio_seam
from .kernel.events import Kernel
from .kernel.fingerprint import Log
from .kernel.livelock import Livelock, events_per_second_max
from .kernel.local_clock import LocalClock
from .lifetime import Lifetime
from .nemesis import Nemesis
from .network import Network
from .observer import Observer
from .process import Driver, SimProcess
from .programs.driver import driver_of
from .promises import Promises
from .recorder import Recorder, Sink, both
from .versions import Versions

WORLD: Final = b"sim/1"
"""Name and version of this world; part of every fingerprint. Bumped when equal plans come to mean other runs."""

MARKS: Final = ("storage: a power loss took writes that were not durable",)
"""Coverage marks that the world notes itself."""

_MONOTONIC_APART_NS: Final = 1_000_000_000_000
"""Each actor's monotonic clock starts elsewhere, so that comparing two actors' clocks shows at once."""

_SCRIPTED_EVENTS_PER_SECOND_MAX: Final = 2_000_000
"""In a scenario time hardly moves, and an exchange without end is ended by the number of its messages."""

_SUPERVISOR_DELAY_NS: Final = 1_000_000_000
"""A replica whose code raised is started again after this time, as a process supervisor would."""


class LingeringTask(Exception):
    """A killed actor's task did not end."""


class SimWorld:
    """One run's world, from construction to `run`."""

    def __init__(
        self,
        plan: Plan,
        systems: Mapping[str, System],
        *,
        keep_rows: bool = False,
        manual: bool = False,
        stop_at_first: bool = False,
        sink: Sink | None = None,
        can_branch: bool = False,
    ) -> None:
        self.plan, self.systems = plan, systems
        self.log = Log(keep=keep_rows, can_restart=can_branch)
        self.log.seed(WORLD, plan.to_json())
        schedule = plan.schedule
        self.kernel = Kernel(
            seed=schedule.seed,
            log=self.log,
            will_redraw=can_branch or bool(schedule.redraws),
            policy=schedule.policy,
            depth=schedule.depth,
            quantum_ns=schedule.quantum_ns,
            events_per_second_max=_SCRIPTED_EVENTS_PER_SECOND_MAX if manual else _events_per_second_max(plan),
        )
        self.invariants = invariants = Invariants(
            {name: group.voters for name, group in plan.groups.items()},
            learners={name: group.learners for name, group in plan.groups.items()},
        )
        self.observer = Observer(plan.nodes, lambda name: self.hosts[name].is_up, invariants.progress, invariants.term)
        self.node_anomalies: list[Anomaly] = []
        handlers = _chain(self.observer.handlers(), self.invariants.HANDLERS)
        if stop_at_first:
            handlers = {kind: _stopping(self, handler) for kind, handler in handlers.items()}
        self.recorder = Recorder(self.kernel, handlers, sink)
        self.hosts: dict[str, SimHost] = {}
        self.versions = Versions(plan, systems, self.recorder.marks, self.hosts)
        reference = self.versions.reference
        promises = Promises(reference, invariants, self.log)
        self.network = Network(
            self.kernel,
            self.recorder.row,
            reference.kind_of,
            overrides=plan.overrides,
            watched=promises.watched,
            watch=promises.read,
            awaited=promises.awaited,
            lie_of=getattr(reference, "lie_of", lambda frame: None),
        )
        self.entrypoints: dict[str, Entrypoint] = {}
        self.on_client_crash: dict[str, Callable[[], None]] = {}
        self._manual = manual  # messages between replicas wait for a script
        self._nursery: trio.Nursery | None = None
        self._build()
        faults = SimFaultWorld(
            plan,
            kernel=self.kernel,
            recorder=self.recorder,
            network=self.network,
            hosts=self.hosts,
            observer=self.observer,
            processes=self,
            versions=self.versions,
        )
        self.nemesis = Nemesis(plan, faults)
        self.observer.on_leader = self.nemesis.on_leader

    def run(self, begin: Callable[[], None]) -> None:
        """Run to the end. `begin` is called at virtual time 0, after all actors were started, to schedule the rest.

        Raises whatever the harness itself did wrong; what the system does wrong becomes an anomaly.
        """

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for name in sorted(self.plan.actors):
                    self.start(name)
                begin()
                await self.kernel.supervise()
                nursery.cancel_scope.cancel()

        are_programs = any(isinstance(system, TrioProgram) for system in self.systems.values())
        with native.refused() if are_programs else contextlib.nullcontext():
            trio_seam.run(main, self.kernel, collects=not are_programs)
        error = self.kernel.error
        if isinstance(error, Livelock):
            self.node_anomalies.append(self._anomaly("run", "livelock", error.detail, str(error)))
        elif error is not None:
            raise error

    @property
    def violations(self) -> list[Anomaly]:
        """Broken invariants, if the plan wants to hear of them. They are followed anyway: the observer asks them."""
        return self.invariants.anomalies if self.plan.check.invariants else []

    # -- processes ------------------------------------------------------------------------------------------------

    def start(self, name: str, code: str | None = None) -> None:
        """Start an actor that is down, with another code label if one is given."""
        host = self.hosts[name]
        if host.is_up or host.refused or self._nursery is None:
            return
        if code is not None:
            self.versions.install(name, code)
        host.incarnation += 1
        lifetime = Lifetime()
        process = SimProcess(
            name,
            host.ordinal,
            host.incarnation,
            kernel=self.kernel,
            clock=host.clock,
            pauses=host.pauses,
            background=host.background,
            device=host.device,
            lifetime=lifetime,
            send=self.network.sender(name, lifetime),
        )
        entrypoint = self.entrypoints.get(name)
        system = self.versions.system(name)
        if isinstance(system, TrioProgram):
            process.driver = driver_of(system, self.plan, process, host.incarnation, entrypoint, self.kernel)
        elif entrypoint is not None:
            process.driver = self.client_driver(process, entrypoint)
        else:
            process.driver = self.server_driver(process, self._creation_of(host, system), system.start)
        host.begin(process)
        self.recorder.row("start", name, host.incarnation, self.versions.code(name))
        self.kernel.spawn(self._nursery, self._run_process, host, process, name=f"{name}#{host.incarnation}")

    def crash(self, name: str, *, power: bool, reason: str, keeps: Keeps = "prefix") -> None:
        """Kill an actor; with `power` its disk loses what was not durable, in part, even if no process runs there."""
        host = self.hosts[name]
        process = host.process
        if process is None:
            if power and name not in self.entrypoints:
                self._lose_power(host, keeps)
            return
        self.recorder.row("crash", name, host.incarnation, reason)
        on_crash = self.on_client_crash.get(name)
        if on_crash is not None:
            on_crash()
        if not power:
            process.driver.before_kill()
        host.end()
        process.kill()
        if power and name not in self.entrypoints:
            self._lose_power(host, keeps)
        self.kernel.exactly(self.kernel.now, self._check_gone, process)

    def _lose_power(self, host: SimHost, keeps: Keeps) -> None:
        if host.device.lose_power(keeps):
            self.recorder.row("mark", host.name, MARKS[0])
        host.device.reread()

    def command(self, actor: str, group: str, name: str, arguments: dict[str, Any]) -> bool:
        """Run an administrator's command on a server that is up and not paused. True when it was taken."""
        host = self.hosts[actor]
        if host.server is None or host.process is None or host.paused:
            return False
        system = self.versions.system(actor)
        return host.process.driver.command(lambda server: system.command(server, group, name, arguments))

    def when_idle(self, actor: str, call: Callable[[], None]) -> None:
        """Call when a server that is busy with its disk takes commands again, if it is not killed before."""
        process = self.hosts[actor].process
        if process is not None:
            process.driver.when_idle(call)

    def client_driver(self, process: SimProcess, entrypoint: Entrypoint) -> Driver:
        """What runs the code of a client."""
        return ClientDriver(process, entrypoint)

    def server_driver(self, process: SimProcess, create: Create, start: Start) -> Driver:
        """What runs a server."""
        return ServerDriver(process, create, start, kernel=self.kernel, recorder=self.recorder)

    def _creation_of(self, host: SimHost, system: System) -> Create:
        plan, actor = self.plan, self.plan.actors[host.name]

        def create(process: SimProcess) -> SystemServer:
            groups = {group: plan.groups[group] for group in actor.groups}
            host.server = server = system.server(process, actor, groups, self.versions.options(host.name))
            if host.incarnation == 1:
                require_members(server, SystemServer, "server()")
            return server

        return create

    async def _run_process(self, host: SimHost, process: SimProcess) -> None:
        lifetime = process.lifetime
        try:
            with process.scope:
                if not lifetime.dead:
                    await process.driver.run()
        except Refusal as refusal:
            if not lifetime.dead:
                self._refuse(host, process, str(refusal))
        except Exception as error:
            if not lifetime.dead:
                self._fail(host, process, error)
        finally:
            lifetime.gone = True

    def _refuse(self, host: SimHost, process: SimProcess, reason: str) -> None:
        self.versions.note_refusal(host.name, reason, self.log.index)
        self.recorder.row("refuse", host.name, host.incarnation, reason)
        host.refused = reason
        host.end()
        process.end()
        if self.nemesis.has_healed(host.name):
            self.versions.renew(host.name)
            self.kernel.exactly(self.kernel.now + _SUPERVISOR_DELAY_NS, self.start, host.name)

    def _fail(self, host: SimHost, process: SimProcess, error: Exception) -> None:
        """The code of an actor raised: an anomaly of a server. What a client raises ends the run, and so does an
        adapter that cannot be used.

        A server whose disk has failed it is right to stop, with that error or one of its own that says so.
        """
        if host.name in self.entrypoints or isinstance(error, BadInput):
            self.kernel.stop("task", error)
            return
        error = _first_of(error)
        kind = type(error).__name__
        if self.versions.stops_rightly(host.name, error):
            self._refuse(host, process, str(getattr(error, "word", kind)))
            return
        is_of_disk = isinstance(error, OSError) or self.versions.system(host.name).is_disk_failure(error)
        if not (is_of_disk and process.lifetime.met_disk_error):
            message = f"{host.name}: the replica's code raised {kind}: {error}"
            anomaly = self._anomaly("node", "exception", kind, message)
            evidence = {"traceback": "".join(traceback.format_exception(error))}
            self.node_anomalies.append(msgspec.structs.replace(anomaly, evidence=evidence))
        self.recorder.row("crash", host.name, host.incarnation, kind)
        host.end()
        process.end()
        self.kernel.exactly(self.kernel.now + _SUPERVISOR_DELAY_NS, self.start, host.name)

    def _check_gone(self, process: SimProcess) -> None:
        if process.lifetime.gone:
            return
        if process.driver.tear_down():
            self.kernel.exactly(self.kernel.now, self._check_gone, process)
        else:
            self.kernel.stop(
                "lingering-task", LingeringTask(f"the task of {process.actor} did not end when it was killed")
            )

    def _anomaly(self, checker: str, kind: str, detail: str, message: str) -> Anomaly:
        return Anomaly(checker=checker, kind=kind, detail=detail, index=self.log.index, message=message)

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        plan, reference = self.plan, self.versions.reference
        processing_ns = (plan.schedule.processing_min_ns, plan.schedule.processing_max_ns)
        for ordinal, (name, actor) in enumerate(sorted(plan.actors.items())):
            spec = plan.clocks.actors.get(name)
            apart_ns = _MONOTONIC_APART_NS * (ordinal + 1)
            clock = LocalClock(
                self.kernel,
                monotonic_start_ns=apart_ns,
                wall_start_ns=plan.clocks.wall_start_ns + (spec.wall_offset_ns if spec is not None else 0),
                rate_ppm=spec.rate_ppm if spec is not None else 1_000_000,
            )
            is_node = actor.kind == "node"
            self.hosts[name] = SimHost(
                name,
                ordinal,
                kernel=self.kernel,
                recorder=self.recorder,
                clock=clock,
                disk=plan.disks.actors.get(name, plan.disks.default) if is_node else _NO_DISK,
                processing_ns=processing_ns if is_node else (0, 0),
                reader=reference.durable_reader() if is_node else None,
                regions=reference.disk_regions,
            )
        for source, source_actor in sorted(plan.actors.items()):
            for target, target_actor in sorted(plan.actors.items()):
                if source == target or (source_actor.kind == "client" and target_actor.kind == "client"):
                    continue
                between_nodes = source_actor.kind == target_actor.kind == "node"
                spec_ = plan.links.node if between_nodes else plan.links.client
                to_node = target_actor.kind == "node"
                self.network.connect(
                    source,
                    self.hosts[target],
                    spec_,
                    processing_ns if to_node else (0, 0),
                    manual=self._manual and between_nodes,
                )


_NO_DISK: Final = DiskSpec(fsync_min_ns=0, fsync_max_ns=0)


def _events_per_second_max(plan: Plan) -> int:
    """What the busiest second of the plan may cost."""
    begun = Counter(op.due_ns // 1_000_000_000 for program in plan.programs for op in program.ops)
    return events_per_second_max(actors=len(plan.actors), ops_per_second=max(begun.values(), default=0))


def _first_of(error: Exception) -> Exception:
    """The error of a group that comes first by its type's name: a nursery does not order what its tasks raised."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_first_of(leaf) for leaf in error.exceptions]
    return min(leaves, key=lambda leaf: type(leaf).__name__)


def _stopping(world: SimWorld, handler: Callable[[int, Row], None]) -> Callable[[int, Row], None]:
    """The handler, and an end of the run at the first violation."""

    def handle(index: int, row: Row) -> None:
        handler(index, row)
        if world.violations and not world.kernel.closed:
            world.kernel.exactly(world.kernel.now, lambda _: world.kernel.stop("violation"))

    return handle


def _chain(
    *tables: Mapping[str, Callable[[int, Row], None]],
) -> dict[str, Callable[[int, Row], None]]:
    """One handler for each kind, which calls all of them in order."""
    kinds = dict.fromkeys(kind for table in tables for kind in table)
    chained: dict[str, Callable[[int, Row], None]] = {}
    for kind in kinds:
        handlers = [table[kind] for table in tables if kind in table]
        chained[kind] = handlers[0] if len(handlers) == 1 else both(handlers[0], handlers[1])
    return chained
