"""Breakpoints: predicates on events, at which a walk stops.

| text | stops when |
| --- | --- |
| `leader [NODE]` | a node becomes leader |
| `role ROLE [NODE]` | a node takes that role |
| `commit INDEX [NODE]` | a node knows that this index is committed, or a later one |
| `apply INDEX [NODE]` | a node applies this index, or a later one |
| `deliver KIND [SOURCE>TARGET]` | a message of a kind is delivered; `*` is any kind, and any actor |
| `lose KIND [SOURCE>TARGET]` | a message of a kind is lost |
| `crash [NODE]` | a node goes down |
| `fault [ID]` | a fault begins or ends |
| `op OUTCOME [F]` | an operation is invoked, or ends: invoke, ok, fail or info |
| `kind KIND [ACTOR]` | a row of this kind of the trace |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from checkers.trace import FIELDS, Row
from harness.errors import BadInput, one_of

from .standing import Standing

Predicate = Callable[[Row, Standing], bool]


class Breakpoint(msgspec.Struct, frozen=True):
    """A predicate, with the text that made it."""

    text: str
    holds: Predicate


def read(text: str) -> Breakpoint:
    """Read a predicate. Raises BadInput."""
    word, *rest = text.split()
    make = _MAKERS.get(word)
    if make is None:
        raise BadInput(f"breakpoint {word!r}", one_of(_MAKERS, typed=word), text)
    fewest, most, build = make
    if not fewest <= len(rest) <= most:
        raise BadInput(f"{len(rest)} words after {word!r}", f"a line such as `{_EXAMPLES[word]}`", text)
    return Breakpoint(text, build(rest, text))


def _role(role: str, node: str) -> Predicate:
    return lambda row, _: row[1] == "role" and row[4] == role and node in ("", row[2])


def _build_leader(words: list[str], _: str) -> Predicate:
    return _role("leader", _at(words, 0))


def _build_role(words: list[str], _: str) -> Predicate:
    return _role(words[0], _at(words, 1))


def _build_reached(kind: str) -> Callable[[list[str], str], Predicate]:
    def build(words: list[str], text: str) -> Predicate:
        if not words[0].isdigit():
            raise BadInput(f"index {words[0]!r}", "a number", text)
        index, node = int(words[0]), _at(words, 1)
        return lambda row, _: row[1] == kind and row[4] >= index and node in ("", row[2])

    return build


def _build_message(row_kind: str) -> Callable[[list[str], str], Predicate]:
    def build(words: list[str], text: str) -> Predicate:
        kind = words[0]
        source, arrow, target = _at(words, 1).partition(">")
        if len(words) > 1 and not arrow:
            raise BadInput(f"{words[1]!r}", "SOURCE>TARGET, such as n1>n2 or *>n2", text)

        def holds(row: Row, standing: Standing) -> bool:
            message = standing.carried
            return (
                row[1] == row_kind
                and message is not None
                and kind in ("*", message.kind)
                and source in ("", "*", message.source)
                and target in ("", "*", message.target)
            )

        return holds

    return build


def _build_crash(words: list[str], _: str) -> Predicate:
    node = _at(words, 0)
    return lambda row, _: row[1] in ("crash", "stop", "refuse") and node in ("", row[2])


def _build_fault(words: list[str], _: str) -> Predicate:
    id = _at(words, 0)
    return lambda row, _: row[1] in ("fault-begin", "fault-end") and id in ("", row[3])


def _build_op(words: list[str], text: str) -> Predicate:
    outcomes = ("invoke", "ok", "fail", "info")
    if words[0] not in outcomes:
        raise BadInput(f"outcome {words[0]!r}", one_of(outcomes, typed=words[0]), text)
    f = _at(words, 1)
    return lambda row, _: row[1] == "op" and row[3][1] == words[0] and f in ("", row[3][2])


def _build_kind(words: list[str], text: str) -> Predicate:
    if words[0] not in FIELDS:
        raise BadInput(f"kind {words[0]!r}", one_of(FIELDS, typed=words[0]), text)
    actor = _at(words, 1)
    return lambda row, _: row[1] == words[0] and actor in ("", row[2])


def _at(words: list[str], position: int) -> str:
    return words[position] if position < len(words) else ""


_MAKERS: Final[dict[str, tuple[int, int, Callable[[list[str], str], Predicate]]]] = {
    "leader": (0, 1, _build_leader),
    "role": (1, 2, _build_role),
    "commit": (1, 2, _build_reached("commit")),
    "apply": (1, 2, _build_reached("apply")),
    "deliver": (1, 2, _build_message("deliver")),
    "lose": (1, 2, _build_message("drop")),
    "crash": (0, 1, _build_crash),
    "fault": (0, 1, _build_fault),
    "op": (1, 2, _build_op),
    "kind": (1, 2, _build_kind),
}
_EXAMPLES: Final = {
    "leader": "leader n1",
    "role": "role candidate n1",
    "commit": "commit 12 n1",
    "apply": "apply 12 n1",
    "deliver": "deliver append n1>n2",
    "lose": "lose append n1>n2",
    "crash": "crash n1",
    "fault": "fault f1",
    "op": "op ok read",
    "kind": "kind fsync n1",
}
