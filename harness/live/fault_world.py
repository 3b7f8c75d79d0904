"""The live world as faults see it: the `FaultWorld` of OS processes, client tasks and proxies.

What a fault does here takes effect before the call returns, but for a start, which takes as long as the program needs.
Disks and clocks of processes cannot be reached from outside. Where a system lets them be reached (`systems.Inside`),
faults of them happen; elsewhere they are left out when a plan is made ready (`drawing.possible`), and asking for them
is a mistake of ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NoReturn

import trio

from harness.errors import InternalError
from harness.faults.world import Edge, FaultDamage, FaultDisk
from harness.plans.plan import Plan
from harness.sim.observer import Observer
from harness.sim.recorder import Recorder

from .asking import Asking
from .clients import ClientTask
from .namespaces import Namespaces
from .network import Network
from .supervisor import Supervisor
from .systems.system import Clocks, Inside
from .timetable import Timetable

KINDS: Final = ("partition", "loss", "delay", "clog", "bandwidth", "crash", "pause")
"""The kinds of faults that can happen to processes of any system."""


class LiveHost:
    """What runs under the name of one actor: a process group, or a client's task."""

    def __init__(
        self, name: str, is_up: Callable[[], bool], supervisor: Supervisor | None, inside: Inside | None
    ) -> None:
        """Without a supervisor it is a client, which cannot be stopped: all clients share the harness's process."""
        self.name = name
        self.refused = ""
        self.armed: dict[str, Callable[[], None]] = {}
        self.hits: Counter[str] = Counter()
        self._is_up = is_up
        self._supervisor = supervisor
        self._inside = inside
        self._pauses: set[str] = set()

    @property
    def is_up(self) -> bool:
        """Whether it runs; it may be stopped."""
        return self._is_up()

    def pause(self, fault: str, *, stop_clock: bool) -> None:
        """Stop a process; its clock runs on. The fault has bitten if the operating system says that it stands still."""
        if self._supervisor is not None:
            self._pauses.add(fault)
            self.hits[fault] += self._supervisor.stop(self.name)

    def unpause(self, fault: str) -> None:
        """Let it go on, unless another fault holds it."""
        self._pauses.discard(fault)
        if self._supervisor is not None and not self._pauses:
            self._supervisor.go_on(self.name)

    def restarted(self) -> None:
        """A new process is there: one that shall stand still does."""
        if self._supervisor is not None and self._pauses:
            self._supervisor.stop(self.name)

    def arm(self, fault: str, moment: Literal["in-flight", "between", "answered"], crash: Callable[[], None]) -> None:
        """Nobody sees the writes of a process from outside."""
        self._cannot("arm")

    def disarm(self, fault: str) -> bool:
        """Nothing is armed but crashes that wait for a write, which comes unseen."""
        return self.armed.pop(fault, None) is not None

    def slow_down(self, fault: str, processing_ns: int) -> None:
        self._cannot("slow_down")

    def speed_up(self, fault: str) -> None:
        self._cannot("speed_up")

    def slow_background(self, fault: str, late_ns: int) -> None:
        self._cannot("slow_background")

    def hurry_background(self, fault: str) -> None:
        self._cannot("hurry_background")

    @property
    def disk(self) -> FaultDisk:
        return self._cannot("disk") if self._inside is None else self._inside.disk(self.name)

    @property
    def clocks(self) -> Clocks:
        """Its clocks, where they can be reached."""
        return self._cannot("clocks") if self._inside is None else self._inside.clocks(self.name)

    @property
    def damage(self) -> FaultDamage:
        return self._cannot("damage")

    def _cannot(self, what: str) -> NoReturn:
        raise InternalError(f"a fault asked a live world for {what}, which it does not have")


