"""Who waits for the disk on the spot, and who leaves that to a thread."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trio.testing

from raft_impl.server import serving, syncer
from raft_impl.server.real_env import RealDisk, RealEnvironment


class Writer:
    """A server whose every step writes to its log and wants that synced."""

    storage = "async"

    def __init__(self, env: RealEnvironment, step_count: int, size: int = 10, *, leads: bool = False) -> None:
        self.leads = leads
        self.notes: list[tuple[object, ...]] = []
        self.must_sync = False
        self.deadline_ns = 0
        self.is_done = trio.Event()
        self.env, self._left, self._size = env, step_count, size

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        assert self._left, "nobody asked for a step"
        self._left -= 1
        self.deadline_ns = 1 << 62
        self.env.disk.append("log", b"x" * self._size)
        self.must_sync = True
        return True

    async def sync(self) -> None:
        await self.env.disk.fsync("log")

    def post(self) -> None:
        self.must_sync = False
        if self._left:
            self.deadline_ns = 0
        else:
            self.is_done.set()


class Disk:
    """What each fsync of a log does, and how many turns of the loop others had meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.took_s: list[float] = []
        """Of the fsyncs to come; 0 when it is empty."""
        self.turns: list[int] = []
        self.turn_count = 0
        self._real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)

    def fdatasync(self, descriptor: int) -> None:
        before = self.turn_count
        time.sleep(self.took_s.pop(0) if self.took_s else 0)
        self._real(descriptor)
        self.turns.append(self.turn_count - before)

    async def count_turns(self) -> None:
        while True:
            self.turn_count += 1
            await trio.lowlevel.checkpoint()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(serving, "PATIENCE_MS", 10_000)
    monkeypatch.setattr(syncer, "PATIENCE_MS", 10_000)
    return Disk(monkeypatch)


def serve(directory: Path, disk: Disk, step_count: int, size: int = 10, *, leads: bool = False) -> None:
    """Run such a server until all its writes are durable."""

    async def main() -> None:
        real = RealDisk(directory)
        server = Writer(RealEnvironment("n1", {}, real), step_count, size, leads=leads)
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(disk.count_turns)
                nursery.start_soon(server.env.serve, server)
                await server.is_done.wait()
                nursery.cancel_scope.cancel()
        real.close()

    trio.run(main)


def test_a_follower_waits_on_the_spot_for_small_writes(tmp_path: Path, disk: Disk) -> None:
    disk.took_s = [0.05, 0.05, 0.05]

    serve(tmp_path, disk, 3)

    assert disk.turns == [0, 0, 0]


def test_a_leader_is_heard_while_its_disk_works(tmp_path: Path, disk: Disk) -> None:
    disk.took_s = [0.05]

    serve(tmp_path, disk, 1, leads=True)

    assert disk.turns[0] > 10


def test_what_is_large_is_never_waited_for_on_the_spot(tmp_path: Path, disk: Disk) -> None:
    disk.took_s = [0.05]

    serve(tmp_path, disk, 1, size=300_000)

    assert disk.turns[0] > 10


def test_a_follower_whose_disk_stalls_is_heard_soon_and_then_always_until_its_disk_is_quick(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (serving, syncer):
        monkeypatch.setattr(module, "PATIENCE_MS", 100)
    disk.took_s = [0.4, 0.4, 0.0, 0.05]

    serve(tmp_path, disk, 4)

    assert [turns > 10 for turns in (*disk.turns[:2], disk.turns[3])] == [True, True, False]


def test_what_came_in_time_is_heard_before_a_timer_that_is_late(tmp_path: Path) -> None:
    """A process that was stopped, or waited for its disk, must not think that nobody spoke to it."""
    heard: list[int] = []

    class Server(Writer):
        def process(self, messages: list[tuple[str, bytes]]) -> bool:
            heard.append(len(messages))
            self.deadline_ns = 1 << 62
            return False

    async def main() -> None:
        disk = RealDisk(tmp_path)
        env = RealEnvironment("n1", {}, disk)
        server = Server(env, 0)
        reader, writer = os.pipe()
        async with trio.open_nursery() as nursery:

            async def deliver() -> None:
                await trio.lowlevel.wait_readable(reader)
                env._deliver("n2", b"frame")
                env._after_reading()

            nursery.start_soon(env.serve, server)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(deliver)
            await trio.testing.wait_all_tasks_blocked()
            os.write(writer, b"x")  # arrived, and is not read yet
            assert env._serving is not None
            server.deadline_ns = time.monotonic_ns() - 1
            env._serving.stir()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        disk.close()
        os.close(reader)
        os.close(writer)

    for _ in range(10):  # Trio shuffles who runs first
        heard.clear()
        trio.run(main)

        assert heard == [0, 1]


def test_a_server_that_was_stopped_is_stepped_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        real = RealDisk(tmp_path)
        env = RealEnvironment("n1", {}, real)
        server = Writer(env, 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(env.serve, server)
            await server.is_done.wait()
            nursery.cancel_scope.cancel()
        env._deliver("n2", b"frame")
        env._after_reading()  # would raise: nobody asked for a step
        real.close()
        assert env.inbox.take() == ("n2", b"frame")

    trio.run(main)
