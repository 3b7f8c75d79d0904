"""Files of Trio programs: what a power cut takes, what a kill leaves, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.faults.crashes import Crash
from tests.harness.sim.programs.running import S, errors, run_with, written

CRASH = {"id": "f1", "begin_ns": S, "end_ns": S + S // 5, "targets": ("n1",)}

WRITER = """
import os, pathlib

async def serve(stream):
    await stream.send_all(kept)

async def node(name, peers, data_dir):
    global kept
    folder = pathlib.Path(data_dir)
    file = folder / "file"
    kept = file.read_bytes() if file.exists() else b"nothing"
    if kept == b"nothing":
        {write}
    await trio.serve_tcp(serve, 80)
"""

SYNCED = """with file.open("wb") as opened:
            opened.write(b"12345")
            opened.flush()
            os.fsync(opened.fileno())
        os.fsync(os.open(data_dir, os.O_RDONLY))"""


def last_word(tmp_path: Path, write: str, *, power: bool) -> str:
    """What a node has read after its restart."""
    spec = written(tmp_path, WRITER.format(write=write))
    return errors(run_with(spec, Crash(**CRASH, power=power)))[-1]


@pytest.mark.parametrize(
    ("write", "power", "word"),
    [
        (SYNCED, True, "12345"),
        ("file.write_bytes(b'12345')", False, "12345"),
        ("global leaked; leaked = file.open('wb'); leaked.write(b'12345')", False, ""),
        ("fd = os.open(file, os.O_WRONLY | os.O_CREAT); os.write(fd, b'1'); os.write(fd, b'2')", False, "12"),
        ("file.write_text('1'); os.replace(file, folder / 'other'); (folder / 'other').rename(file)", False, "1"),
        ("file.write_text('12'); os.truncate(file, 1)", False, "1"),
        ("f = file.open('w+b'); f.write(b'abcd'); f.seek(1); f.write(b'xy'); f.seek(6); f.write(b'e'); f.close()",
         False,
         "axyd\0\0e"),
        ("f = open(file, 'xb'); f.write(b'abc'); f.close(); f = open(file, 'r+b'); f.write(b'x'); f.seek(0, 2);"
         "f.write(b'y'); f.close()", False, "xbcy"),
        ("fd = os.open(file, os.O_RDWR | os.O_CREAT); os.write(fd, b'abc'); os.pwrite(fd, b'x', 1); os.lseek(fd, 0, 0);"
         "os.write(fd, os.pread(fd, 1, 1)); os.ftruncate(fd, 4)", False, "xxc\0"),
        ("fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND); os.write(fd, b'abc'); os.lseek(fd, 0, 0);"
         "os.write(fd, b'd')", False, "abcd"),
    ],
    ids=[
        *("synced", "kill", "in a buffer", "descriptors", "renamed", "truncated"),
        *("overwritten", "r+b", "pwrite", "appended"),
    ],
)  # fmt: skip
def test_a_file_after_a_crash(tmp_path: Path, write: str, power: bool, word: str) -> None:
    assert last_word(tmp_path, write, power=power) == word


def test_a_power_cut_takes_what_was_not_synced_in_some_seeds(tmp_path: Path) -> None:
    spec = written(tmp_path, WRITER.format(write="file.write_bytes(b'12345')"))

    words = {errors(run_with(spec, Crash(**CRASH, power=True), seed=seed))[-1] for seed in range(12)}

    assert "nothing" in words
    assert words != {"nothing"}


def test_folders_and_paths_elsewhere(tmp_path: Path) -> None:
    text = """
    import os
    from os import path

    async def node(name, peers, data_dir):
        os.makedirs(data_dir, exist_ok=True)
        with open(data_dir + "/a", "x") as file:
            file.write("abc")
        with open(data_dir + "/a", "a+") as file:
            file.write("d")
            file.seek(1)
            assert file.read() == "bcd"
        assert os.listdir(data_dir) == ["a"]
        assert path.getsize(data_dir + "/a") == os.stat(data_dir + "/a").st_size == 4
        assert path.isdir(data_dir) and path.isfile(data_dir + "/a") and not path.exists(data_dir + "/b")
        with open(__file__) as real:
            assert real.read(1) == "\\n"
        os.remove(data_dir + "/a")
        try:
            open(data_dir + "/a")
        except FileNotFoundError:
            raise KeyError("as expected")
    """

    outcome = run_with(written(tmp_path, text))

    assert {anomaly.signature for anomaly in outcome.anomalies if anomaly.checker == "node"} == {
        "node/exception/KeyError"
    }


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("open(data_dir + '/sub/a', 'w')", "a folder inside data_dir"),
        ("import os; os.mkdir(data_dir + '/sub')", "a folder inside data_dir"),
        ("open('/elsewhere', 'w')", "a file opened to be written"),
    ],
)
def test_what_the_disk_does_not_have_is_refused_by_name(tmp_path: Path, body: str, found: str) -> None:
    spec = written(tmp_path, f"async def node(name, peers, data_dir):\n    {body}\n    await trio.sleep_forever()\n")

    with pytest.raises(BadInput, match=found):
        run_with(spec)


def test_an_fsync_blocks_the_program_while_it_lasts(tmp_path: Path) -> None:
    text = """
    import os, time

    async def node(name, peers, data_dir):
        with open(data_dir + "/a", "wb") as file:
            before = time.monotonic_ns()
            os.fsync(file.fileno())
            await trio.lowlevel.checkpoint()
        raise KeyError(time.monotonic_ns() - before > 0)
    """

    outcome = run_with(written(tmp_path, text))

    assert any("KeyError: True" in anomaly.message for anomaly in outcome.anomalies)
