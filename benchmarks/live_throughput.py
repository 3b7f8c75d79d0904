"""Committed operations per wall second through three real nodes: one process, loopback TCP, real files, fsync on.

    python -m benchmarks.live_throughput [--clients N ...] [--seconds S] [--json]

The three servers, their connections and the load share one Trio run, so one core does all of it. Each client has a
session and one operation outstanding (`add` to its own counter), as independent clients would; what they share is one
connection, so that the cluster is measured and not the scheduling of client tasks. Every acknowledged operation is
durable on a majority: what arrives in one step shares one fsync (group commit), and the leader's appends leave before
its own. Both kinds of storage are shown.

If PySyncObj is importable (`pip install pysyncobj`) it runs the same load on the same machine right after: its own
counter example with three nodes in one process, called inside the leader's process (no client connection, no
sessions), with as many calls outstanding. It is shown with its defaults, without batching, and with a batch every 5 ms,
which was its fastest. Its journal is a memory-mapped file that it does not flush when it commits, so what it
acknowledges may be lost with the power; it promises less for its numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

import trio

from raft_impl import surface
from raft_impl.machines.base import pack
from raft_impl.runtime.wire import Action, Hello, Reply, Request, Status, Welcome, decode, encode
from raft_impl.server.real_env import RealDisk, RealEnvironment

NAMES = ("n1", "n2", "n3")
OPTIONS = {"election_timeout_ms": 1000, "heartbeat_ms": 100}
PYSYNCOBJ: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no batches": {"appendEntriesUseBatch": False},
    "a batch every 5 ms": {"appendEntriesPeriod": 0.005},
}


def main() -> None:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--directory", type=Path, default=None, help="where the data goes (default: a temporary one)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pysyncobj", choices=PYSYNCOBJ, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pysyncobj is not None:
        measure_pysyncobj(arguments.clients[0], arguments.pysyncobj, arguments.seconds)
    rows: list[dict[str, Any]] = [{"system": "one fsync", **measure_fsync(arguments.directory)}]
    for count in arguments.clients:
        for storage in ("sync", "async"):
            row = trio.run(measure_raft, count, storage, arguments.seconds, arguments.directory)
            rows.append(row)
        for variant in PYSYNCOBJ:
            peer = run_pysyncobj(count, variant, arguments.seconds)
            rows += [peer] if peer is not None else []
    if arguments.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{name}={value}" for name, value in row.items()), flush=True)


def measure_fsync(directory: Path | None) -> dict[str, Any]:
    """What one fsync of a small append costs here: the floor of every latency."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        descriptor = os.open(Path(folder) / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        times = []
        for _ in range(100):
            os.write(descriptor, bytes(100))
            began = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - began)
        os.close(descriptor)
    return {"p50_ms": round(statistics.median(times) * 1000, 3)}


