"""Finds the stretches of a run in which a quorum can talk, from what is so in the world and not from the plan.

Whenever something may have changed about who can talk with whom (an actor starts or ends, a fault begins or ends, a
configuration comes into force) the stretch ends, and in an event of its own at that instant it is looked whether
another one begins:

* healthy is a node that is up and neither slow nor paused, whose disk no fault is on, and whose clock runs at most a
  tenth too fast or too slow;
* connected are healthy nodes without any fault on their links to each other, in both directions, with a majority of
  the voters of every group, all of whom have the same configuration and no joint one;
* silent is a node that is down or paused, or of which nothing reaches a connected node, or that never was a member;
* harmless where the plan has pre-votes and check-quorum is one that hears none of the connected nodes, or was removed:
  its candidacies must come to nothing.

Each node is one of these. No stretch begins while an administrator's command is under way, since a node may take it at
any time between its planned beginning and its end.

`pace_of` says how fast a correct system is; docs/oracles.md has the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from checkers.op import Op
from checkers.raft.availability import Availability, Pace, Stretch
from checkers.raft.cut_off_leaders import CutOffLeaders, parts_of
from checkers.trace import Row
from checkers.verdict import Verdict
from harness.faults.leadership import ForcedElection, Transfer
from harness.faults.membership import Membership
from harness.faults.packets import Delay, Duplicate, Reorder
from harness.faults.pauses import SlowBackground, SlowNode
from harness.plans.plan import LinkSpec, Plan
from harness.sim.world import SimWorld

_MILLION: Final = 1_000_000
_CLOCK_ERROR_PPM: Final = 100_000
_COMMANDS: Final = (ForcedElection, Transfer, Membership)
_DISTURBING: Final = ("start", "stop", "crash", "refuse", "config", "fault-begin", "fault-end")
_ENDING: Final = ("start", "stop", "crash", "refuse")
_ELECTIONS_MAX: Final = 12
"""Elections in a row that may be split: as many as after the heal."""
_MESSAGES_PER_REQUEST: Final = 20
"""A greeting, a hint, another greeting, a session and the request itself, with answers and rounds to followers."""
_SYNCS_PER_REQUEST: Final = 8
_PAUSE_NS: Final = 200 * _MILLION
"""The pauses that a client makes between two servers that cannot serve."""


def pace_of(plan: Plan, options: Mapping[str, Any]) -> Pace | None:
    """How fast a correct system is. None where nothing can be said: messages may be lost, or heartbeats come late."""
    needed = ("election_timeout_ms", "heartbeat_ms", "client_attempt_timeout_ms")
    if any(name not in options for name in needed) or plan.links.node.loss_ppm or plan.links.client.loss_ppm:
        return None
    timeout_ns, heartbeat_ns, attempt_ns = (int(options[name]) * _MILLION for name in needed)
    own_ns = plan.schedule.processing_max_ns + 2 * plan.schedule.quantum_ns
    message_ns = max(_slowest_ns(plan.links.node), _slowest_ns(plan.links.client)) + own_ns
    sync_ns = max(disk.fsync_max_ns for disk in (plan.disks.default, *plan.disks.actors.values())) + own_ns
    if 10 * (heartbeat_ns + message_ns + 2 * sync_ns) > 8 * timeout_ns:
        return None
    threads = len(plan.programs)
    request_ns = (_MESSAGES_PER_REQUEST + 2 * threads) * message_ns + (_SYNCS_PER_REQUEST + threads) * sync_ns
    return Pace(
        settle_ns=_slack(3 * timeout_ns),
        leader_ns=_slack(2 * _ELECTIONS_MAX * timeout_ns),
        request_ns=_slack(request_ns + _PAUSE_NS),
        attempt_ns=_slack(attempt_ns),
    )


class CalmWatch:
    """Watches one run for its stretches. Attach it before the run begins."""

    def __init__(self, plan: Plan, world: SimWorld, pace: Pace, *, options: Mapping[str, Any]) -> None:
        """`options` are the resolved ones of the system."""
        self.availability = Availability(pace, tuple(plan.groups))
        self._plan, self._world, self._pace = plan, world, pace
        self._stretch: Stretch | None = None
        self._looks_at_ns = -1  # the instant at which it will be looked whether a stretch begins
        self._commands: set[str] = set()  # faults that give an administrator's command and are not over
        self._top: dict[str, int] = {}  # the highest term of connected nodes, by group
        self._terms: dict[tuple[str, str], int] = {}
        self._late_ns = _latest_ns(plan)
        self._guards = bool(options.get("pre_vote")) and bool(options.get("check_quorum"))
        self._is_over = False
        self.cut_off: CutOffLeaders | None = None
        """Who watches for leaders that hear no quorum, where they have to step down."""
        if options.get("check_quorum"):
            self.cut_off = CutOffLeaders(
                pace.settle_ns + self._late_ns,
                hears=self._hears,
                is_healthy=self._is_healthy,
                voters=parts_of(world.observer.configurations, {name: g.voters for name, g in plan.groups.items()}),
            )
        for kind in _DISTURBING:
            world.recorder.also(kind, self._on_change)
        world.recorder.also("role", self._on_role)
        world.recorder.also("term", self._on_term)

    def begin(self) -> None:
        """Schedule what is known beforehand, before the nemesis does."""
        kernel, heal_ns = self._world.kernel, self._plan.phases.heal_ns
        for fault in self._plan.faults:
            if isinstance(fault, _COMMANDS) and fault.begin_ns < heal_ns:
                kernel.exactly(fault.begin_ns, self._on_command, fault.id)
        kernel.exactly(heal_ns, self.close)
        self._look_soon()

    def close(self, _: None = None) -> None:
        """The heal, or the end of the run: nothing is watched any more."""
        self._break()
        if self.cut_off is not None:
            self.cut_off.close(self._world.kernel.now, self._world.log.index)
        self._is_over = True

    def verdict(self, history: Sequence[Op]) -> Verdict:
        """Judge the requests of clients, and say all that was found."""
        verdict = self.availability.verdict(history, len(self._plan.programs))
        alone = () if self.cut_off is None else tuple(self.cut_off.anomalies)
        if not alone:
            return verdict
        return msgspec.structs.replace(verdict, validity="invalid", anomalies=(*verdict.anomalies, *alone))

    # -- what happens ---------------------------------------------------------------------------------------------

    def _on_change(self, index: int, row: Row) -> None:
        if row[1] == "fault-end":
            self._commands.discard(row[3])
        elif row[1] in _ENDING and self.cut_off is not None:
            self.cut_off.ends(self._world.kernel.now, index, row[2])
        self._break()
        self._look_soon()

    def _on_command(self, fault: str) -> None:
        self._commands.add(fault)
        self._break()

    def _on_role(self, index: int, row: Row) -> None:
        _, _, node, group, role, term = row
        self._note_term(index, node, group, term)
        if self.cut_off is not None and not self._is_over:
            self.cut_off.role(self._world.kernel.now, index, group, node, role, term)
        stretch = self._stretch
        if role == "leader" and stretch is not None and node in stretch.connected:
            self.availability.leads(stretch, self._world.kernel.now, index, group, node)

    def _on_term(self, index: int, row: Row) -> None:
        _, _, node, group, term = row
        self._note_term(index, node, group, term)

    def _note_term(self, index: int, node: str, group: str, term: int) -> None:
        self._terms[group, node] = term
        stretch = self._stretch
        if stretch is not None and node in stretch.connected and term > self._top[group]:
            self._top[group] = term
            self.availability.rises(stretch, self._world.kernel.now, index, group, node, term)

    def _break(self) -> None:
        if self._stretch is not None:
            stretch, self._stretch = self._stretch, None
            self.availability.end(stretch, self._world.kernel.now, self._world.log.index)

    def _look_soon(self) -> None:
        kernel = self._world.kernel
        if self._looks_at_ns != kernel.now and not self._is_over:
            self._looks_at_ns = kernel.now
            kernel.exactly(kernel.now, self._look)

    # -- what is so -----------------------------------------------------------------------------------------------

    def _look(self, _: None) -> None:
        self._looks_at_ns = -1
        if self.cut_off is not None and not self._is_over:
            self.cut_off.look(self._world.kernel.now, self._world.log.index)
        if self._stretch is not None or self._is_over or self._commands:
            return
        connected = self._connected()
        if connected is None:
            return
        world, now = self._world, self._world.kernel.now
        stretch = Stretch(
            begin_ns=now,
            connected=connected,
            silent=len(self._plan.nodes) - len(connected),
            threads=frozenset(p.thread for p in self._plan.programs if self._reaches(p.client, connected)),
            settle_ns=max(self._pace.settle_ns, self._late_ns),
        )
        for group in self._plan.groups:
            self._top[group] = max((self._terms.get((group, node), 0) for node in connected), default=0)
            leader = world.observer.leader(group)
            if leader in connected and self._terms.get((group, leader), 0) == self._top[group]:
                stretch.leaders[group] = (leader, now)
        self._stretch = stretch
        self.availability.begin(stretch)

    def _connected(self) -> tuple[str, ...] | None:
        """The members that can talk, where they hold a majority and nobody else can disturb them."""
        members = self._members()
        if members is None:
            return None
        voters, everybody = members
        healthy = [name for name in self._plan.nodes if name in everybody and self._is_healthy(name)]
        for first in healthy:
            connected = tuple(name for name in healthy if name == first or self._both_ways(first, name))
            if all(2 * len(part.intersection(connected)) > len(part) for part in voters):
                break
        else:
            return None
        if not all(self._both_ways(one, other) for one in connected for other in connected if one < other):
            return None
        others = (name for name in self._plan.nodes if name not in connected)
        return connected if all(self._is_silent(name, connected, everybody) for name in others) else None

    def _members(self) -> tuple[list[frozenset[str]], frozenset[str]] | None:
        """The voters of each group and the members of all. None where nodes that run differ about them."""
        configurations, hosts = self._world.observer.configurations, self._world.hosts
        all_voters, everybody = [], frozenset[str]()
        for group, initial in self._plan.groups.items():
            begun = (initial.voters, (), initial.learners)
            known = {name: configurations.get((group, name), begun) for name in self._plan.nodes if hosts[name].is_up}
            believed = {
                tuple(frozenset(part) for part in parts)
                for name, parts in known.items()
                if name in {*parts[0], *parts[1], *parts[2]}
            }
            if len(believed) != 1:
                return None
            voters, outgoing, learners = believed.pop()
            if outgoing:
                return None
            all_voters.append(voters)
            everybody |= voters | learners
        return all_voters, everybody

    def _is_healthy(self, name: str) -> bool:
        host = self._world.hosts[name]
        is_slow = host.slowness.in_force or host.background.in_force or host.disk.any_in_force
        is_still = host.paused or host.clock.stopped
        return host.is_up and not is_slow and not is_still and abs(host.clock.rate_ppm - _MILLION) <= _CLOCK_ERROR_PPM

    def _hears(self, node: str, other: str) -> bool:
        """Whether anything can arrive at a node from another one: what it sends, or what was sent before and waits."""
        link = self._world.network.links[other][node]
        if link.cuts:
            return False
        host = self._world.hosts[other]
        return (host.is_up and not host.paused) or bool(link.clogs) or link.free_ns > self._world.kernel.now

    def _both_ways(self, one: str, other: str) -> bool:
        links, now = self._world.network.links, self._world.kernel.now
        pair = (links[one][other], links[other][one])
        return all(link.plain and link.free_ns <= now for link in pair)

    def _is_silent(self, name: str, connected: tuple[str, ...], members: frozenset[str]) -> bool:
        host, links = self._world.hosts[name], self._world.network.links
        if not host.is_up or host.paused or all(links[name][node].cuts for node in connected):
            return True
        groups = self._plan.groups.items()
        known = self._world.observer.configurations
        if name not in members and not any(
            (group, name) in known or name in (*initial.voters, *initial.learners) for group, initial in groups
        ):
            return True
        is_deaf = all(links[node][name].cuts for node in connected)
        return self._guards and (is_deaf or name not in members)

    def _reaches(self, client: str, connected: tuple[str, ...]) -> bool:
        """Whether a client can talk with all connected nodes, and meets no others by chance or habit."""
        host, actor = self._world.hosts[client], self._plan.actors[client]
        if not host.is_up or host.paused or host.slowness.in_force:
            return False
        if actor.routing == "home" and actor.home not in connected:
            return False
        if actor.routing == "any" and len(connected) < len(self._plan.nodes):
            return False
        return all(self._both_ways(client, node) for node in connected)


def _slowest_ns(link: LinkSpec) -> int:
    """How long a message takes; of an exponential delay what one in 20,000 exceeds."""
    span_ns = link.delay_max_ns - link.delay_min_ns
    return link.delay_min_ns + (10 * span_ns if link.shape == "exponential" else span_ns)


def _slack(span_ns: int) -> int:
    """A tenth for slow clocks, and a little."""
    return span_ns * 9 // 8


def _latest_ns(plan: Plan) -> int:
    """How late a message may be that was sent while a fault of the plan was on its link, or its target was slow.

    Or work in the background that its target began then.
    """
    late = 0
    for fault in plan.faults:
        match fault:
            case Delay():
                late = max(late, fault.extra_ns + fault.jitter_ns)
            case Duplicate():
                late = max(late, fault.spread_ns)
            case Reorder():
                late = max(late, fault.hold_ns)
            case SlowNode():
                late = max(late, fault.processing_ns)
            case SlowBackground():
                late = max(late, fault.late_ns)
    return 2 * late
