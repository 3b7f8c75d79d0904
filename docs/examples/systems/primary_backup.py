"""A register on a primary that tells its backups later: an adapter of a system of one's own, in one file.

    foreshock run --system docs/examples/systems/primary_backup.py:PrimaryBackup --workload register --seed 1

Every node answers reads from its own copy and takes writes, which it forwards to the others without waiting for them.
That is quick, and wrong: a read at another node may miss a write that is done, and two writes at two nodes may end in
another order on each. Seed 1 finds a read that is too old.
"""

from __future__ import annotations

from typing import Any

from harness.systems.adapter import Adapter, Client, Server
from harness.systems.frames import seal, unseal
from harness.systems.system import Completion

FILE = "data"
TIMEOUT_NS = 500_000_000


class Replica(Server):
    """One node: a table, written to disk before a write is answered."""

    async def start(self) -> None:
        """Read the table from the disk."""
        self.table: dict[str, Any] = {}
        self.answers: list[tuple[str, bytes]] = []
        if FILE in self.env.disk.names():
            self.table = unseal(self.env.disk.read(FILE)) or {}

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        """Take reads and writes of clients, and copies of other nodes."""
        for source, frame in messages:
            request = unseal(frame)
            if request is None:
                continue
            number, f, key, value = request
            if f == "read":
                self.answers.append((source, seal([number, self.table.get(key)])))
                continue
            self.table[key] = value
            self.env.disk.write(FILE, seal(self.table))
            self.must_sync = True
            if f == "write":
                self.answers.append((source, seal([number, None])))
                for peer in self.peers:
                    self.env.network.send(peer, seal([0, "copy", key, value]))
        if not self.must_sync:
            self.post()
        return self.must_sync

    async def sync(self) -> None:
        """Make the table durable."""
        await self.env.disk.fsync(FILE)
        await self.env.disk.fsync_directory()
        self.must_sync = False

    def post(self) -> None:
        """Answer what had to wait for the disk."""
        answers, self.answers = self.answers, []
        for source, answer in answers:
            self.env.network.send(source, answer)


class Session(Client):
    """Asks the nearest node, and waits for half a second."""

    number = 0

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        """Read or write a key."""
        if f not in ("read", "write"):
            return Completion("fail", error="unsupported")
        self.number += 1
        self.env.network.send(self.home, seal([self.number, f, key, value]))
        deadline_ns = self.env.clock.monotonic_ns() + TIMEOUT_NS
        while (datagram := await self.env.recv(deadline_ns)) is not None:
            answer = unseal(datagram[1])
            if answer is not None and answer[0] == self.number:
                return Completion("ok", answer[1] if f == "read" else value)
        return Completion("fail" if f == "read" else "info", error="timeout")


class PrimaryBackup(Adapter):
    """The system: what `--system` names."""

    name = "primary-backup"
    workloads = ("register",)
    server_class, client_class = Replica, Session
