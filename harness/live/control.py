"""What a test does inside of our nodes: faults of their disks and clocks, over the channel that they open to us.

`raft_impl.server.control` is the other end and describes the channel; only its messages are known here, so that nodes
of another version are spoken with as well. All faults in force are kept here and sent whenever one begins or ends, and
to each process that starts: a disk is the machine's, and outlives the process.

What a node reports verifies a fault of its disk: a call that failed, an fsync that was late. By how much its clock is
off it reports as well, for a mark of the run; a rate counts where the node was up.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio

from harness.errors import InternalError
from harness.faults.world import MILLION, FaultDisk

_SECRET: Final = "control-secret"
_SOCKET: Final = "control"
_LINE_BYTES: Final = 65_536
_BACKLOG: Final = 16
_AFTER_SECONDS: Final = 5.0
"""How long after a fault of its disk a node may still end because of it."""


class _Hello(msgspec.Struct, frozen=True, kw_only=True):
    node: str
    nonce: str
    proof: str


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    hits: dict[str, int] = {}
    off_ns: int = 0


class _DiskFault(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    do: Literal["fail", "fill", "delay"]
    operation: Literal["read", "write", "fsync"] = "write"
    room_bytes: int = 0
    late_ns: int = 0


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """All that is in force at a node."""

    disk: tuple[_DiskFault, ...]
    rate_ppm: int
    step_ns: int
    steps: tuple[str, ...]


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    state: _State
    proof: str = ""


class Control:
    """The channels of one run."""

    def __init__(self, folder: Path, nodes: tuple[str, ...]) -> None:
        """Makes the secret; `folder` is the run's own."""
        self.hits: Counter[str] = Counter()
        """What each fault has touched since it was asked last."""
        self.off_ns_max = 0
        """By how much a clock was off at most."""
        self._folder = folder
        self._secret = secrets.token_hex(32)
        self._nodes = {name: NodeFaults() for name in nodes}
        with os.fdopen(os.open(self.secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._secret)

    @property
    def socket(self) -> str:
        """Where nodes find us: from the folder in which they run, for a path of a socket may not be long."""
        return f"../{_SOCKET}"

    @property
    def secret_file(self) -> Path:
        """What only those may read who run as we do."""
        return self._folder / _SECRET

    def disk(self, node: str) -> FaultDisk:
        """The disk of a node."""
        return self._nodes[node]

    def clocks(self, node: str) -> NodeFaults:
        """The clocks of a node."""
        return self._nodes[node]

    def has_failed_disk(self, node: str) -> bool:
        """Whether its disk is disturbed, or was a moment ago."""
        return self._nodes[node].has_failed_disk

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        listening = socket.socket(socket.AF_UNIX)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            listening.bind(f"/proc/self/fd/{folder}/{_SOCKET}")
        finally:
            os.close(folder)
        os.chmod(self._folder / _SOCKET, 0o600)
        listening.listen(_BACKLOG)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        task_status.started()
        await trio.serve_listeners(self._speak, [listener])

    async def _speak(self, stream: trio.SocketStream) -> None:
        """With one node, from its start to its end."""
        lines = _Lines(stream)
        try:
            line = await lines.next()
            hello = msgspec.json.decode(line, type=_Hello)
            if hello.node not in self._nodes or not self._knows_secret(hello):
                return
            faults = self._nodes[hello.node]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._order, stream, hello, faults)
                while line := await lines.next():
                    self._note(msgspec.json.decode(line, type=_Report))
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, msgspec.MsgspecError):
            pass  # it was killed
        finally:
            await trio.aclose_forcefully(stream)

    async def _order(self, stream: trio.SocketStream, hello: _Hello, faults: NodeFaults) -> None:
        """Tell a node of all faults, now and whenever they change."""
        proof = self._proof("test", hello)
        while True:
            changed = faults.changed
            await stream.send_all(msgspec.json.encode(_Order(state=faults.state(), proof=proof)) + b"\n")
            proof = ""
            await changed.wait()

    def _note(self, report: _Report) -> None:
        self.hits.update(report.hits)
        self.off_ns_max = max(self.off_ns_max, abs(report.off_ns))

    def _knows_secret(self, hello: _Hello) -> bool:
        return hmac.compare_digest(hello.proof, self._proof("node", hello))

    def _proof(self, who: str, hello: _Hello) -> str:
        text = f"{who} {hello.node} {hello.nonce}"
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class NodeFaults:
    """The disk and the clocks of one node: the `FaultDisk` of a real process."""

    def __init__(self) -> None:
        self.changed = trio.Event()
        """Set when another state is in force."""
        self._disk: dict[str, _DiskFault] = {}  # by fault
        self._mended_s = -_AFTER_SECONDS  # when a fault of the disk has ended last
        self._rates: dict[str, int] = {}  # by fault, the latest last
        self._step_ns = 0
        self._steps: set[str] = set()  # faults that move the wall clock

    def state(self) -> _State:
        """All that is in force."""
        return _State(
            disk=tuple(self._disk.values()),
            rate_ppm=next(reversed(self._rates.values()), MILLION),
            step_ns=self._step_ns,
            steps=tuple(sorted(self._steps)),
        )

    @property
    def has_failed_disk(self) -> bool:
        """Whether its disk is disturbed, or was a moment ago."""
        return bool(self._disk) or time.monotonic() - self._mended_s < _AFTER_SECONDS

    # -- its disk -----------------------------------------------------------------------------------------------------

    def fail(
        self,
        fault: str,
        operation: Literal["read", "write", "fsync"],
        dropped: Literal["clean", "gone"] = "clean",
    ) -> None:
        """Let calls of a sort fail with EIO. What the kernel has it keeps, for the power stays on."""
        self._begin(_DiskFault(id=fault, do="fail", operation=operation))

    def fill(self, fault: str, room_bytes: int) -> None:
        """Let the disk take so much more."""
        self._begin(_DiskFault(id=fault, do="fill", room_bytes=room_bytes))

    def delay(self, fault: str, late_ns: int) -> None:
        """Let each fsync take longer."""
        self._begin(_DiskFault(id=fault, do="delay", late_ns=late_ns))

    def lie(self, fault: str) -> None:
        """A lie shows when the power goes, which no process can be made to see."""
        raise InternalError("a fault asked a live world for an fsync that lies")

    def end(self, fault: str) -> None:
        """Let it work again."""
        self._disk.pop(fault, None)
        self._mended_s = time.monotonic()
        self._tell()

    def _begin(self, fault: _DiskFault) -> None:
        self._disk[fault.id] = fault
        self._tell()

    # -- its clocks ---------------------------------------------------------------------------------------------------

    def set_rate(self, fault: str, rate_ppm: int | None) -> None:
        """Let its clock run at a rate, or end that; the latest one in force wins."""
        self._rates.pop(fault, None)
        if rate_ppm is not None:
            self._rates[fault] = rate_ppm
        self._tell()

    def step_wall(self, fault: str, step_ns: int) -> None:
        """Move its wall clock; each time that it is read is a hit."""
        self._step_ns += step_ns
        self._steps.add(fault)
        self._tell()

    def release_wall(self, fault: str) -> None:
        """Count no more."""
        self._steps.discard(fault)
        self._tell()

    def _tell(self) -> None:
        changed, self.changed = self.changed, trio.Event()
        changed.set()


class _Lines:
    """Lines that come over a stream; an empty one is its end."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._read = b""

    async def next(self) -> bytes:
        while b"\n" not in self._read and len(self._read) < _LINE_BYTES:
            more = await self._stream.receive_some(_LINE_BYTES)
            if not more:
                return b""
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line
