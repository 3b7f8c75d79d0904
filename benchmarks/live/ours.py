"""Three nodes of this package: `write` to a map, each client in a session of its own, over a connection of its own."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio

from raft_impl.machines.base import pack
from raft_impl.runtime.driver_messages import Action, Hello, Reply, Request, Status, Welcome
from raft_impl.runtime.wire import decode, encode
from raft_impl.server.framing import FrameReader
from raft_impl.server.handshake import Party, dial

from .processes import PATIENCE_S, NotReady, free_ports, start

_ROOT: Final = Path(__file__).parents[2]
_GROUP: Final = "g0"
_NAMES: Final = ("n1", "n2", "n3")
OPTIONS: Final = ("election_timeout_ms=1000", "heartbeat_ms=100")
"""Those of etcd."""


class Ours:
    """A cluster of ours."""

    name = "ours"

    def __init__(self, folder: Path, value: str, options: Sequence[str] = ()) -> None:
        self._value = value
        self._ports = dict(zip(_NAMES, free_ports(len(_NAMES)), strict=True))
        nodes = [f"--node={name}=127.0.0.1:{port}" for name, port in self._ports.items()]
        settings = [word for option in (*OPTIONS, *options) for word in ("-o", option)]
        self.processes = []
        for name in _NAMES:
            words = ["serve", "--name", name, "--data", str(folder / name), "--machine", "map", *nodes, *settings]
            command = [sys.executable, "-m", "raft_impl", *words]
            self.processes.append(start(command, folder / f"{name}.log", environment={"PYTHONPATH": str(_ROOT)}))
        self._leader = ""

    def connect(self, count: int) -> list[Channel]:
        """Clients of the leader, with open sessions."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if not self._leader:
                    self._leader = self._find_leader()
                return [Channel(self._greet(self._leader), self._leader, n, self._value) for n in range(count)]
            except (OSError, NotReady):
                self._leader = ""
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _find_leader(self) -> str:
        """The node that opens a session; any other refuses that."""
        for name in _NAMES:
            try:
                Channel(self._greet(name), name, 0, self._value).socket.close()
            except (OSError, NotReady):
                continue
            return name
        raise NotReady("no node leads")

    def _greet(self, name: str) -> socket.socket:
        return trio.run(_handshake, name, self._ports[name])


class Channel:
    """One client."""

    def __init__(self, connection: socket.socket, node: str, number: int, value: str) -> None:
        self.socket = connection
        self._buffer = b""
        self._id = 0
        self._sequence = 0
        self._session = 0
        self._client = time.monotonic_ns()
        self._call = pack(("write", f"key-{number}", value))
        connection.sendall(_framed(encode(_GROUP, Hello(self._client))))
        welcome = self._await()
        if not isinstance(welcome, Welcome):
            raise NotReady(f"{node} says {welcome}")
        self._incarnation = welcome.connection
        connection.sendall(self._request(Action.OPEN, b"", 0))
        opened = self._await()
        if not isinstance(opened, Reply) or opened.status != Status.DONE:
            connection.close()
            raise NotReady(f"{node} opens no session: {opened}")
        self._session = opened.value

    def request(self) -> bytes:
        """A write of this client's key."""
        self._sequence += 1
        return self._request(Action.CALL, self._call, self._sequence)

    def take(self, data: bytes) -> bool:
        """Whether the answer is there."""
        if not data:
            raise NotReady("the leader hung up")
        self._buffer += data
        reply = self._next()
        if reply is None:
            return False
        if not isinstance(reply, Reply) or reply.status != Status.DONE:
            raise NotReady(f"a write was answered {reply}")
        return True

    def _request(self, action: Action, call: bytes, sequence: int) -> bytes:
        self._id += 1
        request = Request(self._incarnation, self._client, self._id, action, self._session, sequence, call)
        return _framed(encode(_GROUP, request))

    def _await(self) -> Any:
        while (message := self._next()) is None:
            data = self.socket.recv(65536)
            if not data:
                raise NotReady("it hung up")
            self._buffer += data
        return message

    def _next(self) -> Any:
        """The next message that has arrived whole; pings are none."""
        while len(self._buffer) >= 4:
            end = 4 + int.from_bytes(self._buffer[:4], "big")
            if len(self._buffer) < end:
                return None
            frame, self._buffer = self._buffer[4:end], self._buffer[end:]
            if frame:
                decoded = decode(frame)
                if decoded is None:
                    raise NotReady("a frame that cannot be read")
                return decoded[1]
        return None


async def _handshake(node: str, port: int) -> socket.socket:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    reader = FrameReader(stream)

    async def judge(_: Party) -> None:
        pass

    with trio.fail_after(5):
        try:
            await dial(reader, stream.send_all, Party(name="load", role="client", ping_ms=10_000), node, None, judge)
        except Exception as error:
            raise NotReady(str(error)) from None
    plain = socket.socket(fileno=stream.socket.detach())
    plain.setblocking(True)
    plain.settimeout(PATIENCE_S)
    return plain


def _framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame
