"""The thread that syncs the log: it answers each fsync with its own outcome, and ends."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from raft_impl.server.syncer import Syncer


def test_an_fsync_that_fails_is_raised_and_the_next_one_has_its_own_answer(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    reader, writer = os.pipe()  # neither can be synced

    async def main() -> None:
        syncer = Syncer()
        await syncer.sync(descriptor)
        with pytest.raises(OSError, match="Invalid argument"):
            await syncer.sync(reader)
        await syncer.sync(descriptor)
        syncer.close()

    trio.run(main)

    assert "fsync" not in {thread.name for thread in threading.enumerate()}
    for one in (descriptor, reader, writer):
        os.close(one)


def test_other_tasks_run_during_an_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk must not keep a node from hearing and being heard."""
    is_released = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: is_released.wait(10))

    async def main() -> None:
        syncer = Syncer()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(syncer.sync, 0)
            await trio.testing.wait_all_tasks_blocked()
            is_released.set()  # reached although the fsync is not done
        syncer.close()

    trio.run(main)

    assert is_released.is_set()
