"""Majorities against the definition: count, for every possible value, who has reached it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_impl.protocol.quorum import NEVER, Tally, agreed, electorate, is_voter, tally
from raft_impl.protocol.state import Membership, NodeId

NAMES = [NodeId(name) for name in "abcdefg"]


def nodes(names: str) -> tuple[NodeId, ...]:
    """Single-letter node names."""
    return tuple(NodeId(name) for name in names)


@st.composite
def memberships(draw: st.DrawFn) -> Membership:
    """Any configuration, joint or not."""
    voters = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    outgoing = draw(st.lists(st.sampled_from(NAMES), unique=True))
    learners = draw(st.lists(st.sampled_from(NAMES), unique=True))
    return Membership(tuple(sorted(voters)), tuple(sorted(outgoing)), tuple(sorted(learners)))


def has_majority(half: tuple[NodeId, ...], members: list[NodeId]) -> bool:
    """The definition: more than half of the half."""
    return not half or 2 * sum(node in members for node in half) > len(half)


def is_quorum(membership: Membership, members: list[NodeId]) -> bool:
    """The definition for joint configurations: a majority of each half."""
    return has_majority(membership.voters, members) and has_majority(membership.outgoing, members)


@given(memberships(), st.dictionaries(st.sampled_from(NAMES), st.integers(0, 5)))
def test_agreed_is_the_highest_value_that_a_quorum_reached(membership: Membership, values: dict[NodeId, int]) -> None:
    """Equal to trying every candidate value, highest first."""
    candidates = sorted({NEVER, *values.values()}, reverse=True)
    reached = {value: [node for node in NAMES if values.get(node, NEVER) >= value] for value in candidates}

    expected = next(value for value in candidates if is_quorum(membership, reached[value]))

    assert expected == agreed(membership, values)


@given(memberships(), st.dictionaries(st.sampled_from(NAMES), st.booleans()))
def test_a_vote_is_won_or_lost_exactly_when_it_is_decided(membership: Membership, votes: dict[NodeId, bool]) -> None:
    """Won: the grants are a quorum. Lost: not even all who have not refused would be."""
    granted = [node for node, vote in votes.items() if vote]
    not_refused = [node for node in NAMES if votes.get(node, True)]

    result = tally(membership, votes)

    assert (result is Tally.WON) == is_quorum(membership, granted)
    assert (result is Tally.LOST) == (not is_quorum(membership, not_refused))


@given(memberships(), st.lists(st.sampled_from(NAMES)), st.lists(st.sampled_from(NAMES)))
def test_two_quorums_of_one_configuration_intersect(
    membership: Membership, some: list[NodeId], others: list[NodeId]
) -> None:
    """The fact that all of Raft stands on."""
    won = dict.fromkeys(some, True), dict.fromkeys(others, True)

    if all(tally(membership, votes) is Tally.WON for votes in won):
        assert set(some) & set(others)


@pytest.mark.parametrize(
    ("names", "needed"), [("a", 1), ("ab", 2), ("abc", 2), ("abcd", 3), ("abcde", 3), ("abcdef", 4), ("abcdefg", 4)]
)
def test_a_majority_is_more_than_half(names: str, needed: int) -> None:
    """Also for even sizes, where half is not enough."""
    membership = Membership(nodes(names))

    enough = {NodeId(name): True for name in names[:needed]}
    too_few = {NodeId(name): True for name in names[: needed - 1]}

    assert tally(membership, enough) is Tally.WON
    assert tally(membership, too_few) is not Tally.WON


def test_a_joint_configuration_needs_both_majorities() -> None:
    """Section 6: neither a majority of the union nor of one half decides anything."""
    joint = Membership(nodes("abc"), nodes("cde"))

    assert tally(joint, dict.fromkeys(nodes("ab"), True)) is Tally.PENDING
    assert tally(joint, dict.fromkeys(nodes("abde"), True)) is Tally.WON
    assert tally(joint, dict.fromkeys(nodes("abc"), True)) is Tally.PENDING
    assert tally(joint, dict.fromkeys(nodes("de"), False)) is Tally.LOST
    assert agreed(joint, dict.fromkeys(nodes("abc"), 7)) == NEVER


@given(memberships(), st.sampled_from(NAMES))
def test_the_electorate_is_everyone_whose_vote_counts(membership: Membership, node: NodeId) -> None:
    """Listed once each; learners are not in it unless they still vote in the old half."""
    assert list(electorate(membership)) == sorted(set(electorate(membership)))
    assert (node in electorate(membership)) == is_voter(membership, node)
