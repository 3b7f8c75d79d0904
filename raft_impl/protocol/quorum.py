"""Majorities, single and joint: the arithmetic of votes, match indexes and times of contact.

A joint configuration (C_old,new, section 6 of the paper) decides only what a majority of *both* halves decides. In an
ordinary configuration the outgoing half is empty and has no say.

All functions are pure and take values by voter; a node that is not a voter never counts, even if it has a value.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final

from .state import Membership, NodeId


class Tally(enum.Enum):
    """The state of a vote."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def tally(membership: Membership, votes: Mapping[NodeId, bool]) -> Tally:
    """The state of an election: won by both majorities, lost when one of them can no longer be won."""
    incoming = _tally_half(membership.voters, votes)
    if not membership.outgoing:
        return incoming
    outgoing = _tally_half(membership.outgoing, votes)
    if incoming is outgoing:
        return incoming
    return Tally.LOST if Tally.LOST in (incoming, outgoing) else Tally.PENDING


NEVER: Final = -(1 << 62)
"""A time before all times: what a voter that was never heard of contributes to `agreed`."""


def agreed(membership: Membership, values: Mapping[NodeId, int]) -> int:
    """The highest value that a majority of each half has reached; a voter without a value counts as `NEVER`.

    With match indexes this is the index that is safe to commit, with send times of acknowledged rounds the time since
    which leadership is confirmed.
    """
    incoming = _agreed_half(membership.voters, values)
    if not membership.outgoing:
        return incoming
    return min(incoming, _agreed_half(membership.outgoing, values))


def electorate(membership: Membership) -> tuple[NodeId, ...]:
    """Every node whose vote counts, once, sorted."""
    if not membership.outgoing:
        return membership.voters
    return tuple(sorted({*membership.voters, *membership.outgoing}))


def is_voter(membership: Membership, node: NodeId) -> bool:
    """Whether the node's vote counts in either half."""
    return node in membership.voters or node in membership.outgoing


def _tally_half(voters: Sequence[NodeId], votes: Mapping[NodeId, bool]) -> Tally:
    majority = len(voters) // 2 + 1
    granted = refused = 0
    for voter in voters:
        vote = votes.get(voter)
        if vote is True:
            granted += 1
        elif vote is False:
            refused += 1
    if granted >= majority:
        return Tally.WON
    return Tally.LOST if len(voters) - refused < majority else Tally.PENDING


def _agreed_half(voters: Sequence[NodeId], values: Mapping[NodeId, int]) -> int:
    # Of n ascending values the one at (n - 1) // 2 has n // 2 + 1 values, a majority, at or above it.
    return sorted([values.get(voter, NEVER) for voter in voters])[(len(voters) - 1) // 2]
