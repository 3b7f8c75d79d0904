"""A cluster of real servers and clients in a `World`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raft_impl import surface
from raft_impl.machines.features import LEVEL
from tests.raft_impl.runtime.fakes import FakeDisk, FakeEnv, World, run


class Cluster:
    """Servers n1..nN of one or more groups."""

    storage = "sync"

    def __init__(
        self,
        size: int = 3,
        *,
        seed: int = 0,
        machine: str = "register",
        groups: tuple[str, ...] = ("g0",),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.world = World(seed)
        self.names = tuple(f"n{number}" for number in range(1, size + 1))
        self.options = {"storage": self.storage, **(options or {})}
        spec = surface.GroupSpec(machine=machine, voters=self.names)
        self.groups = dict.fromkeys(groups, spec)
        self.servers: dict[str, surface.Server] = {}
        self.levels: dict[str, int] = {}
        """Feature levels that servers know, where it is not the code's own."""
        self._client_count = 0
        for name in self.names:
            self.start(name, FakeDisk())

    def start(self, name: str, disk: FakeDisk) -> surface.Server:
        env = self.world.env(name, disk)
        options = surface.resolve(self.options)
        server = surface.Server(env, self.groups, options, level=self.levels.get(name, LEVEL))
        run(server.start())
        self.servers[name] = server
        env.serve_now(server)
        return server

    def env(self, name: str) -> FakeEnv:
        return self.world.envs[name]

    def crash(self, name: str) -> FakeDisk:
        """Lose power at one server; gives what its disk holds then."""
        env = self.env(name)
        env.dead = True
        return env.disk.lose_power()

    def restart(self, name: str) -> None:
        self.start(name, self.crash(name))

    def client(self, **arguments: Any) -> tuple[FakeEnv, surface.Client]:
        self._client_count += 1
        env = self.world.env(f"c{self._client_count}")
        settings = {"group": "g0", "servers": self.names, "options": self.options, **arguments}
        return env, surface.make_client(env, **settings)

    def run(self, env: FakeEnv, coroutine: Any) -> Any:
        """Run the world until the coroutine is done."""
        task = env.start(coroutine)
        self.world.run_until(self.world.now + 60_000_000_000, lambda: task.done)
        assert task.done, "the operation never ended"
        if task.error is not None:
            raise task.error
        return task.result

    def leader(self) -> str:
        """The live server that leads in the latest term, or none."""
        leaders = [
            (state["term"], name)
            for name, server in self.servers.items()
            if not self.env(name).dead
            for state in [server.inspect()["g0"]]
            if state["role"] == "leader"
        ]
        return max(leaders, default=(0, ""))[1]

    def elect(self) -> str:
        """Run until a node leads."""
        for _ in range(100):
            self.world.run_for(50)
            if any(server.inspect()["g0"]["role"] == "leader" for server in self.servers.values()):
                return self.leader()
        raise AssertionError("no leader was elected")

    def rows(self, name: str, kind: str) -> list[tuple[Any, ...]]:
        return [row for row in self.env(name).rows if row[0] == kind]
