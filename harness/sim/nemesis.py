"""The nemesis: keeps the timetable of a plan's faults, and the account of what they did.

It begins each fault, waits for a target that does not exist yet, ends the fault in time, and heals. What a fault does
is said by its record (`harness.faults.fault`); where it does that, by the world that the record acts on. Begin, end
and heal are events of that world's heap, so they fall between two steps of any node.

The heal is total, or partial: then only what concerns the healed actors is undone, and the rest of the faults becomes
permanent, because a total heal would hide a livelock that a lasting one-way partition keeps alive.
"""

from __future__ import annotations

from typing import Final

from harness.faults.fault import FOREVER, RETRY_NS, FaultState
from harness.faults.world import FaultWorld
from harness.plans.plan import Plan

_LATER_NS: Final = 200_000_000
"""By how much the end of a fault that has not come about yet is put off."""


class Nemesis:
    """Runs the timetable of one plan."""

    def __init__(self, plan: Plan, world: FaultWorld) -> None:
        self._world = world
        self._heal = plan.phases.heal
        self._heal_ns = plan.phases.heal_ns
        self._healed_actors = None if plan.phases.heal == "total" else frozenset(plan.phases.healed or plan.actors)
        self._states = [FaultState(fault) for fault in plan.faults]
        self._in_force: dict[str, FaultState] = {}  # by fault id
        self._waiting: dict[str, FaultState] = {}  # faults that wait for a leader, by id, in the order of their tries
        self._outcomes: dict[str, str] = {}  # by fault id, for faults that have ended

    @property
    def healed(self) -> bool:
        """Whether the heal has begun."""
        return self._world.healed

    def has_healed(self, actor: str) -> bool:
        """Whether the heal has begun and reaches an actor."""
        return self.healed and (self._healed_actors is None or actor in self._healed_actors)

    def schedule(self) -> None:
        """Put begins and ends into the heap."""
        for state in self._states:
            self._world.call_at(state.fault.begin_ns, self._begin, state)
            if state.fault.end_ns < FOREVER:
                self._world.call_at(state.fault.end_ns, self._end_in_time, state)

    def heal(self) -> None:
        """End what is to be ended: everything, or everything that concerns the healed actors."""
        world = self._world
        world.healed = True
        for state in list(self._in_force.values()):
            if not state.ended:
                self._end(state)
        world.heal(self._healed_actors)
        world.record("fault-end", "", "heal", "heal", self._heal)

    def in_force(self) -> list[tuple[str, str]]:
        """The faults in force, in the order in which they began: their ids and kinds."""
        return [(fault, state.fault.kind) for fault, state in self._in_force.items()]

    def hand_over(self) -> None:
        """From now on an administrator asks for members, and would be undone by a fault that asked for others."""
        self._world.administered = True

    def finish(self) -> dict[str, str]:
        """Outcomes of all faults of the plan."""
        for fault, state in self._in_force.items():
            self._count_hits(state)
            self._outcomes[fault] = state.outcome
        return {state.fault.id: self._outcomes.get(state.fault.id, "no-target") for state in self._states}

    def on_leader(self, group: str) -> None:
        """A node leads: faults that waited for that begin when their next try would have been."""
        now = self._world.now_ns()
        for fault, state in list(self._waiting.items()):
            if state.fault.needs_leader_of == group:
                del self._waiting[fault]
                next_try_ns = now + RETRY_NS - (now - state.tried_ns) % RETRY_NS
                self._world.call_at(next_try_ns, self._begin, state)

    @property
    def hits(self) -> dict[str, int]:
        """How many events each fault touched, by id; only those that touched any. Whole once the run is finished."""
        return {state.fault.id: state.hits for state in self._states if state.hits}

    # -- begin ----------------------------------------------------------------------------------------------------

    def _begin(self, state: FaultState) -> None:
        """Begin a fault; when its target does not exist yet, wait for it as long as the fault has patience."""
        fault, world = state.fault, self._world
        self._waiting.pop(fault.id, None)
        if self._lacks_leader(state) and self._wait_for_leader(state):
            return
        state.targets = world.resolve(fault.aimed_at)
        if state.taken_late:
            state.has_target, state.hits = True, 1
        else:
            state.has_target = fault.begin(world, state)
        if not state.has_target and self._try_again(state):
            return
        self._in_force[fault.id] = state
        world.record("fault-begin", "", fault.id, fault.kind, state.targets)
        if not state.has_target:
            self._finish(state)
        elif fault.end_ns < FOREVER and not fault.is_instant:
            state.until_ns = max(fault.end_ns, world.now_ns() + (fault.end_ns - fault.begin_ns) // 2)
            if state.until_ns > fault.end_ns:
                world.call_at(state.until_ns, self._end_in_time, state)

    def _lacks_leader(self, state: FaultState) -> bool:
        group = state.fault.needs_leader_of
        return group is not None and not state.taken_late and self._world.leader(group) is None

    def _wait_for_leader(self, state: FaultState) -> bool:
        """Put off the beginning of a fault until a node leads, if there is time.

        That no node leads is the most frequent reason by far, so such a fault is not tried in vain meanwhile.
        """
        now = self._world.now_ns()
        tries = (self._patience_ns(state) - now - 1) // RETRY_NS
        if tries > 0:
            state.tried_ns = now
            self._waiting[state.fault.id] = state
            self._world.call_at(now + tries * RETRY_NS, self._give_up_waiting, state)
        return tries > 0

    def _give_up_waiting(self, state: FaultState) -> None:
        if state.fault.id in self._waiting:
            self._begin(state)

    def _try_again(self, state: FaultState) -> bool:
        """Put off the beginning of a fault, if there is time."""
        next_try_ns = self._world.now_ns() + RETRY_NS
        has_time = next_try_ns < self._patience_ns(state)
        if has_time:
            self._world.call_at(next_try_ns, self._begin, state)
        return has_time

    def _patience_ns(self, state: FaultState) -> int:
        """Until when the beginning of a fault may be put off."""
        fault = state.fault
        if fault.waits_until_heal:
            return self._heal_ns
        return (fault.begin_ns + min(fault.end_ns, self._heal_ns)) // 2

    # -- end ------------------------------------------------------------------------------------------------------

    def _end_in_time(self, state: FaultState) -> None:
        now = self._world.now_ns()
        if state.fault.id not in self._in_force or state.permanent or now < state.until_ns:
            return
        self._count_hits(state)
        if state.fault.must_go_on(state) and now < self._heal_ns:
            self._world.call_at(now + _LATER_NS, self._end_in_time, state)
        else:
            self._undo(state)

    def _end(self, state: FaultState) -> None:
        """End a fault by the heal. What a partial heal leaves of it is permanent."""
        within = self._healed_actors
        if within is None:
            self._undo(state)
            return
        self._count_hits(state)
        state.fault.undo(self._world, state, within)
        if state.fault.is_undone(state, within):
            self._finish(state)
        state.permanent, state.undone_for = True, within

    def _undo(self, state: FaultState) -> None:
        self._count_hits(state)
        state.fault.undo(self._world, state, None)
        self._finish(state)

    def _finish(self, state: FaultState) -> None:
        state.ended = True
        fault = state.fault
        self._outcomes[fault.id] = state.outcome
        self._in_force.pop(fault.id, None)
        self._world.record("fault-end", "", fault.id, fault.kind, state.outcome)

    def _count_hits(self, state: FaultState) -> None:
        state.hits += self._world.take_hits(state.fault.id, state.targets)
