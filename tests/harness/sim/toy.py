"""A toy system for tests of the simulator: one register a server, stored on its disk, replicated nowhere.

It exercises every seam (messages, timers, fsync, crash recovery, draws, commands) with no Raft in sight.
Option `storage` = "async" lets its steps overlap with its disk; `reads_wall_clock` = False makes it live by its
monotonic clock alone; `misbehave` names a bug, for tests of what bugs do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from harness.faults.fault import Fault
from harness.options import OptionSpec
from harness.plans.plan import (
    Actor,
    Check,
    Disks,
    DiskSpec,
    Drawn,
    Gates,
    Group,
    LinkSpec,
    Phases,
    Plan,
    PlannedOp,
    Program,
    Schedule,
)
from harness.run.runner import RunOptions, Simulation
from harness.systems.system import Completion
from tests.harness.hand_built import a_plan

MS = 1_000_000
TICK_NS = 20 * MS


def frame(text: bytes) -> bytes:
    """A message with its checksum, which corruption must not survive."""
    return text + b" %08x" % crc32(text)


def unframe(data: bytes) -> bytes | None:
    """The text of a message, or None for a damaged one."""
    text, _, checksum = data.rpartition(b" ")
    return text if checksum == b"%08x" % crc32(text) else None


class ToyServer:
    """Answers `get` and `set`; a set is answered after an fsync. Gossips a counter to its peers on a timer."""

    def __init__(self, env: Any, peers: tuple[str, ...], options: Mapping[str, Any]) -> None:
        self.env, self.peers, self.options = env, peers, options
        self.value = b"null"
        self.notes: list[tuple[Any, ...]] = []
        self.deadline_ns = 0
        self.gossip = 0
        self.stamp_ns = 0  # the date of the last round of gossip, for faults of the wall clock
        self.storage = options.get("storage", "sync")
        self._answers: list[tuple[str, bytes]] = []
        self._later: list[tuple[str, bytes]] = []

    async def start(self) -> None:
        if "value" in self.env.disk.names():
            whole, newline, _ = self.env.disk.read("value").rpartition(b"\n")
            self.env.disk.truncate("value", len(whole + newline))
            self.value = whole.rpartition(b"\n")[2] or self.value
        self.env.disk.append("value", b"")
        await self.env.disk.fsync("value")
        await self.env.disk.fsync_directory()
        self.notes.append(("note", "g0", "recovered " + self.value.decode()))
        self.deadline_ns = self.env.clock.monotonic_ns() + TICK_NS + self.env.randomness.below(MS, "tick")

    def process(self, messages: list[tuple[str, bytes]]) -> bool:
        for source, data in messages:
            word, _, body = (unframe(data) or b"").partition(b" ")
            if word == b"get":
                self.env.network.send(source, frame(b"value " + body + b" " + self.value))
            elif word == b"set":
                identity, _, value = body.partition(b" ")
                self.env.disk.append("value", value + b"\n")
                self.value = value
                self._answers.append((source, b"done " + identity))
            elif word == b"gossip":
                self.gossip = max(self.gossip, int(body))
        if self.env.clock.monotonic_ns() >= self.deadline_ns:
            self.gossip += 1
            if self.options.get("reads_wall_clock", True):
                self.stamp_ns = self.env.clock.wall_ns()
            self.deadline_ns = self.env.clock.monotonic_ns() + TICK_NS + self.env.randomness.below(MS, "tick")
            for peer in self.peers:
                self.env.network.send(peer, frame(b"gossip %d" % self.gossip))
        if self.options.get("raise_at") == self.gossip and self.gossip:
            raise RuntimeError("toy bug")
        return self.must_sync

    @property
    def must_sync(self) -> bool:
        return bool(self._answers)

    async def sync(self) -> None:
        self._later, self._answers = self._answers, []
        await self.env.disk.fsync("value")
        await self.env.disk.fsync_directory()

    def post(self) -> None:
        for source, answer in self._later:
            self.env.network.send(source, frame(answer))
        self._later = []

    def inspect(self) -> dict[str, Any]:
        return {"value": self.value}

    def command(self, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        """`campaign` gossips at the next step, `compact` writes; anything else is refused."""
        if name == "campaign":
            self.deadline_ns = self.env.clock.monotonic_ns()
            self.notes.append(("role", group, "leader", self.gossip))
        elif name == "compact":
            self.env.disk.append("value", self.value + b"\n")
            self._answers.append((self.peers[0], b"compacted 0"))
            if self.storage == "sync":
                self.deadline_ns = 0
        return name in ("campaign", "compact")


class ToyClient:
    """Talks to its home server only."""

    def __init__(self, env: Any, home: str) -> None:
        self.env, self.home, self.count = env, home, 0

    async def open(self) -> str | None:
        return None

    async def invoke(self, f: str, key: str | None, value: Any) -> Completion:
        self.count += 1
        identity = b"%d" % self.count
        body = b"get " + identity if f == "read" else b"set " + identity + b" " + str(value).encode()
        self.env.network.send(self.home, frame(body))
        deadline = self.env.clock.monotonic_ns() + 200 * MS
        while (answer := await self.env.recv(deadline)) is not None:
            word, answered, *rest = (unframe(answer[1]) or b"damaged -").split(b" ")
            if answered == identity:
                return Completion("ok", json.loads(rest[0]) if word == b"value" else value)
        return Completion("info", error="timeout")


class NoReader:
    def synced(self, name: str, content: bytearray, unchanged: int) -> tuple[tuple[Any, ...], ...]:
        return ()

    def renamed(self, source: str, target: str) -> None: ...
    def removed(self, name: str) -> None: ...


class ToySystem:
    """The adapter."""

    name = "toy"
    workloads = ("register",)
    capabilities: tuple[str, ...] = ("disk", "leader", "majority", "snapshots", "wall-clock")
    options: tuple[OptionSpec, ...] = ()
    marks: tuple[str, ...] = ()

    def resolve(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return dict(options)

    def kind_of(self, frame: bytes) -> str:
        return frame.partition(b" ")[0].decode("ascii", "replace")

    def server(self, env: Any, actor: Actor, groups: Mapping[str, Group], options: Mapping[str, Any]) -> ToyServer:
        peers = tuple(name for name in groups["g0"].voters if name != env.actor)
        return ToyServer(env, peers, options)

    async def start(self, server: ToyServer) -> None:
        await server.start()

    def is_disk_failure(self, error: Exception) -> bool:
        return isinstance(error, OSError)

    def command(self, server: ToyServer, group: str, name: str, arguments: Mapping[str, Any]) -> bool:
        return server.command(group, name, arguments)

    def client(
        self, env: Any, actor: Actor, group: str, servers: tuple[str, ...], options: Mapping[str, Any]
    ) -> ToyClient:
        return ToyClient(env, actor.home or servers[0])

    def durable_reader(self) -> NoReader:
        return NoReader()

    def disk_regions(self, name: str, content: bytes) -> tuple[tuple[str, str, int, int], ...]:
        return (("log", "body", 0, len(content)),)

    def describe_frame(self, frame: bytes) -> str:
        return frame.decode("ascii", "replace")

    async def prepare_disk(self, disk: Any, group: str, *, term: int, vote: str | None, terms: Sequence[int]) -> None:
        disk.append("value", b"%d\n" % len(terms))


class ToySimulation(Simulation):
    """A run of the toy, which replicates nothing and so has always converged."""

    def _has_converged(self) -> bool:
        return True


def simulate(planned: Plan, *, system: Any = None, stop_at_first: bool = False, **arguments: Any) -> ToySimulation:
    """Run a plan to its end, with all rows kept."""
    systems: dict[str, Any] = {"default": system or ToySystem()}
    simulation = ToySimulation(planned, systems, RunOptions(keep_rows=True, stop_at_first=stop_at_first), **arguments)
    simulation.run()
    simulation.world.log.close()
    return simulation


def plan(
    *,
    nodes: int = 3,
    threads: int = 3,
    ops: int = 40,
    faults: tuple[Fault, ...] = (),
    schedule: Schedule | None = None,
    links: LinkSpec | None = None,
    options: dict[str, Any] | None = None,
    seed: int = 1,
    faults_ns: int = 2_000 * MS,
) -> Plan:
    """A plan for the toy: thread i reads and writes server i (mod n) only, so that each server is one register."""
    names = tuple(f"n{i + 1}" for i in range(nodes))
    actors = {name: Actor(kind="node") for name in names}
    programs = []
    for thread in range(threads):
        home = names[thread % nodes]
        actors[f"c{thread + 1}"] = Actor(kind="client", home=home, routing="home")
        planned = tuple(
            PlannedOp(
                id=thread * 1000 + i,
                due_ns=(50 + i * 50) * MS,
                f="write" if i % 2 else "read",
                key=home,
                value=thread * 1000 + i if i % 2 else None,
            )
            for i in range(ops)
        )
        final = (PlannedOp(id=thread * 1000 + 999, due_ns=0, f="read", key=home),)
        programs.append(Program(thread=thread, client=f"c{thread + 1}", ops=planned, final=final))
    return a_plan(
        nodes=nodes,
        seed=seed,
        link=links or LinkSpec(delay_min_ns=MS, delay_max_ns=5 * MS),
        drawn=Drawn(seed=seed, profile="toy", workload="register", variant="unique"),
        actors=actors,
        options=options or {},
        programs=tuple(programs),
        faults=faults,
        phases=Phases(warmup_ns=100 * MS, faults_ns=faults_ns, recovery_ns=1_000 * MS, final_ns=1_000 * MS),
        disks=Disks(default=DiskSpec(fsync_min_ns=MS, fsync_max_ns=3 * MS)),
        schedule=schedule or Schedule(seed=seed),
        gates=Gates(fault_kinds=False),
        check=Check(model="register", liveness=False),
    )
