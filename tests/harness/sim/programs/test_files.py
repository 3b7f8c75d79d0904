"""Files of Trio programs: what a power cut takes, what a kill leaves, and what is refused."""

from __future__ import annotations

import textwrap
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
        ("import os; os.link(data_dir + '/a', data_dir + '/b')", "os.link in data_dir"),
        ("import pathlib; pathlib.Path(data_dir, 'a').symlink_to('b')", "os.symlink in data_dir"),
        ("open('/elsewhere', 'w')", "a file opened to be written"),
        ("import tempfile; tempfile.mkstemp()", "a file opened to be written"),
        ("import sqlite3; sqlite3.connect(data_dir + '/db')", "an SQLite database in a file"),
        ("import shelve; shelve.open(data_dir + '/db')", "a dbm database"),
        ("import mmap; f = open(data_dir + '/a', 'w'); mmap.mmap(f.fileno(), 10)", "mmap of a file in data_dir"),
        ("import os; os.dup(os.open(data_dir, os.O_RDONLY))", "os.dup of a file in data_dir"),
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


FOLDERS = """
import errno, os, pathlib

def fails(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno == number
    return False

async def node(name, peers, data_dir):
    top = pathlib.Path(data_dir)
    os.mkdir(data_dir + "/one")
    (top / "two" / "deep").mkdir(parents=True)
    os.makedirs(data_dir + "/two/deep", exist_ok=True)
    (top / "two" / "deep" / "file").write_text("abc")
    (top / "one" / "file").write_bytes(b"1")
    assert sorted(os.listdir(data_dir)) == ["one", "two"] and os.listdir(data_dir + "/one") == ["file"]
    assert [path.name for path in (top / "two").iterdir()] == ["deep"]
    assert [str(path.relative_to(top)) for path in sorted(top.rglob("file"))] == ["one/file", "two/deep/file"]
    assert [path.parent.name for path in top.glob("*/file")] == ["one"]
    assert list(os.walk(data_dir)) == [
        (data_dir, ["one", "two"], []), (data_dir + "/one", [], ["file"]),
        (data_dir + "/two", ["deep"], []), (data_dir + "/two/deep", [], ["file"]),
    ]
    with os.scandir(top / "two") as entries:
        assert [(entry.name, entry.is_dir(), entry.path) for entry in entries] == [("deep", True, f"{top}/two/deep")]
    assert os.path.isdir(top / "one") and (top / "one").is_dir() and not (top / "one").is_file()
    assert os.stat(top / "two/deep/file").st_size == 3 == os.path.getsize(top / "two/deep/file")
    assert not os.path.samefile(top / "one/file", top / "two/deep/file")

    assert fails(errno.EEXIST, os.mkdir, top / "one") and fails(errno.ENOENT, os.mkdir, top / "no" / "no")
    assert fails(errno.ENOTEMPTY, os.rmdir, top / "one") and fails(errno.EISDIR, open, top / "one")
    assert fails(errno.ENOTDIR, open, top / "one/file/x") and fails(errno.ENOENT, open, top / "no/x", "w")
    assert fails(errno.ENOTDIR, os.listdir, top / "one/file") and fails(errno.ENOENT, os.listdir, top / "no")
    assert fails(errno.EISDIR, os.unlink, top / "one") and fails(errno.EINVAL, os.rename, top / "two", top / "two/x")

    held = open(top / "one" / "file", "r+b", buffering=0)
    os.rename(top / "one" / "file", top / "two" / "deep" / "moved")
    held.write(b"2")
    assert (top / "two" / "deep" / "moved").read_bytes() == b"2"
    (top / "two" / "deep" / "file").replace(top / "two" / "deep" / "moved")
    held.write(b"3")
    os.fsync(held)
    assert held.seek(0) == 0 and held.read() == b"23" and (top / "two" / "deep" / "moved").read_text() == "abc"
    os.rmdir(top / "one")
    (top / "two").rename(top / "three")
    assert [path.name for path in top.rglob("*")] == ["three", "deep", "moved"]
    (top / "three/deep/moved").unlink()
    (top / "three/deep").rmdir()
    os.rmdir(top / "three")
    assert os.listdir(data_dir) == []

    path = trio.Path(data_dir) / "late" / "folder"
    await path.mkdir(parents=True)
    await (path / "a").write_text("x")
    assert [found.name for found in await path.iterdir()] == ["a"]
    assert [found.name for found in await trio.Path(data_dir).rglob("a")] == ["a"]
    raise KeyError("as expected")
"""


def test_folders_do_what_those_of_a_real_file_system_do(tmp_path: Path) -> None:
    outcome = run_with(written(tmp_path, FOLDERS))

    found = [anomaly.message for anomaly in outcome.anomalies if anomaly.checker == "node"]
    assert "as expected" in found[0], found


