"""What a real disk leaves to threads: large content reaches the file in order, and is durable when `fsync` says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from raft_impl.server.real_env import RealDisk, RealEnvironment

LARGE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[RealDisk]:
    disk = RealDisk(tmp_path)
    yield disk
    disk.close()


def test_composed_content_is_made_in_a_thread_of_the_fsync(disk: RealDisk, tmp_path: Path) -> None:
    makers: list[threading.Thread] = []

    def make() -> bytes:
        makers.append(threading.current_thread())
        return b"content"

    disk.compose("file", make)
    assert not makers
    trio.run(disk.fsync, "file")

    assert makers
    assert makers[0] is not threading.current_thread()
    assert (tmp_path / "file").read_bytes() == b"content"


def test_whoever_looks_before_the_fsync_sees_what_was_composed(disk: RealDisk) -> None:
    disk.compose("one", lambda: b"1")
    disk.compose("two", lambda: b"2")
    disk.compose("two", lambda: b"3")

    assert disk.read("one") == b"1"
    disk.rename("two", "one")
    assert disk.names() == ["one"]
    assert disk.read("one") == b"3"


def test_what_is_appended_before_and_during_an_fsync_stays_in_order(disk: RealDisk, tmp_path: Path) -> None:
    parts = [bytes((number,)) * (LARGE if number % 3 == 1 else 10) for number in range(12)]

    async def main() -> None:
        for begin in range(0, 12, 4):
            for part in parts[begin : begin + 2]:
                disk.append("log", part)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(disk.fsync, "log")
                await trio.lowlevel.checkpoint()
                for part in parts[begin + 2 : begin + 4]:
                    disk.append("log", part)
        await disk.fsync("log")

    trio.run(main)

    assert (tmp_path / "log").read_bytes() == b"".join(parts)


def test_whoever_looks_before_the_fsync_sees_what_was_appended(disk: RealDisk) -> None:
    disk.append("log", b"small")
    disk.append("log", bytes(LARGE))
    disk.append("log", b"behind")

    assert disk.read("log") == b"small" + bytes(LARGE) + b"behind"
    disk.append("log", bytes(LARGE))
    disk.truncate("log", 5)
    assert disk.read("log") == b"small"


def test_an_error_of_a_write_in_a_thread_is_an_error_of_the_fsync(disk: RealDisk, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    disk.compose("file", lambda: b"content")

    with pytest.raises(IsADirectoryError):
        trio.run(disk.fsync, "file")


def test_a_server_is_stepped_during_work_in_the_background_and_after_it(tmp_path: Path) -> None:
    is_released = threading.Event()
    results: list[str] = []

    class Served:
        def __init__(self) -> None:
            self.deadline_ns = 0
            self.notes: list[tuple[object, ...]] = []
            self.steps = [trio.Event() for _ in range(3)]
            self.step_count = 0

        def process(self, messages: list[tuple[str, bytes]]) -> bool:
            self.deadline_ns = 1 << 62
            self.steps[self.step_count].set()
            self.step_count += 1
            if self.step_count == 1:
                env.background(lambda: is_released.wait(10) and "done", self.done)
            return False

        def done(self, result: str) -> None:
            results.append(result)
            self.deadline_ns = 0

        async def sync(self) -> None: ...

        def post(self) -> None: ...

    server = Served()
    env = RealEnvironment("n1", {}, RealDisk(tmp_path / "data"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(env.serve, server)
            with trio.fail_after(10):
                await server.steps[0].wait()
                env._deliver("n2", b"frame")
                env._after_reading()
                await server.steps[1].wait()
                assert not results
                is_released.set()
                await server.steps[2].wait()
            nursery.cancel_scope.cancel()

    trio.run(main)

    assert results == ["done"]
    env.disk.close()
