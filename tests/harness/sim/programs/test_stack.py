"""Connections between the stacks of two actors, whose segments the test delivers by hand."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from harness.sim.programs.connection import Connection
from harness.sim.programs.stack import Listener, Names, Stack

PORT = 80


class Wire:
    """Takes what stacks send, and delivers it when it is told to. No timer ever rings."""

    def __init__(self) -> None:
        self.stacks: dict[str, Stack] = {}
        self.sent: deque[tuple[str, str, bytes]] = deque()
        self.delivered: list[tuple[str, str, bytes]] = []

    def stack(self, actor: str, incarnation: int = 1) -> Stack:
        """A new stack of an actor, in place of the one that it had."""
        kernel = SimpleNamespace(now=0, wake=lambda task: None, rouse=lambda: None, at=lambda *timer: None)
        process: Any = SimpleNamespace(
            actor=actor,
            ordinal=0,
            lifetime=SimpleNamespace(dead=False),
            network=SimpleNamespace(send=lambda target, frame: self.sent.append((actor, target, frame))),
            randomness=SimpleNamespace(below=lambda bound, purpose: bound - 1),
        )
        any_kernel: Any = kernel
        self.stacks[actor] = Stack(process, any_kernel, Names(("n1", "c1")), incarnation)
        return self.stacks[actor]

    def deliver(self) -> None:
        """Deliver what was sent, and what is sent in answer, to the last."""
        while self.sent:
            source, target, frame = self.sent.popleft()
            self.delivered.append((source, target, frame))
            self.stacks[target].receive(source, frame)

    def deliver_copies(self, source: str) -> None:
        """Deliver what an actor ever sent once more; what is answered is still on its way."""
        for sender, target, frame in list(self.delivered):
            if sender == source:
                self.stacks[target].receive(source, frame)


def listening(stack: Stack) -> Listener:
    """A listener on the port."""
    stack.listeners[PORT] = Listener(8, lambda task: None)
    return stack.listeners[PORT]


def connected(wire: Wire, caller: Stack, listener: Listener) -> tuple[Connection, Connection]:
    """Both ends of a new connection, the caller's first."""
    call = caller.call("n1", PORT, caller.free_port())
    wire.deliver()
    return call, listener.waiting.pop()


def exchange(wire: Wire, call: Connection, called: Connection) -> None:
    """A request and its answer, and the end of both streams."""
    call.write(b"request")
    call.end_writing()
    wire.deliver()
    assert called.read(100) == b"request"
    called.write(b"answer")
    called.close()
    wire.deliver()
    assert call.read(100) == b"answer"
    call.close()
    wire.deliver()


@pytest.mark.parametrize("incarnation", [1, 2], ids=["the same incarnation", "the next incarnation"])
def test_copies_of_a_connection_that_is_over_never_bring_its_request_again(incarnation: int) -> None:
    wire = Wire()
    caller, server = wire.stack("c1"), wire.stack("n1")
    listener = listening(server)
    exchange(wire, *connected(wire, caller, listener))
    if incarnation > 1:
        listener = listening(wire.stack("n1", incarnation))

    wire.deliver_copies("c1")

    assert listener.waiting == []
    wire.deliver()
    exchange(wire, *connected(wire, caller, listener))


def test_a_late_copy_of_a_call_does_not_end_the_connection_that_answered_it() -> None:
    wire = Wire()
    caller, listener = wire.stack("c1"), listening(wire.stack("n1"))
    call, called = connected(wire, caller, listener)

    wire.deliver_copies("c1")
    wire.deliver()

    exchange(wire, call, called)


def test_a_connection_whose_other_end_has_begun_anew_is_reset() -> None:
    wire = Wire()
    call, _ = connected(wire, wire.stack("c1"), listening(wire.stack("n1")))
    listening(wire.stack("n1", 2))

    call.write(b"request")
    wire.deliver()

    assert isinstance(call.error, ConnectionResetError)
