"""What a system declares of itself is held against what it does: who says that it reads no wall clock reads none.

Faults of which a system lacks the capability are not drawn for it. A node that reads its wall clock all the same would
never meet one that jumps, whatever it decides by it: a lease that was counted on such a clock passed for correct, since
no plan moved it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from checkers.verdict import Anomaly
from harness.sim.world import SimWorld
from harness.systems.programs.program import TrioProgram

_WALL_CLOCK: Final = "wall-clock"


def undeclared(world: SimWorld, capabilities: Collection[str]) -> list[Anomaly]:
    """An anomaly if a node has read its wall clock and no version of the system declares that it does.

    A system that declares nothing at all has not said that it reads none. Nor has an ordinary program: its libraries
    read one for a header or a line of a log, and it decides nothing by that.
    """
    is_program = any(isinstance(system, TrioProgram) for system in world.systems.values())
    if not capabilities or _WALL_CLOCK in capabilities or is_program:
        return []
    reads = {name: world.hosts[name].clock.wall_reads for name in world.plan.nodes}
    name = max(reads, key=lambda name: reads[name])
    if not reads[name]:
        return []
    message = (
        f"{name}: read its wall clock {reads[name]} times, and the system does not declare the capability "
        f"{_WALL_CLOCK!r}: no plan moves a clock of which nobody says that it is read"
    )
    return [Anomaly(checker="node", kind="undeclared", detail=_WALL_CLOCK, index=world.log.index, message=message)]
