"""What a worker of a dask scheduler does for a suite: one job, in a process of its own.

A dask worker is a process with threads, a network, and what other people's tasks left in it. A run belongs into none of
that: it needs its interpreter alone, must not reach the network, and may hang or die. So each thread of the worker has
a worker process of `executors`, as every suite has on one machine, and hands it one job after the other.

Before a job is even unpickled, the versions are compared that a run depends on: another harness, Python or Trio would
make another run of the same seed. Code under test that is not here (a ref, a patch, another checkout) is asked for,
once a worker, and kept by its digest until the worker ends.

A run that is kept (it failed, or is unknown) travels back as a bundle, since machines need not share a disk.
"""

from __future__ import annotations

import atexit
import functools
import io
import multiprocessing
import pickle
import re
import shutil
import socket
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.archive.bundles import write_bundle
from harness.archive.provenance import provenance
from harness.errors import BadInput, HarnessError
from harness.record import RunRecord
from harness.systems import catalog, located
from harness.systems.binding import Binding, Code
from harness.systems.loader import code_digest

from .executors import Pool
from .jobs import Job, perform

Versions = tuple[str, str, str]
"""Digest of the harness, Python, Trio. A plain tuple: workers of another version must be able to read it."""

_MEMBER: Final = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py")
_thread: Final = threading.local()
_code_lock: Final = threading.Lock()


class Lacking(msgspec.Struct, frozen=True):
    """This worker has no code of these digests; ask again, with it."""

    digests: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True):
    """This worker cannot do any such job: what was found, what was expected, and where."""

    found: str
    expected: str
    where: str


class Performed(msgspec.Struct, frozen=True):
    """A record, pickled, with the bundle of the run if it is kept; or an error, as `executors.Done` has it."""

    record: bytes | None
    bundle: bytes | None
    error: str
    hung: bool


Answer = Lacking | Refused | Performed


def versions() -> Versions:
    """What a run in this process depends on besides its plan and the code under test."""
    made_by = provenance()
    return made_by.harness, made_by.python, made_by.trio


def difference(here: Versions, there: Versions) -> str:
    """What differs in the versions of another process; empty when they are equal."""
    words = ("harness", "Python", "Trio")
    shown = [
        f"another {word}" if word == "harness" else f"{theirs} instead of {ours}"
        for word, ours, theirs in zip(words, here, there, strict=True)
        if ours != theirs
    ]
    return ", ".join(shown)


def pack(package: Path) -> bytes:
    """The Python files of a package, for a worker that lacks them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(package.rglob("*.py")):
            archive.writestr(path.relative_to(package).as_posix(), path.read_bytes())
    return buffer.getvalue()


def serve(expected: Versions, payload: bytes, code: dict[str, bytes], seconds_max: float) -> Answer:
    """Do a pickled job in a worker process of this thread. `code` has packages that this worker lacked, by digest."""
    where = f"the worker on {socket.gethostname()}"
    if differs := difference(expected, versions()):
        return Refused(differs, "the coordinator's own versions, or runs would not be the same", where)
    if multiprocessing.current_process().daemon:
        return Refused(
            "a worker that may have no child processes",
            "`dask worker --no-nanny`, or DASK_DISTRIBUTED__WORKER__DAEMON=False",
            where,
        )
    job: Job = pickle.loads(payload)  # noqa: S301  # of the coordinator, whose code dask runs anyway
    try:
        with _code_lock:
            for digest, archive in code.items():
                _unpack(digest, archive)
            binding = _here(job.binding)
        if not isinstance(binding, Binding):
            return Lacking(binding)
        return _perform(msgspec.structs.replace(job, binding=binding), seconds_max)
    except BadInput as error:
        return Refused(error.found, error.expected, f"{error.where}, on {where}")


def _perform(job: Job, seconds_max: float) -> Performed:
    with tempfile.TemporaryDirectory(prefix="foreshock-run-") as folder:
        results = None if job.results is None else folder
        pool = _pool_of_this_thread(seconds_max)
        try:
            (done,) = pool.map([msgspec.structs.replace(job, results=results)])
        except BaseException:
            _end_pool_of_this_thread()
            raise
        if done.result is None:
            return Performed(None, None, done.error, done.hung)
        return Performed(pickle.dumps(done.result), _bundle(done.result, Path(folder)), "", False)


def _bundle(record: RunRecord, results: Path) -> bytes | None:
    if record.run is None:
        return None
    output = results / "run.foreshock"
    write_bundle(results / record.run, record, {}, {}, output)
    return output.read_bytes()


def _pool_of_this_thread(seconds_max: float) -> Pool[Job, RunRecord]:
    known: tuple[float, Pool[Job, RunRecord]] | None = getattr(_thread, "pool", None)
    if known is not None and known[0] == seconds_max:
        return known[1]
    _end_pool_of_this_thread()
    pool = Pool(perform, jobs=1, seconds_max=seconds_max)
    _thread.pool = (seconds_max, pool)
    return pool


def _end_pool_of_this_thread() -> None:
    known: tuple[float, Pool[Any, Any]] | None = getattr(_thread, "pool", None)
    _thread.pool = None
    if known is not None:
        known[1].__exit__(None, None, None)


# -- code under test ---------------------------------------------------------------------------------------------------


def _here(binding: Binding) -> Binding | tuple[str, ...]:
    """The binding with the folders of this machine; or the digests of the code that is not on it."""
    codes = {label: _code_here(code) for label, code in binding.codes.items()}
    lacking = tuple(sorted({binding.codes[label].digest for label, code in codes.items() if code is None}))
    return lacking or Binding(codes={label: code for label, code in codes.items() if code is not None})


def _code_here(code: Code) -> Code | None:
    if code.is_foreign:
        found = located.locate(code.spec)
        if found.digest != code.digest:
            raise BadInput("other code than the coordinator's", "the same files on all machines", code.spec)
        return found
    kept = _folder_of_code() / code.digest
    for folder in (code.path, catalog.own_package(), kept):
        if _digest(folder) == code.digest:
            return msgspec.structs.replace(code, directory=str(folder))
    _digest.cache_clear()
    return None


@functools.lru_cache(maxsize=256)
def _digest(folder: Path) -> str:
    """The digest of a package; empty when there is none. Looked up once a folder: a worker's code does not change."""
    return code_digest(folder) if (folder / "__init__.py").is_file() else ""


def _unpack(digest: str, archive: bytes) -> None:
    target = _folder_of_code() / digest
    if target.exists():
        return
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=target.parent))
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        for name in members.namelist():
            if _MEMBER.fullmatch(name) is None:
                raise BadInput(f"the file {name!r}", "the Python files of a package", "code from the coordinator")
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(members.read(name))
    if code_digest(temporary) != digest:
        raise HarnessError("code from the coordinator arrived damaged")
    temporary.rename(target)
    _digest.cache_clear()


@functools.cache
def _folder_of_code() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="foreshock-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
