"""Damage is never mistaken for a torn tail: a log that lost something it had acknowledged does not open.

Random logs are damaged in every way that the simulator's disks know, at times while a torn batch lies behind the
damage. Recovery may refuse; what it gives it must have been given before.
"""

from __future__ import annotations

from collections import Counter as Tally
from random import Random

import pytest

from harness.sim.disk import Keeps
from harness.sim.disk_damage import DiskDamage
from harness.sim.kernel.draws import Chance, Counter
from raft_impl.errors import Corrupt
from raft_impl.runtime.logfiles import disk_regions
from raft_impl.runtime.records import RecordWriter, scan
from raft_impl.runtime.wal import Wal
from tests.raft_impl.runtime.fakes import run
from tests.raft_impl.runtime.test_disk import SyncedSimDisk
from tests.raft_impl.runtime.test_wal import EMPTY, State, entries, hard, open_wal, persist, snapshot, state_of, steps

SEEDS = range(150)
WAYS = ("header of log", "body of log", "header of hard-state", "body of hard-state", "header of snapshot",
        "body of snapshot", "misdirected", "lost")  # fmt: skip


def grow(disk: SyncedSimDisk, random: Random) -> tuple[list[State], Wal]:
    """A log of random batches, each acknowledged; the last one at times is not. The states that may be found."""
    wal, _ = open_wal(disk, segment_bytes=random.choice((600, 4_000, 1 << 20)))
    state, last, term = EMPTY, 0, 1
    for _ in range(random.randint(5, 25)):
        if random.random() < 0.3:
            term += 1
        terms = [term] * random.randint(0, 4)
        image = (
            snapshot(last, state[2][-1].term, size=random.randint(10, 900))
            if random.random() < 0.2 and state[2]
            else None
        )
        change = persist(
            hard(term, random.choice("abc")), None, entries(last + 1, *terms, size=random.choice((5, 60, 300))), image
        )
        wal.write(change)
        run(wal.sync())
        state, last = steps(state, change)[-1], last + len(terms)
    if random.random() < 0.5:
        return [state], wal
    change = persist(hard(term + 1), None, entries(last + 1, *[term + 1] * random.randint(1, 6), size=300))
    wal.write(change)
    return steps(state, change), wal


def hurt(damage: DiskDamage, way: str) -> bool:
    what, of, region = way.partition(" of ")
    if of:
        return damage.rot("f1", region, what)
    if what == "misdirected":
        return damage.misdirect("f1", "log")
    return damage.lose_write("f1", "log", is_last=False) or damage.lose_write("f1", "snapshot", is_last=False)


@pytest.mark.parametrize("keeps", ["prefix", "sectors", "nothing"])
@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_log_is_refused(way: str, keeps: Keeps) -> None:
    seen: Tally[str] = Tally()
    for seed in SEEDS:
        disk = SyncedSimDisk()
        allowed, _ = grow(disk, Random(seed))
        damage = DiskDamage(disk, Counter(Chance(seed), "damage"), {}, regions=disk_regions, sector_bytes=512)
        if not hurt(damage, way):
            seen["nothing there"] += 1
            continue

        disk.lose_power(Counter(Chance(seed), "power-loss"), keeps)
        is_there = any(
            file.damage for _, file in disk.durable_files()
        )  # it may have been of a segment that was removed
        try:
            found = open_wal(disk)[1]
        except Corrupt:
            assert is_there, f"seed {seed}"
            seen["refused"] += 1
            continue

        assert state_of(found) in allowed, f"seed {seed}"
        assert not is_there, f"seed {seed}"

    assert seen["refused"] > 20


def test_a_flipped_header_before_a_torn_record_is_no_tear() -> None:
    """Both were written whole or not at all; only the second may be missing."""
    writer = RecordWriter("log")
    first, second = writer.frame(2, b"first" * 5), writer.frame(2, b"second" * 90)
    torn = bytearray(first + second[:300] + bytes(212))

    assert scan("log", torn).damage == "torn"
    torn[4] ^= 1

    assert scan("log", torn).damage == "corrupt"


def test_every_byte_of_a_log_is_in_one_region() -> None:
    disk = SyncedSimDisk()
    grow(disk, Random(2))

    for name, file in disk.durable_files():
        content = bytes(file.durable)
        regions = disk_regions(name, content)
        assert [region[2] for region in regions] == [0, *(region[3] for region in regions[:-1])]
        assert regions[-1][3] == len(content)
        assert {region[0] for region in regions} <= {"log", "hard-state", "snapshot"}
    assert disk_regions("identity", b"anything") == ()
