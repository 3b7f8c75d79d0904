"""The channel by which a test disturbs a real node: authenticated, off unless asked for, and each fault bites."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
import trio

from harness.faults.catalog import AnyFault
from harness.faults.clocks import ClockRate
from harness.faults.disk_errors import DiskFull, FsyncError, ReadError, SlowDisk, WriteError
from harness.live.control import Control
from harness.live.drawing import CLOCK_OFF
from harness.live.live_run import run
from harness.live.systems.catalog import live_system
from harness.outcome import Outcome
from harness.systems.checkouts import Checkouts
from raft_impl.server import control as node_side
from raft_impl.server.endings import CannotStart
from raft_impl.server.faults import Fault, Faults, FaultyClock, FaultyDisk, State
from tests.live.live_plans import MS, SECOND_NS, at, small_plan

# -- what faults do in a node ---------------------------------------------------------------------------------------


def disk_with(folder: Path, *faults: Fault) -> tuple[FaultyDisk, Faults]:
    state = Faults()
    disk = FaultyDisk(folder, state)
    disk.append("log", b"before ")
    state.set(State(disk=faults))
    return disk, state


CHANGES: dict[str, Callable[[FaultyDisk], None]] = {
    "append": lambda disk: disk.append("log", b"abcdef"),
    "write": lambda disk: disk.write("other", b"abcdef"),
    "truncate": lambda disk: disk.truncate("log", 1),
    "rename": lambda disk: disk.rename("log", "other"),
    "unlink": lambda disk: disk.unlink("log"),
    "compose": lambda disk: disk.compose("other", lambda: b"abcdef"),
}


@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
def test_a_disk_that_fails_writes_fails_each_change_and_counts_it(
    tmp_path: Path, call: Callable[[FaultyDisk], None]
) -> None:
    disk, faults = disk_with(tmp_path, Fault(id="f", do="fail", operation="write"))

    with pytest.raises(OSError, match="Errno") as failed:
        call(disk)

    assert (failed.value.errno, faults.hits["f"]) == (errno.EIO, 1)
    faults.set(State())
    assert disk.read("log").startswith(b"before ")
    assert len(disk.read("log")) <= len(b"before abc"), "of an append a part"
    disk.close()


def test_a_full_disk_takes_what_fits_and_no_more(tmp_path: Path) -> None:
    disk, faults = disk_with(tmp_path, Fault(id="f", do="fill", room_bytes=8))
    disk.append("log", b"12345")

    for data in (b"6789", b"0"):
        with pytest.raises(OSError, match="Errno") as failed:
            disk.append("log", data)
        assert failed.value.errno == errno.ENOSPC

    assert disk.read("log") == b"before 12345678"
    assert faults.hits["f"] == 2
    disk.close()


def test_reads_fail_where_reads_are_to_fail(tmp_path: Path) -> None:
    disk, faults = disk_with(tmp_path, Fault(id="f", do="fail", operation="read"))

    for call in (lambda: disk.read("log"), disk.names):
        with pytest.raises(OSError, match="Errno"):
            call()

    assert faults.hits["f"] == 2
    disk.close()


def test_fsyncs_fail_and_are_late(tmp_path: Path) -> None:
    async def sync(*faults: Fault) -> tuple[bool, float, int]:
        disk, state = disk_with(tmp_path / str(len(faults)), *faults)
        began_s = time.perf_counter()
        failed = False
        for call in (lambda: disk.fsync("log"), disk.fsync_directory):
            try:
                await call()
            except OSError as error:
                failed = error.errno == errno.EIO
        disk.close()
        return failed, time.perf_counter() - began_s, state.hits.total()

    failing = Fault(id="f", do="fail", operation="fsync")
    late = Fault(id="l", do="delay", late_ns=30 * MS)

    assert trio.run(sync)[::2] == (False, 0)
    assert trio.run(sync, failing)[::2] == (True, 2)
    failed, seconds, hits = trio.run(sync, late, late)
    assert (failed, hits) == (False, 4)
    assert seconds >= 0.12


def test_a_clock_runs_at_its_rate_and_never_back_and_timers_follow_it() -> None:
    async def off_after(rate_ppm: int) -> tuple[float, float]:
        faults = Faults()
        clock = FaultyClock(faults)
        faults.set(State(rate_ppm=rate_ppm))
        shown_ns, true_s = clock.monotonic_ns(), time.perf_counter()
        await trio.sleep_until(clock.trio_time(shown_ns + 60 * MS))
        waited_s = time.perf_counter() - true_s
        faults.set(State())
        assert clock.monotonic_ns() >= shown_ns
        return waited_s, abs(faults.off_ns) / 1e6

    slow_s, slow_off_ms = trio.run(off_after, 500_000)
    fast_s, fast_off_ms = trio.run(off_after, 2_000_000)

    assert slow_s >= 0.119
    assert slow_off_ms >= 59
    assert 0.029 <= fast_s < slow_s
    assert fast_off_ms >= 29


def test_a_wall_clock_shows_another_time_and_each_look_at_it_is_a_hit() -> None:
    faults = Faults()
    clock = FaultyClock(faults)
    faults.set(State(step_ns=3600 * SECOND_NS, steps=("f",)))

    ahead_ns = clock.wall_ns() - time.time_ns()

    assert 3599 * SECOND_NS < ahead_ns <= 3600 * SECOND_NS
    assert faults.hits["f"] == 1


# -- who may -----------------------------------------------------------------------------------------------------------


def test_both_ends_must_know_the_secret(tmp_path: Path) -> None:
    async def meet(secret: bytes) -> int:
        control = Control(tmp_path, ("n1",))
        control.clocks("n1").set_rate("f", 1_500_000)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(control.run)
                node = node_side.Control(path=tmp_path / "control", secret=secret or control.secret_file.read_bytes())
                async with node_side.disturbed(node, "n1") as faults:
                    first = faults.state.rate_ppm
                    control.clocks("n1").set_rate("f", None)
                    while faults.state.rate_ppm == first:  # noqa: ASYNC110
                        await trio.sleep(0.01)
                    nursery.cancel_scope.cancel()
        finally:
            for name in ("control", "control-secret"):
                (tmp_path / name).unlink()
        return first

    assert trio.run(meet, b"") == 1_500_000
    with pytest.raises(BaseExceptionGroup) as refused:
        trio.run(meet, b"another secret of enough bytes")
    assert refused.group_contains(CannotStart, match="nobody there knows the secret of this test", depth=None)


def test_a_mistake_of_ours_is_not_taken_for_a_node_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Control(tmp_path, ("n1",))

    def mistake() -> NoReturn:
        raise ZeroDivisionError

    async def meet() -> None:
        monkeypatch.setattr(control.clocks("n1"), "state", mistake)
        async with trio.open_nursery() as nursery:
            await nursery.start(control.run)
            proof = node_side.proof(control.secret_file.read_bytes(), "node", "n1", "once")
            async with await trio.open_unix_socket(str(tmp_path / "control")) as stream:
                await node_side.send(stream, node_side.Hello(node="n1", nonce="once", proof=proof))
                await trio.sleep(1)
            nursery.cancel_scope.cancel()

    with pytest.raises(BaseExceptionGroup) as failed:
        trio.run(meet)
    assert failed.group_contains(ZeroDivisionError, depth=None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--test-control", "nowhere"), "--test-control without --test-secret-file"),
        (("--test-control", "nowhere", "--test-secret-file", "short"), "a secret of 5 bytes"),
        (("--test-control", "nowhere", "--test-secret-file", "long"), "control-refused: nowhere: No such file"),
    ],
    ids=["no secret", "a short one", "nobody listens"],
)
def test_a_node_that_cannot_be_disturbed_by_who_may_does_not_start(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "short").write_text("short")
    (tmp_path / "long").write_text("x" * 32)
    serve = [sys.executable, "-m", "raft_impl", "serve", "--name", "n1", "--data", "data"]

    ran = subprocess.run(
        [*serve, "--node", "n1=127.0.0.1:0", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ran.returncode in (1, 254)
    assert said in ran.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists(), "it touched nothing"


# -- faults of a run ---------------------------------------------------------------------------------------------------


def ran(*faults: AnyFault, seconds: int = 5) -> Outcome:
    """One run of our node under these faults."""
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        options = {"election_timeout_ms": "400", "client_timeout_ms": "1000", "reads": "lease"}
        return run(small_plan(system, "register", faults, faults_ns=seconds * SECOND_NS, **options), system).outcome


def test_disks_and_clocks_of_our_nodes_are_reached_and_a_node_that_its_disk_ends_comes_back() -> None:
    outcome = ran(
        SlowDisk(id="slow", targets=("n1", "n2", "n3"), late_ns=40 * MS, **at(0, 800)),
        ClockRate(id="clock", targets=("n1",), rate_ppm=1_040_000, **at(0, 4000)),
        FsyncError(id="fsync", targets=("n2",), **at(1200, 600)),
        DiskFull(id="full", targets=("n3",), room_bytes=0, **at(3000, 600)),
    )

    assert outcome.fault_outcomes == dict.fromkeys(("slow", "clock", "fsync", "full"), "effective")
    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.marks[CLOCK_OFF] >= 40, "the node itself found it"
    rows = outcome.rows or ()
    assert sorted(row[2] for row in rows if row[1] == "crash") == ["n2", "n3"]
    assert [row[4] for row in rows if row[1] == "crash"] == ["disk", "disk"]
    assert sum(row[1] == "start" for row in rows) == 5, "three nodes, two of them twice"


@pytest.mark.slow
def test_a_node_that_cannot_read_its_disk_comes_back_when_it_can() -> None:
    outcome = ran(
        WriteError(id="write", targets=("n1",), **at(0, 400)),
        ReadError(id="read", targets=("n1",), **at(0, 7000)),
        seconds=8,
    )

    assert outcome.fault_outcomes == {"write": "effective", "read": "effective"}
    assert outcome.verdict.validity == "valid", outcome.verdict


def test_nothing_reaches_into_nodes_whose_plan_does_not_ask_for_it(tmp_path: Path) -> None:
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        plan = small_plan(system, "register")

        assert system.inside(plan, tmp_path) is None
        disturbed = msgspec.structs.replace(plan, faults=(SlowDisk(id="f", targets=("n1",), late_ns=1, **at(0, 1)),))
        assert system.inside(disturbed, tmp_path) is not None
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
