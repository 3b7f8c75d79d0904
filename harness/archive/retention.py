"""Retention: which run folders go, by rule. Rows stay, so that what was seen over nights is still known.

    age=30d             folders of runs that are older go
    size=2GiB           then the oldest, until the folders fit
    per-signature=3     but of each signature the newest ones stay, this number of them, and the one with the fewest ops

Folders without a signature, of runs that were valid or unknown, have no such protection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from harness import quantities
from harness.errors import BadInput, one_of
from harness.record import RunRecord

from .index import Index, IndexedRun, utc_now
from .layout import folder_bytes

_WORDS: Final = ("age", "size", "per-signature")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What may stay. `age_ns` and `size_bytes`: None is without a limit."""

    age_ns: int | None = None
    size_bytes: int | None = None
    per_signature: int = 3


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder, as far as a rule looks at it. `recorded` is a time as the index has it."""

    run: str
    recorded: str
    signature: str | None
    size: int
    ops: int


def read_rule(text: str) -> Rule:
    """Read `age=30d,size=2GiB,per-signature=3`. Raises BadInput."""
    values: dict[str, int] = {}
    readers: dict[str, Callable[[str], int]] = {"age": quantities.duration, "size": quantities.size, _WORDS[2]: _number}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in readers:
            raise BadInput(f"rule {name!r}", one_of(_WORDS, typed=name), "--retain")
        try:
            values[name] = readers[name](value)
        except ValueError as error:
            raise BadInput(str(error), "a rule such as age=30d,size=2GiB,per-signature=3", "--retain") from None
    if not values.keys() & {"age", "size"}:
        raise BadInput("a rule that lets everything stay", "age=TIME or size=SIZE", "--retain")
    return Rule(age_ns=values.get("age"), size_bytes=values.get("size"), per_signature=values.get("per-signature", 3))


def retain(index: Index, results: Path, rule: Rule, delete: Callable[[list[str]], None]) -> tuple[list[Kept], int]:
    """Delete what a rule lets go. Returns the folders that went, and how many bytes of folders are left."""
    folders = [
        Kept(
            run=row.run,
            recorded=row.recorded,
            signature=row.signature if row.verdict == "invalid" else None,
            size=folder_bytes(results / row.run),
            ops=_ops(row),
        )
        for row in index.runs()
        if row.run is not None and (results / row.run).is_dir()
    ]
    going = doomed(folders, rule, None if rule.age_ns is None else utc_now(ago_ns=rule.age_ns))
    delete([one.run for one in going])
    index.forget_folders([one.run for one in going])
    return going, sum(one.size for one in folders) - sum(one.size for one in going)


def doomed(folders: Iterable[Kept], rule: Rule, oldest: str | None) -> list[Kept]:
    """Which folders go, the oldest first. `oldest` is the time before which the rule's age has passed."""
    ordered = sorted(folders, key=lambda one: (one.recorded, one.run))
    examples = _examples(ordered, rule.per_signature)
    going = [one for one in ordered if oldest is not None and one.recorded < oldest and one.run not in examples]
    if rule.size_bytes is not None:
        gone = {one.run for one in going}
        left = sum(one.size for one in ordered if one.run not in gone)
        for one in ordered:
            if left <= rule.size_bytes:
                break
            if one.run not in gone and one.run not in examples:
                going.append(one)
                left -= one.size
    return sorted(going, key=lambda one: (one.recorded, one.run))


def _examples(ordered: Sequence[Kept], number: int) -> set[str]:
    """Of each signature the newest runs and the smallest one."""
    by_signature: dict[str, list[Kept]] = {}
    for one in ordered:
        if one.signature is not None:
            by_signature.setdefault(one.signature, []).append(one)
    chosen: set[str] = set()
    for runs in by_signature.values():
        if number:
            chosen |= {one.run for one in runs[-number:]}
            chosen.add(min(runs, key=lambda one: (one.ops, one.run)).run)
    return chosen


def _number(text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"{text!r} is no number of runs")
    return int(text)


def _ops(row: IndexedRun) -> int:
    record = row.record()
    return record.ops.ok + record.ops.fail + record.ops.info if isinstance(record, RunRecord) else 0
