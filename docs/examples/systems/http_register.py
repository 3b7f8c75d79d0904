"""A register over HTTP, with Starlette under Hypercorn: an ordinary program on ordinary libraries.

    foreshock run --system trio:docs/examples/systems/http_register.py:Durable --nodes 1 --seed 1
    foreshock run --system trio:docs/examples/systems/http_register.py:Unsynced --nodes 1 --seed 1

There is one node, which appends each write to a log before it answers. `Unsynced` flushes the log and
does not sync it, so that a power cut takes acknowledged writes back.
"""

import json
import os
import zlib
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from harness.systems.system import Completion

PORT = 8080


class Session:
    """A client: one connection for each request."""

    def __init__(self, name: str, servers: tuple[str, ...]) -> None:
        self.server = servers[0]

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """POST the op, and read what became of it."""
        body = json.dumps(value)
        head = f"POST /{f}/{key} HTTP/1.1\r\nhost: {self.server}\r\nconnection: close\r\ncontent-length: {len(body)}"
        async with await trio.open_tcp_stream(self.server, PORT) as stream:
            await stream.send_all(f"{head}\r\n\r\n{body}".encode())
            answer = b"".join([chunk async for chunk in stream]).partition(b"\r\n\r\n")[2]
        if not answer.endswith(b"]"):
            raise trio.BrokenResourceError("no answer, or a part of one")
        return Completion(*json.loads(answer))


def sealed(body: bytes) -> bytes:
    """A line with its checksum."""
    return b"%08x %s\n" % (zlib.crc32(body), body)


class Log:
    """The table, and the file of all writes."""

    def __init__(self, path: str, *, syncs: bool) -> None:
        self.table: dict[str, Any] = {}
        self.syncs = syncs
        self.broken = trio.Event()
        with open(path, "ab+") as old, open(path + ".new", "wb") as new:  # read, it may be in the kernel's cache only
            old.seek(0)
            for line in old:
                if line != sealed(line[9:-1]):
                    break  # what a power cut left of the last write, which was never acknowledged
                self.table.update([json.loads(line[9:])])
                new.write(line)
            new.flush()
            os.fsync(new.fileno())
        os.replace(path + ".new", path)
        os.fsync(os.open(os.path.dirname(path), os.O_RDONLY))
        self.file = open(path, "ab")  # noqa: SIM115

    def write(self, key: str, value: Any) -> None:
        """Write one value; it is durable when this returns. Raises OSError, and nothing may be written after that."""
        try:
            self.file.write(sealed(json.dumps([key, value]).encode()))
            self.file.flush()
            if self.syncs:
                os.fsync(self.file.fileno())
        except OSError:
            self.broken.set()
            raise
        self.table[key] = value


class Durable:
    """The right one."""

    workloads, capabilities, client = ("register",), ("disk",), Session
    syncs = True

    async def node(self, name: str, peers: list[str], data_dir: str) -> None:
        """Serve until cancelled."""
        log = Log(os.path.join(data_dir, "log"), syncs=self.syncs)

        async def act(request: Request) -> JSONResponse:
            key, value = request.path_params["key"], await request.json()
            if log.broken.is_set():
                return JSONResponse(["info", None], 500)
            current = log.table.get(key)
            match request.path_params["f"]:
                case "read":
                    return JSONResponse(["ok", current])
                case "cas" if current != value[0]:
                    return JSONResponse(["fail", None])
                case f:
                    log.write(key, value[1] if f == "cas" else value)
                    return JSONResponse(["ok", value])

        config = Config()
        config.bind, config.errorlog, config.graceful_timeout = [f"{name}:{PORT}"], None, 0
        app = Starlette(routes=[Route("/{f}/{key}", act, methods=["POST"])])
        await serve(app, config, shutdown_trigger=log.broken.wait)
        raise OSError("the log cannot be written")


class Unsynced(Durable):
    """The one that forgets."""

    syncs = False
