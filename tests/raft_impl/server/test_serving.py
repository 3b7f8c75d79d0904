"""Who waits for the disk on the spot, and who leaves that to a thread."""

from __future__ import annotations

import os
import threading
import time
import types
from pathlib import Path

import pytest
import trio
import trio.testing

from raft_impl.server import syncer
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
        self._env, self._left, self._size = env, step_count, size

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        assert self._left, "nobody asked for a step"
        self._left -= 1
        self.deadline_ns = 1 << 62
        self._env.disk.append("log", b"x" * self._size)
        self.must_sync = True
        return True

    async def sync(self) -> None:
        await self._env.disk.fsync("log")

    def post(self) -> None:
        self.must_sync = False
        if self._left:
            self.deadline_ns = 0
        else:
            self.is_done.set()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The thread of each fsync of a log, as they come."""
    names: list[str] = []
    real = os.fdatasync

    def noted(descriptor: int) -> None:
        names.append(threading.current_thread().name)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", noted)
    return names


def serve(directory: Path, step_count: int, size: int = 10, *, leads: bool = False) -> None:
    """Run such a server until all its writes are durable."""

    async def main() -> None:
        disk = RealDisk(directory)
        env = RealEnvironment("n1", {}, disk)
        server = Writer(env, step_count, size, leads=leads)
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(env.serve, server)
                await server.is_done.wait()
                nursery.cancel_scope.cancel()
        disk.close()

    trio.run(main)


def test_a_follower_syncs_small_writes_on_the_spot(tmp_path: Path, threads: list[str]) -> None:
    serve(tmp_path, 3)

    assert threads == ["MainThread"] * 3


def test_a_leader_is_heard_while_its_disk_works(tmp_path: Path, threads: list[str]) -> None:
    serve(tmp_path, 3, leads=True)

    assert threads == ["fsync"] * 3


def test_what_is_large_is_written_and_synced_in_a_thread(tmp_path: Path, threads: list[str]) -> None:
    serve(tmp_path, 2, size=300_000)

    assert threads == ["fsync"] * 2


def test_after_a_slow_fsync_the_next_ones_go_to_the_thread_until_one_is_quick(
    tmp_path: Path, threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    took_s = iter([1.0, 1.0, 0.001, 0.001])
    now_s = [0.0, False]

    def clock() -> float:  # asked before and after each fsync
        now_s[1] = not now_s[1]
        now_s[0] += 0.0 if now_s[1] else next(took_s)
        return now_s[0]

    monkeypatch.setattr(syncer, "time", types.SimpleNamespace(perf_counter=clock))

    serve(tmp_path, 4)

    assert threads == ["MainThread", "fsync", "fsync", "MainThread"]


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
