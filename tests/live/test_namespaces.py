"""Nodes in network namespaces: faults are packets that the kernel drops, and nothing is left of any of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from harness.errors import BadInput
from harness.faults.packets import Loss
from harness.faults.partitions import Partition
from harness.live.namespaces import enter
from harness.live.systems.catalog import abilities_of_live, live_system
from harness.systems.checkouts import Checkouts
from tests.live.cluster import eventually
from tests.live.live_plans import SECOND_NS, at, small_plan

ROOT = Path(__file__).parents[2]
IS_ALLOWED = (
    all(map(shutil.which, ("unshare", "nsenter", "ip", "nft")))
    and subprocess.run(["unshare", "--net", "nft", "list", "ruleset"], capture_output=True, check=False).returncode == 0
)
allowed = pytest.mark.skipif(not IS_ALLOWED, reason="network namespaces need root and nft")


def run_apart(folder: Path) -> subprocess.Popen[str]:
    """A run of another harness, with a partition and loss; its processes know the folder by their environment."""
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)
        faults = (
            Partition(id="cut", shape="one", order=("n1", "n2", "n3"), clients=("c1",), **at(0, 1500)),
            Loss(id="loss", targets=(), loss_ppm=100_000, **at(2000, 1500)),
        )
        options = {"election_timeout_ms": "800", "client_timeout_ms": "2000"}
        plan = small_plan(system, "register", faults, faults_ns=4 * SECOND_NS, **options)
        plan = msgspec.structs.replace(plan, gates=msgspec.structs.replace(plan.gates, ok_before=0))
    (folder / "plan.json").write_bytes(plan.to_json())
    words = ["run", "--world", "live", "--network", "namespaces", "--plan", folder / "plan.json", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, words), "--results", str(folder / "results")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that were started with this folder for temporary files."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path("/proc", process, "environ").read_bytes().split(b"\0")
            line = Path("/proc", process, "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"TMPDIR={folder}".encode() in environment and line:
            found.append(line)
    return found


def interfaces() -> set[str]:
    return set(os.listdir("/sys/class/net"))


@allowed
def test_the_kernel_drops_packets_and_counts_them_and_nothing_is_left(tmp_path: Path) -> None:
    before = interfaces()

    harness = run_apart(tmp_path)
    out, err = harness.communicate(timeout=90)

    assert harness.returncode == 0, out + err
    record = json.loads(out)
    assert record["fault_outcomes"] == {"cut": "effective", "loss": "effective"}
    assert record["verdict"] == "valid"
    assert record["marks"]["packets dropped"] > 0
    assert record["messages"] > 100, "packets that came to nodes"
    assert interfaces() == before
    assert processes_of(tmp_path) == []


@allowed
@pytest.mark.slow
def test_nothing_is_left_when_the_harness_is_killed(tmp_path: Path) -> None:
    before = interfaces()
    harness = run_apart(tmp_path)
    try:
        eventually(lambda: sum("raft_impl serve" in line for line in processes_of(tmp_path)) >= 3)
        assert sum("sleep infinity" in line for line in processes_of(tmp_path)) == 3, "they hold the namespaces"
    finally:
        harness.send_signal(signal.SIGKILL)
        harness.communicate()

    eventually(lambda: processes_of(tmp_path) == [])
    assert interfaces() == before


@allowed
def test_a_bridge_that_a_run_has_left_that_was_killed_is_taken_away(tmp_path: Path) -> None:
    """The namespace outlives a worker that is killed: all seeds of a suite run in it, one after the other."""
    script = f"""
        import subprocess
        from pathlib import Path
        from harness.live.addresses import Addresses
        from harness.live.namespaces import Namespaces
        from harness.live.supervisor import Supervisor

        subprocess.run(["ip", "link", "add", "foreshock0", "type", "bridge"], check=True)
        addresses = Addresses(("n1",), ("c1",), ("raft",), has_namespaces=True)
        with Supervisor(Path({str(tmp_path)!r}), None) as supervisor:
            Namespaces(addresses, supervisor, lambda: 0).close()
    """
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr


def test_a_machine_without_the_programs_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(BadInput, match=r"no program unshare; expected installed ones"):
        enter(["run"])


def test_a_machine_that_does_not_allow_it_is_refused_with_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("unshare", "nsenter", "ip", "nft"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{name}: unshare failed: Operation not permitted' >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    with pytest.raises(BadInput, match=r"does not allow it \(unshare: unshare failed: Operation not permitted\)"):
        enter(["run"])


def test_what_packets_cannot_have_is_not_drawn() -> None:
    with Checkouts() as checkouts:
        system = live_system("node", checkouts)

    left_out = {*abilities_of_live(system, "proxies").fault_kinds} - {
        *abilities_of_live(system, "namespaces").fault_kinds
    }

    assert left_out == {"delay", "bandwidth"}
