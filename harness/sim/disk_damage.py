"""Damage to what one disk holds: where it can be, and what it does.

The place of a damage is drawn from the regions that the system tells apart in its files. A file is damaged once: until
it is gone, nothing more happens to it, so that each damage can be noticed by what it is. What a write did that landed
elsewhere or nowhere is decided afterwards, of a write that was confirmed, and shows when the power has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .disk import SimDisk, SimFile
from .kernel.draws import Counter

Regions = Callable[[str, bytes], tuple[tuple[str, str, int, int], ...]]
"""(name, content) of a file -> its regions, as (region, part, first byte, byte behind the last)."""


class DiskDamage:
    """What faults do to the bytes of one disk."""

    def __init__(
        self, disk: SimDisk, draws: Counter, hits: dict[str, int], *, regions: Regions, sector_bytes: int
    ) -> None:
        self._disk, self._draws, self._hits = disk, draws, hits
        self._regions, self._sector_bytes = regions, sector_bytes

    def rot(self, fault: str, region: str, part: str) -> bool:
        """Flip one bit of a part of a region. False if there is none."""
        places = [(file, begin, end) for file, what, begin, end in self._durable(region) if what == part]
        if not places:
            return False
        file, begin, end = places[self._draws.below(len(places))]
        position, bit = begin + self._draws.below(end - begin), 1 << self._draws.below(8)
        self._damage(fault, file, [(position, bytes([file.durable[position] ^ bit]))])
        if position < len(file.content):
            file.content[position] ^= bit
        file.shows_damage = True
        return True

    def misdirect(self, fault: str, region: str) -> bool:
        """Let the sectors of the latest confirmed write have landed on earlier ones of its file.

        False if no file has had such a write, behind a sector that holds something of the region.
        """
        size = self._sector_bytes
        found = []
        for file, sectors in self._sectors(region):
            _, begin, end = file.sizes
            earlier = [sector for sector in sectors if sector < begin // size]
            if begin < end == len(file.durable) and earlier:
                found.append((file, begin, end, earlier))
        if not found:
            return False
        file, begin, end, earlier = found[self._draws.below(len(found))]
        own = begin // size * size
        target = earlier[self._draws.below(len(earlier))] * size
        image = bytes(file.durable[own:end])[: own - target]
        if image == file.durable[target : target + len(image)]:
            return False
        self._damage(fault, file, [(target, image), (begin, bytes(end - begin))])
        return True

    def lose_write(self, fault: str, region: str, *, is_last: bool) -> bool:
        """Let a confirmed sector read as zeros from the next power loss on: one with later writes behind, or the last.

        A snapshot is one write, so any of its sectors will do. False if there is no such sector.
        """
        size = self._sector_bytes
        found = []
        for file, sectors in self._sectors(region):
            end = len(file.durable)
            if is_last:
                found += [(file, sector) for sector in sectors if (sector + 1) * size >= end]
            else:
                # An fsync began after this size was confirmed, and the next one covered what had been written by then.
                limit = end if region == "snapshot" else file.sizes[0] // size * size
                found += [(file, sector) for sector in sectors if sector * size < limit]
        if not found:
            return False
        file, sector = found[self._draws.below(len(found))]
        lost = file.durable[sector * size : (sector + 1) * size]
        if lost.count(0) == len(lost):
            return False
        self._damage(fault, file, [(sector * size, bytes(len(lost)))])
        return True

    def met(self, name: str) -> None:
        """A file is read: if it shows a damage, the fault has had its effect."""
        file = self._disk.find(name)
        if file is not None and file.shows_damage and file.damage:
            self._hits[file.damaged_by] = self._hits.get(file.damaged_by, 0) + 1

    @staticmethod
    def _damage(fault: str, file: SimFile, damage: list[tuple[int, bytes]]) -> None:
        file.damage = damage
        file.damaged_by = fault

    def _durable(self, region: str) -> Iterator[tuple[SimFile, str, int, int]]:
        """Where a region is in undamaged files: (file, part, first byte, byte behind the last), all of it durable."""
        for name, file in self._disk.durable_files():
            if not file.damage:
                for what, part, begin, end in self._regions(name, bytes(file.durable)):
                    if what == region and begin < end:
                        yield file, part, begin, end

    def _sectors(self, region: str) -> list[tuple[SimFile, list[int]]]:
        """The sectors that hold anything of a region, file by file, in order."""
        found: list[tuple[SimFile, dict[int, None]]] = []
        for file, _, begin, end in self._durable(region):
            if not found or found[-1][0] is not file:
                found.append((file, {}))
            for sector in range(begin // self._sector_bytes, -(-end // self._sector_bytes)):
                found[-1][1][sector] = None
        return [(file, list(sectors)) for file, sectors in found]
