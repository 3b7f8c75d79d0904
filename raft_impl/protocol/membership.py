"""Who is in the group: configurations as log entries, in force from the moment they are appended (section 6).

A node uses the latest configuration *in its log*, committed or not, and goes back to the one before when that entry is
truncated. `Memberships` is the history that makes this possible; it also answers which configuration was in force at an
applied index, which is the one a snapshot there must carry.

Voters change only by joint consensus: C_old,new first, C_new after C_old,new is committed. A change of learners alone
touches no majority and takes one entry; so does a change of where a member is reached, which is part of the
configuration so that everybody learns it in the order of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from .quorum import is_voter
from .state import Change, Entry, EntryKind, Index, Membership, NodeId


def encode(membership: Membership) -> bytes:
    """The data of a CONFIG entry."""
    return msgspec.msgpack.encode(membership)


def decode(data: bytes) -> Membership:
    """The membership in a CONFIG entry."""
    return msgspec.msgpack.decode(data, type=Membership)


def normal(membership: Membership) -> Membership:
    """The same membership with every list sorted: one configuration has one form."""
    return Membership(
        tuple(sorted(membership.voters)),
        tuple(sorted(membership.outgoing)),
        tuple(sorted(membership.learners)),
        tuple(sorted(membership.addresses)),
    )


def members(membership: Membership) -> tuple[NodeId, ...]:
    """Every node that the leader replicates to, sorted."""
    return tuple(sorted({*membership.voters, *membership.outgoing, *membership.learners}))


def target(membership: Membership, change: Change) -> Membership:
    """The ordinary configuration that the change asks for. Raises ValueError when it asks for nonsense."""
    named = [*change.vote, *change.listen, *change.leave]
    addresses = dict(change.addresses)
    if len(named) != len(set(named)) or len(addresses) != len(change.addresses):
        raise ValueError("a node is named twice")
    if membership.is_joint:
        raise ValueError("the configuration is joint")
    voters = (set(membership.voters) | set(change.vote)) - set(change.listen) - set(change.leave)
    learners = (set(membership.learners) | set(change.listen)) - set(change.vote) - set(change.leave)
    if not voters:
        raise ValueError("no voter would be left")
    if not addresses.keys() <= voters | learners:
        raise ValueError("an address is of nobody who would be a member")
    goal = Membership(tuple(sorted(voters)), (), tuple(sorted(learners)))
    return located(goal, {**dict(membership.addresses), **addresses})


def located(membership: Membership, addresses: Mapping[NodeId, str]) -> Membership:
    """The same membership with these addresses, as far as they are of its members."""
    known = tuple((node, addresses[node]) for node in members(membership) if node in addresses)
    return Membership(membership.voters, membership.outgoing, membership.learners, known)


def newcomers(membership: Membership, goal: Membership) -> tuple[NodeId, ...]:
    """Voters of `goal` that do not vote in `membership`: those who must catch up first."""
    return tuple(node for node in goal.voters if not is_voter(membership, node))


def enter(membership: Membership, goal: Membership) -> Membership:
    """The next configuration on the way to `goal`: C_old,new, or `goal` itself when the voters are the same.

    A voter that becomes a learner is in `outgoing` and in `learners` of C_old,new: the entry itself says how to
    leave it, so that any later leader can.
    """
    if goal.voters == membership.voters:
        return goal
    joint = Membership(goal.voters, membership.voters, goal.learners)
    return located(joint, {**dict(membership.addresses), **dict(goal.addresses)})


def leave(membership: Membership) -> Membership:
    """C_new of a joint configuration."""
    return located(Membership(membership.voters, (), membership.learners), dict(membership.addresses))


_CONFIG: Final = int(EntryKind.CONFIG)


class Memberships:
    """The configurations in the log, oldest first, over the one that held before them."""

    def __init__(self, index: Index, initial: Membership, entries: Iterable[Entry] = ()) -> None:
        """Begin with the configuration at `index` (a snapshot's, or 0) and read those in the entries after it."""
        self.current: Membership
        """The configuration in force."""
        self.index: Index
        """The index of the entry that holds it."""
        self._history: list[tuple[Index, Membership]]
        self.restore(index, initial)
        self.append(entries)

    def at(self, index: Index) -> Membership:
        """The configuration that was in force when `index` was applied."""
        for since, membership in reversed(self._history):
            if since <= index:
                return membership
        raise IndexError(f"no configuration is known at index {index}; the oldest is of {self._history[0][0]}")

    def may_lead(self, node: NodeId, commit: Index) -> bool:
        """Whether the node votes in the committed configuration or in a later one.

        A node removed by the configuration in force may still be needed to commit it, when no other has it in the
        log; it may campaign then, though its own vote does not count (dissertation 4.2.2).
        """
        for since, membership in reversed(self._history):
            if is_voter(membership, node):
                return True
            if since <= commit:
                return False
        return False

    def append(self, entries: Iterable[Entry]) -> bool:
        """Take the configurations among new entries. Returns whether there was one."""
        found = False
        for entry in entries:
            if entry.kind == _CONFIG and entry.index > self.index:
                self._history.append((entry.index, decode(entry.data)))
                self._adopt_latest()
                found = True
        return found

    def truncate(self, index: Index) -> bool:
        """Go back to the configuration before `index`. Returns whether that changed anything."""
        found = False
        while len(self._history) > 1 and self.index >= index:
            self._history.pop()
            self._adopt_latest()
            found = True
        return found

    def compact(self, index: Index) -> None:
        """Forget what was superseded at or before `index`."""
        while len(self._history) > 1 and self._history[1][0] <= index:
            del self._history[0]

    def restore(self, index: Index, membership: Membership) -> None:
        """Begin again at a snapshot whose log follows nothing of ours."""
        self._history = [(index, normal(membership))]
        self._adopt_latest()

    def _adopt_latest(self) -> None:
        self.index, self.current = self._history[-1]