class LiveFaultWorld:
    """What faults can see and do."""

    def __init__(
        self,
        plan: Plan,
        *,
        timetable: Timetable,
        recorder: Recorder,
        network: Network | Namespaces,
        observer: Observer,
        supervisor: Supervisor,
        clients: Mapping[str, ClientTask],
        nursery: trio.Nursery,
        on_killed: Callable[[str], None],
        asking: Asking,
        is_out: Callable[[str], bool] = lambda name: False,
        inside: Inside | None = None,
    ) -> None:
        """`on_killed` is called with each node that a fault has just killed; `asking` asks nodes for something.

        One that `is_out` is not started.
        """
        self.network = network
        self.nodes = plan.nodes
        self.heals_all = plan.phases.heal == "total"
        self.healed = False
        self.administered = False
        self.call_at = timetable.call_at
        self.record = recorder.row
        self.leader = observer.leader
        self.resolve = observer.resolve
        self.is_in_force = observer.is_in_force
        self.hosts: dict[str, LiveHost] = {}
        for name in plan.nodes:
            self.hosts[name] = LiveHost(name, partial(supervisor.is_up, name), supervisor, inside)
        for name, client in clients.items():
            self.hosts[name] = LiveHost(name, partial(getattr, client, "is_up"), None, None)
        self._plan, self._timetable = plan, timetable
        self._supervisor, self._client_tasks, self._nursery = supervisor, clients, nursery
        self._on_killed = on_killed
        self._asking = asking
        self._is_out = is_out
        self._inside = inside

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the clients."""
        return self._plan.clients

    @property
    def heal_ns(self) -> int:
        """When the heal happens."""
        return self._plan.phases.heal_ns

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""
        return self._timetable.now

    # -- who is there -------------------------------------------------------------------------------------------------

    def up(self, names: Sequence[str]) -> list[str]:
        """Those that are up."""
        return [name for name in names if self.hosts[name].is_up]

    def edges_of(self, names: Sequence[str]) -> tuple[Edge, ...]:
        """All links to and from these actors; all links when there are none."""
        return tuple(
            (source, target)
            for source in self._plan.actors
            for target in self._plan.actors
            if source != target
            and not (source in self.clients and target in self.clients)
            and (not names or source in names or target in names)
        )

    def members(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The initial voters and learners of a group."""
        return self._plan.groups[group].voters, self._plan.groups[group].learners

    # -- what is done -------------------------------------------------------------------------------------------------

    def start(self, name: str, code: str | None = None) -> None:
        """Start what is down; there is one version of the code."""
        client = self._client_tasks.get(name)
        if client is not None:
            client.start(self._nursery)
            return
        if self._is_out(name):
            return
        self._supervisor.start(name, self._nursery)
        self.hosts[name].restarted()
        self.record("start", name, self._supervisor.incarnations[name], self._plan.actors[name].code)

    def code_of(self, name: str) -> str:
        """There is one version of the code."""
        return self._plan.actors[name].code

    def install(self, name: str, code: str) -> None:
        raise InternalError("a fault asked a live world for other code")

    def is_outdated(self, name: str) -> bool:
        """Nobody is."""
        return False

    def crash(self, name: str, *, power: bool) -> None:
        """Kill a process, or a client. The operating system survives, whatever `power` says."""
        client = self._client_tasks.get(name)
        if client is not None:
            client.kill()
        elif self._supervisor.kill(name):
            self._on_killed(name)
            self.record("crash", name, self._supervisor.incarnations[name], "kill")

    def cut_power(self, name: str, *, keeps: Literal["prefix", "sectors", "nothing"]) -> None:
        raise InternalError("a fault asked a live world to cut the power")

    def wipe(self, name: str, *, comes_back: bool) -> bool:
        raise InternalError("a fault asked a live world to empty a disk")

    def damageable(self, region: str) -> tuple[str, ...]:
        """No node: disks cannot be reached."""
        return ()

    def command(self, name: str, group: str, command: str, arguments: Mapping[str, Any]) -> bool:
        """Ask a node, which takes time: true once it has taken the command, for who asks again in the meantime."""
        return self._asking.ask(name, command, arguments)

    def when_idle(self, name: str, call: Callable[[], None]) -> None:
        """Call when the node has answered what it was asked last."""
        self._asking.when_answered(name, call)

    def set_rate(self, fault: str, name: str, rate_ppm: int | None) -> None:
        """Let the clocks of a node run at a rate, or end that."""
        self.hosts[name].clocks.set_rate(fault, rate_ppm)

    def step_wall(self, fault: str, name: str, step_ns: int) -> None:
        """Move the wall clock of a node."""
        self.hosts[name].clocks.step_wall(fault, step_ns)

    def release_wall(self, fault: str, name: str) -> None:
        """Stop counting what the fault of a wall clock touches."""
        self.hosts[name].clocks.release_wall(fault)

    # -- for the nemesis ----------------------------------------------------------------------------------------------

    def take_hits(self, fault: str, names: Sequence[str]) -> int:
        """How many events a fault has touched since this was asked last."""
        inside = 0 if self._inside is None else self._inside.hits.pop(fault, 0)
        return inside + self.network.take_hits(fault) + sum(self.hosts[name].hits.pop(fault, 0) for name in names)

    def heal(self, within: Collection[str] | None) -> None:
        """Start what is down. None: all actors."""
        for name, host in self.hosts.items():
            if (within is None or name in within) and not host.is_up:
                self.start(name)
