"""The messages that arrived, as a file beside the history: one JSON object a line, as `foreshock check` reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from harness.archive.layout import writable
from harness.live.maelstrom_protocol import Message

MESSAGES: Final = "messages.jsonl"


def write_journal(folder: Path, journal: Iterable[tuple[int, Message]]) -> None:
    """Write the messages into the folder of a run, with their times in nanoseconds. Raises BadInput."""
    with writable(folder):
        lines = (
            msgspec.json.encode({"src": one.src, "dest": one.dest, "body": one.body, "time": time_ns}) + b"\n"
            for time_ns, one in journal
        )
        (folder / MESSAGES).write_bytes(b"".join(lines))
