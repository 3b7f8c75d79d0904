"""Damage to a disk: where it may be, when it shows, and that the promise of fsyncs stays what it was."""

from __future__ import annotations

import pytest

from harness.sim.disk import SimDisk
from harness.sim.disk_damage import DiskDamage
from harness.sim.kernel.draws import Chance, Counter

SECTOR = 16


def regions(name: str, content: bytes) -> tuple[tuple[str, str, int, int], ...]:
    """Files whose names begin with "log" have 4 bytes of header and the rest as body; "snap" is a snapshot."""
    region = "log" if name.startswith("log") else "snapshot"
    return (region, "header", 0, min(4, len(content))), (region, "body", min(4, len(content)), len(content))


class Bench:
    """A disk with a file of several fsynced writes."""

    def __init__(self, *writes: bytes, name: str = "log", seed: int = 1) -> None:
        self.hits: dict[str, int] = {}
        self.disk = SimDisk(sector_bytes=SECTOR)
        self.damage = DiskDamage(
            self.disk, Counter(Chance(seed), "damage"), self.hits, regions=regions, sector_bytes=SECTOR
        )
        self.name = name
        for data in writes:
            self.write(data)

    def write(self, data: bytes) -> None:
        self.disk.append(self.name, data)
        self.disk.begin_fsync(self.name)()
        self.disk.begin_fsync_directory()()

    def promised(self) -> bytes:
        return bytes(dict(self.disk.durable_files())[self.name].durable)

    def read(self) -> bytes:
        self.damage.met(self.name)
        return self.disk.read(self.name)

    def after_power_loss(self) -> bytes:
        self.disk.lose_power(Counter(Chance(1), "loss"), "nothing")
        return self.read()


def differing(one: bytes, other: bytes) -> list[int]:
    assert len(one) == len(other)
    return [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]


@pytest.mark.parametrize(("part", "places"), [("header", range(4)), ("body", range(4, 64))])
def test_rot_flips_one_bit_of_the_part_that_was_asked_for_and_shows_at_once(part: str, places: range) -> None:
    seen = set()
    for seed in range(200):
        bench = Bench(bytes(range(64)), seed=seed)
        assert bench.damage.rot("f1", "log", part)

        (place,) = differing(bench.read(), bench.promised())
        assert (bench.read()[place] ^ bench.promised()[place]).bit_count() == 1
        assert bench.after_power_loss() != bench.promised()
        seen.add(place)

    assert seen <= set(places)
    assert len(seen) > len(places) // 2


def test_damage_that_nobody_has_read_has_had_no_effect() -> None:
    bench = Bench(bytes(range(64)))

    bench.damage.rot("f1", "log", "body")
    assert bench.hits == {}
    bench.read()

    assert bench.hits == {"f1": 1}


def test_a_lost_write_is_a_whole_sector_of_zeros_below_what_three_fsyncs_ago_was_confirmed() -> None:
    written = [bytes([n]) * 24 for n in range(1, 5)]
    seen = set()
    for seed in range(60):
        bench = Bench(*written, seed=seed)
        assert bench.damage.lose_write("f1", "log", is_last=False)

        assert bench.read() == b"".join(written)  # it is in memory still
        content = bench.after_power_loss()
        lost = differing(content, bench.promised())
        assert content[lost[0] : lost[-1] + 1] == bytes(SECTOR)
        seen.add((lost[0], lost[-1] + 1))

    assert seen == {(0, 16), (16, 32), (32, 48)}  # 48 bytes were confirmed when the last but one fsync began


def test_a_write_is_not_lost_before_later_ones_lie_behind_it_and_a_snapshot_always_may() -> None:
    for writes, found in ((2, False), (3, True), (4, True)):
        assert Bench(*[b"x" * 20] * writes).damage.lose_write("f1", "log", is_last=False) is found

    assert Bench(b"x" * 20, name="snap").damage.lose_write("f1", "snapshot", is_last=False)


def test_the_last_write_lost_takes_the_end_of_the_file() -> None:
    bench = Bench(b"x" * 20, b"y" * 20)

    assert bench.damage.lose_write("f1", "log", is_last=True)

    assert bench.after_power_loss() == b"x" * 20 + b"y" * 12 + bytes(8)


def test_a_misdirected_write_hits_an_earlier_sector_and_is_missing_in_its_own_place() -> None:
    first, second = bytes(range(1, 41)), bytes(range(101, 111))
    bench = Bench(first, second)

    assert bench.damage.misdirect("f1", "log")
    assert bench.read() == first + second

    content = bench.after_power_loss()
    image = (first + second)[32:50]
    assert content[40:] == bytes(10)
    assert any(content[at : at + len(image[: 32 - at])] == image[: 32 - at] for at in (0, 16))
    assert bench.hits == {"f1": 1}


def test_a_file_is_damaged_once_until_it_is_gone() -> None:
    bench = Bench(*[b"x" * 40] * 4)

    assert bench.damage.rot("f1", "log", "body")
    assert not bench.damage.rot("f2", "log", "body")
    assert not bench.damage.misdirect("f2", "log")
    assert not bench.damage.lose_write("f2", "log", is_last=False)
    bench.disk.write("log", b"new")
    bench.disk.begin_fsync("log")()

    assert bench.after_power_loss() == b"new"
    assert bench.damage.rot("f2", "log", "header")


def test_there_is_nothing_to_damage_where_nothing_is_durable() -> None:
    bench = Bench()
    bench.disk.append("log", b"not synced")

    assert not bench.damage.rot("f1", "log", "body")
    assert not bench.damage.rot("f1", "snapshot", "body")
    assert not bench.damage.misdirect("f1", "log")
    assert not bench.damage.lose_write("f1", "log", is_last=True)
