"""libfaketime: the clock of a Python program runs at another rate and nowhere jumps; what it cannot do is shown."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.faults.clocks import ClockRate
from harness.live.drawing import CLOCK_OFF
from harness.live.faketime import NodeClock, library
from harness.live.live_run import run
from harness.live.systems.catalog import live_system
from harness.systems.checkouts import Checkouts
from tests.live.live_plans import SECOND_NS, at, small_plan

pytest.importorskip("h11")
pytest.importorskip("pysyncobj")
LIBRARY = library()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")

SHOWN = """
import time
while True:
    print(time.monotonic_ns(), flush=True)
    time.sleep(0.02)
"""


def test_a_clock_changes_its_rate_and_does_not_jump(tmp_path: Path) -> None:
    clock = NodeClock(tmp_path / "clock")
    environment = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(clock.path), "FAKETIME_NO_CACHE": "1"}
    clock.begin()
    program = subprocess.Popen(
        [sys.executable, "-c", SHOWN], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    off_ns: list[int] = []
    try:
        for number in range(45):
            off_ns.append(int(program.stdout.readline()) - time.monotonic_ns())
            if number == 15:
                clock.set_rate("f", 2_000_000)
            if number == 30:
                clock.set_rate("f", None)
    finally:
        program.kill()
        program.communicate()

    ahead_ns = [one - off_ns[0] for one in off_ns]
    assert abs(ahead_ns[14]) < 100_000_000, "it was right"
    assert 100_000_000 < ahead_ns[31] < 2_000_000_000, "it ran twice as fast"
    assert abs(ahead_ns[-1] - ahead_ns[32]) < 100_000_000, "and from there at the usual rate"


@pytest.mark.slow
def test_clocks_of_pysyncobj_run_at_another_rate_and_its_nodes_say_so() -> None:
    with Checkouts() as checkouts:
        system = live_system("pysyncobj", checkouts)
        faults = [ClockRate(id="clock", targets=("n1",), rate_ppm=1_500_000, **at(0, 3000))]
        options = {"election_timeout_ms": "800", "client_timeout_ms": "2000"}
        outcome = run(small_plan(system, "register", faults, faults_ns=4 * SECOND_NS, **options), system).outcome

    assert outcome.fault_outcomes == {"clock": "effective"}
    assert outcome.marks[CLOCK_OFF] >= 1000
    assert outcome.verdict.validity == "valid", outcome.verdict


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
def test_etcd_asks_the_kernel_and_notices_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "FAKETIME": "+100d"}

    python = subprocess.run(
        [sys.executable, "-c", "import datetime; print(datetime.date.today())"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # It refuses to start, with a line of its log, which has the date.
    etcd = subprocess.run(
        ["etcd", "--data-dir", str(tmp_path), "--initial-cluster", "other=http://127.0.0.1:1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    today = datetime.datetime.now().astimezone().date()
    assert python.stdout.strip() == str(today + datetime.timedelta(days=100))
    assert str(today) in etcd.stderr
    assert str(today + datetime.timedelta(days=100)) not in etcd.stderr


def test_the_wall_clock_alone_cannot_be_moved_under_python() -> None:
    environment = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": "+100d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    slept = subprocess.run(
        [sys.executable, "-c", "import time; time.sleep(0.01)"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert slept.returncode == 1, "were it 0, steps of the wall clock could be drawn"
    assert "Invalid argument" in slept.stderr
