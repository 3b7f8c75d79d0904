"""The clients of a scenario: each performs the ops that the script gives it, one after the other.

They keep the rules of a history: an invoke is recorded before anything is sent, and after an op of unknown outcome the
client goes on as another process with a new session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import BadInput
from harness.plans.plan import Actor, Plan
from harness.sim.process import SimProcess
from harness.sim.recorder import Recorder
from harness.sim.replies import Replies
from harness.systems.system import System, SystemClient

from .language import whole
from .plan import GROUP

Op = tuple[str, str | None, Any]


class ScriptedClient:
    """One client: the server it asks, and the ops that it still has to do."""

    def __init__(self, name: str, plan: Plan, system: System, recorder: Recorder, replies: Replies) -> None:
        self.name = name
        self._plan, self._system, self._recorder = plan, system, recorder
        self._replies = replies
        self._process = plan.clients.index(name)
        self._home: str | None = None  # the server it asks; None: it follows the leader
        self._ops: list[Op] = []

    def go_on_after(self, history: Sequence[Any]) -> None:
        """Be a process that none of a history was."""
        used, step = max((op.process for op in history), default=-1), len(self._plan.clients)
        while self._process <= used:
            self._process += step

    def ask(self, words: tuple[str, ...], where: str) -> None:
        """Read `write x 1 at A`, and do so when what it does now is done. Raises BadInput."""
        if "at" in words:
            middle = words.index("at")
            words, home = words[:middle], words[middle + 1 :]
            if len(home) != 1 or home[0] not in self._plan.nodes:
                raise BadInput(f"home {' '.join(home)!r}", "one of " + ", ".join(self._plan.nodes), where)
            self._home = home[0]
        if not words:
            raise BadInput("no op", "an op, such as `write x 1`", where)
        f, key, values = words[0], words[1] if len(words) > 1 else None, [whole(word, where) for word in words[2:]]
        value: Any = values if f == "cas" else (values[0] if values else None)
        self._ops.append((f, key, value))

    async def run(self, environment: SimProcess) -> None:
        """The entrypoint of this client's actor."""
        client, home = None, None
        while True:
            while not self._ops:
                await environment.recv(None)
            f, key, value = self._ops.pop(0)
            record = self._recorder.op
            record(self._process, "invoke", f, key, value)
            if client is None or self._home != home:
                home = self._home
                client = self._new_client(environment)
                refusal = await self._replies.open(environment, client, self._process, f)
                if refusal is not None:
                    record(self._process, "fail", f, key, value, refusal)
                    client = None
                    continue
            done = await self._replies.ask(environment, client, self._process, f, key, value)
            record(self._process, done.type, f, key, done.value if done.type == "ok" else value, done.error)  # type: ignore[arg-type]
            if done.type == "info":
                self._process += len(self._plan.clients)
                client = None

    def _new_client(self, environment: SimProcess) -> SystemClient:
        actor = Actor(kind="client", home=self._home, routing="home" if self._home else "leader")
        return self._system.client(environment, actor, GROUP, self._plan.nodes, self._plan.options)
