"""What servers say beside the protocol, to clients and to each other: one frozen struct a message. See `wire`.

A struct is encoded by field order, so a field is only ever added at the end.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Final

import msgspec

from ..machines.features import FIRST_LEVEL
from ..protocol.state import BoundedCount, BoundedTerm


class Action(enum.IntEnum):
    """What a request asks for."""

    CALL = 0
    READ = 1
    OPEN = 2
    ADMIN = 3
    """One of the questions of `administration`."""
    CLOSE = 4


class Status(enum.IntEnum):
    """What a reply says of the one request that it names."""

    DONE = 0
    """The machine answered, with `word` and `value`."""
    REFUSED = 1
    """This request has had no effect and will have none; `word` says why, `leader` where to go."""
    UNKNOWN = 2
    """It was appended and then lost from this log; or an earlier incarnation of the server may have taken it."""


BoundedRequest = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""Ids of requests begin anywhere below `NUMBER_MAX`, and go on."""


class Hello(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="hello"):
    """A client (named by a random number) asks for the number of the server's incarnation."""

    client: BoundedCount


class Welcome(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="welcome"):
    """The answer to `Hello`: also where the members of the group are, as far as the server knows."""

    connection: BoundedCount
    addresses: tuple[tuple[str, str], ...] = ()


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="request"):
    """One attempt of one operation. `call` is msgpack of (f, key, value).

    All attempts of one opening carry the same `sequence`, unique to it among those of its client.
    """

    connection: BoundedCount
    client: BoundedCount
    id: BoundedRequest
    action: BoundedCount
    session: BoundedCount = 0
    sequence: BoundedCount = 0
    call: bytes = b""


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="reply"):
    """The answer to the request `id`. With the word `reconnect`, `value` names the server's present incarnation."""

    id: BoundedRequest
    status: BoundedCount
    word: str
    value: Any = None
    leader: str | None = None


class LevelAsk(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="level-ask"):
    """A leader asks a member which feature levels it knows."""

    term: BoundedTerm


class LevelTell(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="level-tell"):
    """From `lowest` to `level`. `term` is that of the question."""

    term: BoundedTerm
    level: BoundedCount
    lowest: BoundedCount = FIRST_LEVEL


DriverMessage = Hello | Welcome | Request | Reply | LevelAsk | LevelTell

DRIVER_TYPES: Final = (Hello, Welcome, Request, Reply, LevelAsk, LevelTell)
"""All kinds in a fixed order: `wire` uses the position as a code. New kinds are added at the end."""
