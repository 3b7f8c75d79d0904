"""Suites on a real dask scheduler with real workers: OS processes on loopback, which are killed.

The table of a suite must be the one that it has on one machine, whatever was lost on the way.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.archive.index import Index
from harness.errors import BadInput
from harness.search import machines, remote
from tests.harness.kills import table

ROOT = Path(__file__).resolve().parents[2]
PATCH = ROOT / "tests" / "mutants" / "commit-stops-at-earlier-term.patch"
SHORT = ("--profile", "partitions", "--nodes", "3", "--duration", "1s", "--max-unknown", "100%")
SECONDS_MAX = 90


class Site:
    """A scheduler, its workers, and the suites that use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self._file = folder / "scheduler.json"
        self._started: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--port", "0", "--no-jupyter", "--scheduler-file", self._file)
        wait_until(self._file.exists)

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(json.loads(self._file.read_bytes())["address"])

    def worker(self, name: str, *more: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker with one thread."""
        words = ("--nthreads", "1", "--name", name, "--local-directory", self.folder, *(more or ("--no-nanny",)))
        return self._start("worker", self.address, *words, **environment)

    def suite(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start a suite; it is ended with the site."""
        command = [sys.executable, "-m", "harness", "suite", *map(str, words), "--results", str(self.results)]
        suite = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        self._started.append(suite)
        return suite

    def rows(self) -> int:
        """How many runs the index has."""
        if not (self.results / "foreshock.db").exists():
            return 0
        with Index(self.results) as index:
            return sum(1 for _ in index.runs())

    def close(self) -> None:
        """End everything; workers end their own processes, or these see that nobody reads."""
        for process in reversed(self._started):  # the scheduler last, since workers take leave of it
            process.terminate()
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def _start(self, what: str, *words: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", "--no-dashboard", *map(str, words)]
        with (self.folder / f"{what}-{len(self._started)}.log").open("wb") as log:
            started = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, **environment})
        self._started.append(started)
        return started


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A scheduler without workers."""
    made = Site(tmp_path)
    try:
        yield made
    finally:
        made.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("waited in vain")


def ended(suite: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = suite.communicate(timeout=SECONDS_MAX)
    return suite.returncode, out.decode(), err.decode()


def foreshock(*words: str | Path) -> Any:
    """The JSON document of a command."""
    command = [sys.executable, "-m", "harness", *map(str, words)]
    return json.loads(subprocess.run(command, capture_output=True, check=False).stdout)


@pytest.mark.slow
def test_a_lost_worker_and_a_lost_scheduler_change_nothing_in_the_table(site: Site, tmp_path: Path) -> None:
    """A suite of a patch, which no worker has, begins with one worker; a second one joins, and the first is killed.
    Then the scheduler is killed; the suite says so in one line, and is resumed on this machine."""
    count = 96  # more than one worker runs while the other one starts
    words = ("--seeds", f"1..{count}", *SHORT, "--system", f"patch:{PATCH}")
    first = site.worker("first")
    suite = site.suite(*words, "--scheduler", site.address)
    wait_until(lambda: site.rows() >= 3)
    site.worker("second", "--nanny", DASK_DISTRIBUTED__WORKER__DAEMON="False")
    wait_until(lambda: "Registered to" in (tmp_path / "worker-3.log").read_text())
    first.kill()
    so_far = site.rows()
    wait_until(lambda: site.rows() >= so_far + 5)
    site.scheduler.kill()
    code, out, err = ended(suite)
    campaign = out.split()[1]

    assert code == 254, err
    assert err.splitlines()[-1].startswith("error: found a scheduler that is gone")
    assert "Traceback" not in err
    assert f"foreshock suite --resume {campaign}" in out
    assert site.rows() < count
    assert foreshock("runs", "--verify", "--json", "--results", site.results)["damage"] == []
    assert foreshock("replay", "latest", "--json", "--results", site.results)["identical"] is True
    resumed = ended(site.suite("--resume", campaign, "--json", "--max-unknown", "100%"))
    site.results = tmp_path / "one-machine"
    alone = ended(site.suite(*words, "--json"))
    assert resumed[0] == alone[0] == 1
    assert table(json.loads(resumed[1])) == table(json.loads(alone[1]))
    assert json.loads(resumed[1])["runs"]["invalid"] > count / 3


@pytest.mark.slow
def test_workers_of_an_adaptive_cluster_come_and_go_with_the_jobs(tmp_path: Path) -> None:
    """There is no worker when the suite begins, and none any more when it has ended."""
    command = [sys.executable, "-m", "tests.live.adaptive_cluster"]
    log = (tmp_path / "cluster.log").open("wb")
    with log, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        try:
            address = cluster.stdout.readline().decode().strip()
            assert cluster.stdout.readline() == b"0\n"
            words = ("--seeds", "1..24", *SHORT, "--scheduler", address, "--results", tmp_path / "results")
            ran = foreshock("suite", *words, "--json")
            numbers = [int(line) for line in iter(cluster.stdout.readline, b"0\n")]
        finally:
            cluster.stdin.close()
            try:
                cluster.wait(timeout=20)
            except subprocess.TimeoutExpired:
                cluster.kill()

    assert sum(ran["runs"].values()) == 24
    assert ran["runs"]["error"] == ran["unbegun"]["seeds"] == 0
    assert numbers[0] == 1
    assert max(numbers) == 2


def test_a_worker_that_may_have_no_children_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a nanny that nobody told: the run needs a process of its own."""
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": True})

    answer = remote.serve(remote.versions(), b"", {}, 1.0)

    assert isinstance(answer, remote.Refused)
    assert "dask worker --no-nanny" in answer.expected


def test_a_memory_budget_is_refused_where_workers_are_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a memory budget; expected none: the workers are on other machines"):
        machines.Far("tcp://127.0.0.1:1", tmp_path).pool(jobs=None, memory_bytes_max=1 << 30)


def test_no_scheduler_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "CONNECT_SECONDS_MAX", 0.2)

    with (
        pytest.raises(BadInput, match=r"found no scheduler .*; expected the address of a running `dask scheduler`"),
        machines.Machines("tcp://127.0.0.1:1", results=tmp_path),
    ):
        pass


class Deaf:
    """A client of a scheduler whose workers cannot answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def run(self, *_: Any, **__: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"tcp://10.0.0.7:40": self.answer}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ModuleNotFoundError("No module named 'harness'\nmore"), "a worker without this foreshock (No module named"),
        (("0" * 64, *remote.versions()[1:]), "found another harness; expected the coordinator's own versions"),
        (remote.versions(), None),
    ],
    ids=["without", "another", "same"],
)
def test_workers_are_asked_for_their_versions_first(answer: Any, said: str | None, tmp_path: Path) -> None:
    asked = machines.Machines("tcp://127.0.0.1:1", results=tmp_path)
    asked._client = Deaf(answer)

    if said is None:
        asked._compare_versions()
    else:
        with pytest.raises(BadInput) as refused:
            asked._compare_versions()
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)


def test_versions_are_compared_before_a_job_is_read() -> None:
    """A worker of another version must not even unpickle what it was sent."""
    here = remote.versions()
    answers = {
        other: remote.serve(other, b"no pickle", {}, 1.0)
        for other in (("0" * 64, *here[1:]), (here[0], "CPython 2.7", here[2]))
    }

    assert all(isinstance(answer, remote.Refused) for answer in answers.values())
    assert remote.difference(here, ("0" * 64, "CPython 2.7", here[2])) == (
        f"another harness, CPython 2.7 instead of {here[1]}"
    )
    assert remote.difference(here, here) == ""
