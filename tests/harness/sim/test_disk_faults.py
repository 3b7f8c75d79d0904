"""What faults do to a disk: to its calls, its fsyncs and its room."""

from __future__ import annotations

import errno

import pytest

from harness.sim.disk import SimDisk
from harness.sim.disk_damage import DiskDamage
from harness.sim.disk_faults import DiskFaults
from harness.sim.kernel.draws import Chance, Counter
from harness.sim.lifetime import Lifetime
from harness.sim.ports import SimDiskPort


class Bench:
    """One disk, its faults and a port to it, with fsyncs that complete at once."""

    def __init__(self, seed: int = 1) -> None:
        self.hits: dict[str, int] = {}
        self.disk = SimDisk(sector_bytes=512)
        self.faults = DiskFaults(Counter(Chance(seed), "faults"), self.hits)
        self.lifetime = Lifetime()
        damage = DiskDamage(
            self.disk, Counter(Chance(seed), "damage"), self.hits, regions=lambda *_: (), sector_bytes=512
        )
        self.port = SimDiskPort(self.lifetime, self.disk, self.faults, damage, self._sync)

    async def _sync(self, name: str | None) -> None:
        raise NotImplementedError

    def fsync(self, name: str) -> OSError | None:
        """What an fsync of a file says."""
        end, error = self.faults.end_of_fsync()
        self.disk.begin_fsync(name)(end)
        return error

    def settle(self) -> None:
        """Make all names durable."""
        self.disk.begin_fsync_directory()()

    def after_power_loss(self, name: str) -> bytes:
        """What a file holds when the power has gone and come back."""
        broken = self.disk.broken_claims
        self.disk.lose_power(Counter(Chance(1), "loss"), "nothing")
        self.faults.lost_power(self.disk.broken_claims - broken)
        return self.disk.read(name)


def test_a_failed_write_may_leave_a_part_and_counts() -> None:
    sizes = set()
    for seed in range(50):
        bench = Bench(seed)
        bench.port.append("log", b"kept")
        bench.faults.fail("f1", "write")
        with pytest.raises(OSError, match="Input/output") as raised:
            bench.port.append("log", b"123456")
        assert raised.value.errno == errno.EIO
        content = bench.disk.read("log")
        assert b"kept12345".startswith(content)
        assert bench.hits == {"f1": 1}
        sizes.add(len(content))

    assert len(sizes) == 6


@pytest.mark.parametrize("change", ["truncate", "rename", "unlink"])
def test_a_write_error_holds_for_names_and_sizes_too(change: str) -> None:
    bench = Bench()
    bench.port.append("log", b"kept")
    bench.faults.fail("f1", "write")

    with pytest.raises(OSError, match="Input/output"):
        {
            "truncate": lambda: bench.port.truncate("log", 1),
            "rename": lambda: bench.port.rename("log", "other"),
            "unlink": lambda: bench.port.unlink("log"),
        }[change]()

    assert bench.disk.read("log") == b"kept"
    assert bench.lifetime.met_disk_error


def test_a_full_disk_takes_what_fits_and_nothing_after_that() -> None:
    bench = Bench()
    bench.faults.fill("f1", 5)
    bench.port.append("log", b"abc")

    for data in (b"defgh", b"x"):
        with pytest.raises(OSError, match="No space") as raised:
            bench.port.append("log", data)
        assert raised.value.errno == errno.ENOSPC

    assert bench.disk.read("log") == b"abcde"
    assert bench.hits == {"f1": 2}
    bench.port.truncate("log", 0)
    bench.faults.end("f1")
    bench.port.append("log", b"room")
    assert bench.disk.read("log") == b"room"


@pytest.mark.parametrize(("pages", "read"), [("clean", b"first second"), ("gone", b"first " + bytes(6))])
def test_a_failed_fsync_drops_its_pages_and_the_next_one_reports_success_without_them(pages: str, read: bytes) -> None:
    bench = Bench()
    bench.port.append("log", b"first ")
    assert bench.fsync("log") is None
    bench.settle()
    bench.port.append("log", b"second")
    bench.faults.fail("f1", "fsync", pages)  # type: ignore[arg-type]

    assert isinstance(bench.fsync("log"), OSError)
    bench.faults.end("f1")
    assert bench.fsync("log") is None

    assert bench.disk.read("log") == read
    assert bench.after_power_loss("log") == b"first "


@pytest.mark.parametrize(("pages", "seen"), [("clean", b"second "), ("gone", bytes(7))])
def test_what_is_written_behind_dropped_pages_is_durable_and_they_are_a_hole(pages: str, seen: bytes) -> None:
    bench = Bench()
    bench.port.append("log", b"first ")
    bench.fsync("log")
    bench.settle()
    bench.port.append("log", b"second ")
    bench.faults.fail("f1", "fsync", pages)  # type: ignore[arg-type]
    bench.fsync("log")
    bench.faults.end("f1")

    bench.port.append("log", b"third")
    assert bench.fsync("log") is None

    assert bench.disk.read("log") == b"first " + seen + b"third"
    assert bench.after_power_loss("log") == b"first " + bytes(7) + b"third"


def test_a_lie_is_found_out_by_a_power_loss_unless_an_honest_fsync_came_first() -> None:
    for honest, kept, hits in ((False, b"", {"f1": 1}), (True, b"data", {})):
        bench = Bench()
        bench.port.append("log", b"")
        bench.settle()
        bench.faults.lie("f1")
        bench.port.append("log", b"data")
        assert bench.fsync("log") is None
        bench.faults.end("f1")
        if honest:
            bench.fsync("log")

        assert bench.after_power_loss("log") == kept
        assert bench.hits == hits


def test_faults_overlap_and_each_ends_alone() -> None:
    bench = Bench()
    bench.faults.delay("f1", 5)
    bench.faults.delay("f2", 7)
    assert bench.faults.late_ns() == 12

    bench.faults.end("f1")
    assert bench.faults.late_ns() == 7
    bench.faults.end("f2")

    assert not bench.faults.any_in_force
    assert bench.hits == {"f1": 1, "f2": 2}


def test_a_dead_process_meets_no_error() -> None:
    bench = Bench()
    bench.port.append("log", b"data")
    bench.faults.fail("f1", "write")
    bench.lifetime.dead = True

    bench.port.append("log", b"more")
    bench.port.unlink("log")

    assert bench.disk.read("log") == b"data"
    assert bench.hits == {}
