"""Three members of etcd with its defaults: `Put` by gRPC, or through the JSON gateway, at its leader.

gRPC is what etcd's clients speak. A client of ours is the few frames of HTTP/2 that one call at a time needs, so that
the load costs no more than for the others; the gateway is what one has without a gRPC library, and costs etcd a second
connection inside the server.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import hpack

from .processes import PATIENCE_S, NotReady, free_ports, start

MISSING: Final = "etcd is not installed (Debian: apt-get install etcd-server), or leave it out: --peers ours,pysyncobj"
_HEAD_END: Final = b"\r\n\r\n"
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEAD: Final = 9
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


def missing() -> str:
    """Why this peer cannot be measured here; empty if it can."""
    return "" if shutil.which("etcd") else MISSING


class Etcd:
    """A cluster of etcd."""

    name = "etcd"

    def __init__(self, folder: Path, value: str) -> None:
        self._value = value
        self._ports = free_ports(3)
        peers = [f"http://127.0.0.1:{port}" for port in free_ports(3)]
        cluster = ",".join(f"m{number}={peer}" for number, peer in enumerate(peers))
        self.processes = []
        for number, (port, peer) in enumerate(zip(self._ports, peers, strict=True)):
            client, name = f"http://127.0.0.1:{port}", f"m{number}"
            words = [
                "etcd",
                "--name",
                name,
                "--data-dir",
                str(folder / name),
                "--logger",
                "zap",
                "--log-level",
                "error",
            ]
            words += ["--listen-client-urls", client, "--advertise-client-urls", client]
            words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            words += ["--initial-cluster", cluster, "--initial-cluster-state", "new"]
            self.processes.append(start(words, folder / f"{name}.log"))

    def connect(self, count: int, kind: type[GrpcChannel | JsonChannel]) -> list[GrpcChannel | JsonChannel]:
        """Clients of the leader."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for port in self._ports:
                status = _status(port)
                if status is not None and status.get("leader") == status["header"]["member_id"]:
                    return [kind(port, number, self._value) for number in range(count)]
            if time.monotonic() > deadline:
                raise NotReady("etcd has no leader")
            time.sleep(0.1)


class JsonChannel:
    """One client of the gateway, over HTTP that is kept alive."""

    def __init__(self, port: int, number: int, value: str) -> None:
        self.socket = _connect(port)
        pair = {"key": _base64(f"key-{number}"), "value": _base64(value)}
        body = json.dumps(pair).encode()
        head = f"POST /v3/kv/put HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(body)}".encode() + _HEAD_END + body
        self._buffer = b""

    def request(self) -> bytes:
        """A put of this client's key."""
        return self._request

    def take(self, data: bytes) -> bool:
        """Whether the answer is there."""
        if not data:
            raise NotReady("etcd hung up")
        self._buffer += data
        head, end, body = self._buffer.partition(_HEAD_END)
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 200 "):
            raise NotReady(f"etcd answers {self._buffer[:200]!r}")
        _, named, rest = head.partition(b"Content-Length: ")
        if not named:
            raise NotReady(f"etcd's answer has no length: {head!r}")
        if len(body) < int(rest.split(b"\r\n")[0]):
            return False
        self._buffer = b""
        return True


class GrpcChannel:
    """One client by gRPC: a call is HEADERS and DATA on a stream of its own (RFC 9113), its end the trailers."""

    def __init__(self, port: int, number: int, value: str) -> None:
        self.socket = _connect(port)
        key = f"key-{number}".encode()
        put = b"\x0a" + _counted(key) + b"\x12" + _counted(value.encode())  # PutRequest: 1 key, 2 value
        self._data = b"\0" + len(put).to_bytes(4, "big") + put
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/etcdserverpb.KV/Put"),
            (":authority", f"127.0.0.1:{port}"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
        encoder = hpack.Encoder()
        encoder.header_table_size = 0  # the same bytes for every call
        self._headers = encoder.encode(headers)
        self._decoder = hpack.Decoder()
        self._stream = -1
        self._buffer = b""
        grown = (1 << 31) - 1 - 65535
        self.socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_WINDOW, 0, 0, grown.to_bytes(4, "big")))

    def request(self) -> bytes:
        """A put of this client's key."""
        self._stream += 2
        return _frame(_HEADERS, _END_HEADERS, self._stream, self._headers) + _frame(
            _DATA, _END_STREAM, self._stream, self._data
        )

    def take(self, data: bytes) -> bool:
        """Whether the answer is there."""
        if not data:
            raise NotReady("etcd hung up")
        self._buffer += data
        is_done = False
        while len(self._buffer) >= _FRAME_HEAD:
            end = _FRAME_HEAD + int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < end:
                break
            frame, self._buffer = self._buffer[:end], self._buffer[end:]
            is_done = self._take(frame[3], frame[4], frame[_FRAME_HEAD:]) or is_done
        return is_done

    def _take(self, kind: int, flags: int, payload: bytes) -> bool:
        if kind == _HEADERS:
            found = {str(name): str(value) for name, value in self._decoder.decode(payload)}
            if not flags & _END_STREAM:
                return False
            if found.get("grpc-status") != "0":
                raise NotReady(f"etcd answers {found}")
            return True
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self.socket.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind in (_RESET, _GO_AWAY):
            raise NotReady(f"etcd ends the call: {payload!r}")
        return False


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _counted(data: bytes) -> bytes:
    """Bytes behind their length, as protobuf has them."""
    length, head = len(data), b""
    while length > 0x7F:
        head += bytes((length & 0x7F | 0x80,))
        length >>= 7
    return head + bytes((length,)) + data


def _status(port: int) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/maintenance/status", data=b"{}")
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            return json.loads(response.read())
    except (OSError, ValueError):
        return None


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
