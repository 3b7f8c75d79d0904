"""Objects in a JSON text, each with the line it begins on: one a line, or all in one array."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from checkers.json_lines import UNREADABLE
from checkers.malformed import MalformedHistory

_array = msgspec.json.Decoder(list[msgspec.Raw])


def elements(data: bytes, source: str) -> Iterator[tuple[bytes, int]]:
    """Yield the text and line of each object; blank lines are left out."""
    if not data.lstrip().startswith(b"["):
        yield from ((line, number) for number, line in enumerate(data.split(b"\n"), 1) if line.strip())
        return
    try:
        rows = _array.decode(data)
    except UNREADABLE as error:
        damage = re.search(r"\(byte (\d+)\)", str(error))
        end = int(damage[1]) if damage else len(data.rstrip())
        line = data.count(b"\n", 0, end) + 1
        raise MalformedHistory(
            f"JSON that cannot be read ({error})", "an array of objects", f"{source}:{line}"
        ) from None
    position, line = 0, 1
    for row in rows:
        text = bytes(row)
        begins = data.index(text, position)
        line += data.count(b"\n", position, begins)
        yield text, line
        position = begins + len(text)
        line += text.count(b"\n")
