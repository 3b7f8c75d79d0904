"""Calls in Trio's threads, and `trio.Path`, are events of the simulated world."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from harness.faults.crashes import Crash
from tests.harness.sim.programs.running import S, errors, run_with, written

ANSWER = """
async def serve(stream):
    await stream.send_all(await answer())
"""


def told(folder: Path, text: str, *faults: Crash) -> list[str]:
    """What the answers of a node were."""
    return errors(run_with(written(folder, ANSWER + textwrap.dedent(text)), *faults))


def test_a_call_in_a_thread_takes_time_and_keeps_no_task_from_running(tmp_path: Path) -> None:
    text = """
    async def answer():
        ticks = 0
        async def tick():
            nonlocal ticks
            while True:
                await trio.sleep(0.00001)
                ticks += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            begin = trio.current_time()
            found = await trio.to_thread.run_sync(lambda: 42)
            took = trio.current_time() - begin
            nursery.cancel_scope.cancel()
        return repr((found, 0 < took <= 0.0021, ticks > 0)).encode()
    """

    assert set(told(tmp_path, text)) == {"(42, True, True)"}


def test_threads_take_effect_one_at_a_time_in_their_order(tmp_path: Path) -> None:
    text = """
    async def answer():
        seen = []
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(trio.to_thread.run_sync, seen.append, number)
        return repr(seen).encode()
    """

    assert set(told(tmp_path, text)) == {"[0, 1, 2, 3, 4]"}


def test_what_a_thread_raises_arrives(tmp_path: Path) -> None:
    text = """
    async def answer():
        try:
            await trio.to_thread.run_sync(int, "x")
        except ValueError as error:
            return b"ValueError"
    """

    assert set(told(tmp_path, text)) == {"ValueError"}


@pytest.mark.parametrize(("where", "blocks"), [("os.fsync(fd)", True), ("await run(os.fsync, fd)", False)])
def test_a_sync_in_a_thread_keeps_no_task_from_running(tmp_path: Path, where: str, blocks: bool) -> None:
    text = f"""
    import os
    run = trio.to_thread.run_sync
    folder = None

    async def node(name, peers, data_dir):
        global folder
        folder = data_dir
        await trio.serve_tcp(serve, 80)

    async def answer():
        last, longest = trio.current_time(), 0.0
        async def tick():
            nonlocal last, longest
            while True:
                await trio.sleep(0.00001)
                longest = max(longest, trio.current_time() - last)
                last = trio.current_time()
        fd = os.open(folder + "/log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(fd, b"x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            await trio.sleep(0.001)
            {where}
            await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        return b"blocked" if longest > 0.0004 else b"went on"
    """

    assert set(told(tmp_path, text)) == {"blocked" if blocks else "went on"}


def test_a_kill_ends_the_calls_of_threads_and_frees_them_for_others(tmp_path: Path) -> None:
    text = """
    import os
    async def node(name, peers, data_dir):
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(trio.to_thread.run_sync, lambda: open(data_dir + "/log", "a").close())
            await trio.serve_tcp(serve, 80)

    async def answer():
        await trio.to_thread.run_sync(int)
        return b"served"
    """
    kills = [
        Crash(id=f"f{n}", targets=("n1",), begin_ns=n * S // 4, end_ns=n * S // 4 + 1, power=False) for n in (1, 2)
    ]

    assert "served" in told(tmp_path, text, *kills)


def test_trio_path_and_open_file_are_on_the_disk_of_the_actor(tmp_path: Path) -> None:
    text = """
    async def node(name, peers, data_dir):
        global folder
        folder = trio.Path(data_dir)
        await trio.serve_tcp(serve, 80)

    async def answer():
        await (folder / "a").write_text("one")
        async with await trio.open_file(folder / "b", "w") as file:
            await file.write("two")
        async with await (folder / "b").open() as file:
            text = await file.read()
        await (folder / "a").rename(folder / "c")
        names = sorted(path.name for path in await folder.iterdir())
        return repr((text, names, await (folder / "a").exists(), isinstance(folder, trio.Path))).encode()
    """

    assert set(told(tmp_path, text)) == {"('two', ['b', 'c'], False, True)"}
    assert not Path("/data").exists()
