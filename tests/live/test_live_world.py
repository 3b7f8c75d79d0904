"""Runs of our node in the live world: each fault bites, histories are valid, and no process is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.faults.crashes import Crash
from harness.faults.packets import Bandwidth, Delay, Loss
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.live import live_run
from harness.live.drawing import simulated
from harness.live.live_run import LiveResult, run
from harness.live.supervisor import Launch
from harness.live.systems.catalog import live_system
from harness.live.systems.system import Site
from harness.run.execution import execute
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from tests.live.cluster import eventually
from tests.live.live_plans import MS, SECOND_NS, at, routed, small_plan

ROOT = Path(__file__).parents[2]


def marked_processes(mark: str) -> list[int]:
    """The processes in whose command line a word stands."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark.encode() in words and state != "Z":
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def result() -> LiveResult:
    """One run with a fault of each family."""
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        faults = (
            Crash(id="kill", targets=("n1",), power=False, **at(0, 600)),
            Partition(id="cut", shape="one", order=("n1", "n2", "n3"), clients=("c1",), **at(1000, 700)),
            Pause(id="pause", targets=("n2",), **at(2000, 900)),
            Delay(id="delay", targets=(), extra_ns=20 * MS, jitter_ns=10 * MS, **at(3000, 300)),
            Loss(id="loss", targets=(), loss_ppm=200_000, **at(3300, 300)),
            Crash(id="client", targets=("c2",), power=False, **at(3400, 200)),
            Bandwidth(id="voter", targets=("@voter",), bytes_per_s=20_000, **at(3700, 300)),
        )
        plan = small_plan(
            system, "register", faults, faults_ns=4 * SECOND_NS, election_timeout_ms="400", client_timeout_ms="1000"
        )
        return run(plan, system)


def test_every_fault_bites_and_the_history_is_valid(result: LiveResult) -> None:
    outcome = result.outcome

    assert outcome.fault_outcomes == dict.fromkeys(
        ("kill", "cut", "pause", "delay", "loss", "client", "voter"), "effective"
    )
    assert (outcome.verdict.validity, outcome.stopped) == ("valid", "done"), outcome.verdict
    assert outcome.ops.ok > 50


def test_the_trace_says_what_nodes_told_and_what_was_done_to_them(result: LiveResult) -> None:
    rows = result.outcome.rows
    assert rows is not None
    kinds = [row[1] for row in rows]

    assert {"start", "crash", "role", "term", "fault-begin", "fault-end", "op"} <= set(kinds)
    assert kinds.count("start") == 4, "three nodes, one of them twice"
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert result.outcome.marks.get("unknown callers", 0) == 0, "every caller was known"


def test_the_logs_of_all_nodes_are_kept(result: LiveResult) -> None:
    assert sorted(result.logs) == ["n1", "n2", "n3"]
    assert all(b'"event": "started"' in log for log in result.logs.values())


def test_the_plan_of_a_live_run_runs_in_the_simulated_world(result: LiveResult) -> None:
    with Checkouts() as checkouts:
        outcome = execute(simulated(result.outcome.plan), catalog.bind("raft_impl", checkouts))

    assert outcome.verdict.validity == "valid", outcome.verdict
    assert outcome.fault_outcomes.keys() == result.outcome.fault_outcomes.keys()


def test_a_cluster_that_does_not_come_up_is_refused_with_what_a_node_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        failing = Launch(command=("sh", "-c", "echo no luck today; exit 3"))
        monkeypatch.setattr(system, "launch", lambda site, node: failing)

        with pytest.raises(BadInput, match=r"a node that ended; n\d said last:\n  no luck today"):
            run(small_plan(system, "register"), system)


