"""Frames: what one side encodes the other gets, and whatever else arrives is nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_impl.protocol.messages import (
    MESSAGE_TYPES,
    Append,
    AppendReply,
    Heartbeat,
    ReadReply,
    SnapshotChunk,
    Vote,
    kind,
)
from raft_impl.protocol.state import Entry, EntryKind, Index, Membership, NodeId, SnapshotMeta, Term
from raft_impl.runtime.driver_messages import Hello, Reply, Request, Status, Welcome
from raft_impl.runtime.wire import GARBAGE, decode, encode, kind_of

EXAMPLES: list[tuple[Any, str]] = [
    (Heartbeat(Term(3), 7, Index(2)), "heartbeat"),
    (Vote(Term(3), Index(2), Term(1), True), "vote"),
    (Append(Term(2), Index(1), Term(1), Index(1), (Entry(Index(2), Term(2), EntryKind.COMMAND, b"x"),)), "append"),
    (AppendReply(Term(2), Index(2)), "append-reply"),
    (ReadReply(Term(2), 5 << 32, None), "read-reply"),
    (SnapshotChunk(Term(2), SnapshotMeta(Index(9), Term(1), Membership((NodeId("a"),))), 4, b"abc", True), "snapshot"),
    (Hello(5), "hello"),
    (Welcome(1 << 61), "welcome"),
    (Request(1, 2, 3, 0, 4, 5, b"call"), "request"),
    (Reply(3, Status.REFUSED, "not-leader", None, "n2"), "reply"),
]

messages = st.sampled_from([message for message, _ in EXAMPLES])


@pytest.mark.parametrize(("message", "word"), EXAMPLES, ids=[word for _, word in EXAMPLES])
def test_a_message_arrives_as_it_left_and_its_kind_shows_in_the_header(message: Any, word: str) -> None:
    frame = encode("g0", message)

    assert decode(frame) == ("g0", message)
    assert kind_of(frame) == word
    assert kind_of(frame[:6]) == word


def test_codes_of_the_protocol_are_its_fixed_order() -> None:
    """A code that moves would make peers of two versions misread each other."""
    assert [kind(message) for message in MESSAGE_TYPES] == [
        "pre-vote",
        "pre-vote-reply",
        "vote",
        "vote-reply",
        "append",
        "append-reply",
        "append-reject",
        "heartbeat",
        "heartbeat-reply",
        "snapshot",
        "snapshot-reply",
        "read",
        "read-reply",
        "timeout-now",
    ]
    assert encode("g0", Heartbeat(Term(1), 1, Index(0)))[:2] == bytes((1, 8))


@given(messages, st.data())
def test_a_frame_with_one_flipped_bit_is_dropped(message: Any, data: st.DataObject) -> None:
    frame = bytearray(encode("g0", message))
    position = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[position // 8] ^= 1 << position % 8

    assert decode(bytes(frame)) is None


@given(messages, st.integers(0, 200))
def test_a_frame_that_is_cut_short_or_goes_on_is_dropped(message: Any, size: int) -> None:
    frame = encode("g0", message)

    assert size >= len(frame) or decode(frame[:size]) is None
    assert decode(frame + bytes(size + 1)) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_message_and_raise_nothing(data: bytes) -> None:
    assert decode(data) is None
    assert isinstance(kind_of(data), str)


@pytest.mark.parametrize("frame", [b"", b"\x01", bytes(6), b"\x02\x08" + bytes(4), b"\x01\xff" + bytes(4)])
def test_what_has_no_valid_header_is_garbage(frame: bytes) -> None:
    assert kind_of(frame) == GARBAGE
