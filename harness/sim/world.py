"""The simulated world: hosts, links, disks and clocks of one plan, and the lives of its actors.

The world builds everything from the plan, starts and kills actors, and ends the run. It knows what an actor *is* (a
entrypoint: an async function of its environment) but not what it does: replicas get theirs from the system's adapter,
clients from the interpreter.
"""

from __future__ import annotations

import contextvars
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec
import trio

from checkers.raft.invariants import Invariants
from checkers.trace import Row
from checkers.verdict import Anomaly
from harness.plans.plan import DiskSpec, Plan
from harness.systems.system import Refusal, System

from .fault_world import SimFaultWorld
from .host import SimHost
from .kernel import trio_seam
from .kernel.events import Kernel, Livelock
from .kernel.fingerprint import Log
from .kernel.local_clock import LocalClock
from .nemesis import Nemesis
from .network import Network
from .observer import Observer
from .process import SimProcess
from .recorder import Recorder

WORLD: Final = b"sim/1"
"""Name and version of this world; part of every fingerprint. Bumped when equal plans come to mean other runs."""

MARKS: Final = ("power-loss-lost-writes",)
"""Coverage marks that the world notes itself."""

_MONOTONIC_APART_NS: Final = 1_000_000_000_000
"""Each actor's monotonic clock starts elsewhere, so that comparing two actors' clocks shows at once."""

_SUPERVISOR_DELAY_NS: Final = 1_000_000_000
"""A replica whose code raised is started again after this time, as a process supervisor would."""

Entrypoint = Callable[[SimProcess], Coroutine[Any, Any, None]]

current_actor: contextvars.ContextVar[str] = contextvars.ContextVar("current_actor")
"""The actor whose task is running; set once for each task."""


class Zombie(Exception):
    """A killed actor's task did not end."""


