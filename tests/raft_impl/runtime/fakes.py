"""Small stand-ins for the world: a disk that can lose power and fail, and a network of actors under one event heap.

Nothing here knows Trio. Coroutines of the code under test are stepped by hand: they yield a `_Wait`, and are sent what
they waited for. Time is virtual; equal seeds give equal runs.
"""

from __future__ import annotations

import errno
import heapq
from collections.abc import Awaitable, Callable, Generator, Mapping
from random import Random
from typing import Any

SECTOR = 512


class PowerLoss(BaseException):
    """The machine is gone. Derived from BaseException so that no handler of the code under test sees it."""


class FakeFile(bytearray):
    """The content that reads see, and beside it what is durable."""

    durable: bytes = b""


class FakeDisk:
    """A flat directory with a cache: what is read, what is durable, and a plan of what goes wrong.

    `fail_at` names the number of an operation that raises EIO (only that one, or it and all later ones if `for_ever`);
    `lose_power_at` the number of an operation before which the power goes.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.cached: dict[str, FakeFile] = {name: FakeFile(content) for name, content in (files or {}).items()}
        self.names_durable: dict[str, FakeFile] = dict(self.cached)
        for file in self.cached.values():
            file.durable = bytes(file)
        self.operation_count = 0
        self.lose_power_at: int | None = None
        self.fail_at: int | None = None
        self.for_ever = False
        self.operations: list[str] = []
        self.pause: Callable[[], Awaitable[None]] | None = None
        """How long an fsync takes, if it takes any time."""

    # What the code under test sees.

    def names(self) -> list[str]:
        return sorted(self.cached)

    def read(self, name: str) -> bytes:
        self._operate(f"read {name}")
        return bytes(self._file(name))

    def append(self, name: str, data: bytes) -> None:
        self._operate(f"append {name}")
        self.cached.setdefault(name, FakeFile()).extend(data)

    def write(self, name: str, data: bytes) -> None:
        self._operate(f"write {name}")
        self.cached[name] = FakeFile(data)

    def compose(self, name: str, make: Callable[[], bytes]) -> None:
        self.write(name, make())

    def truncate(self, name: str, size: int) -> None:
        self._operate(f"truncate {name}")
        del self._file(name)[size:]

    def rename(self, source: str, target: str) -> None:
        self._operate(f"rename {source}")
        self.cached[target] = self._file(source)
        del self.cached[source]

    def unlink(self, name: str) -> None:
        self._operate(f"unlink {name}")
        self._file(name)
        del self.cached[name]

    async def fsync(self, name: str) -> None:
        self._operate(f"fsync {name}")
        file = self._file(name)
        covered = bytes(file)
        if self.pause is not None:
            await self.pause()
        file.durable = covered

    async def fsync_directory(self) -> None:
        self._operate("fsync directory")
        covered = dict(self.cached)
        if self.pause is not None:
            await self.pause()
        self.names_durable = covered

    # What a test does to it.

    def lose_power(self, random: Random | None = None) -> FakeDisk:
        """The disk as the next life finds it: what was durable; with `random`, also some of the rest, and torn."""
        names = self.names_durable
        if random is not None and random.random() < 0.5:
            names = dict(self.cached)
        return FakeDisk(
            {name: _tear(file.durable, bytes(file), random) if random else file.durable for name, file in names.items()}
        )

    def kill(self) -> FakeDisk:
        """The disk after the process died and the operating system did not: all is still there, in the cache."""
        survivor = FakeDisk({name: bytes(file) for name, file in self.cached.items()})
        survivor.names_durable = {
            name: file for name, file in survivor.cached.items() if self.names_durable.get(name) is self.cached[name]
        }
        for name, file in survivor.cached.items():
            file.durable = self.cached[name].durable
        return survivor

    def durable_content(self, name: str) -> bytes:
        file = self.names_durable.get(name)
        return file.durable if file is not None else b""

    def _file(self, name: str) -> FakeFile:
        if name not in self.cached:
            raise FileNotFoundError(name)
        return self.cached[name]

    def _operate(self, what: str) -> None:
        number = self.operation_count
        self.operation_count += 1
        self.operations.append(what)
        if self.lose_power_at is not None and number >= self.lose_power_at:
            raise PowerLoss(what)
        if self.fail_at is not None and (number == self.fail_at or (self.for_ever and number > self.fail_at)):
            raise OSError(errno.EIO, what)


def _tear(durable: bytes, written: bytes, random: Random) -> bytes:
    """Part of an un-synced append: cut short anywhere, or with sectors missing (which read as zeros)."""
    if not written.startswith(durable):
        return written if random.random() < 0.5 else durable
    end = random.randint(len(durable), len(written))
    torn = bytearray(written[:end])
    first = len(durable) // SECTOR
    for sector in range(first, len(torn) // SECTOR + 1):
        if random.random() < 0.3:
            begin = max(sector * SECTOR, len(durable))
            stop = min((sector + 1) * SECTOR, len(torn))
            torn[begin:stop] = bytes(max(0, stop - begin))
    return bytes(torn)


def run(coroutine: Awaitable[Any]) -> Any:
    """Run a coroutine that never really waits, such as anything over a FakeDisk."""
    generator = coroutine.__await__()
    try:
        next(generator)  # type: ignore[call-overload]
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waits for something that a fake does not give")


class _Wait:
    """A pause that the world ends: when a datagram arrives (if it listens), or at the deadline."""

    def __init__(self, deadline_ns: int | None, listens: bool) -> None:
        self.deadline_ns = deadline_ns
        self.listens = listens

    def __await__(self) -> Generator[_Wait, Any, Any]:
        return (yield self)


class World:
    """Actors under one heap of events. `delay` gives each frame's delay in ns, or None to drop it."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0
        self.random = Random(seed)
        self.delay: Callable[[str, str, bytes], int | None] = self._uniform_delay
        self.duplicate_chance = 0.0
        self.fsync_ns = 1_000_000
        self.background_ns = 0
        self.envs: dict[str, FakeEnv] = {}
        self.frames: list[tuple[int, str, str, bytes]] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, action))

    def run_until(self, when: int, stop: Callable[[], bool] = lambda: False) -> None:
        while self._heap and self._heap[0][0] <= when and not stop():
            self.now, _, action = heapq.heappop(self._heap)
            action()
        if not stop():
            self.now = max(self.now, when)

    def run_for(self, milliseconds: float) -> None:
        self.run_until(self.now + int(milliseconds * 1_000_000))

    def env(self, actor: str, disk: FakeDisk | None = None) -> FakeEnv:
        """A new life of an actor."""
        old = self.envs.get(actor)
        if old is not None:
            old.dead = True
        self.envs[actor] = FakeEnv(self, actor, disk if disk is not None else FakeDisk())
        return self.envs[actor]

    def send(self, source: str, target: str, frame: bytes) -> None:
        copies = 2 if self.random.random() < self.duplicate_chance else 1
        self.frames.append((self.now, source, target, frame))
        for _ in range(copies):
            delay = self.delay(source, target, frame)
            if delay is not None:
                self.at(self.now + delay, lambda: self._deliver(source, target, frame))

    def _deliver(self, source: str, target: str, frame: bytes) -> None:
        env = self.envs.get(target)
        if env is not None and not env.dead:
            env.deliver(source, frame)

    def _uniform_delay(self, source: str, target: str, frame: bytes) -> int | None:
        return self.random.randint(500_000, 3_000_000)


