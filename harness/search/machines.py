"""Machines: the jobs of a suite on the workers of a dask scheduler.

`Machines` maps jobs like `executors.Pool`, so a campaign does not know where its runs take place. The scheduler deals
them out and deals them out again when a worker is lost; workers may come and go (an adaptive cluster starts more while
jobs wait). What each worker does with a job is `remote`.

Only a window of jobs is with the scheduler at any time, so that neither side grows with the number of seeds, and a
time budget or Ctrl-C leaves little behind. Answers are taken as they come, and let go at once.

When the scheduler is lost, everything that was answered is kept; the error says so, and the campaign can be resumed on
another scheduler, or on this machine alone.

References: Rocklin 2015 (Dask: parallel computation with blocked algorithms and task scheduling).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import pickle
import queue
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from harness.archive.bundles import SUFFIX, unpack
from harness.archive.layout import point_latest, writable
from harness.errors import BadInput, InternalError
from harness.record import RunRecord

from . import remote
from .executors import SECONDS_MAX, TRIES_MAX, Done, Mapper
from .jobs import Job
from .remote import Answer, Lacking, Performed, Refused
from .worlds import Simulated

CONNECT_SECONDS_MAX: Final = 10
_WINDOW_MIN: Final = 32
"""Jobs with the scheduler even when there are few workers: what waits is what an adaptive cluster grows by."""
_WINDOW_A_THREAD: Final = 4
_LOOK_SECONDS: Final = 1.0
"""How often the number of workers is looked up."""
_CLOSE_SECONDS_MAX: Final = 5
_SAME: Final = "the coordinator's own versions on every worker"
_LOGGERS: Final = ("distributed", "distributed.client", "distributed.core", "distributed.utils", "tornado.application")
"""Each has a level of its own by dask's configuration."""


class Far(Simulated):
    """Simulated runs that take place on other machines."""

    def __init__(self, address: str, results: Path) -> None:
        self._address = address
        self._results = results

    def pool(
        self, *, jobs: int | None, seconds_max: float = SECONDS_MAX, memory_bytes_max: int | None = None
    ) -> Mapper[Job, RunRecord]:
        """The workers of the scheduler, however many there are. Raises BadInput for a memory budget."""
        if memory_bytes_max is not None:
            raise BadInput("a memory budget", "none: the workers are on other machines", "--scheduler")
        return Machines(self._address, results=self._results, seconds_max=seconds_max)


class _Asked:
    """A job on its way: how often it was lost with its worker, and whether it carries code."""

    __slots__ = ("has_code", "job", "lost")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.lost = 0
        self.has_code = False


