"""What every `Disk` must do, in each implementation: the fake of these tests, real files, and the simulator's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.sim.disk import Keeps, SimDisk, SyncEnd
from harness.sim.kernel.draws import Chance, Counter
from raft_impl.errors import DiskFailed
from raft_impl.protocol.state import HardState, NodeId, Term
from raft_impl.runtime.wal import Wal
from raft_impl.server.real_env import RealDisk
from tests.raft_impl.runtime.fakes import FakeDisk, PowerLoss, run
from tests.raft_impl.runtime.test_wal import entries, hard, live, open_wal, persist, snapshot, state_of, steps


class SyncedSimDisk(SimDisk):
    """The simulator's model, with the two calls that its environment adds: here they take no time."""

    def __init__(self) -> None:
        super().__init__(sector_bytes=512)

    def compose(self, name: str, make: Callable[[], bytes]) -> None:
        self.write(name, make())

    async def fsync(self, name: str) -> None:
        self.begin_fsync(name)()

    async def fsync_directory(self) -> None:
        self.begin_fsync_directory()()


class FragileSimDisk(SyncedSimDisk):
    """Loses its power before the operation of a given number."""

    def __init__(self, lose_power_at: int | None = None) -> None:
        super().__init__()
        self.operation_count = 0
        self.lose_power_at = lose_power_at

    def append(self, name: str, data: bytes) -> None:
        self._operate()
        super().append(name, data)

    def write(self, name: str, data: bytes) -> None:
        self._operate()
        super().write(name, data)

    def truncate(self, name: str, size: int) -> None:
        self._operate()
        super().truncate(name, size)

    def rename(self, source: str, target: str) -> None:
        self._operate()
        super().rename(source, target)

    def unlink(self, name: str) -> None:
        self._operate()
        super().unlink(name)

    async def fsync(self, name: str) -> None:
        self._operate()
        await super().fsync(name)

    async def fsync_directory(self) -> None:
        self._operate()
        await super().fsync_directory()

    def _operate(self) -> None:
        if self.operation_count == self.lose_power_at:
            raise PowerLoss
        self.operation_count += 1


def operation_count() -> int:
    disk = FragileSimDisk()
    live(disk)
    return disk.operation_count


