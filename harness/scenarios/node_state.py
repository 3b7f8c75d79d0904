"""The state of every node after a step: what `show` prints as a table, and what a visual walk-through draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from .language import write_terms

_HEADINGS: Final = ("node", "role", "term", "vote", "log", "commit", "applied")


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """One node and the replica on it.

    `role` may also be `down` or `refuses`; then there is no term. `first` is the index of the first entry that is still
    in the log, whose terms follow from there. The log of a node that is down is what its notes
    said before.
    """

    node: str
    role: str
    term: int | None = None
    vote: str | None = None
    first: int = 1
    log: tuple[int, ...] = ()
    commit: int = 0
    applied: int = 0
    voters: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()

    @property
    def members(self) -> str:
        """The configuration in words: `A B C, from A B, learners D`; empty for a node that is down."""
        return describe_members(self.voters, self.outgoing, self.learners)

    @property
    def log_text(self) -> str:
        """The log as scenarios write it: `1,1,2`, or `3: 1,2` when it begins at index 3."""
        terms = write_terms(self.log)
        return f"{self.first}: {terms}".rstrip() if self.first > 1 else terms


def describe_members(voters: Sequence[str], outgoing: Sequence[str], learners: Sequence[str]) -> str:
    """A configuration in words."""
    parts = [" ".join(voters)] if voters else []
    if outgoing:
        parts.append("from " + " ".join(outgoing))
    if learners:
        parts.append("learners " + " ".join(learners))
    return ", ".join(parts)


def table_of(states: Sequence[NodeState], initial_voters: Sequence[str]) -> list[str]:
    """A table of all nodes; the members are a column once any node's configuration is not the first."""
    initial = " ".join(sorted(initial_voters))
    changed = any(state.members not in ("", initial) for state in states)
    table = [[*_HEADINGS, *["members"] * changed]]
    table += [[*_row(state), *[state.members] * changed] for state in states]
    return columns(table)


def _row(state: NodeState) -> list[str]:
    hard_state = ["-", "-"] if state.term is None else [str(state.term), state.vote or "-"]
    if state.role == "refuses":
        return [state.node, state.role, *hard_state, "-", "-", "-"]
    return [state.node, state.role, *hard_state, f"[{state.log_text}]", str(state.commit), str(state.applied)]


def columns(table: Sequence[Sequence[Any]]) -> list[str]:
    """Lines with aligned columns."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
