"""Throughput and latency of our node beside etcd and PySyncObj, in one run on one machine.

    python -m benchmarks.live [--peers ours,etcd,pysyncobj] [--clients 1,16,64] [--seconds S] [--rounds N] [--json]

Each system is a cluster of three server processes on loopback, with its log on the same disk. Clients have one write of
a small value outstanding, each to a key of its own, and speak to the leader. All clusters run from the beginning to the
end, but only one of them is loaded at a time: a round measures one system after the other, for each number of clients,
and the median of the rounds is shown. Only the ratios of one run say anything, since what else the machine does changes
from minute to minute.

`ratio` is how many times as fast as ours the system is. The processor time is that of the three servers together; that
of PySyncObj includes the load, which runs inside its leader or, `outside`, in a fourth process of its own kind. A
loaded system is given a moment to warm up first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from . import etcd, pysyncobj
from .etcd import Etcd, GrpcChannel, JsonChannel
from .load import Channel, Measured, drive, summary
from .ours import Ours
from .processes import NotReady, processor_s, stop
from .pysyncobj import VARIANTS, PySyncObj

PEERS: Final = ("ours", "etcd", "pysyncobj")
EXIT_BAD_INPUT: Final = 254
_WARM_UP_S: Final = 0.3

System = Ours | Etcd | PySyncObj


class Lane(msgspec.Struct, frozen=True):
    """One way to load a system: a row of the table."""

    name: str
    system: System
    load: Callable[[int, float], tuple[list[float], float]]
    """A number of clients for a number of seconds: each latency, and how long it took in all, both in seconds."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The medians of all rounds of one system with that many clients."""

    system: str
    clients: int
    ops_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_us_per_op: float
    ratio: float | None
    """Operations a second over ours: the median of the ratios of the rounds. None where ours was not measured."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default=",".join(PEERS), help="which systems, with commas between")
    parser.add_argument("--clients", default="1,16,64", help="numbers of clients, with commas between")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each system is loaded in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--value-bytes", type=int, default=16, help="size of each value that is written")
    parser.add_argument("--option", "-o", action="append", default=[], help="NAME=VALUE, an option of our nodes")
    parser.add_argument("--directory", type=Path, default=None, help="where the data goes (default: a temporary one)")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    peers = parsed.peers.split(",")
    refusal = _refusal(peers, parsed.clients)
    if refusal:
        print(refusal, file=sys.stderr)
        return EXIT_BAD_INPUT
    clients = [int(count) for count in parsed.clients.split(",")]
    with tempfile.TemporaryDirectory(dir=parsed.directory) as folder:
        try:
            measured = measure(
                peers, clients, parsed.seconds, parsed.rounds, Path(folder), "v" * parsed.value_bytes, parsed.option
            )
        except NotReady as error:
            print(f"no measurement: {error}", file=sys.stderr)
            return 1
    rows = table(measured)
    if parsed.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    print(f"{'clients':>7}  {'system':<20}{'ops/s':>8}{'ratio':>7}{'p50 ms':>9}{'p99 ms':>9}{'server us/op':>14}")
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
        print(
            f"{row.clients:>7}  {row.system:<20}{row.ops_per_s:>8.0f}{ratio:>7}{row.p50_ms:>9.2f}{row.p99_ms:>9.2f}"
            f"{row.server_cpu_us_per_op:>14.0f}"
        )
    return 0


def _refusal(peers: Sequence[str], clients: str) -> str:
    """What is wrong with what was typed, or is missing here; empty if nothing is."""
    for peer in peers:
        if peer not in PEERS:
            return f"--peers names {peer!r}; expected some of {','.join(PEERS)}"
    for count in clients.split(","):
        if not (count.isascii() and count.isdecimal() and int(count)):
            return f"--clients is {clients!r}; expected whole numbers above 0, with commas between"
    checks = {"etcd": etcd.missing, "pysyncobj": pysyncobj.missing}
    return next((why for peer in peers if peer in checks and (why := checks[peer]())), "")


def measure(
    peers: Sequence[str],
    clients: Sequence[int],
    seconds: float,
    rounds: int,
    folder: Path,
    value: str,
    options: Sequence[str] = (),
) -> list[list[Measured]]:
    """The rounds, each with a row for every system and number of clients. Nothing is left running."""
    lanes: list[Lane] = []
    try:
        if "ours" in peers:
            ours = Ours(_made(folder / "ours"), value, options)
            lanes.append(Lane(Ours.name, ours, partial(_drive, ours.connect)))
        if "etcd" in peers:
            members = Etcd(_made(folder / "etcd"), value)
            lanes.append(Lane("etcd", members, partial(_drive, partial(members.connect, kind=GrpcChannel))))
            lanes.append(Lane("etcd, JSON", members, partial(_drive, partial(members.connect, kind=JsonChannel))))
        if "pysyncobj" in peers:
            for variant in VARIANTS:
                nodes = PySyncObj(_made(folder / variant.replace(" ", "-")), value, variant)
                lanes.append(Lane(f"pysyncobj, {variant}", nodes, nodes.measure))
        for lane in lanes:
            lane.load(1, _WARM_UP_S)
        return [[_measure(lane, n, seconds) for n in clients for lane in lanes] for _ in range(rounds)]
    finally:
        for lane in lanes:
            stop(lane.system.processes)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _measure(lane: Lane, clients: int, seconds: float) -> Measured:
    lane.load(clients, _WARM_UP_S)
    before_s = processor_s(lane.system.processes)
    latencies, elapsed_s = lane.load(clients, seconds)
    return summary(lane.name, clients, latencies, elapsed_s, processor_s(lane.system.processes) - before_s)


def _drive(connect: Callable[[int], Sequence[Channel]], clients: int, seconds: float) -> tuple[list[float], float]:
    channels = connect(clients)
    try:
        began = time.perf_counter()
        latencies = drive(channels, seconds)
        return latencies, time.perf_counter() - began
    finally:
        for channel in channels:
            channel.socket.close()


def table(rounds: Sequence[Sequence[Measured]]) -> list[Row]:
    """The medians over the rounds, in the order of a round."""
    ours = [{one.clients: one.ops_per_s for one in measured if one.system == Ours.name} for measured in rounds]
    rows = []
    for column in zip(*rounds, strict=True):
        first = column[0]
        ratios = [one.ops_per_s / own[one.clients] for one, own in zip(column, ours, strict=True) if own]
        rows.append(
            Row(
                system=first.system,
                clients=first.clients,
                ops_per_s=statistics.median(one.ops_per_s for one in column),
                p50_ms=statistics.median(one.p50_ms for one in column),
                p99_ms=statistics.median(one.p99_ms for one in column),
                server_cpu_us_per_op=statistics.median(one.server_cpu_us_per_op for one in column),
                ratio=statistics.median(ratios) if ratios else None,
            )
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
