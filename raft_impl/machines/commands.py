"""What stands in the log for the table of sessions, and in its snapshot. `sessions` says what it means."""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec

from .features import FIRST_LEVEL

_TIME: Final = msgspec.Meta(ge=0, le=1 << 62)
"""Log time, and spans of it: 146 years in nanoseconds, so that the sum of two fits 64 bits."""


class Action(enum.IntEnum):
    """What a command entry asks for."""

    CALL = 0
    OPEN = 1
    CLOSE = 2


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The data of a COMMAND entry. `call` is msgpack of (f, key, value); session 0 means: no session, no protection.

    In OPEN, `session` and `sequence` are the client's number and its number for this opening, 0 if they are not known.
    """

    action: Action
    time_ns: Annotated[int, _TIME]
    session: int = 0
    sequence: int = 0
    call: bytes = b""
    idle_ns: Annotated[int, _TIME] = 0


class Session(msgspec.Struct, array_like=True):
    """What is remembered of a session: its latest command and answer, and when it expires (in log time)."""

    sequence: int
    answer: bytes
    idle_ns: int
    deadline_ns: int
    opening: tuple[int, int] | None = None
    """The client and its number for this opening, where they are part of the state."""
    digest: int = 0


class SessionsImage(msgspec.Struct, frozen=True, array_like=True):
    """The form of a snapshot at the first level; each level may add to its end, and older code sees the level first."""

    time_ns: int
    sessions: tuple[tuple[int, int, bytes, int, int], ...]
    machine: bytes
    level: int = FIRST_LEVEL


class ImageWithOpenings(SessionsImage, frozen=True, array_like=True):
    """The form since `OPENINGS_LEVEL`: also (session, client, number) of each session whose opening is known."""

    openings: tuple[tuple[int, int, int], ...] = ()


encode_command: Final = msgspec.msgpack.Encoder().encode
decode_command: Final = msgspec.msgpack.Decoder(Command).decode
decode_image: Final = msgspec.msgpack.Decoder(ImageWithOpenings).decode
