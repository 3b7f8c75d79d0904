"""Use a running node from a program: a map, with operations that are awaited and one that is not.

The node is started here, on a free port and in a temporary folder, and ended with the program.
"""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from raft_impl.client import CachedMap, Map, connect
from raft_impl.errors import Refused


@contextmanager
def node() -> Iterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    arguments = ["serve", "--name", "n1", "--node", f"n1={host}:{port}", "--machine", "map"]
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "raft_impl", *arguments, "--data", data]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield host, port
        finally:
            process.kill()
            process.wait()


async def main(address: tuple[str, int]) -> None:
    async with connect({"n1": address}, timeout_s=30) as cluster:
        table = Map(cluster)
        print("put-if-absent:", await table.put_if_absent("a", 1))
        print("replace 7 by 2:", await table.replace("a", 7, 2))
        print("replace 1 by 2:", await table.replace("a", 1, 2))
        cluster.soon(table.put, "b", "later", on_done=lambda done: print("put b:", done.error or "done"))
        await cluster.drain()
        print("a is", await table.get("a"), "and b is", await table.get("b"))
        print("removed:", await table.remove("a"))
        cached = CachedMap(cluster)
        await cached.get("b")
        found = await cached.get_cached("b", age_s_max=60)
        print("without asking: b was", found.value, "and may be stale:", found.age_s > 0)
        try:
            await cluster.call("enqueue", "a", 1)
        except Refused as error:
            print("a map has no queue:", error)


if __name__ == "__main__":
    with node() as address:
        trio.run(main, address)
