"""Comparisons that are kept: what `foreshock compare` found, in the results folder, so that a page can show it later.

    results/comparisons/20261128T175900Z-3f2a.json

One file a comparison, written beside its final place and renamed, so that it is whole or absent. Names sort by age. The
runs that failed have folders of their own, which the pairs name; the file alone says all that the command printed.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from checkers.json_lines import UNREADABLE
from harness.archive.layout import writable
from harness.errors import BadInput
from harness.reports.written import replace_file
from harness.systems.binding import RecordedCode

from .compare import Summary

FOLDER: Final = "comparisons"
DOCUMENT: Final = 1
BYTES_MAX: Final = 256 << 20
"""A pair takes about a kilobyte: a larger file was not written by us."""
_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")

T = TypeVar("T")


class StoredComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `compare`. `comparisons` are one version with each of the others, in the order that was asked for.

    `exit` is the exit code of the command, `finished` a UTC time, `seeds` as the command line writes them.
    """

    document: int = DOCUMENT
    id: str
    finished: str
    seeds: str
    workloads: tuple[str, ...]
    profile: str
    exit: int
    comparisons: Annotated[tuple[Summary, ...], msgspec.Meta(min_length=1)]


def keep(
    results: Path,
    summaries: Sequence[Summary],
    *,
    seeds: Sequence[int],
    workloads: Sequence[str],
    profile: str,
    exit: int,
) -> StoredComparison:
    """Store a comparison. Raises BadInput when the results folder cannot be written."""
    now = datetime.datetime.now(datetime.UTC)
    stored = StoredComparison(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
        finished=now.isoformat(timespec="seconds"),
        seeds=f"{seeds[0]}..{seeds[-1]}" if len(seeds) > 1 else ", ".join(map(str, seeds)),
        workloads=tuple(workloads),
        profile=profile,
        exit=exit,
        comparisons=tuple(summaries),
    )
    with writable(results):
        replace_file(results / FOLDER / f"{stored.id}.json", msgspec.json.encode(stored))
    return stored


class CountedPair(msgspec.Struct, frozen=True, gc=False):
    """A pair of which nothing is read."""


class ListedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows of two versions beside each other."""

    a: RecordedCode
    b: RecordedCode
    exit: int
    identical: int
    worse: int
    better: int
    pairs: tuple[CountedPair, ...]


class ListedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows of a comparison."""

    finished: str
    seeds: str
    comparisons: Annotated[tuple[ListedVersion, ...], msgspec.Meta(min_length=1)]


def ids(results: Path) -> list[str]:
    """The comparisons of a results folder, newest first."""
    folder = results / FOLDER
    if folder.is_symlink():
        return []
    with contextlib.suppress(OSError):
        return sorted((path.stem for path in folder.iterdir() if _is_ours(path)), reverse=True)
    return []


def read(results: Path, id: str) -> StoredComparison | None:
    """One comparison; None where there is none of this name. Raises BadInput for a damaged file."""
    return _read(results, id, _whole)


def read_listed(results: Path, id: str) -> ListedComparison | None:
    """The same as a list shows it, without decoding its pairs."""
    return _read(results, id, _listed)


def _read(results: Path, id: str, decode: Callable[[Path, int, int], T]) -> T | None:
    path = results / FOLDER / f"{id}.json"
    if not _ID.fullmatch(id) or path.parent.is_symlink() or not _is_ours(path):
        return None
    where = f"{FOLDER}/{path.name}"
    try:
        state = path.stat()
        if state.st_size > BYTES_MAX:
            raise BadInput(f"{state.st_size} bytes", f"at most {BYTES_MAX}", where)
        return decode(path, state.st_mtime_ns, state.st_size)
    except (OSError, *UNREADABLE) as error:
        raise BadInput(f"a file that cannot be read ({error})", "a comparison that foreshock has kept", where) from None


@lru_cache(maxsize=4)
def _whole(path: Path, _changed_ns: int, _size: int) -> StoredComparison:
    return msgspec.json.decode(path.read_bytes(), type=StoredComparison)


@lru_cache(maxsize=256)
def _listed(path: Path, _changed_ns: int, _size: int) -> ListedComparison:
    return msgspec.json.decode(path.read_bytes(), type=ListedComparison)


def _is_ours(path: Path) -> bool:
    return bool(_ID.fullmatch(path.stem)) and path.suffix == ".json" and not path.is_symlink() and path.is_file()