async def measure_raft(clients: int, storage: str, seconds: float, directory: Path | None) -> dict[str, Any]:
    """Three servers and a load in this process."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        async with trio.open_nursery() as nursery:
            listeners = {name: (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] for name in NAMES}
            addresses = {name: listener.socket.getsockname()[:2] for name, listener in listeners.items()}
            spec = surface.GroupSpec(machine="counter", voters=NAMES)
            servers = {}
            for name in NAMES:
                env = RealEnvironment(name, addresses, RealDisk(Path(folder) / name))
                await nursery.start(env.network.run, listeners[name])
                options = {**OPTIONS, "storage": storage}
                servers[name] = surface.make_server(env, groups={"g0": spec}, options=options)
                await servers[name].start()
                nursery.start_soon(env.serve, servers[name])
            leader = await elected(servers)
            env = RealEnvironment("load", addresses)
            await nursery.start(env.network.run, None)
            load = Load(env, leader, clients)
            nursery.start_soon(load.run)
            await trio.sleep(1.0)
            before, began, processor = load.done_count, time.perf_counter(), time.process_time()
            load.latencies_s.clear()
            await trio.sleep(seconds)
            elapsed = time.perf_counter() - began
            count = load.done_count - before
            processor = time.process_time() - processor
            nursery.cancel_scope.cancel()
    return {
        "system": f"raft_impl, fsync, {storage}",
        "clients": clients,
        "ops_per_s": round(count / elapsed),
        **latencies(load.latencies_s),
        "cpu_us_per_op": round(processor / max(1, count) * 1e6),
    }


async def elected(servers: dict[str, surface.Server]) -> str:
    """The name of the leader, once there is one."""
    while True:
        for name, server in servers.items():
            if server.inspect()["g0"]["role"] == "leader":
                return name
        await trio.sleep(0.05)


class Load:
    """Many clients over one connection, each with a session of its own and one operation outstanding."""

    def __init__(self, env: RealEnvironment, leader: str, clients: int) -> None:
        self.done_count = 0
        self.latencies_s: list[float] = []
        self._env = env
        self._leader = leader
        self._clients = clients
        self._connection = 0
        self._sequences: dict[int, int] = {}  # session -> its latest sequence
        self._outstanding: dict[int, tuple[int, float]] = {}  # request id -> (session, when it left)
        self._last_id = 0

    async def run(self) -> None:
        """Open the sessions, then keep each busy until the end."""
        self._env.network.send(self._leader, encode("g0", Hello(1)))
        while True:
            received = await self._env.recv(None)
            assert received is not None
            decoded = decode(received[1])
            assert decoded is not None
            match decoded[1]:
                case Welcome(connection=connection):
                    self._connection = connection
                    for _ in range(self._clients):
                        self._ask(Action.OPEN, 0, 0, b"")
                case Reply() as reply:
                    self._take(reply)

    def _take(self, reply: Reply) -> None:
        if reply.status != Status.DONE:
            raise RuntimeError(f"the load met {reply.word}; run it on a machine that is not overloaded")
        session, sent = self._outstanding.pop(reply.id)
        if session:
            self.done_count += 1
            self.latencies_s.append(time.perf_counter() - sent)
        else:
            session = reply.value
            self._sequences[session] = 0
        self._sequences[session] += 1
        self._ask(Action.CALL, session, self._sequences[session], pack(("add", session, 1)))

    def _ask(self, action: Action, session: int, sequence: int, call: bytes) -> None:
        self._last_id += 1
        self._outstanding[self._last_id] = (session, time.perf_counter())
        request = Request(self._connection, 1, self._last_id, action, session, sequence, call)
        self._env.network.send(self._leader, encode("g0", request))


def run_pysyncobj(clients: int, variant: str, seconds: float) -> dict[str, Any] | None:
    """PySyncObj in a process of its own, since its threads outlive the measurement. None if it is not installed."""
    arguments = ["--pysyncobj", variant, "--clients", str(clients), "--seconds", str(seconds)]
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.live_throughput", *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        if "No module named 'pysyncobj'" not in result.stderr:
            print(result.stderr, file=sys.stderr)
        return None
    row: dict[str, Any] = json.loads(result.stdout)
    return row


def measure_pysyncobj(clients: int, variant: str, seconds: float) -> NoReturn:
    """Three nodes of its counter in this process, with as many calls outstanding; prints the row and exits."""
    from pysyncobj import SyncObj, SyncObjConf, replicated  # type: ignore[import-not-found, unused-ignore]

    class MyCounter(SyncObj):  # type: ignore[misc, unused-ignore]
        def __init__(self, own: str, others: list[str], conf: Any) -> None:
            super().__init__(own, others, conf)
            self._counter = 0

        @replicated  # type: ignore[untyped-decorator, unused-ignore]
        def inc(self) -> int:
            self._counter += 1
            return self._counter

    with tempfile.TemporaryDirectory() as folder:
        ports = [f"127.0.0.1:{port}" for port in free_ports(3)]
        nodes = []
        for number, own in enumerate(ports):
            settings = {"journalFile": f"{folder}/{number}.journal", "commandsQueueSize": 1_000_000}
            conf = SyncObjConf(**settings, **PYSYNCOBJ[variant])
            nodes.append(MyCounter(own, [port for port in ports if port != own], conf))
        while not all(node.isReady() for node in nodes):
            time.sleep(0.05)
        leader = next(node for node in nodes if str(node._getLeader()) == str(node.selfNode))
        done, times = [0], []

        def ask() -> None:
            began = time.perf_counter()

            def take(result: Any, error: Any) -> None:
                done[0] += 1
                times.append(time.perf_counter() - began)
                ask()

            leader.inc(callback=take)

        for _ in range(clients):
            ask()
        time.sleep(1.0)
        before, began, processor = done[0], time.perf_counter(), time.process_time()
        times.clear()
        time.sleep(seconds)
        elapsed = time.perf_counter() - began
        row = {
            "system": f"pysyncobj, no fsync, {variant}",
            "clients": clients,
            "ops_per_s": round((done[0] - before) / elapsed),
            **latencies(times),
            "cpu_us_per_op": round((time.process_time() - processor) / max(1, done[0] - before) * 1e6),
        }
        print(json.dumps(row), flush=True)
        os._exit(0)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    import socket

    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def latencies(times: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    ordered = sorted(times) or [0.0]
    return {
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99_ms": round(ordered[len(ordered) * 99 // 100] * 1000, 2),
    }


if __name__ == "__main__":
    main()