class FakeEnv:
    """The environment of one actor. Servers are stepped by `serve_now`, clients by `start`."""

    def __init__(self, world: World, actor: str, disk: FakeDisk) -> None:
        self.actor = actor
        self.world = world
        self.disk = disk
        self.clock = self
        self.network = self
        self.randomness = self
        self.dead = False
        self.server: Any = None
        self.failure: BaseException | None = None
        self.rows: list[tuple[Any, ...]] = []
        self.addresses: dict[str, str] = {}
        self.distrusted: list[str] = []
        self._inbox: list[tuple[str, bytes]] = []
        self._busy = False
        self._generation = 0
        self._wait_count = 0
        self._receiver: Callable[[Any], None] | None = None

    # Clock, network, randomness.

    def monotonic_ns(self) -> int:
        return self.world.now

    def wall_ns(self) -> int:
        return self.world.now

    def send(self, target: str, data: bytes) -> None:
        if not self.dead:
            self.world.send(self.actor, target, data)

    def learn(self, group: str, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)

    def distrust(self, source: str) -> None:
        self.distrusted.append(source)

    def background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        result = work()

        def finish() -> None:
            if not self.dead:
                done(result)
                self._step()

        self.world.at(self.world.now + self.world.background_ns, finish)

    def below(self, bound: int, purpose: str) -> int:
        return self.world.random.randrange(bound)

    # Servers.

    async def serve(self, server: Any) -> None:
        raise NotImplementedError

    def serve_now(self, server: Any) -> None:
        self.server = server
        self.disk.pause = self.fsync_takes_time
        self._step()

    def deliver(self, source: str, frame: bytes) -> None:
        self._inbox.append((source, frame))
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver(self._inbox.pop(0))
        elif self.server is not None:
            self._step()

    def _step(self) -> None:
        """One step of the server; with synchronous storage none while its disk is at work."""
        if self.dead or (self._busy and self.server.storage == "sync"):
            return
        messages, self._inbox = self._inbox, []
        must_sync = self.server.process(messages)
        self._drain()
        if must_sync and not self._busy:
            self._busy = True
            self.start(self._sync())
        if not self._busy or self.server.storage == "async":
            self._arm()

    async def _sync(self) -> None:
        while True:
            try:
                await self.server.sync()
            except Exception as error:
                self.failure = error
                self.dead = True
                return
            self.server.post()
            self._drain()
            if self.server.storage == "sync" or not self.server.must_sync:
                break
        self._busy = False
        if self._inbox or self.server.deadline_ns <= self.world.now:
            self._step()
        else:
            self._arm()

    def _arm(self) -> None:
        self._generation += 1
        generation = self._generation
        self.world.at(self.server.deadline_ns, lambda: self._alarm(generation))

    def _alarm(self, generation: int) -> None:
        if generation == self._generation:
            self._step()

    def _drain(self) -> None:
        self.rows.extend(self.server.notes)
        self.server.notes.clear()

    # Clients.

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        if self._inbox:
            return self._inbox.pop(0)
        return await _Wait(deadline_ns, listens=True)  # type: ignore[no-any-return]

    async def fsync_takes_time(self) -> None:
        await _Wait(self.world.now + self.world.fsync_ns, listens=False)

    def start(self, coroutine: Any) -> Task:
        """Run a client's coroutine beside everything else."""
        task = Task(self, coroutine)
        task.resume(None)
        return task

    def wait_for(self, deadline_ns: int | None, listens: bool, resume: Callable[[Any], None]) -> None:
        if not listens:
            assert deadline_ns is not None
            self.world.at(deadline_ns, lambda: None if self.dead else resume(None))
            return
        self._wait_count += 1
        number = self._wait_count
        self._receiver = resume
        if deadline_ns is not None:
            self.world.at(deadline_ns, lambda: self._expire(number))

    def _expire(self, number: int) -> None:
        receiver = self._receiver
        if number == self._wait_count and receiver is not None and not self.dead:
            self._receiver = None
            receiver(None)


class Task:
    """A coroutine under way; `result` or `error` once it is done."""

    def __init__(self, env: FakeEnv, coroutine: Any) -> None:
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None
        self._env = env
        self._generator = coroutine.__await__()

    def resume(self, value: Any) -> None:
        try:
            wait = self._generator.send(value)
        except StopIteration as stop:
            self.done, self.result = True, stop.value
        except Exception as error:
            self.done, self.error = True, error
        else:
            self._env.wait_for(wait.deadline_ns, wait.listens, self.resume)