def test_a_cluster_that_never_serves_is_refused_and_in_a_suite_a_run_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that is too busy for one seed must not end a night."""
    monkeypatch.setattr(live_run, "READY_SECONDS_MAX", 1)
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        monkeypatch.setattr(system, "launch", lambda site, node: Launch(command=("sleep", "60")))
        plan = small_plan(system, "register", [Crash(id="kill", targets=("n1",), power=False, **at(0, 600))])

        with pytest.raises(BadInput, match="no cluster within 1 s; n1 said last: nothing"):
            run(plan, system)
        outcome = run(plan, system, may_never_serve=True).outcome

    assert (outcome.verdict.validity, outcome.verdict.reason) == ("unknown", "cluster: no cluster within 1 s")


def test_a_run_that_is_terminated_raises_a_plain_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trio wraps it in a group, which who waits for an interrupt would let through."""
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)

        def launch(site: Site, node: str) -> Launch:
            os.kill(os.getpid(), signal.SIGTERM)
            return Launch(command=("sleep", "60"))

        monkeypatch.setattr(system, "launch", launch)
        with pytest.raises(KeyboardInterrupt, match="terminated"):
            run(small_plan(system, "register"), system)


def test_options_that_do_not_fit_are_refused_before_anything_starts() -> None:
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        plan = small_plan(system, "register", election_timeout_ms="400", heartbeat_ms="400")

        with pytest.raises(BadInput, match="options do not fit together"):
            run(plan, system)


def live_run_in_a_process(folder: Path, *, stderr: int) -> subprocess.Popen[bytes]:
    """A live run of another harness, with everything that it makes in one folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "--world", "live", "--seed", "3", "--results", str(folder)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


def test_nothing_is_left_running_when_the_harness_is_killed(tmp_path: Path) -> None:
    harness = live_run_in_a_process(tmp_path, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: len(marked_processes(f"--data\0{tmp_path}")) >= 3)
    finally:
        harness.send_signal(signal.SIGKILL)
        harness.wait()

    eventually(lambda: not marked_processes(f"--data\0{tmp_path}"))


def test_a_run_that_is_terminated_leaves_nothing_running(tmp_path: Path) -> None:
    harness = live_run_in_a_process(tmp_path, stderr=subprocess.PIPE)
    assert harness.stderr is not None
    eventually(lambda: len(marked_processes(f"--data\0{tmp_path}")) >= 3)
    time.sleep(0.5)
    harness.terminate()
    _, said = harness.communicate(timeout=20)

    assert harness.returncode == 130, said
    assert b"Traceback" not in said
    assert not marked_processes(f"--data\0{tmp_path}")
    assert not list(tmp_path.glob("foreshock-live-*")), json.dumps([str(one) for one in tmp_path.iterdir()])


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["register", "counter"])
def test_our_node_is_valid_over_http_as_well(workload: str) -> None:
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        faults = (
            Crash(id="kill", targets=("n1",), power=False, **at(0, 600)),
            Partition(id="cut", shape="one", order=("n2", "n1", "n3"), clients=("c2",), **at(1200, 1000)),
        )
        options = {"election_timeout_ms": "600", "client_timeout_ms": "1500", "clients": "http"}
        outcome = run(small_plan(system, workload, faults, faults_ns=4 * SECOND_NS, **options), system).outcome

    assert outcome.fault_outcomes == {"kill": "effective", "cut": "effective"}
    assert outcome.verdict.validity == "valid", outcome.verdict


def test_a_planted_bug_is_found_live() -> None:
    """Any replica answers reads; one is cut off, with a client that asks it."""
    cut = Partition(id="cut", shape="one", order=("n1", "n2", "n3"), clients=("c1",), **at(0, 5500))
    with Checkouts() as checkouts:
        system = live_system(f"patch:{ROOT}/tests/mutants/read-by-any-replica.patch", checkouts)
        options = {"election_timeout_ms": "600", "client_timeout_ms": "1000", "reads": "quorum"}
        plan = small_plan(system, "register", [cut], faults_ns=6 * SECOND_NS, **options)
        outcome = run(routed(plan, "home"), system).outcome

    assert outcome.verdict.validity == "invalid", outcome.verdict
    assert outcome.primary is not None
    assert outcome.primary.startswith("linearizability/")
    assert not outcome.anomalies[0].allowed
