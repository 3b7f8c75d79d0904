"""A key-value store over Raft, right: the nodes and clients of `raft_impl` speak to each other in Maelstrom's messages.

    foreshock maelstrom -w lin-kv --nemesis partition,kill,pause -- python3 docs/examples/maelstrom/lin_kv_raft.py

Each process runs a server of the group, whose log is in $FORESHOCK_DATA, and as many Raft clients as there are requests
at a time. Whatever two of them say is one message `raft`, with the frame in base64.
"""

import base64
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trio

from raft_impl.errors import Negative, RaftError, Refused
from raft_impl.runtime.env import Served
from raft_impl.runtime.options import resolve_real
from raft_impl.server.real_env import RealClock, RealDisk, RealRandomness
from raft_impl.server.serving import Inbox, Serving
from raft_impl.surface import Client, GroupSpec, make_client, make_server

GROUP = "g0"
OPTIONS = resolve_real({"election_timeout_ms": 300, "client_timeout_ms": 4_000, "client_attempt_timeout_ms": 500})
TIMEOUT, UNAVAILABLE, KEY_MISSING, PRECONDITION_FAILED = 0, 11, 20, 22  # errors of Maelstrom; only the first is unsure
actors: dict[str, "Actor"] = {}
"""The server of this process, by the name of the node, and its clients: n0/1, n0/2, and so on."""


def say(source: str, target: str, body: dict[str, Any]) -> None:
    """Print one message."""
    print(json.dumps({"src": source, "dest": target, "body": body}), flush=True)


class Mail:
    """The network of one actor: within the process at once, and else as messages."""

    def __init__(self, actor: str) -> None:
        self.actor = actor

    def send(self, target: str, data: bytes) -> None:
        """Send a frame."""
        node, home = target.partition("/")[0], self.actor.partition("/")[0]
        if node == home:
            actors[target].deliver(self.actor, data)
        else:
            frame = base64.b64encode(data).decode()
            say(home, node, {"type": "raft", "from": self.actor, "to": target, "frame": frame})

    def learn(self, group: str, addresses: Mapping[str, str]) -> None:
        """Nothing: names are addresses here."""

    def distrust(self, source: str) -> None:
        """Nothing: there are no connections."""


class Actor:
    """The environment of a server or of a client (see raft_impl.runtime.env)."""

    def __init__(self, actor: str, disk: RealDisk) -> None:
        self.actor, self.disk = actor, disk
        self.clock, self.randomness, self.network = RealClock(), RealRandomness(), Mail(actor)
        self.inbox, self.news = Inbox(), trio.Event()
        self.serving: Serving | None = None
        self.nursery: trio.Nursery | None = None
        actors[actor] = self

    def deliver(self, source: str, data: bytes) -> None:
        """A frame arrived."""
        self.inbox.put(source, data)
        self.news.set()
        if self.serving is not None:
            self.serving.stir()

    async def recv(self, deadline_ns: int | None) -> tuple[str, bytes] | None:
        """The next frame, or None when the deadline passed first."""
        left_s = float("inf") if deadline_ns is None else (deadline_ns - self.clock.monotonic_ns()) / 1e9
        with trio.move_on_after(max(left_s, 0)):
            while not self.inbox.frames:
                self.news = trio.Event()
                await self.news.wait()
        return self.inbox.take()

    async def serve(self, server: Served) -> None:
        """Run a server until cancelled."""
        async with trio.open_nursery() as self.nursery:
            self.serving = Serving(server, self.disk, self.clock, self.inbox, lambda notes: None)
            await self.serving.run()

    def background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do long work, and call `done` with its result later."""

        async def do() -> None:
            done(await trio.to_thread.run_sync(work))
            assert self.serving is not None, "there is no work before"
            self.serving.stir()

        assert self.nursery is not None, "a server has work only while it is served"
        self.nursery.start_soon(do)


class Requests:
    """Answers those who ask this node, each with a Raft client that nobody else uses meanwhile."""

    def __init__(self, node: str, nodes: list[str], disk: RealDisk) -> None:
        self.node, self.nodes, self.disk = node, nodes, disk
        self.idle: list[Client] = []
        self.made = 0

    async def answer(self, message: dict[str, Any]) -> None:
        """Perform one request and answer it."""
        client = self.idle.pop() if self.idle else self.make()
        body = message["body"]
        try:
            reply = await self.perform(client, body)
        except Negative:
            missing = await self.is_missing(client, body["key"])
            reply = error(KEY_MISSING if missing else PRECONDITION_FAILED, "the comparison failed")
        except Refused as refused:
            reply = error(UNAVAILABLE, refused.word)
        except RaftError as unknown:
            reply = error(TIMEOUT, unknown.word)
        self.idle.append(client)
        say(self.node, message["src"], {**reply, "in_reply_to": body["msg_id"]})

    async def perform(self, client: Client, body: dict[str, Any]) -> dict[str, Any]:
        """One call. Raises RaftError."""
        await client.open()
        match body["type"]:
            case "read":
                value = await client.call("read", body["key"], None)
                return error(KEY_MISSING, "no such key") if value is None else {"type": "read_ok", "value": value}
            case "write":
                await client.call("write", body["key"], body["value"])
                return {"type": "write_ok"}
            case _:
                await client.call("cas", body["key"], [body["from"], body["to"]])
                return {"type": "cas_ok"}

    async def is_missing(self, client: Client, key: Any) -> bool:
        """Whether a key has no value, as far as one can tell."""
        try:
            return await client.call("read", key, None) is None
        except RaftError:
            return False

    def make(self) -> Client:
        """One more client."""
        self.made += 1
        env = Actor(f"{self.node}/{self.made}", self.disk)
        return make_client(env, group=GROUP, servers=self.nodes, home=self.node, options=OPTIONS)


def error(code: int, text: str) -> dict[str, Any]:
    """An answer that says no."""
    return {"type": "error", "code": code, "text": text}


async def main() -> None:
    """Be told the names, then serve."""
    lines = trio.wrap_file(sys.stdin)
    message = json.loads(await lines.readline())
    node, nodes = message["body"]["node_id"], message["body"]["node_ids"]
    disk = RealDisk(Path(os.environ.get("FORESHOCK_DATA", ".")) / "raft")
    env = Actor(node, disk)
    server = make_server(env, groups={GROUP: GroupSpec(machine="register", voters=tuple(nodes))}, options=OPTIONS)
    await server.start()
    requests = Requests(node, nodes, disk)
    say(node, message["src"], {"type": "init_ok", "in_reply_to": message["body"]["msg_id"]})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(env.serve, server)
        async for line in lines:
            message = json.loads(line)
            body = message["body"]
            if body["type"] != "raft":
                nursery.start_soon(requests.answer, message)
            elif body["to"] in actors:
                actors[body["to"]].deliver(body["from"], base64.b64decode(body["frame"]))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
