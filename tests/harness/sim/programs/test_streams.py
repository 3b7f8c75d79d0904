"""Streams: whatever the network does to segments, a reader reads what a writer wrote."""

from __future__ import annotations

import random

from harness.sim.programs.streams import WINDOW_BYTES, Incoming, Outgoing, Piece


def test_a_stream_survives_loss_copies_and_any_order() -> None:
    rng = random.Random(1)
    written = rng.randbytes(5 * WINDOW_BYTES)
    outgoing, incoming, read, left = Outgoing(), Incoming(), b"", written
    on_their_way: list[Piece] = []

    while not incoming.is_ended or incoming.unread:
        chunk, left = left[: outgoing.room], left[outgoing.room :]
        outgoing.write(chunk)
        if not left:
            outgoing.end()
        while (piece := outgoing.next_piece(lambda: rng.randint(1, 1_400))) is not None:
            on_their_way += [piece] * rng.choice((0, 1, 1, 2))
        if not on_their_way:
            first = outgoing.first_piece()
            on_their_way += [first] if first is not None else []
        if on_their_way:  # else the window is closed until more is read
            incoming.take(*on_their_way.pop(rng.randrange(len(on_their_way))))
        outgoing.acknowledge(incoming.expected, incoming.window)
        read += incoming.read(rng.randint(0, 2_000))

    outgoing.acknowledge(incoming.expected, incoming.window)
    assert read == written
    assert outgoing.is_finished


def test_a_reader_that_does_not_read_stops_the_writer() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    outgoing.write(bytes(WINDOW_BYTES))
    while (piece := outgoing.next_piece(lambda: 1_000)) is not None:
        incoming.take(*piece)
    outgoing.acknowledge(incoming.expected, incoming.window)

    outgoing.write(b"more")

    assert incoming.window == 0
    assert outgoing.next_piece(lambda: 1_000) is None
    assert outgoing.waits

    incoming.read(10)
    outgoing.acknowledge(incoming.expected, incoming.window)
    assert outgoing.next_piece(lambda: 1_000) == (WINDOW_BYTES, b"more", False)


def test_an_acknowledgement_of_what_was_never_sent_is_ignored() -> None:
    outgoing = Outgoing()
    outgoing.write(b"abc")
    outgoing.next_piece(lambda: 2)

    assert outgoing.acknowledge(3, WINDOW_BYTES) is False
    assert outgoing.acknowledge(2, WINDOW_BYTES) is True
    assert outgoing.unacknowledged == 2
