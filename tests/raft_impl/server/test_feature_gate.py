"""A node that does not know the feature level of a group is refused at the handshake."""

from __future__ import annotations

import pytest
import trio

from raft_impl.machines.features import FIRST_LEVEL, LEVEL
from raft_impl.server.feature_gate import FeatureGate
from raft_impl.server.handshake import HandshakeRefused, Party
from raft_impl.server.transport import Transport
from raft_impl.surface import FEATURE_LEVELS


def party(name: str, **fields: object) -> Party:
    return Party(name=name, role="node", machines={"g0": "register"}, **fields)  # type: ignore[arg-type]


def gate_at(level: int) -> FeatureGate:
    gate = FeatureGate("n1")
    gate.levels = lambda: {"g0": level}
    return gate


def test_a_node_that_knows_the_level_is_welcome() -> None:
    gate_at(LEVEL).judge(party("n2", feature_levels=FEATURE_LEVELS))
    gate_at(FIRST_LEVEL).judge(party("n2"))


@pytest.mark.parametrize("knows", [(1, 1), (3, 4)])
def test_a_node_that_does_not_know_it_is_refused_in_one_line(knows: tuple[int, int]) -> None:
    says = f"g0 is at feature level 2 at n1, n2 knows {knows[0]} to {knows[1]}; expected code that knows 2"

    with pytest.raises(HandshakeRefused, match=says):
        gate_at(2).judge(party("n2", feature_levels=knows))


def test_a_node_of_another_group_is_no_concern() -> None:
    gate_at(2).judge(Party(name="n2", role="node", machines={"g1": "register"}))


@pytest.mark.parametrize(
    ("fields", "word"), [({"feature_levels": (1, 1)}, "feature-level"), ({"format_version": 2}, "format-version")]
)
def test_both_ends_read_why_they_do_not_speak(fields: dict[str, object], word: str) -> None:
    async def body() -> None:
        events: list[tuple[str, str]] = []
        gate = gate_at(2)

        async def judge(peer: Party) -> None:
            gate.judge(peer)

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        addresses = {"n1": listener.socket.getsockname()[:2], "n2": ("127.0.0.1", 1)}
        new = Transport(
            "n1",
            addresses,
            lambda *_: None,
            party=party("n1", feature_levels=FEATURE_LEVELS),
            judge=judge,
            on_event=lambda event, told: events.append((event, told.get("word", ""))),
        )
        old = Transport("n2", addresses, lambda *_: None, party=party("n2", **fields))
        async with trio.open_nursery() as nursery:
            await nursery.start(new.run, listener)
            await nursery.start(old.run, None)
            old.dial("n1")
            with trio.fail_after(10):
                while "n1" not in old.contacts.refusals:
                    await old.contacts.news()
            assert old.contacts.refusals["n1"][0] == word
            nursery.cancel_scope.cancel()
        assert word in {told for _, told in events}

    trio.run(body)