class Machines:
    """The workers of a scheduler; use as a context manager. Runs that are kept are written to `results`, here."""

    def __init__(self, address: str, *, results: Path, seconds_max: float = SECONDS_MAX) -> None:
        self._address = address
        self._results = results
        self._seconds_max = seconds_max
        self._client: Any = None
        self._answered: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked: dict[Any, _Asked] = {}  # by future
        self._names = (f"foreshock-{secrets.token_hex(4)}-{number}" for number in itertools.count())
        self._code: dict[str, bytes] = {}  # packages that some worker lacked, by digest
        self._threads = 0
        self._looked = -_LOOK_SECONDS

    def __enter__(self) -> Machines:
        """Connect. Raises BadInput without a scheduler, and when a worker is of another version."""
        try:
            from distributed import Client
        except ImportError:
            raise BadInput("no package distributed", "pip install 'foreshock[distributed]'", "--scheduler") from None

        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what is lost is said here, in one line
        try:
            self._client = Client(  # type: ignore[no-untyped-call]  # distributed has partial types
                self._address, timeout=CONNECT_SECONDS_MAX, set_as_default=False
            )
        except (OSError, ValueError, ImportError) as error:
            found = f"no scheduler ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
            raise BadInput(found, "the address of a running `dask scheduler`", f"--scheduler {self._address}") from None
        try:
            self._compare_versions()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    @property
    def threads(self) -> int:
        """How many jobs can be done at once, as far as is known."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            with contextlib.suppress(Exception):  # a lost scheduler is seen where answers are taken
                self._threads = sum(self._client.nthreads().values())
        return self._threads

    def map(self, items: Iterable[Job]) -> Iterator[Done[Job, RunRecord]]:
        """Give the record of each job as soon as it is there, in no fixed order; as `executors.Pool.map`.

        Raises BadInput when the scheduler is lost, or when a worker refuses the job.
        """
        source = iter(items)
        while True:
            window = max(_WINDOW_MIN, _WINDOW_A_THREAD * self.threads)
            for job in itertools.islice(source, max(0, window - len(self._asked))):
                self._submit(_Asked(job))
            if not self._asked:
                return
            done = self._next()
            if done is not None:
                yield done

    # -- asking -------------------------------------------------------------------------------------------------------

    def _submit(self, asked: _Asked) -> None:
        code = dict(self._code) if asked.has_code else {}
        try:
            future = self._client.submit(
                remote.serve,
                remote.versions(),
                pickle.dumps(asked.job),
                code,
                self._seconds_max,
                key=next(self._names),
                pure=False,
            )
        except Exception as error:
            raise self._lost(error) from None
        self._asked[future] = asked
        future.add_done_callback(self._answered.put)

    def _next(self) -> Done[Job, RunRecord] | None:
        """Wait for an answer, a while; None when there is none yet, or when a job had to be asked again."""
        try:
            future = self._answered.get(timeout=0.5)
        except queue.Empty:
            if self._client.status != "running":
                raise self._lost() from None
            return None
        asked = self._asked.pop(future)
        answer = self._answer(future, asked)
        return None if answer is None else self._done(asked, answer)

    def _answer(self, future: Any, asked: _Asked) -> Answer | None:
        """Take what a worker answered; None when the job was given to another one."""
        from distributed import KilledWorker

        try:
            if future.status == "cancelled":
                raise self._lost()
            answer: Answer = future.result(timeout=self._seconds_max)
        except KilledWorker as error:
            asked.lost += 1
            if asked.lost < TRIES_MAX:
                self._submit(asked)
                return None
            return Performed(None, None, str(error), False)
        except BadInput:
            raise
        except Exception as error:
            if self._client.status != "running":
                raise self._lost(error) from None
            if isinstance(error, ImportError | AttributeError):  # it could not even find what to call
                raise self._without_harness(str(error)) from None
            raise InternalError(f"a worker of {self._address} failed: {error}") from error
        finally:
            future.release()
        return answer

    def _done(self, asked: _Asked, answer: Answer) -> Done[Job, RunRecord] | None:
        match answer:
            case Refused():
                raise BadInput(answer.found, answer.expected, answer.where)
            case Lacking():
                if asked.has_code:
                    raise InternalError(f"a worker still lacks the code {', '.join(answer.digests)} that it was sent")
                for code in asked.job.binding.codes.values():
                    if code.digest in answer.digests and code.digest not in self._code:
                        self._code[code.digest] = remote.pack(code.path)
                asked.has_code = True
                self._submit(asked)
                return None
            case Performed():
                if answer.record is None:
                    return Done(item=asked.job, result=None, error=answer.error, hung=answer.hung)
                record: RunRecord = pickle.loads(answer.record)  # noqa: S301  # of our own version: it was compared
                return Done(item=asked.job, result=self._kept(record, answer.bundle))

    def _kept(self, record: RunRecord, bundle: bytes | None) -> RunRecord:
        """Write the run that came along, and say where it is."""
        if bundle is None:
            return record
        with writable(self._results), tempfile.NamedTemporaryFile(dir=self._results, suffix=SUFFIX) as file:
            file.write(bundle)
            file.flush()
            folder = unpack(Path(file.name), self._results)
        point_latest(self._results, folder.name)
        return msgspec.structs.replace(record, run=folder.name, path=str(folder))

    # -- the scheduler ------------------------------------------------------------------------------------------------

    def _compare_versions(self) -> None:
        """Raise BadInput when a worker that is here would not make the same runs. Later ones are asked by each job."""
        here = remote.versions()
        try:
            answers = self._client.run(remote.versions, on_error="return")
        except Exception as error:
            raise self._without_harness(str(error)) from None
        for address, there in answers.items():
            if isinstance(there, BaseException):
                raise self._without_harness(str(there), f"worker {address}")
            if differs := remote.difference(here, tuple(there)):
                raise BadInput(differs, _SAME, f"worker {address}")

    def _without_harness(self, why: str, where: str = "") -> BadInput:
        first = why.splitlines()[0] if why else "no reason given"
        return BadInput(f"a worker without this foreshock ({first})", _SAME, where or f"--scheduler {self._address}")

    def _lost(self, error: BaseException | None = None) -> BadInput:
        why = f" ({type(error).__name__})" if error is not None else ""
        return BadInput(
            f"a scheduler that is gone{why}",
            "one that answers; all that was judged is kept",
            f"--scheduler {self._address}",
        )

    def _close(self) -> None:
        client, self._client = self._client, None
        self._asked.clear()
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=_CLOSE_SECONDS_MAX)
