"""How a run grows: time of the processor for each message, and the peak of memory, by size of the run.

    python -m benchmarks.growth [--hour] [--json]

Each row is one `foreshock run` of the profile `calm` in a process of its own: drawn, run, judged, and stored with trace
and history. Nodes, clients, operations a second and duration are varied one after another around 5 nodes, 5 clients,
50 operations a second and 10 s; `--hour` adds the run of an hour, which takes minutes. Seconds are the processor's, and
say little on a machine that others use: what a message costs is the difference to a run of the same size and one second
by the difference in messages, so that starting a process is no part of it. Memory is the largest resident set of the
process.

The group compacts its log after 1,000 entries, as a server does by default after 10,000. Without, each node keeps each
entry in memory and on its disk, because it is asked to.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

SNAPSHOT_THRESHOLD: Final = 1_000


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is; a row varies one of these, and the clients where the rate needs more of them."""

    nodes: int = 5
    clients: int = 5
    rate: int = 50
    seconds: int = 10


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What one run cost."""

    size: Size
    verdict: str
    messages: int
    us_per_message: float
    peak_1000_kib: float


SIZES: Final = (
    *(Size(seconds=seconds) for seconds in (10, 60, 240, 600)),
    *(Size(nodes=nodes) for nodes in (3, 9, 15)),
    *(Size(clients=clients) for clients in (20, 100)),
    *(Size(rate=rate, clients=100) for rate in (500, 2_000, 5_000)),
)
HOUR: Final = Size(seconds=3_600)


def measure(size: Size) -> Growth:
    """Run one size. Raises RuntimeError when a run does not end with a verdict."""
    begun, begun_s, _ = _run(msgspec.structs.replace(size, seconds=1))
    record, cpu_s, peak_1000_kib = _run(size)
    return Growth(
        size=size,
        verdict=record["verdict"],
        messages=record["messages"],
        us_per_message=(cpu_s - begun_s) * 1e6 / (record["messages"] - begun["messages"]),
        peak_1000_kib=peak_1000_kib,
    )


def _run(size: Size) -> tuple[dict[str, Any], float, float]:
    """Run `foreshock run` in a process of its own. Returns its record, its seconds, and its peak in 1,000 KiB."""
    command = [sys.executable, "-m", "harness", "run", "--seed", "3", "--profile", "calm", "--json"]
    command += ["--nodes", str(size.nodes), "--concurrency", str(size.clients), "--rate", str(size.rate)]
    command += ["--duration", f"{size.seconds}s", "-o", f"snapshot_threshold={SNAPSHOT_THRESHOLD}"]
    with tempfile.TemporaryDirectory() as results:
        command += ["--results", results]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    record = json.loads(output)
    if "verdict" not in record:
        raise RuntimeError(f"found no verdict; expected that of a run of {size}: {output.decode()}")
    return record, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1_000


HEAD: Final = """\
| nodes | clients | ops/s | simulated | messages | us a message | peak, 1,000 KiB | verdict |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"""


def line(row: Growth) -> str:
    """A row of the table in Markdown."""
    size = row.size
    return (
        f"| {size.nodes} | {size.clients} | {size.rate:,} | {size.seconds:,} s | {row.messages:,} "
        f"| {row.us_per_message:.0f} | {row.peak_1000_kib:.0f} | {row.verdict} |"
    )


def main(arguments: Any = None) -> None:
    """Measure all sizes and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hour", action="store_true", help="also the run of an hour")
    parser.add_argument("--json", action="store_true", help="print each row as JSON")
    options = parser.parse_args(arguments)
    if not options.json:
        print(HEAD)
    for size in (*SIZES, *((HOUR,) if options.hour else ())):
        row = measure(size)
        print(msgspec.json.encode(row).decode() if options.json else line(row), flush=True)


if __name__ == "__main__":
    main()
