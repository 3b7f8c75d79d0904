"""The protocol: one JSON object a line, `{"src": ..., "dest": ..., "body": {"type": ..., ...}}`.

A request carries `msg_id`, its reply `in_reply_to`. An error is a reply of type `error` with a `code`. What a code says
about the outcome of its request is `checkers.importers.maelstrom.DEFINITE`, the same table as for stored messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from checkers.json_lines import UNREADABLE

LINE_BYTES_MAX: Final = 1 << 20
"""A line that is longer never ends: no workload has messages near that."""

NODE_NOT_FOUND: Final = 1
NOT_SUPPORTED: Final = 10
MALFORMED_REQUEST: Final = 12
KEY_DOES_NOT_EXIST: Final = 20
PRECONDITION_FAILED: Final = 22

Body = Mapping[str, Any]
"""What is said: free-form but for its `type`, and never changed once it is said."""


class Message(msgspec.Struct, frozen=True):
    """What one node, client or service says to another."""

    src: str
    dest: str
    body: Body


class NotAMessage(ValueError):
    """A line that is no message; the text says what is wrong with it."""


_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def decode(line: bytes, node: str) -> Message:
    """Read what a node printed. Raises NotAMessage when it is none, or says that another node sent it."""
    try:
        message = _decoder.decode(line)
    except UNREADABLE as error:
        raise NotAMessage(str(error)) from None
    if message.src != node:
        raise NotAMessage(f"src is {message.src!r}, not {node!r}")
    if not isinstance(message.body.get("type"), str):
        raise NotAMessage("its body has no type")
    return message


def encode(message: Message) -> bytes:
    """Write a message as a line."""
    return _encoder.encode(message) + b"\n"


def error(code: int, text: str) -> Body:
    """Make the body of an error."""
    return {"type": "error", "code": code, "text": text}