@pytest.fixture(params=["fake", "real", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make: dict[str, Callable[[], Any]] = {
        "fake": FakeDisk,
        "real": lambda: RealDisk(tmp_path / "data"),
        "simulated": SyncedSimDisk,
    }
    disk = make[request.param]()
    yield disk
    if isinstance(disk, RealDisk):
        disk.close()


def test_appending_creates_a_file_and_adds_at_its_end(disk: Any) -> None:
    disk.append("a", b"one")
    disk.append("a", b"two")

    assert disk.read("a") == b"onetwo"


def test_writing_replaces_the_whole_content(disk: Any) -> None:
    disk.append("a", b"a long content")
    disk.write("a", b"short")
    disk.append("a", b"+")

    assert disk.read("a") == b"short+"


def test_truncating_cuts_and_appending_goes_on_there(disk: Any) -> None:
    disk.append("a", b"0123456789")
    disk.truncate("a", 4)
    disk.append("a", b"x")

    assert disk.read("a") == b"0123x"


def test_renaming_replaces_the_target(disk: Any) -> None:
    disk.write("a", b"new")
    disk.append("b", b"old")
    disk.rename("a", "b")
    disk.append("b", b"+")

    assert disk.names() == ["b"]
    assert disk.read("b") == b"new+"


def test_an_unlinked_file_is_gone_and_may_come_again_empty(disk: Any) -> None:
    disk.append("a", b"old")
    disk.unlink("a")
    assert disk.names() == []

    disk.append("a", b"new")

    assert disk.read("a") == b"new"


def test_names_are_sorted(disk: Any) -> None:
    for name in ("g0-00000002.wal", "g1.snapshot", "g0-00000001.wal"):
        disk.append(name, b"x")

    assert disk.names() == ["g0-00000001.wal", "g0-00000002.wal", "g1.snapshot"]


@pytest.mark.parametrize("operation", ["read", "unlink"])
def test_what_is_not_there_is_file_not_found(disk: Any, operation: str) -> None:
    with pytest.raises(FileNotFoundError):
        getattr(disk, operation)("absent")


def test_fsync_of_appended_written_and_renamed_files(disk: Any) -> None:
    async def go() -> None:
        disk.append("a", b"x")
        await disk.fsync("a")
        disk.write("b", b"y")
        await disk.fsync("b")
        disk.rename("b", "c")
        await disk.fsync("c")
        await disk.fsync_directory()

    trio.run(go)

    assert disk.names() == ["a", "c"]


def test_a_log_is_found_again(disk: Any) -> None:
    """The write-ahead log runs unchanged on every disk."""

    async def go() -> None:
        wal = Wal(disk, "g0", segment_bytes=600, trailing_entries=1)
        await wal.recover()
        for change in (
            persist(HardState(Term(1), NodeId("a")), None, entries(1, 1, 1, 1, size=300)),
            persist(None, None, entries(4, 1, 1, size=300)),
            persist(None, None, (), snapshot(4, 1)),
            persist(HardState(Term(2)), 5, entries(5, 2, 2)),
        ):
            wal.write(change)
            await wal.sync()
        found = await Wal(disk, "g0", segment_bytes=600, trailing_entries=1).recover()

        assert state_of(found) == (HardState(Term(2)), 4, entries(5, 2, 2))

    trio.run(go)


def test_a_real_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    first = RealDisk(tmp_path)

    with pytest.raises(DiskFailed, match="in-use"):
        RealDisk(tmp_path)
    first.close()

    RealDisk(tmp_path).close()


@pytest.mark.parametrize("keeps", ["prefix", "sectors", "nothing"])
@pytest.mark.parametrize("boundary", range(operation_count()))
def test_power_loss_at_every_operation_of_the_simulators_disk_loses_nothing_acknowledged(
    boundary: int, keeps: Keeps
) -> None:
    """The model that judges runs tears, reorders and forgets in its own way; the log must survive that too."""
    for trial in range(12 if keeps != "nothing" else 1):
        disk = FragileSimDisk(boundary)
        state, allowed = live(disk)
        disk.lose_power_at = None
        disk.lose_power(Counter(Chance(trial), "power-loss"), keeps)

        wal, found = open_wal(disk)

        assert state_of(found) in allowed, f"trial {trial}: acknowledged {state}"
        last = found.entries[-1].index if found.entries else state_of(found)[1]
        change = persist(hard(9, "z"), None, entries(last + 1, 9))
        wal.write(change)
        run(wal.sync())
        disk.lose_power(Counter(Chance(trial), "power-loss again"), keeps)
        assert state_of(open_wal(disk)[1]) == steps(state_of(found), change)[-1]


@pytest.mark.parametrize("end", ["clean", "gone"])
def test_what_a_restart_found_behind_a_failed_fsync_outlives_the_next_power_loss(end: SyncEnd) -> None:
    """The kernel counts the pages of the failed fsync as clean, so no fsync of that file would write them any more."""
    disk = SyncedSimDisk()
    wal, _ = open_wal(disk)
    wal.write(persist(hard(1, "a"), None, entries(1, 1)))
    run(wal.sync())
    wal.write(persist(hard(2, "b"), None, entries(2, 2)))
    disk.begin_fsync("g0-00000001.wal")(end)  # and with that the process ends

    again, found = open_wal(disk)
    again.write(persist(None, None, entries(found.entries[-1].index + 1, found.hard_state.term)))
    run(again.sync())
    disk.lose_power(Counter(Chance(1), "power-loss"), "nothing")

    kept = open_wal(disk)[1]
    assert kept.entries[: len(found.entries)] == found.entries
    assert len(kept.entries) == len(found.entries) + 1
    assert kept.hard_state == found.hard_state
    assert found.hard_state == (hard(2, "b") if end == "clean" else hard(1, "a"))
