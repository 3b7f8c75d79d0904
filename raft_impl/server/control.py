"""The channel over which a test disturbs a real node: off unless the node is started with `--test-control`.

The node opens it, to a Unix socket of the test, before it opens its disk: nothing listens here, so that nobody but who
started the node can reach it. Both ends prove that they know a secret, each for the random number of this start. Then
the test sends the faults that are in force whenever they change, as lines of JSON, each time all of them; the node says
what they have touched, and how far its clock is off. When the test hangs up, the node goes on with what is in force.

    node    {"node": "n1", "nonce": "...", "proof": "..."}
    test    {"proof": "...", "state": {...}}
    test    {"state": {"disk": [{"id": "f3", "do": "fail", "operation": "fsync"}], "rate_ppm": 1100000}}
    node    {"hits": {"f3": 1}, "off_ns": 0}
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import trio

from .endings import CannotStart
from .faults import Faults, State

HELLO_SECONDS_MAX: Final = 10.0
_REPORT_SECONDS: Final = 0.02
_LINE_BYTES_MAX: Final = 1 << 20
_CHUNK_BYTES: Final = 65_536


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says first."""

    node: str
    nonce: str
    proof: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a test says. `proof` stands in the first one only."""

    state: State
    proof: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says from then on: what was touched since the report before, and how far its clock is ahead."""

    hits: dict[str, int] = {}
    off_ns: int = 0


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Where a test listens, and the secret that it shares with the node."""

    path: Path
    secret: bytes


def proof(secret: bytes, who: str, node: str, nonce: str) -> str:
    """What shows that `who` ("node" or "test") knows the secret."""
    return hmac.new(secret, f"{who} {node} {nonce}".encode(), hashlib.sha256).hexdigest()


@contextlib.asynccontextmanager
async def disturbed(control: Control, node: str) -> AsyncIterator[Faults]:
    """Give the faults of a node while it runs. Raises CannotStart when nobody answers who may."""
    faults = Faults()
    stream = await _open(control.path)
    try:
        lines = Lines(stream)
        nonce = secrets.token_hex(16)
        hello = Hello(node=node, nonce=nonce, proof=proof(control.secret, "node", node, nonce))
        first: Order | None = None
        with contextlib.suppress(trio.BrokenResourceError, msgspec.MsgspecError), trio.move_on_after(HELLO_SECONDS_MAX):
            await send(stream, hello)
            line = await lines.next()
            first = None if line is None else msgspec.json.decode(line, type=Order)
        if first is None or not hmac.compare_digest(first.proof, proof(control.secret, "test", node, nonce)):
            raise CannotStart("control-refused", f"{control.path}: nobody there knows the secret of this test")
        faults.set(first.state)
        reporter = _Reporter(stream, faults)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, lines, faults)
            nursery.start_soon(reporter.run)
            try:
                yield faults
            finally:
                with trio.move_on_after(1, shield=True):
                    await reporter.report()
                nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)


async def send(stream: trio.abc.SendStream, message: msgspec.Struct) -> None:
    """Send a line."""
    await stream.send_all(msgspec.json.encode(message) + b"\n")


class Lines:
    """Lines that come over a stream."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._read = bytearray()

    async def next(self) -> bytes | None:
        """The next one; None when there is none any more, or one without end."""
        while b"\n" not in self._read:
            with contextlib.suppress(trio.BrokenResourceError):
                if len(self._read) < _LINE_BYTES_MAX and (more := await self._stream.receive_some(_CHUNK_BYTES)):
                    self._read += more
                    continue
            return None
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read[:] = rest
        return line


async def _open(path: Path) -> trio.SocketStream:
    try:
        return await trio.open_unix_socket(str(path))
    except OSError as error:
        raise CannotStart("control-refused", f"{path}: {error.strerror}; expected the socket of a test") from None


async def _obey(lines: Lines, faults: Faults) -> None:
    while (line := await lines.next()) is not None:
        faults.set(msgspec.json.decode(line, type=Order).state)


class _Reporter:
    """Says now and then what faults have touched."""

    def __init__(self, stream: trio.SocketStream, faults: Faults) -> None:
        self._stream, self._faults = stream, faults
        self._told: Counter[str] = Counter()
        self._off_ns = 0
        self._lock = trio.Lock()

    async def run(self) -> None:
        while True:
            await trio.sleep(_REPORT_SECONDS)
            await self.report()

    async def report(self) -> None:
        async with self._lock:
            now, off_ns = Counter(self._faults.hits), self._faults.off_ns
            hits = dict(now - self._told)
            if not hits and off_ns == self._off_ns:
                return
            self._told, self._off_ns = now, off_ns
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await send(self._stream, Report(hits=hits, off_ns=off_ns))