class SimWorld:
    """One run's world, from construction to `run`."""

    def __init__(
        self,
        plan: Plan,
        systems: Mapping[str, System],
        *,
        keep_rows: bool = False,
        fast: bool = True,
        manual: bool = False,
        stop_at_first: bool = False,
    ) -> None:
        self.plan = plan
        self.systems = systems
        self.log = Log(keep=keep_rows)
        self.log.seed(WORLD, plan.to_json())
        schedule = plan.schedule
        self.kernel = Kernel(
            seed=schedule.seed,
            log=self.log,
            policy=schedule.policy,
            depth=schedule.depth,
            quantum_ns=schedule.quantum_ns,
        )
        self.invariants = Invariants({name: group.voters for name, group in plan.groups.items()})
        self.observer = Observer(plan.nodes, lambda name: self.hosts[name].is_up, self.invariants.progress)
        self.node_anomalies: list[Anomaly] = []
        handlers = _chain(self.observer.handlers(), self.invariants.HANDLERS)
        if stop_at_first:
            handlers = {kind: self._stopping(handler) for kind, handler in handlers.items()}
        self.recorder = Recorder(self.kernel, handlers)
        reference = systems[plan.actors[min(plan.actors)].code]
        self.network = Network(self.kernel, self.recorder.row, reference.kind_of, overrides=plan.overrides)
        self.hosts: dict[str, SimHost] = {}
        self.entrypoints: dict[str, Entrypoint] = {}
        self.on_client_crash: dict[str, Callable[[], None]] = {}
        self._codes = {name: actor.code for name, actor in plan.actors.items()}
        self._fast = fast
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

        trio_seam.run(main, self.kernel)
        error = self.kernel.error
        if isinstance(error, Livelock):
            self.node_anomalies.append(self._anomaly("run", "livelock", "", str(error)))
        elif error is not None:
            raise error

    @property
    def violations(self) -> list[Anomaly]:
        """Broken invariants, if the plan wants to hear of them. They are followed anyway: the observer asks them."""
        return self.invariants.anomalies if self.plan.check.invariants else []

    # -- lives ----------------------------------------------------------------------------------------------------

    def start(self, name: str, code: str | None = None) -> None:
        """Start an actor that is down, with another code label if one is given."""
        host = self.hosts[name]
        if host.is_up or host.refused or self._nursery is None:
            return
        if code is not None:
            self._codes[name] = code
        host.incarnation += 1
        environment = SimProcess(host, kernel=self.kernel, network=self.network, disk=host.disk, fast=self._fast)
        host.enter(environment)
        self.recorder.row("start", name, host.incarnation, self._codes[name])
        entrypoint = self.entrypoints.get(name) or self._server_entrypoint(host)
        self.kernel.spawn(self._nursery, self._live, host, environment, entrypoint, name=f"{name}#{host.incarnation}")

    def crash(self, name: str, *, power: bool, reason: str) -> None:
        """Kill an actor; with `power` its disk loses what was not durable, in part."""
        host = self.hosts[name]
        environment = host.environment
        if environment is None:
            return
        self.recorder.row("crash", name, host.incarnation, reason)
        on_crash = self.on_client_crash.get(name)
        if on_crash is not None:
            on_crash()
        host.leave()
        environment.kill()
        if power and name not in self.entrypoints:
            if host.lose_power():
                self.recorder.row("mark", name, MARKS[0])
            host.reread()
        self.kernel.exactly(self.kernel.now, self._check_gone, environment)

    def command(self, actor: str, group: str, name: str, arguments: dict[str, Any]) -> bool:
        """Run an administrator's command on a replica that is up and not paused."""
        host = self.hosts[actor]
        if host.server is None or host.environment is None or host.paused:
            return False
        system = self.systems[self._codes[actor]]
        return host.environment.command(lambda server: system.command(server, group, name, arguments))

    def when_idle(self, actor: str, call: Callable[[], None]) -> None:
        """Call when a replica that is busy with its disk takes commands again, if it lives to see that."""
        environment = self.hosts[actor].environment
        if environment is not None:
            environment.when_idle(call)

    def _server_entrypoint(self, host: SimHost) -> Entrypoint:
        plan = self.plan
        actor = plan.actors[host.name]
        system = self.systems[self._codes[host.name]]

        async def entrypoint(environment: SimProcess) -> None:
            groups = {group: plan.groups[group] for group in actor.groups}
            server = system.server(environment, actor, groups, plan.options)
            host.server = server
            try:
                await system.start(server)
            except Refusal as refusal:
                if not environment.dead:
                    self._refuse(host, str(refusal))
                return
            await environment.serve(server)

        return entrypoint

    async def _live(self, host: SimHost, environment: SimProcess, entrypoint: Entrypoint) -> None:
        current_actor.set(host.name)
        try:
            with environment.scope:
                if host.name in self.entrypoints:
                    await environment.live(entrypoint)
                else:
                    await entrypoint(environment)
        except Exception as error:
            if not environment.dead:
                self._failed(host, error)
        finally:
            environment.gone = True

    def _refuse(self, host: SimHost, reason: str) -> None:
        self.recorder.row("refuse", host.name, host.incarnation, reason)
        host.refused = reason
        self._leave(host)

    def _failed(self, host: SimHost, error: Exception) -> None:
        """The code of an actor raised: an anomaly of a replica, an error of ours in a client's program."""
        if host.name in self.entrypoints:
            self.kernel.stop("task", error)
            return
        error = _first_of(error)
        kind = type(error).__name__
        if not isinstance(error, OSError):
            message = f"{host.name}: the replica's code raised {kind}: {error}"
            anomaly = self._anomaly("node", "exception", kind, message)
            evidence = {"traceback": "".join(traceback.format_exception(error))}
            self.node_anomalies.append(msgspec.structs.replace(anomaly, evidence=evidence))
        self.recorder.row("crash", host.name, host.incarnation, kind)
        self._leave(host)
        self.kernel.exactly(self.kernel.now + _SUPERVISOR_DELAY_NS, self.start, host.name)

    def _leave(self, host: SimHost) -> None:
        environment = host.leave()
        if environment is not None:
            environment.dead = True

    def _check_gone(self, environment: SimProcess) -> None:
        if not environment.gone:
            self.kernel.stop("zombie", Zombie(f"the task of {environment.actor} did not end when it was killed"))

    def _anomaly(self, checker: str, kind: str, detail: str, message: str) -> Anomaly:
        return Anomaly(checker=checker, kind=kind, detail=detail, index=self.log.index, message=message)

    def _stopping(self, handler: Callable[[int, Row], None]) -> Callable[[int, Row], None]:
        def handle(index: int, row: Row) -> None:
            handler(index, row)
            if self.violations and not self.kernel.closed:
                self.kernel.exactly(self.kernel.now, lambda _: self.kernel.stop("violation"))

        return handle

    # -- construction ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        plan = self.plan
        processing = (plan.schedule.processing_min_ns, plan.schedule.processing_max_ns)
        for ordinal, (name, actor) in enumerate(sorted(plan.actors.items())):
            spec = plan.clocks.actors.get(name)
            apart_ns = _MONOTONIC_APART_NS * (ordinal + 1)
            clock = LocalClock(
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
                processing_ns=processing if is_node else (0, 0),
                reader=self.systems[actor.code].durable_reader() if is_node else None,
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
                    processing if to_node else (0, 0),
                    manual=self._manual and between_nodes,
                )


_NO_DISK: Final = DiskSpec(fsync_min_ns=0, fsync_max_ns=0)


def _first_of(error: Exception) -> Exception:
    """The error of a group that comes first by its type's name: a nursery does not order what its tasks raised."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_first_of(leaf) for leaf in error.exceptions]
    return min(leaves, key=lambda leaf: type(leaf).__name__)


def _chain(
    *tables: Mapping[str, Callable[[int, Row], None]],
) -> dict[str, Callable[[int, Row], None]]:
    """One handler for each kind, which calls all of them in order."""
    kinds = dict.fromkeys(kind for table in tables for kind in table)
    chained: dict[str, Callable[[int, Row], None]] = {}
    for kind in kinds:
        handlers = [table[kind] for table in tables if kind in table]
        chained[kind] = handlers[0] if len(handlers) == 1 else _both(handlers[0], handlers[1])
    return chained


def _both(first: Callable[[int, Row], None], second: Callable[[int, Row], None]) -> Callable[[int, Row], None]:
    def handle(index: int, row: Row) -> None:
        first(index, row)
        second(index, row)

    return handle
