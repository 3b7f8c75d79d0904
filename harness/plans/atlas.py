"""The atlas: which nodes' disks may ever be damaged, so that what was committed is never destroyed on a quorum.

The budget is f nodes, counted against the smallest configuration that the plan's faults may bring into force, and the
same nodes for every region of the disk: a node that refuses its log and one that refuses its snapshot are both down.
For each region the atlas has all of these nodes or some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from harness.faults.disk_damage import REGIONS
from harness.faults.fault import Fault

from .draws import Draws

Atlas = dict[str, tuple[str, ...]]

_IN_REGION_PPM: Final = 800_000


def draw_atlas(draws: Draws, nodes: Sequence[str]) -> Atlas:
    """Draw the nodes in the order in which the budget lets them go, for each region of the disk."""
    stream = draws.streams("atlas")
    order = stream.shuffled(nodes)[: _budget([nodes])]
    return {
        region: tuple(name for name in order if draws.streams(f"atlas/{region}/{name}").chance_ppm(_IN_REGION_PPM))
        for region in REGIONS
    }


def within_budget(atlas: Atlas, voters: Sequence[str], faults: Sequence[Fault]) -> tuple[Atlas, list[Fault]]:
    """Keep the atlas to what the initial voters and the drawn faults leave of the budget, and the faults that damage
    nobody else.

    Without a fault that damages anything the atlas is empty.
    """
    configurations = [voters, *(others for fault in faults for others in fault.configurations)]
    order = dict.fromkeys(name for names in atlas.values() for name in names)
    kept_nodes = list(order)[: _budget(configurations)]
    kept = {region: tuple(name for name in names if name in kept_nodes) for region, names in atlas.items()}
    left = [fault for fault in faults if set(fault.lost_nodes(atlas)) <= set(fault.lost_nodes(kept))]
    damages = any(fault.lost_nodes(kept) for fault in left)
    return (kept if damages else {}), left


def _budget(configurations: Sequence[Sequence[str]]) -> int:
    """How many nodes may fail for good in each of these configurations."""
    return min((len(voters) - 1) // 2 for voters in configurations)


def all_of(atlas: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Every node in it."""
    return frozenset(name for names in atlas.values() for name in names)