USERS = {
    "bz2": "with bz2.open(top / 'a', 'wt') as f: f.write('x')\nassert bz2.open(top / 'a', 'rt').read() == 'x'",
    "configparser": "(top / 'a').write_text('[x]\\ny = 1')\nc = configparser.ConfigParser()\n"
    "assert c.read(top / 'a') == [str(top / 'a')] and c['x']['y'] == '1'",
    "fcntl": "f = open(top / 'a', 'w')\nfcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\nfcntl.lockf(f, fcntl.LOCK_EX)",
    "fileinput": "(top / 'a').write_text('x')\nassert list(fileinput.input(str(top / 'a'))) == ['x']",
    "glob": "(top / 'b').mkdir()\n(top / 'b/a').touch()\n"
    "assert glob.glob('**/a', root_dir=top, recursive=True) == ['b/a'] and glob.glob(f'{top}/*') == [f'{top}/b']",
    "gzip": "with gzip.open(top / 'a', 'wb') as f: f.write(b'x')\nassert gzip.open(top / 'a').read() == b'x'",
    "logging": "h = logging.FileHandler(top / 'a')\nh.setFormatter(logging.Formatter('%(asctime)s %(message)s'))\n"
    "h.handle(logging.makeLogRecord({'msg': 'x'}))\nassert (top / 'a').read_text().startswith('2026-01-01 00:00')",
    "lzma": "with lzma.open(top / 'a', 'wb') as f: f.write(b'x')\nassert lzma.open(top / 'a').read() == b'x'",
    "os": "f = os.open(top / 'a', os.O_RDWR | os.O_CREAT)\n"
    "os.posix_fallocate(f, 0, 9)\nassert os.fstat(f).st_size == 9\n"
    "with os.fdopen(f, 'wb') as g: g.write(b'x')\nassert (top / 'a').read_bytes() == b'x' + bytes(8)",
    "shutil": "(top / 'b/c').mkdir(parents=True)\n(top / 'b/c/a').write_text('x')\n"
    "shutil.copytree(top / 'b', top / 'd')\nshutil.copy2(top / 'b/c/a', top / 'e')\nshutil.rmtree(top / 'b')\n"
    "shutil.move(top / 'd', top / 'f')\nassert sorted(os.listdir(top)) == ['e', 'f']\n"
    "assert (top / 'f/c/a').read_text() == (top / 'e').read_text() == 'x'",
    "tarfile": "(top / 'a').write_text('x')\nwith tarfile.open(top / 't', 'w') as t: t.add(top / 'a', 'b')\n"
    "tarfile.open(top / 't').extractall(top / 'c', filter='data')\nassert (top / 'c/b').read_text() == 'x'",
    "tempfile": "with tempfile.TemporaryDirectory(dir=top) as d, tempfile.NamedTemporaryFile(dir=d) as f:\n"
    "    f.write(b'x')\n    f.flush()\n    assert open(f.name).read() == 'x'\nassert os.listdir(top) == []",
    "zipfile": "with zipfile.ZipFile(top / 'z', 'w') as z: z.writestr('b/a', 'x')\n"
    "zipfile.ZipFile(top / 'z').extractall(top)\nassert (top / 'b/a').read_text() == 'x'",
}
"""What modules of the standard library make of files."""


@pytest.mark.parametrize("module", USERS)
def test_modules_of_the_standard_library_work_on_the_disk(tmp_path: Path, module: str) -> None:
    body = textwrap.indent(f"top = pathlib.Path(data_dir)\n{USERS[module]}\nraise KeyError('as expected')", "    ")
    spec = written(tmp_path, f"import os, pathlib, {module}\n\nasync def node(name, peers, data_dir):\n{body}\n")

    found = [anomaly.message for anomaly in run_with(spec).anomalies if anomaly.checker == "node"]

    assert "as expected" in found[0], found


def test_what_such_a_module_remembers_ends_with_the_incarnation(tmp_path: Path) -> None:
    text = """
    import os, tempfile

    async def node(name, peers, data_dir):
        path = tempfile.mkstemp(dir=data_dir)[1]
        raise KeyError(path)
    """
    spec = written(tmp_path, text)

    once, again, other = (run_with(spec, seed=seed) for seed in (1, 1, 2))

    assert once.fingerprint == again.fingerprint
    assert [one.message for one in once.anomalies] == [one.message for one in again.anomalies]
    assert once.anomalies[0].message != other.anomalies[0].message


STORE = """
import os, pathlib

def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)

async def serve(stream):
    await stream.send_all(kept)

async def node(name, peers, data_dir):
    '''A store with a folder of pages and a header that says how many of them count.'''
    global kept
    top, pages = pathlib.Path(data_dir), pathlib.Path(data_dir, "pages")
    header = top / "header"
    if header.exists() and (count := header.read_bytes()[4:5]) > b"0":
        page = pages / "1"
        kept = page.read_bytes() if page.exists() else b"no page"
    else:
        kept = b"no header"
        pages.mkdir(exist_ok=True)
        {parent}
        (pages / "1").write_bytes(b"value")
        {page}
        {folder}
        header.write_bytes(b"KVS 0")
        sync(header)
        sync(top)
        with header.open("r+b") as file:
            file.seek(4)
            file.write(b"1")
            file.flush()
            {header}
    await trio.serve_tcp(serve, 80)
"""
SYNCS = {
    "parent": "sync(top)",
    "page": "sync(pages / '1')",
    "folder": "sync(pages)",
    "header": "os.fsync(file.fileno())",
}


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (None, {"value"}),
        ("folder", {"value", "no page"}),
        ("header", {"value", "no header"}),
    ],
)
def test_a_store_with_a_folder_and_a_header_must_sync_both(
    tmp_path: Path, missing: str | None, words: set[str]
) -> None:
    syncs = {what: "pass" if what == missing else call for what, call in SYNCS.items()}
    spec = written(tmp_path, STORE.format(**syncs))

    assert {errors(run_with(spec, Crash(**CRASH, power=True), seed=seed))[-1] for seed in range(12)} == words
