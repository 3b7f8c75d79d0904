"""Connections end when their peer falls silent, and come back soon after a cut has healed."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import pytest
import trio

from raft_impl.runtime.driver_messages import Hello, LevelTell
from raft_impl.runtime.wire import encode
from raft_impl.server import transport
from raft_impl.server.framing import FrameReader
from raft_impl.server.handshake import Party
from raft_impl.server.transport import Access, Limits, Transport

PING_MS: Final = 200
ELECTION_TIMEOUT_S: Final = 3 * PING_MS / 1000


class Wire:
    """A TCP proxy that can be cut: then nothing passes and nothing is refused, as when packets are dropped."""

    def __init__(self, port: int) -> None:
        self.is_cut = False
        self._port = port

    async def run(self, listener: trio.SocketListener) -> None:
        await trio.serve_listeners(self._carry, [listener])

    async def _carry(self, near: trio.SocketStream) -> None:
        if self.is_cut:
            await trio.sleep_forever()
        async with await trio.open_tcp_stream("127.0.0.1", self._port) as far, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, near, far)
            nursery.start_soon(self._pass_on, far, near)

    async def _pass_on(self, source: trio.SocketStream, target: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some():
                if self.is_cut:
                    await trio.sleep_forever()  # what was lost in the cut is not resent in time
                await target.send_all(data)


def party(name: str, **fields: object) -> Party:
    return Party(name=name, role="node", ping_ms=PING_MS, **fields)  # type: ignore[arg-type]


def test_a_healed_cut_is_noticed_within_two_election_timeouts() -> None:
    async def body() -> None:
        received: list[bytes] = []
        (at_b,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        (at_wire,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        wire = Wire(at_b.socket.getsockname()[1])
        addresses = {"a": ("127.0.0.1", 1), "b": at_wire.socket.getsockname()[:2]}
        a = Transport("a", addresses, lambda source, frame: None, party=party("a"))
        b = Transport("b", addresses, lambda source, frame: received.append(frame), party=party("b"))
        async with trio.open_nursery() as nursery:
            await nursery.start(a.run, None)
            await nursery.start(b.run, at_b)
            nursery.start_soon(wire.run, at_wire)
            number = 0
            cut_at, heal_at = trio.current_time() + 1, trio.current_time() + 4
            while trio.current_time() < heal_at:
                wire.is_cut = trio.current_time() >= cut_at
                number += 1
                a.send("b", b"%d" % number)
                await trio.sleep(0.02)
            before = len(received)
            wire.is_cut = False
            with trio.fail_after(2 * ELECTION_TIMEOUT_S + 0.5):  # what the test machine itself may need
                while len(received) == before:
                    a.send("b", b"after")
                    await trio.sleep(0.02)
            nursery.cancel_scope.cancel()
        assert 0 < before < number / 2

    trio.run(body)


def test_an_idle_connection_stays() -> None:
    async def body() -> None:
        events: list[str] = []
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"a": ("127.0.0.1", 1), "b": listener.socket.getsockname()[:2]}
        heard = trio.Event()
        a = Transport("a", addresses, lambda *_: None, party=party("a"), on_event=lambda event, _: events.append(event))
        b = Transport("b", addresses, lambda *_: heard.set(), party=party("b"))
        async with trio.open_nursery() as nursery:
            await nursery.start(a.run, None)
            await nursery.start(b.run, listener)
            a.send("b", b"x")
            await heard.wait()
            (connection,) = a._dialled
            await trio.sleep(3 * ELECTION_TIMEOUT_S)
            assert list(a._dialled) == [connection]
            nursery.cancel_scope.cancel()
        assert events == []

    trio.run(body)


@pytest.mark.parametrize(
    ("frame", "is_taken"), [(encode("g0", Hello(1)), True), (encode("g0", LevelTell(1, 2)), False)]
)
def test_a_client_may_say_what_clients_say(frame: bytes, is_taken: bool) -> None:
    async def body() -> None:
        received: list[str] = []
        events: list[str] = []
        done = trio.Event()

        def take(source: str, frame: bytes) -> None:
            received.append(source)
            done.set()

        def hear(event: str, fields: dict[str, str]) -> None:
            events.append(fields["word"])
            done.set()

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"b": listener.socket.getsockname()[:2]}
        client = Transport("n7", addresses, lambda *_: None, party=Party(name="n7", role="client"))
        b = Transport(
            "b",
            {**addresses, "n7": ("127.0.0.1", 1)},
            take,
            on_event=hear,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(client.run, None)
            await nursery.start(b.run, listener)
            client.send("b", frame)
            with trio.fail_after(5):
                await done.wait()
            nursery.cancel_scope.cancel()
        assert [source.split("@")[0] for source in received] == (["n7"] if is_taken else [])
        assert "n7" not in received
        assert events == ([] if is_taken else ["not-a-node"])

    trio.run(body)


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        (Access(secret=b"0123456789abcdef"), Access(secret=b"0123456789abcdef"), ""),
        (Access(secret=b"0123456789abcdef"), Access(secret=b"another secret..."), "wrong-secret"),
        (Access(secret=b"0123456789abcdef"), Access(), "wrong-secret"),
        (Access(), Access(secret=b"0123456789abcdef"), "wrong-secret"),
    ],
)
def test_secrets_must_be_the_same_on_both_ends(ours: Access, theirs: Access, word: str) -> None:
    async def body() -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"a": ("127.0.0.1", 1), "b": listener.socket.getsockname()[:2]}
        a = Transport("a", addresses, lambda *_: None, access=ours)
        b = Transport("b", addresses, lambda *_: None, access=theirs)
        async with trio.open_nursery() as nursery:
            await nursery.start(a.run, None)
            await nursery.start(b.run, listener)
            a.dial("b")
            with trio.fail_after(10):
                await a.contacts.news()
            found = a.contacts.refusals.get("b", ("", ""))[0]
            assert (found, list(a.contacts.peers)) == (word, [] if word else ["b"])
            nursery.cancel_scope.cancel()

    trio.run(body)


def test_the_oldest_unfinished_handshake_makes_room() -> None:
    async def body() -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        b = Transport("b", {}, lambda *_: None, limits=Limits(pending_count_max=2))
        async with trio.open_nursery() as nursery:
            await nursery.start(b.run, listener)
            silent = []
            for _ in range(3):
                silent.append(await trio.open_tcp_stream(*listener.socket.getsockname()[:2]))
                await trio.sleep(0.05)
            with trio.fail_after(2):
                assert await silent[0].receive_some(1) == b""
            with trio.move_on_after(0.2) as scope:
                await silent[2].receive_some(1)
            assert scope.cancelled_caught
            for stream in silent:
                await stream.aclose()
            nursery.cancel_scope.cancel()

    trio.run(body)


def test_connections_that_were_given_up_before_they_were_accepted_cost_no_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They pile up before a process that is stopped; behind them wait those which are wanted."""
    handshakes: list[object] = []
    real = transport.accept

    async def counted(reader: FrameReader, *rest: Any) -> Party:
        handshakes.append(reader)
        return await real(reader, *rest)

    monkeypatch.setattr(transport, "accept", counted)
    answered = trio.Event()

    async def body() -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        address = listener.socket.getsockname()[:2]
        for _ in range(30):
            async with await trio.open_tcp_stream(*address) as given_up:
                await given_up.send_all(b"the first words of a handshake")
        server = Transport("a", {"a": address}, lambda source, frame: answered.set(), party=party("a"))
        client = Transport("b", {"a": address, "b": ("127.0.0.1", 1)}, lambda source, frame: None, party=party("b"))
        server.is_member = lambda name: True
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, listener)
            await nursery.start(client.run, None)
            client.send("a", encode("g0", Hello(1)))
            with trio.fail_after(10):
                await answered.wait()
            nursery.cancel_scope.cancel()

    trio.run(body)

    assert len(handshakes) == 1
