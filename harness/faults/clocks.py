"""Clocks: rates of both clocks of an actor, and steps of its wall clock.

A wall clock that no process reads may show anything. So a step or a strobe is effective only if the actor read its
wall clock while the fault was in force, and a system that never does lacks the capability `wall-clock`.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import ClassVar, Final

from .fault import Assumptions, FaultState
from .nodes import NodeFault
from .world import MILLION, FaultWorld

_SHORTEST_PERIOD_NS: Final = 1_000_000

_READ: Final = "the actor read its wall clock meanwhile"


class ClockRate(NodeFault, frozen=True, kw_only=True, tag="clock-rate"):
    """Let both clocks of the targets run at `rate_ppm` of true time."""

    rate_ppm: int

    waits_for_node: ClassVar[bool] = True
    effective_when: ClassVar[str] = "the actor was up when it began"
    deed: ClassVar[str] = "changed the rate of a clock"

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Change the rate."""
        world.set_rate(self.id, name, self.rate_ppm)
        state.hits += 1

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Back to the latest other rate in force, or to the clock's own."""
        world.set_rate(self.id, name, None)

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """Leases rest on rates within a bound."""
        bound = assumptions.clock_bound
        if bound is not None and self.meets_any(assumptions.nodes) and not is_within(self.rate_ppm, bound):
            yield "reads=lease: a clock runs beyond lease_drift_bound"


class ClockStep(NodeFault, frozen=True, kw_only=True, tag="clock-step"):
    """Move the wall clock by `step_ns` at the begin, and back by as much at the end when `back` is set."""

    step_ns: int
    back: bool = False

    capability: ClassVar[str] = "wall-clock"
    effective_when: ClassVar[str] = _READ

    def begin_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Step."""
        world.step_wall(self.id, name, self.step_ns)

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Step back, if that is wanted."""
        if self.back:
            world.step_wall(self.id, name, -self.step_ns)
        world.release_wall(self.id, name)


class ClockStrobe(NodeFault, frozen=True, kw_only=True, tag="clock-strobe"):
    """Move the wall clock to and fro by `step_ns` every `period_ns`."""

    step_ns: int
    period_ns: int

    capability: ClassVar[str] = "wall-clock"
    effective_when: ClassVar[str] = _READ

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Begin to strobe, at once for all targets."""
        has_target = bool(world.up(state.targets))
        if has_target:
            self._strobe((world, state, 1))
        return has_target

    def undo_at(self, world: FaultWorld, state: FaultState, name: str) -> None:
        """Leave the wall clock where it is."""
        world.release_wall(self.id, name)

    def _strobe(self, argument: tuple[FaultWorld, FaultState, int]) -> None:
        world, state, sign = argument
        names = [name for name in state.targets if name not in state.undone_for]
        if state.ended or not names:
            return
        for name in world.up(names):
            world.step_wall(self.id, name, sign * self.step_ns)
        next_ns = world.now_ns() + max(self.period_ns, _SHORTEST_PERIOD_NS)
        world.call_at(next_ns, self._strobe, (world, state, -sign))


def is_within(rate_ppm: int, bound: Fraction) -> bool:
    """Whether a clock rate lies in [1/b, b]."""
    return rate_ppm <= bound * MILLION and rate_ppm * bound >= MILLION
