"""After the heal: what must come about, one step after another.

| step | what happens | it is over when |
| --- | --- | --- |
| `settle` | clients drop their backlog, and each makes its recovery op | all were answered, the replicas agree |
| `administer` | each group is asked for another leader, a change of membership and the way back | all are in force |
| `quiet` | nobody asks for anything | the time of the plan is over |
| `close` | clients make their final reads, and one more write each | all were answered, the replicas agree |

Nothing breaks any more, so each step must come to its end, within bounds that `checkers.raft.liveness` knows; a step
that does not ends the run. A plan without quiet time has the first and the last step only, without a gap.

What an administrator asks here goes to the leader that the trace shows, and comes into force when the trace shows it:
that a node took a command is no evidence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, Literal, Protocol

import msgspec

from checkers.raft.liveness import Bound, Quiet, Request, RequestKind
from harness.plans.classify import lost_nodes
from harness.plans.plan import Plan
from harness.sim.world import SimWorld

from .interpreter import Thread

LOOK_EVERY_NS: Final = 20_000_000
"""How often, after the heal, the runner asks whether a step is over."""

_ASK_AGAIN_NS: Final = 200_000_000
"""How long a command that was taken may take to come into force, before it is given once more."""

Members = tuple[tuple[str, ...], tuple[str, ...]]
"""Voters and learners."""

Step = Literal["settle", "administer", "quiet", "close"]


class Recovery:
    """Leads one run from its heal to its end."""

    def __init__(
        self,
        plan: Plan,
        world: SimWorld,
        threads: Sequence[Thread],
        *,
        bound: Bound,
        heartbeat_ns: int,
        is_judged: bool,
        capabilities: Collection[str],
        is_orderly: bool,
        has_converged: Callable[[], bool],
    ) -> None:
        """A run whose liveness is not judged (`is_judged`) is not waited for as long, and nothing is asked of it.

        `heartbeat_ns` is 0 for a system that has no such option. `is_orderly`: nothing is lost or late after the heal,
        and by the options of the plan nobody campaigns who cannot win.
        """
        self.step: Step = "settle"
        self.converged_ns: int | None = None
        """When the healed replicas first agreed."""
        self.quiet: Quiet | None = None
        self._plan, self._world, self._threads = plan, world, threads
        self._bound, self._heartbeat_ns = bound, heartbeat_ns
        self._due_ns = bound.convergence_ns if is_judged else bound.deadline_ns
        self._has_converged = has_converged
        self._requests: list[Request] = []  # an administrator's
        self._is_quiet = is_judged and plan.phases.quiet_ns > 0
        self._tasks = deque(_tasks(plan, world, capabilities, is_orderly=is_orderly) if self._is_quiet else ())
        self._begun_ns = 0  # when the task in hand was begun, or the quiet

    def look(self, now: int) -> str | None:
        """Go on to the next step if this one is over. Returns why the run ends, when it does."""
        if self.converged_ns is None and self._has_converged():
            self.converged_ns = now
        if self.step == "settle" and self._all(lambda thread: thread.recovered) and self._has_converged():
            self._enter("administer" if self._is_quiet else "close", now)
        if self.step == "administer":
            self._administer(now)
        if self.step == "quiet" and now >= self._begun_ns + self._plan.phases.quiet_ns:
            self.quiet = Quiet(
                begin_ns=self._begun_ns,
                end_ns=now,
                heartbeats=self._heartbeats(now - self._begun_ns),
                may_be_disturbed=self._may_be_disturbed(),
            )
            self._enter("close", now)
        if self.step == "close" and self._all(lambda thread: thread.done) and self._has_converged():
            return "done"
        return "overdue" if now > self._due_ns else None

    def requests(self) -> list[Request]:
        """All that was asked for, in the order in which it was begun, with what is still waited for."""
        asked = [*self._requests, *(request for thread in self._threads for request in thread.requests())]
        if self.step == "administer" and self._tasks and self._begun_ns:
            asked.append(self._tasks[0].request(self._begun_ns, None))
        return sorted(asked, key=lambda request: request.began_ns)

    def _all(self, holds: Callable[[Thread], bool]) -> bool:
        """Of all threads but those that nothing is promised to: their clients lie outside the healed set."""
        return all(holds(thread) for thread in self._threads if thread.reaches_healed)

    def _enter(self, step: Step, now: int) -> None:
        self.step = step
        self._begun_ns = now
        self._due_ns = self._bound.due_ns(now)
        if step == "administer":
            self._world.nemesis.hand_over()
        elif step == "quiet":
            self._due_ns += self._plan.phases.quiet_ns
        elif step == "close":
            self._due_ns = self._plan.phases.horizon_ns  # each request is judged by itself
            for thread in self._threads:
                thread.may_close = True

    def _heartbeats(self, span_ns: int) -> int | None:
        """How many heartbeats, with their answers, all groups send in a time."""
        if not self._heartbeat_ns:
            return None
        return len(self._plan.groups) * 2 * (len(self._plan.nodes) - 1) * (span_ns // self._heartbeat_ns + 1)

    def _may_be_disturbed(self) -> bool:
        """Whether a node that is no member of a group thinks it is, and may campaign without being stopped."""
        options = self._plan.options
        if options.get("pre_vote") or options.get("check_quorum"):
            return False
        sites = [_Site(self._plan, self._world, group) for group in self._plan.groups]
        return any(
            any(name in part for part in site.members(name)[:2]) and name not in site.members(leader)[0]
            for site in sites
            if (leader := site.leader()) is not None
            for name in self._plan.nodes
        )

    def _administer(self, now: int) -> None:
        while self._tasks and (self._tasks[0].site.is_led_from_outside() or self._tasks[0].is_done(now)):
            task = self._tasks.popleft()
            if task.was_asked:
                self._requests.append(task.request(self._begun_ns, now))
            self._begun_ns = now
            self._due_ns = self._bound.due_ns(now)
        if not self._tasks and self._has_converged():
            self._enter("quiet", now)


class _Task(Protocol):
    """Something that an administrator asks for until it is in force."""

    site: _Site
    was_asked: bool

    def is_done(self, now: int) -> bool:
        """Look, and ask if it is time to. True as well for what cannot be asked of this group."""
        ...

    def request(self, began_ns: int, done_ns: int | None) -> Request: ...


def _tasks(plan: Plan, world: SimWorld, capabilities: Collection[str], *, is_orderly: bool) -> Iterator[_Task]:
    for group in plan.groups:
        site = _Site(plan, world, group)
        if "membership" in capabilities:
            yield _Restored(site, site.initial)
        if "leader" in capabilities:
            yield _Transfer(site, is_orderly=is_orderly)
        if "membership" in capabilities:
            change = _Change(site)
            yield change
            yield _Restored(site, change.way_back)


class _Site:
    """What an administrator of one group sees and can do."""

    def __init__(self, plan: Plan, world: SimWorld, group: str) -> None:
        self.plan, self.world, self.group = plan, world, group
        lost = lost_nodes(plan)
        self.is_total = plan.phases.heal == "total" and not lost
        self._reachable = frozenset(plan.phases.healed if plan.phases.heal == "partial" else plan.nodes)
        self.healed = self._reachable - lost

    def initial(self) -> Members | None:
        """The initial voters and learners, if none of them may be out of reach for good."""
        group = self.plan.groups[self.group]
        return (group.voters, group.learners) if self.is_total else None

    def is_led_from_outside(self) -> bool:
        """Whether a node leads that cannot be reached. It may, but is asked for nothing."""
        leader = self.world.observer.leader(self.group)
        return leader is not None and leader not in self._reachable

    def leader(self) -> str | None:
        """The leader, if it can be reached. Another one may lead, but is owed nothing.

        One whose disk was damaged may refuse at its next start; until then it leads like any other.
        """
        leader = self.world.observer.leader(self.group)
        return leader if leader in self._reachable else None

    def members(self, node: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """The configuration in force at a node: voters, outgoing, learners."""
        found = self.world.observer.configurations.get((self.group, node))
        if found is not None:
            voters, outgoing, learners = (tuple(sorted(part)) for part in found)
            return voters, outgoing, learners
        initial = self.plan.groups[self.group]
        return tuple(sorted(initial.voters)), (), tuple(sorted(initial.learners))

    def is_in_force(self, voters: Collection[str], learners: Collection[str]) -> bool:
        """Whether the leader and all healed members have this configuration, and no joint one."""
        leader = self.leader()
        wanted = (tuple(sorted(voters)), (), tuple(sorted(learners)))
        members = {name for name in (*voters, *learners) if name in self.healed}
        up = {name for name in members if not self.world.hosts[name].refused}
        return leader is not None and all(self.members(name) == wanted for name in {leader, *up})

    def ask(self, command: str, **arguments: object) -> bool:
        """Give the leader a command. True when it was taken."""
        leader = self.leader()
        return leader is not None and self.world.command(leader, self.group, command, arguments)

    def request(self, kind: RequestKind, began_ns: int, done_ns: int | None) -> Request:
        return Request(kind=kind, asker="the administrator", group=self.group, began_ns=began_ns, done_ns=done_ns)


class _Transfer:
    """Another healed voter shall lead."""

    def __init__(self, site: _Site, *, is_orderly: bool) -> None:
        self.was_asked = False
        self._is_orderly = is_orderly
        self.site = site
        self._target: str | None = None
        self._next_ns = 0

    def is_done(self, now: int) -> bool:
        site = self.site
        leader = site.leader()
        if self._target is not None and leader == self._target:
            return True
        if leader is None or now < self._next_ns:
            return False
        voters, _, _ = site.members(leader)
        others = [name for name in voters if name != leader and name in site.healed]
        others = [name for name in others if not site.world.hosts[name].refused]
        if not others:
            return True
        target = others[0]
        if site.ask("transfer", target=target):
            self.was_asked, self._target, self._next_ns = True, target, now + _ASK_AGAIN_NS
        return False

    def request(self, began_ns: int, done_ns: int | None) -> Request:
        asked = self.site.request("transfer", began_ns, done_ns)
        return msgspec.structs.replace(asked, is_orderly=self._is_orderly)


class _Change:
    """One voter shall leave, or listen only; the healed replicas keep a majority without it."""

    def __init__(self, site: _Site) -> None:
        self.was_asked = False
        self.site = site
        self._before: Members | None = None  # the members before, if the one that left is healed
        self._wanted: Members | None = None
        self._next_ns = 0

    def is_done(self, now: int) -> bool:
        site = self.site
        if self._wanted is None:
            leader = site.leader()
            if leader is None:
                return False
            wanted = self._fewer(leader)
            if wanted is None:
                return True
            self._wanted = wanted
        voters, learners = self._wanted
        if self.was_asked and site.is_in_force(voters, learners):
            return True
        if now >= self._next_ns and site.ask("change", voters=voters, learners=learners):
            self.was_asked, self._next_ns = True, now + _ASK_AGAIN_NS
        return False

    def way_back(self) -> Members | None:
        """The members before, if the one that left is healed."""
        return self._before

    def _fewer(self, leader: str) -> Members | None:
        """The members without one voter: rather one that is not healed; never so that healed ones are no majority."""
        site = self.site
        voters, _, learners = site.members(leader)
        candidates = [name for name in voters if name != leader]
        for name in sorted(candidates, key=lambda name: (name in site.healed, name)):
            left = tuple(other for other in voters if other != name)
            if 2 * len([other for other in left if other in site.healed]) > len(left):
                if name in site.healed:
                    self._before = voters, learners
                listens = name in site.healed and site.plan.schedule.seed % 2 == 0
                return left, tuple(sorted((*learners, name))) if listens else learners
        return None

    def request(self, began_ns: int, done_ns: int | None) -> Request:
        return self.site.request("change", began_ns, done_ns)


class _Restored:
    """Some members shall be in force again. None are, where some of them may be out of reach for good."""

    def __init__(self, site: _Site, members: Callable[[], Members | None]) -> None:
        """`members` is asked when it is this task's turn."""
        self.was_asked = False
        self.site = site
        self._members = members
        self._next_ns = 0

    def is_done(self, now: int) -> bool:
        site, members = self.site, self._members()
        if members is None or site.is_in_force(*members):
            return True
        voters, learners = members
        if now >= self._next_ns:
            self.was_asked = True
            taken = site.ask("change", voters=voters, learners=learners)
            self._next_ns = now + (_ASK_AGAIN_NS if taken else 0)
        return False

    def request(self, began_ns: int, done_ns: int | None) -> Request:
        return self.site.request("change", began_ns, done_ns)
