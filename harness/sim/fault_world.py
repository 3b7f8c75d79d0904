"""The simulated world as faults see it: the `FaultWorld` of the simulator.

It keeps what belongs to no single host, link or fault: which rate faults are in force at an actor, and which faults
have moved its wall clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from harness.faults.world import Edge
from harness.plans.classify import lost_nodes
from harness.plans.plan import Plan

from .disk import Keeps
from .host import SimHost
from .kernel.events import Kernel
from .kernel.local_clock import PERFECT_PPM
from .network import Network
from .observer import Observer
from .recorder import Recorder
from .versions import Versions


class ProcessControl(Protocol):
    """How processes are started, killed and commanded."""

    def start(self, name: str, code: str | None = None) -> None: ...

    def crash(self, name: str, *, power: bool, reason: str, keeps: Keeps = "prefix") -> None: ...

    def command(self, actor: str, group: str, name: str, arguments: dict[str, Any]) -> bool: ...

    def when_idle(self, actor: str, call: Callable[[], None]) -> None: ...


class SimFaultWorld:
    """What faults can see and do in one simulated world."""

    def __init__(
        self,
        plan: Plan,
        *,
        kernel: Kernel,
        recorder: Recorder,
        network: Network,
        hosts: dict[str, SimHost],
        observer: Observer,
        processes: ProcessControl,
        versions: Versions,
    ) -> None:
        self.network, self.hosts = network, hosts
        self.nodes, self.clients = plan.nodes, plan.clients
        self.heal_ns = plan.phases.heal_ns
        self.heals_all = plan.phases.heal == "total" and not lost_nodes(plan)
        self.healed = False
        self.administered = False
        # These do what the protocol asks as they are.
        self.call_at = kernel.exactly
        self.record = recorder.row
        self.when_idle = processes.when_idle
        self.leader = observer.leader
        self.resolve = observer.resolve
        self.is_in_force = observer.is_in_force
        self._plan, self._kernel, self._processes, self._versions = plan, kernel, processes, versions
        self._rates: dict[str, dict[str, int]] = {}  # actor -> rate faults in force there, the latest last
        self._wall_reads: dict[tuple[str, str], int] = {}  # (fault, actor) -> reads of its wall clock counted so far

    def now_ns(self) -> int:
        """Virtual time."""
        return self._kernel.now

    def start(self, name: str, code: str | None = None) -> None:
        """Start an actor that is down."""
        self._processes.start(name, code)

    def code_of(self, name: str) -> str:
        """The label of the code that an actor runs, or ran when it went down."""
        return self._versions.code(name)

    def install(self, name: str, code: str) -> None:
        """Let a node that is down run other code from its next start on."""
        self._versions.install(name, code)

    def is_outdated(self, name: str) -> bool:
        """Whether a node is down because its code is too old for what its group has agreed on."""
        return name in self._versions.outdated

    def up(self, names: Sequence[str]) -> list[str]:
        """Those that are up."""
        return [name for name in names if self.hosts[name].is_up]

    def edges_of(self, names: Sequence[str]) -> tuple[Edge, ...]:
        """All links to and from these actors; all links when there are none."""
        return tuple(
            (source, target)
            for source, links in self.network.links.items()
            for target in links
            if not names or source in names or target in names
        )

    def members(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The initial voters and learners of a group, but for those that will not start again.

        Nodes that are down because of their code will: with newer code, at the heal at the latest.
        """
        initial = self._plan.groups[group]
        voters, learners = (
            tuple(name for name in names if not self.hosts[name].refused or name in self._versions.outdated)
            for names in (initial.voters, initial.learners)
        )
        return voters, learners

    def crash(self, name: str, *, power: bool) -> None:
        """Kill a process."""
        self._processes.crash(name, power=power, reason="power" if power else "kill")

    def cut_power(self, name: str, *, keeps: Keeps) -> None:
        """Cut the power of a machine, whether or not a process runs there."""
        self._processes.crash(name, power=True, reason="power", keeps=keeps)

    def wipe(self, name: str, *, comes_back: bool) -> bool:
        """Kill a node and empty its disk; unless it `comes_back`, it starts never again. Whether anything was there."""
        self._processes.crash(name, power=False, reason="wiped")
        host = self.hosts[name]
        held_something = host.device.wipe()
        if not comes_back:
            host.refused = "disk-wiped"
            self.record("refuse", name, host.incarnation, host.refused)
        return held_something

    def damageable(self, region: str) -> tuple[str, ...]:
        """The nodes that the plan's atlas has for a region of the disk."""
        return self._plan.damageable.get(region, ())

    def command(self, name: str, group: str, command: str, arguments: dict[str, Any]) -> bool:
        """Run an administrator's command on a node. True when it was taken."""
        return self._processes.command(name, group, command, arguments)

    def set_rate(self, fault: str, name: str, rate_ppm: int | None) -> None:
        """Let an actor's clocks run at a rate, or end that; the latest rate in force wins."""
        rates = self._rates.setdefault(name, {})
        if rate_ppm is None:
            rates.pop(fault, None)
        else:
            rates[fault] = rate_ppm
        self._apply_rate(name)

    def _apply_rate(self, name: str) -> None:
        spec, clock = self._plan.clocks.actors.get(name), self.hosts[name].clock
        own_ppm = spec.rate_ppm if spec is not None and not self.healed else PERFECT_PPM
        rate_ppm = [own_ppm, *self._rates.get(name, {}).values()][-1]
        if rate_ppm != clock.rate_ppm:
            self.hosts[name].set_rate(rate_ppm)
            self.record("clock", name, "rate", rate_ppm)

    def step_wall(self, fault: str, name: str, step_ns: int) -> None:
        """Move an actor's wall clock; from then on each time that the actor reads it is a hit of the fault."""
        clock = self.hosts[name].clock
        clock.step_wall(step_ns)
        self._wall_reads.setdefault((fault, name), clock.wall_reads)
        self.record("clock", name, "step", step_ns)

    def release_wall(self, fault: str, name: str) -> None:
        """Stop counting reads of an actor's wall clock as hits of the fault."""
        self._wall_reads.pop((fault, name), None)

    def take_hits(self, fault: str, names: Sequence[str]) -> int:
        """How many events, on links or at these actors, a fault has touched since this was asked last."""
        hits = self.network.hits.pop(fault, 0)
        for name in names:
            hits += self.hosts[name].hits.pop(fault, 0)
            counted = self._wall_reads.get((fault, name))
            if counted is not None:
                self._wall_reads[fault, name] = reads = self.hosts[name].clock.wall_reads
                hits += reads - counted
        return hits

    def heal(self, within: Collection[str] | None) -> None:
        """Undo what is no fault's: wrong clock rates, lossy links, processes that are down. None: for all actors."""
        for name, host in self.hosts.items():
            if within is None or name in within:
                self._apply_rate(name)
                host.disarm_all()
                self._versions.renew(name)
                if not host.is_up and not host.refused:
                    self._processes.start(name)
        for links in self.network.links.values():
            for link in links.values():
                if within is None or (link.source in within and link.target.name in within):
                    link.base = ()
                    link.recompute_plain()
