r"""A counter that every node takes additions for and gossips: an ordinary Trio program.

    foreshock run --system trio:docs/examples/systems/crdt_counter.py:Counter \
        --workload docs/examples/systems/grow_only.py:WORKLOAD --seed 1

A grow-only counter (Shapiro and others 2011): each node counts its own additions in a file, and tells all it knows to
the others over UDP. Reads meanwhile may miss what is not told yet; when all is quiet, every node has the sum of all.
`Doubled` adds what others tell instead of taking the larger number, so that what is told twice counts twice.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import trio

from harness.systems.system import Completion

PORT = 7000
GOSSIP_S = 0.1


class Session:
    """A client of the nearest node."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self.server = servers[0]

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Send one op, and read the answer to its end."""
        async with await trio.open_tcp_stream(self.server, PORT) as stream:
            await stream.send_all(json.dumps([f, key, value]).encode())
            await stream.send_eof()
            answer = b"".join([chunk async for chunk in stream])
        return Completion("ok", json.loads(answer)) if answer else Completion("info", error="no-answer")


def loaded(path: str) -> dict[str, int]:
    """The numbers in a file, if there is one."""
    return dict(json.loads(Path(path).read_text())) if os.path.exists(path) else {}


class Counter:
    """The right one: the larger of two numbers of a node is the newer one."""

    workloads, client = ("grow-only-counter",), Session

    def merge(self, known: int, told: int) -> int:
        """What a node's number is, after one was told."""
        return max(known, told)

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve and gossip until cancelled."""
        path = f"{data_dir}/own"
        own = loaded(path)
        known: dict[str, dict[str, int]] = {name: own}

        def add(key: str, amount: int) -> None:
            own[key] = own.get(key, 0) + amount
            with open(path + ".new", "w") as file:
                json.dump(own, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path + ".new", path)
            os.fsync(os.open(data_dir, os.O_RDONLY))

        async def serve(stream: trio.SocketStream) -> None:
            try:
                f, key, value = json.loads(b"".join([chunk async for chunk in stream]))
                if f == "add":
                    add(key, value)
                total = sum(numbers.get(key, 0) for numbers in known.values())
                await stream.send_all(json.dumps(value if f == "add" else total).encode())
            except (trio.BrokenResourceError, ValueError):
                pass  # the client is gone, or was before it had said everything

        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
            await sock.bind((name, PORT))

            async def tell() -> None:
                while True:
                    for peer in peers:
                        await sock.sendto(json.dumps([name, own]).encode(), (peer, PORT))
                    await trio.sleep(GOSSIP_S)

            async def hear() -> None:
                while True:
                    teller, told = json.loads((await sock.recvfrom(65_507))[0])
                    numbers = known.setdefault(teller, {})
                    for key, number in told.items():
                        numbers[key] = self.merge(numbers.get(key, 0), number)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(tell)
                nursery.start_soon(hear)
                await trio.serve_tcp(serve, PORT)


class Doubled(Counter):
    """The wrong one."""

    def merge(self, known: int, told: int) -> int:
        """Add what was told."""
        return known + told
