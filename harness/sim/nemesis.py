"""The nemesis of the simulated world: begins and ends the plan's faults, and keeps account of what they did.

Each fault ends as `effective` (it changed something), `idle` (it was there, and nothing met it) or `moot` (what it
was aimed at did not exist). Begin, end and heal are heap callbacks, so they fall between two steps of any node.

The heal is total, or partial: then only what concerns the healed set is undone, and the rest of the faults becomes
permanent, because a total heal would hide a livelock that a lasting one-way partition keeps alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from harness.plans import faults as f
from harness.plans.plan import Plan
from harness.plans.topologies import edges as partition_edges

from .host import SimHost
from .kernel.events import Kernel
from .kernel.local_clock import PERFECT_PPM
from .links import Effect
from .network import Network
from .observer import Observer
from .recorder import Recorder

_RETRY_NS: Final = 20_000_000
"""How often a fault whose target does not exist, or whose command was refused, is tried again.

That nobody leads is the most frequent reason by far, so such a fault is not tried in vain: it waits for a leader, and
begins when its next try would have been.
"""

_LATER_NS: Final = 200_000_000
"""By how much the end of a membership that nobody has taken yet is put off."""

_COMMANDS: Final = (f.Transfer, f.ForcedElection, f.Compact)
"""Faults that are one request to a server. They are asked for until somebody takes them, or until the heal."""

_ON_NODES: Final = (f.Pause, f.SlowNode, f.ClockRate)
"""Faults that need a node that is up, and change it for a while."""


class ProcessControl(Protocol):
    """How the nemesis starts, kills and commands processes."""

    def start(self, name: str, code: str | None = None) -> None: ...

    def crash(self, name: str, *, power: bool, reason: str) -> None: ...

    def command(self, actor: str, group: str, name: str, arguments: dict[str, Any]) -> bool: ...

    def when_idle(self, actor: str, call: Callable[[], None]) -> None: ...


class _Active:
    """A fault in force."""

    def __init__(self, fault: f.Fault) -> None:
        self.fault = fault
        self.until_ns = fault.end_ns
        self.targets: tuple[str, ...] = ()
        self.hits = 0
        self.moot = False
        self.ended = False
        self.permanent = False  # a partial heal left it in force
        self.crashed: list[str] = []

    @property
    def outcome(self) -> str:
        if self.moot:
            return "moot"
        return "effective" if self.hits else "idle"


class Nemesis:
    """Runs the timetable of one plan."""

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
    ) -> None:
        self._plan = plan
        self._kernel, self._recorder, self._network = kernel, recorder, network
        self._hosts, self._observer, self._processes = hosts, observer, processes
        self._in_need_of_a_leader = _in_need_of_a_leader(plan.faults)
        self._waiting_for_leader: dict[str, tuple[f.Fault, int]] = {}  # by fault id, with the time of one of its tries
        observer.on_leader = self._on_leader
        self._active: dict[str, _Active] = {}
        self._rates: dict[str, dict[str, int]] = {}  # actor -> rate faults in force there, the latest last
        self.outcomes: dict[str, str] = {}  # fault id -> outcome, for faults that began
        self.healed = False
        self._waiting_for_idle: set[str] = set()  # faults whose command waits for a server that is busy with its disk
        self._taken_late: set[str] = set()  # faults whose command was taken by a server that waited so
        self.healed_actors: frozenset[str] = frozenset(plan.phases.healed or plan.actors)

    def schedule(self) -> None:
        """Put begins and ends into the heap."""
        for fault in self._plan.faults:
            self._kernel.exactly(fault.begin_ns, self._begin, fault)
            if fault.end_ns < f.FOREVER:
                self._kernel.exactly(fault.end_ns, self._end_of, fault.id)

    def heal(self) -> None:
        """End what is to be ended: everything, or everything that concerns the healed set."""
        self.healed = True
        total = self._plan.phases.heal == "total"
        for active in list(self._active.values()):
            if total:
                self._end(active)
            else:
                self._end_for_healed(active)
        healed = self.healed_actors
        for name, host in self._hosts.items():
            if total or name in healed:
                self._apply_rate(host)
                host.armed.clear()
                if not host.is_up and not host.refused:
                    self._processes.start(name)
        for links in self._network.links.values():
            for link in links.values():
                if total or (link.source in healed and link.target.name in healed):
                    link.base = ()
                    link.recompute_plain()
        self._recorder.row("fault-end", "", "heal", "heal", self._plan.phases.heal)

    def finish(self) -> dict[str, str]:
        """Outcomes of all faults of the plan; those that never began are moot."""
        for active in self._active.values():
            self._count_hits(active)
            self.outcomes[active.fault.id] = active.outcome
        return {fault.id: self.outcomes.get(fault.id, "moot") for fault in self._plan.faults}

    # -- begin ----------------------------------------------------------------------------------------------------

    def _begin(self, fault: f.Fault) -> None:
        """Begin a fault; when its target does not exist yet, wait for it as long as the fault has patience."""
        self._waiting_for_leader.pop(fault.id, None)
        if self._lacks_a_leader(fault) and self._wait_for_leader(fault):
            return
        active = _Active(fault)
        active.targets = self._resolve(getattr(fault, "targets", ()))
        if fault.id in self._taken_late:
            active.hits = 1
        else:
            begin = getattr(self, "_begin_" + fault.kind.replace("-", "_"))
            begin(active, fault)
        if active.moot and self._try_again(fault):
            return
        self._active[fault.id] = active
        self._recorder.row("fault-begin", "", fault.id, fault.kind, active.targets)
        if active.moot:
            self._finish(active)
        elif fault.end_ns < f.FOREVER and not isinstance(fault, _COMMANDS):
            active.until_ns = max(fault.end_ns, self._kernel.now + (fault.end_ns - fault.begin_ns) // 2)
            if active.until_ns > fault.end_ns:
                self._kernel.exactly(active.until_ns, self._end_of, fault.id)

    def _lacks_a_leader(self, fault: f.Fault) -> bool:
        group = self._in_need_of_a_leader.get(fault.id)
        return group is not None and fault.id not in self._taken_late and self._observer.leader(group) is None

    def _wait_for_leader(self, fault: f.Fault) -> bool:
        """Put off the beginning of a fault until somebody leads, if there is time."""
        now = self._kernel.now
        tries = (self._patience_ns(fault) - now - 1) // _RETRY_NS
        if tries > 0:
            self._waiting_for_leader[fault.id] = (fault, now)
            self._kernel.exactly(now + tries * _RETRY_NS, self._give_up_waiting, fault)
        return tries > 0

    def _on_leader(self, group: str) -> None:
        now = self._kernel.now
        for name, (fault, tried_ns) in list(self._waiting_for_leader.items()):
            if self._in_need_of_a_leader[name] == group:
                del self._waiting_for_leader[name]
                next_try_ns = now + _RETRY_NS - (now - tried_ns) % _RETRY_NS
                self._kernel.exactly(next_try_ns, self._begin, fault)

    def _give_up_waiting(self, fault: f.Fault) -> None:
        if fault.id in self._waiting_for_leader:
            self._begin(fault)

    def _try_again(self, fault: f.Fault) -> bool:
        """Put off the beginning of a fault, if there is time."""
        next_try_ns = self._kernel.now + _RETRY_NS
        has_time = next_try_ns < self._patience_ns(fault)
        if has_time:
            self._kernel.exactly(next_try_ns, self._begin, fault)
        return has_time

    def _patience_ns(self, fault: f.Fault) -> int:
        """Until when the beginning of a fault may be put off.

        A fault that waits for a named node to come up ends later than planned, so that half of its time is left.
        """
        heal_ns = self._plan.phases.heal_ns
        names_nodes = isinstance(fault, _ON_NODES) and not any(target.startswith("@") for target in fault.targets)
        if names_nodes or isinstance(fault, _COMMANDS):
            return heal_ns
        return (fault.begin_ns + min(fault.end_ns, heal_ns)) // 2

    def _begin_partition(self, active: _Active, fault: f.Partition) -> None:
        order = self._resolve(fault.order)
        active.targets = order[:1]
        active.moot = fault.order[:1] != order[:1] and not self._resolve(fault.order[:1])
        if active.moot:
            return
        rest = tuple(name for name in self._plan.nodes if name not in order)
        cut = partition_edges(fault.shape, order + rest, fault.clients, self._plan.nodes, self._plan.clients)
        self._network.cut(fault.id, tuple(cut))
        active.moot = not cut

    def _begin_loss(self, active: _Active, fault: f.Loss) -> None:
        self._affect(active, Effect(id=fault.id, what="loss", ppm=fault.loss_ppm))

    def _begin_duplicate(self, active: _Active, fault: f.Duplicate) -> None:
        effect = Effect(id=fault.id, what="duplicate", ppm=fault.duplicate_ppm, span_ns=fault.spread_ns)
        self._affect(active, effect)

    def _begin_delay(self, active: _Active, fault: f.Delay) -> None:
        self._affect(active, Effect(id=fault.id, what="delay", base_ns=fault.extra_ns, span_ns=fault.jitter_ns))

    def _begin_reorder(self, active: _Active, fault: f.Reorder) -> None:
        effect = Effect(id=fault.id, what="reorder", ppm=fault.reorder_ppm, span_ns=fault.hold_ns)
        self._affect(active, effect)

    def _begin_corrupt(self, active: _Active, fault: f.Corrupt) -> None:
        self._affect(active, Effect(id=fault.id, what="corrupt", ppm=fault.corrupt_ppm))

    def _begin_clog(self, active: _Active, fault: f.Clog) -> None:
        edges = self._edges_of(active)
        if edges:
            self._network.clog(fault.id, edges)

    def _begin_bandwidth(self, active: _Active, fault: f.Bandwidth) -> None:
        edges = self._edges_of(active)
        if edges:
            self._network.limit(fault.id, fault.bytes_per_s, edges)

    def _begin_slow_node(self, active: _Active, fault: f.SlowNode) -> None:
        for host in self._up(active):
            host.slow_down(fault.id, fault.processing_ns)

    def _begin_crash(self, active: _Active, fault: f.Crash) -> None:
        for host in self._up(active):
            if fault.aim == "write" and self._plan.actors[host.name].kind == "node":
                host.armed[fault.id] = _bind(self._crash, active, host.name)
                patience_ns = (min(fault.end_ns, self._plan.phases.heal_ns) - fault.begin_ns) // 4
                self._kernel.exactly(fault.begin_ns + patience_ns, self._crash_unaimed, (active, host))
            else:
                self._crash(active, host.name)

    def _begin_pause(self, active: _Active, fault: f.Pause) -> None:
        for host in self._up(active):
            host.pause(fault.id, stop_clock=fault.clock == "stops")

    def _begin_clock_rate(self, active: _Active, fault: f.ClockRate) -> None:
        for host in self._up(active):
            self._rates.setdefault(host.name, {})[fault.id] = fault.rate_ppm
            active.hits += 1
            self._apply_rate(host)

    def _begin_clock_step(self, active: _Active, fault: f.ClockStep) -> None:
        for host in self._up(active):
            self._step_wall(active, host, fault.step_ns)

    def _begin_clock_strobe(self, active: _Active, fault: f.ClockStrobe) -> None:
        if self._up(active):
            self._strobe((active, 1))

    def _begin_transfer(self, active: _Active, fault: f.Transfer) -> None:
        leader = self._observer.leader(fault.group)
        targets = [name for name in self._resolve((fault.target,)) if name != leader]
        if leader is not None and not targets:  # whoever was meant leads already: hand over to somebody else
            targets = [name for name in self._plan.groups[fault.group].voters if name != leader][:1]
        active.targets = tuple(targets)
        active.moot = leader is None or not targets or not self._command(active, leader, "transfer", target=targets[0])

    def _begin_forced_election(self, active: _Active, fault: f.ForcedElection) -> None:
        active.moot = not self._command_all(active, "campaign")

    def _begin_compact(self, active: _Active, fault: f.Compact) -> None:
        active.moot = not self._command_all(active, "compact")

    def _begin_membership(self, active: _Active, fault: f.Membership) -> None:
        self._ask((active, fault.voters, fault.learners))

    # -- end ------------------------------------------------------------------------------------------------------

    def _end_of(self, fault_id: str) -> None:
        active = self._active.get(fault_id)
        if active is None or active.permanent or self._kernel.now < active.until_ns:
            return
        if isinstance(active.fault, f.Membership) and not active.hits and self._kernel.now < self._plan.phases.heal_ns:
            self._kernel.exactly(self._kernel.now + _LATER_NS, self._end_of, fault_id)  # nobody has taken it yet
        else:
            self._end(active)

    def _end(self, active: _Active) -> None:
        if active.ended:
            return
        self._undo(active, set(self._hosts))
        if isinstance(active.fault, f.Membership):
            group = self._plan.groups[active.fault.group]
            self._ask((active, group.voters, group.learners))
        self._finish(active)

    def _end_for_healed(self, active: _Active) -> None:
        """Undo what touches the healed set; what remains is permanent."""
        if active.ended:
            return
        healed = self.healed_actors
        self._network.mend(active.fault.id, keep=lambda source, target: source not in healed or target not in healed)
        self._undo(active, healed, links=False)
        if all(target in healed for target in active.targets) and not isinstance(active.fault, f.Partition):
            self._finish(active)
        active.permanent = True

    def _undo(self, active: _Active, names: Sequence[str] | set[str] | frozenset[str], *, links: bool = True) -> None:
        fault = active.fault
        self._count_hits(active)
        if links:
            self._network.mend(fault.id)
        for name in active.targets:
            if name not in names:
                continue
            host = self._hosts[name]
            if isinstance(fault, f.SlowNode):
                host.speed_up(fault.id)
            elif isinstance(fault, f.Pause):
                host.unpause(fault.id)
            elif isinstance(fault, f.ClockRate):
                self._rates.get(name, {}).pop(fault.id, None)
                self._apply_rate(host)
            elif isinstance(fault, f.ClockStep) and fault.back:
                self._step_wall(active, host, -fault.step_ns)
            elif isinstance(fault, f.Crash):
                host.armed.pop(fault.id, None)
                if name in active.crashed and not host.is_up and not host.refused:
                    self._processes.start(name, fault.code)

    def _finish(self, active: _Active) -> None:
        active.ended = True
        fault = active.fault
        self.outcomes[fault.id] = active.outcome
        self._active.pop(fault.id, None)
        self._recorder.row("fault-end", "", fault.id, fault.kind, active.outcome)

    def _count_hits(self, active: _Active) -> None:
        active.hits += self._network.hits.pop(active.fault.id, 0)
        for name in active.targets:
            active.hits += self._hosts[name].hits.pop(active.fault.id, 0)

    # -- helpers --------------------------------------------------------------------------------------------------

    def _resolve(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Names for targets; a role that nobody holds gives nothing."""
        found = (self._observer.holders(target) if target.startswith("@") else (target,) for target in targets)
        return tuple(dict.fromkeys(name for names in found for name in names))

    def _up(self, active: _Active) -> list[SimHost]:
        """The targets that are up; the fault is moot when none is."""
        hosts = [self._hosts[name] for name in active.targets if self._hosts[name].is_up]
        active.moot = not hosts
        return hosts

    def _edges_of(self, active: _Active) -> tuple[f.Edge, ...]:
        """All links to and from the targets (all links when the fault names none)."""
        if getattr(active.fault, "targets", ()) and not active.targets:
            active.moot = True
            return ()
        chosen = active.targets
        return tuple(
            (source, target)
            for source, links in self._network.links.items()
            for target in links
            if not chosen or source in chosen or target in chosen
        )

    def _affect(self, active: _Active, effect: Effect) -> None:
        edges = self._edges_of(active)
        if edges:
            self._network.affect(active.fault.id, effect, edges)

    def _crash(self, active: _Active, name: str) -> None:
        fault = active.fault
        assert isinstance(fault, f.Crash)
        if active.ended or not self._hosts[name].is_up:
            return
        active.hits += 1
        active.crashed.append(name)
        self._processes.crash(name, power=fault.power, reason="power" if fault.power else "kill")

    def _crash_unaimed(self, argument: tuple[_Active, SimHost]) -> None:
        """No write came in time: an armed crash fires all the same."""
        active, host = argument
        if host.armed.pop(active.fault.id, None) is not None:
            self._crash(active, host.name)

    def _command(self, active: _Active, name: str, command: str, **arguments: Any) -> bool:
        fault = active.fault
        assert isinstance(fault, _COMMANDS)
        taken = self._processes.command(name, fault.group, command, arguments)
        active.hits += taken
        if not taken and fault.id not in self._waiting_for_idle:
            self._waiting_for_idle.add(fault.id)

            def ask_again() -> None:
                self._waiting_for_idle.discard(fault.id)
                if not self.healed and self._processes.command(name, fault.group, command, arguments):
                    self._taken_late.add(fault.id)

            self._processes.when_idle(name, ask_again)
        return taken

    def _command_all(self, active: _Active, command: str) -> bool:
        """Ask all targets that are up: until one takes it now, the others each in an event of its own at this instant.

        Servers that are told in one callback would act in the order in which Trio happens to run them.
        """
        taken = False
        for host in self._up(active):
            if taken:
                self._kernel.exactly(self._kernel.now, self._command_late, (active, host.name, command))
            else:
                taken = self._command(active, host.name, command)
        return taken

    def _command_late(self, argument: tuple[_Active, str, str]) -> None:
        self._command(*argument)

    def _apply_rate(self, host: SimHost) -> None:
        """Let a host's clocks run as the latest rate fault in force there says, or as they would without any."""
        spec = self._plan.clocks.actors.get(host.name)
        rate_ppm = spec.rate_ppm if spec is not None and not self.healed else PERFECT_PPM
        rate_ppm = [rate_ppm, *self._rates.get(host.name, {}).values()][-1]
        if rate_ppm != host.clock.rate_ppm:
            host.set_rate(rate_ppm)
            self._recorder.row("clock", host.name, "rate", rate_ppm)

    def _step_wall(self, active: _Active, host: SimHost, step_ns: int) -> None:
        host.clock.step_wall(step_ns)
        active.hits += 1
        self._recorder.row("clock", host.name, "step", step_ns)

    def _strobe(self, argument: tuple[_Active, int]) -> None:
        active, sign = argument
        fault = active.fault
        assert isinstance(fault, f.ClockStrobe)
        names = [name for name in active.targets if not self.healed or name not in self.healed_actors]
        if active.ended or not names:
            return
        for name in names:
            if self._hosts[name].is_up:
                self._step_wall(active, self._hosts[name], sign * fault.step_ns)
        self._kernel.exactly(self._kernel.now + max(fault.period_ns, 1_000_000), self._strobe, (active, -sign))

    def _ask(self, argument: tuple[_Active, tuple[str, ...], tuple[str, ...]]) -> None:
        """Ask the leader for a membership until it takes the request."""
        active, voters, learners = argument
        fault = active.fault
        assert isinstance(fault, f.Membership)
        wanted_back = voters == self._plan.groups[fault.group].voters
        if active.ended and not wanted_back:
            return
        leader = self._observer.leader(fault.group)
        arguments = {"voters": voters, "learners": learners}
        taken = leader is not None and self._processes.command(leader, fault.group, "change", arguments)
        active.hits += taken
        # A change that was taken may still be lost with its leader, and nobody may be left outside for ever.
        if not taken or (wanted_back and not self._is_in_force(fault.group, leader, voters, learners)):
            self._kernel.exactly(self._kernel.now + (_LATER_NS if taken else _RETRY_NS), self._ask, argument)

    def _is_in_force(self, group: str, leader: str | None, voters: Sequence[str], learners: Sequence[str]) -> bool:
        """Whether the leader's own configuration is this one, and not joint."""
        if leader is None:
            return False
        now = self._observer.configurations.get((group, leader), ((), (), ()))
        return [sorted(part) for part in now] == [sorted(voters), [], sorted(learners)]


def _in_need_of_a_leader(faults: Sequence[f.Fault]) -> dict[str, str]:
    """Faults that are moot as long as nobody leads, and the group of which."""
    found = {}
    for fault in faults:
        if isinstance(fault, f.Transfer):
            found[fault.id] = fault.group
        elif (fault.order[:1] if isinstance(fault, f.Partition) else getattr(fault, "targets", ())) == ("@leader",):
            found[fault.id] = "g0"
    return found


def _bind(crash: Callable[[_Active, str], None], active: _Active, name: str) -> Callable[[], None]:
    return lambda: crash(active, name)
