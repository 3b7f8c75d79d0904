"""Clients: each asks one node, one request at a time, and records what it was told.

A reply that does not come in time leaves the outcome unknown, and the client goes on as a new process; if the reply
comes after all, nobody waits for it any more. Errors are definite or not by their code.
"""

from __future__ import annotations

from typing import Any, Final

import trio

from checkers.importers.maelstrom import DEFINITE, INDEFINITE
from checkers.recorder import Recorder
from harness.live.maelstrom_protocol import Body, Message
from harness.plans.plan import PlannedOp

from .network import Network
from .workloads import LiveWorkload, Positions

TIMEOUT_SECONDS_MIN: Final = 1.0
TIMEOUT_LATENCIES: Final = 10
"""A request waits that many times the mean delay, if that is longer: Maelstrom's own rule."""


class MalformedReply(Exception):
    """A node answered with what is no answer; the text says what."""


class Client:
    """One client. `receive` is given all messages to it."""

    def __init__(self, name: str, home: str, network: Network, timeout_seconds: float) -> None:
        self.name = name
        self.home = home
        self._network = network
        self._timeout_seconds = timeout_seconds
        self._waiting: dict[int, trio.MemorySendChannel[Body]] = {}
        self._msg_id = 0
        self._positions: Positions = {}

    def receive(self, body: Body) -> None:
        """Take a message; a reply for which nobody waits is thrown away."""
        channel = self._waiting.pop(body.get("in_reply_to"), None)  # type: ignore[arg-type]
        if channel is not None:
            channel.send_nowait(body)

    async def request(self, target: str, body: Body, timeout_seconds: float | None = None) -> Body | None:
        """Ask a node and wait for its reply; None when there is none in time."""
        self._msg_id += 1
        number = self._msg_id
        send, receive = trio.open_memory_channel[Body](1)
        self._waiting[number] = send
        self._network.send(Message(self.name, target, {**body, "msg_id": number}))
        with trio.move_on_after(timeout_seconds or self._timeout_seconds):
            return await receive.receive()
        self._waiting.pop(number, None)
        return None

    async def perform(self, op: PlannedOp, workload: LiveWorkload, recorder: Recorder) -> bool:
        """Make one call and record it. Returns whether it was ok; raises MalformedReply."""
        rpc = workload.rpcs[op.f]
        value = rpc.value(op, self._positions)
        body = {"type": rpc.type, **rpc.body(op, self._positions)}
        with recorder.call(self.name, op.f, value, key=op.key) as call:
            reply = await self.request(self.home, body)
            if reply is None:
                call.unknown("timeout")
            elif reply.get("type") == "error":
                _refused(call, reply.get("code"))
            elif reply.get("type") != f"{rpc.type}_ok":
                call.unknown("malformed-reply")
                raise MalformedReply(f"answered {rpc.type} with type {reply.get('type')!r}; expected {rpc.type}_ok")
            else:
                call.result = self._read(op, workload, reply)
            return call.outcome == "ok"

    def _read(self, op: PlannedOp, workload: LiveWorkload, reply: Body) -> Any:
        rpc = workload.rpcs[op.f]
        try:
            return rpc.answer(reply, op, self._positions)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise MalformedReply(f"answered {rpc.type} with {rpc.type}_ok that has {what}: {reply}") from None


def _refused(call: Any, code: Any) -> None:
    if code in DEFINITE:
        call.fail(DEFINITE[code])
    else:
        call.unknown(INDEFINITE.get(code, "unknown-error") if isinstance(code, int) else "unknown-error")
