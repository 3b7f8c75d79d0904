"""Kill a suite again and again, at random moments, and see whether its table is that of one that was left alone.

    python -m tests.harness.kills [--kills 20] [--seeds 300] [--seed 1]

Half of the kills hit the coordinator, which is resumed; the others one of its worker processes. All are SIGKILL. The
moments are drawn by progress: a number of runs in the index, and up to a third of a second later. Exit 0: equal tables.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PATCH: Final = ROOT / "tests" / "mutants" / "read-by-any-replica.patch"
CELL: Final = ("--workload", "register", "--profile", "partitions", "--nodes", "3", "--duration", "1s")
SECONDS_MAX: Final = 300
"""Without any progress for as long, something hangs."""


def table(summary: dict[str, Any]) -> dict[str, Any]:
    """What a suite found, without what differs between two executions of it: ids, folders and wall time."""
    failures = [{**one, "run": None} for one in summary["failures"]]
    unknown = [{**one, "run": None} for one in summary["unknown"]]
    kept = ("runs", "exit", "allowed", "errors", "marks", "messages", "simulated_seconds", "unbegun")
    return {"failures": failures, "unknown": unknown, **{name: summary[name] for name in kept}}


def undisturbed(folder: Path, seeds: int) -> dict[str, Any]:
    """The table of a suite that nobody kills."""
    ran = subprocess.run(_command(folder, *_first(seeds)), capture_output=True, check=False, cwd=ROOT)
    return table(json.loads(ran.stdout))


def killed(folder: Path, seeds: int, kills: int, chance: random.Random) -> tuple[dict[str, Any], list[str]]:
    """The table of a suite that is killed so often, and who was killed when."""
    moments = sorted(chance.sample(range(1, seeds - 20), kills))
    whom = ["coordinator", "worker"] * ((kills + 1) // 2)
    chance.shuffle(whom)
    deaths = []
    suite = _start(folder, *_first(seeds))
    try:
        for moment, victim in zip(moments, whom[:kills], strict=True):
            _wait_for(folder, moment, suite)
            time.sleep(chance.uniform(0.0, 0.3))
            if victim == "worker" and (workers := _workers(suite.pid)):
                os.kill(chance.choice(workers), signal.SIGKILL)
            else:
                victim = "coordinator"
                suite.kill()
                suite.communicate()
                suite = _start(folder, "--resume", _campaign(folder))
            deaths.append(f"{victim} at {_rows(folder)} runs")
        out, _ = suite.communicate(timeout=SECONDS_MAX)
    finally:
        suite.kill()
        suite.communicate()
    return table(json.loads(out)), deaths


def _first(seeds: int) -> tuple[str, ...]:
    return ("--seeds", f"1..{seeds}", *CELL, "--system", f"patch:{PATCH}")


def _command(folder: Path, *words: str) -> list[str]:
    shared = ("--json", "--jobs", "2", "--max-unknown", "100%", "--results", str(folder))
    return [sys.executable, "-m", "harness", "suite", *words, *shared]


def _start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = _command(folder, *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)


def _wait_for(folder: Path, rows: int, suite: subprocess.Popen[bytes]) -> None:
    """Wait until the index has that number of runs. Raises RuntimeError when that does not come about."""
    seen, since = -1, time.monotonic()
    while (now := _rows(folder)) < rows:
        if suite.poll() is not None:
            raise RuntimeError(f"the suite ended by itself with {suite.returncode} at {now} runs")
        if now > seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > SECONDS_MAX:
            raise RuntimeError(f"no progress after {now} runs")
        time.sleep(0.02)


def _rows(folder: Path) -> int:
    return int(_asked(folder, "SELECT COUNT(*) FROM runs") or 0)


def _campaign(folder: Path) -> str:
    return str(_asked(folder, "SELECT id FROM campaigns"))


def _asked(folder: Path, query: str) -> Any:
    """Ask the index without the harness, which may be in the middle of dying; None while there is none."""
    with contextlib.suppress(sqlite3.Error):
        database = sqlite3.connect(f"file:{folder / 'foreshock.db'}?mode=ro", uri=True, timeout=10)
        with contextlib.closing(database):
            row = database.execute(query).fetchone()
            return None if row is None else row[0]
    return None


def _workers(parent: int) -> list[int]:
    """The worker processes of a coordinator."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return []


def main() -> int:
    """Compare the two tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.harness.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="foreshock-") as folder:
        expected = undisturbed(Path(folder) / "undisturbed", asked.seeds)
        found, deaths = killed(Path(folder) / "killed", asked.seeds, asked.kills, random.Random(asked.seed))
    print("\n".join(f"killed: {death}" for death in deaths))
    print(f"runs: {found['runs']}, of {len(found['failures'])} signatures")
    print("the tables are equal" if found == expected else f"the tables differ:\n{expected}\n{found}")
    return 0 if found == expected else 1


if __name__ == "__main__":
    sys.exit(main())
