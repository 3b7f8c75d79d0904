"""Quantities as people type them: durations, sizes, shares, ranges of seeds. A reader raises ValueError, one line."""

from __future__ import annotations

import re
from typing import Final

SECOND: Final = 1_000_000_000
SEED_MAX: Final = 2**63 - 1

_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
}
_SIZES: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def duration(text: str) -> int:
    """Read `500ms`, `30s`, `2m`, `1h`, `7d`, or a plain number of seconds, as integer nanoseconds."""
    match = re.fullmatch(r"(\d+)(?:\.(\d{1,9}))?\s*([a-z]*)", text.strip())
    if match is None or match[3] not in _UNITS_NS:
        raise ValueError(f"{text!r} is no duration such as 500ms, 30s, 2m or 1h")
    unit, digits = _UNITS_NS[match[3]], match[2] or ""
    return int(match[1]) * unit + int(digits or "0") * unit // int("1" + "0" * len(digits))


def duration_text(duration_ns: int) -> str:
    """Write a duration as `duration` reads it."""
    for unit, size_ns in (("s", SECOND), ("ms", SECOND // 1000)):
        if duration_ns % size_ns == 0:
            return f"{duration_ns // size_ns}{unit}"
    return f"{duration_ns}ns"


def size(text: str) -> int:
    """Read `512MiB`, `4GiB`, or a plain number of bytes."""
    match = re.fullmatch(r"(\d+)\s*(\w*)", text.strip())
    if match is None or match[2] not in _SIZES:
        raise ValueError(f"{text!r} is no size such as 512MiB or 4GiB")
    return int(match[1]) * _SIZES[match[2]]


def size_text(size_bytes: int) -> str:
    """Write a size for people, in the largest unit of which there is one: `1.5 GiB`."""
    unit = max((unit for unit in _SIZES if _SIZES[unit] <= size_bytes), key=_SIZES.__getitem__, default="")
    return f"{size_bytes / _SIZES[unit]:.4g} {unit or 'bytes'}"


def seeds(text: str) -> range:
    """Read `A..B`, both ends included, or one seed."""
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text.strip())
    if match is not None:
        first, last = int(match[1]), int(match[2] or match[1])
        if first <= last <= SEED_MAX:
            return range(first, last + 1)
    raise ValueError(f"{text!r} is no range of seeds such as 1..500")


def shard(text: str) -> tuple[int, int]:
    """Read `2/5`, the second of five parts, as (2, 5)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match is not None and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise ValueError(f"{text!r} is no part such as 2/5, from 1/5 to 5/5")


def share(text: str, *, most: float = 1.0) -> float:
    """Read `1%` or `0.01` as a fraction of 1, up to `most`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
    if match is None or (fraction := float(match[1]) / (100 if match[2] else 1)) > most:
        raise ValueError(f"{text!r} is no share such as 1% or 0.01")
    return fraction
