"""The log against the obvious one: a dictionary of entries, and a disk that replays what was handed out."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raft_impl.protocol.errors import MisuseError
from raft_impl.protocol.log import Log
from raft_impl.protocol.state import Entry, EntryKind, Index, Term


def entries(first: int, *terms: int) -> list[Entry]:
    """Entries from index `first` on, of these terms."""
    return [
        Entry(Index(index), Term(term), EntryKind.COMMAND, f"{index}@{term}".encode())
        for index, term in enumerate(terms, first)
    ]


def fresh(*terms: int) -> Log:
    """A recovered log of these terms."""
    return Log(Index(0), Term(0), entries(1, *terms))


class LogAgainstObviousModel(RuleBasedStateMachine):
    """Any sequence of legal calls, with writes that are acknowledged late."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(Index(0), Term(0))
        self.terms: dict[int, int] = {0: 0}
        self.base = 0
        self.disk: list[tuple[int, int]] = []  # (index, term) as the disk has it when all writes are done
        self.writes: list[tuple[int, list[tuple[int, int]]]] = []  # (token, the disk after that write)
        self.durable: list[tuple[int, int]] = []
        self.token = 0

    @property
    def last(self) -> int:
        return max(self.terms)

    @rule(count=st.integers(1, 4), raised=st.integers(0, 2))
    def append(self, count: int, raised: int) -> None:
        term = self.terms[self.last] + raised or 1
        added = entries(self.last + 1, *[term] * count)
        self.log.append(added)
        self.terms |= {entry.index: entry.term for entry in added}

    @precondition(lambda self: self.last > self.base)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(self.base + 1, self.last))
        self.log.truncate(Index(index))
        self.terms = {known: term for known, term in self.terms.items() if known < index}

    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(self.base, max(self.base, min(self.last, self.log.durable))))
        self.log.compact(Index(index))
        self.base = index
        self.terms = {known: term for known, term in self.terms.items() if known >= index}

    @rule(gap=st.integers(1, 3), term=st.integers(1, 3))
    def restore(self, gap: int, term: int) -> None:
        last_term = self.terms[self.last]
        self.base = self.last + gap
        self.terms = {self.base: last_term + term}
        self.log.restore(Index(self.base), Term(self.terms[self.base]))

    @rule()
    def hand_out(self) -> None:
        self.token += 1
        truncate_from, added = self.log.hand_out(self.token)
        if truncate_from is not None:
            self.disk = [pair for pair in self.disk if pair[0] < truncate_from]
        self.disk = self.disk + [(entry.index, entry.term) for entry in added]
        self.writes.append((self.token, self.disk))

    @precondition(lambda self: self.writes)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        done = data.draw(st.integers(1, len(self.writes)))
        token, self.durable = self.writes[done - 1]
        del self.writes[:done]
        self.log.acknowledge(token)

    @invariant()
    def indexes_and_terms_agree(self) -> None:
        assert (self.log.base, self.log.last) == (self.base, self.last)
        assert self.log.last_term == self.terms[self.last]
        for index in range(self.base - 2, self.last + 3):
            assert self.log.term(Index(index)) == self.terms.get(index if index >= self.base else -1)

    @invariant()
    def what_counts_as_durable_is_on_the_disk(self) -> None:
        """Never more than the disk has now, and would still have after the writes under way."""
        for _, disk in [(0, self.durable), *self.writes]:
            on_disk = dict(disk)
            for index in range(self.base + 1, self.log.durable + 1):
                assert on_disk.get(index) == self.terms[index]

    @invariant()
    def runs_of_terms_agree(self) -> None:
        held = {index: term for index, term in self.terms.items() if index > self.base}
        for index, term in held.items():
            first = min(known for known in held if held[known] == term)
            assert self.log.first_of_term(Index(index)) == first
        for term in range(1, self.terms[self.last] + 2):
            for below in range(self.base + 1, self.last + 3):
                known = [index for index, held_term in self.terms.items() if held_term == term and index < below]
                assert self.log.last_of_term(Term(term), Index(below)) == max(known, default=None)


LogAgainstObviousModel.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLogAgainstObviousModel = LogAgainstObviousModel.TestCase


def test_an_unknown_term_is_none_and_not_zero() -> None:
    """Two unknown terms must not compare equal, as 0 and 0 would."""
    log = fresh(1, 1, 2)
    log.compact(Index(2))

    assert [log.term(Index(index)) for index in range(5)] == [None, None, 1, 2, None]


def test_an_acknowledgement_of_replaced_entries_counts_for_nothing() -> None:
    """The write of the old entries is done, but they are not our entries any more."""
    log = fresh(1)
    log.append(entries(2, 1, 1))
    log.hand_out(token=1)
    log.truncate(Index(2))
    log.append(entries(2, 2))

    log.acknowledge(token=1)

    assert log.durable == 1


def test_a_replaced_entry_that_comes_back_is_durable_only_with_its_own_write() -> None:
    """The same (index, term) twice: written, cut off, and sent again by a later leader (the "ABA" of late acks)."""
    log = fresh()
    log.append(entries(1, 1))
    log.hand_out(token=1)
    log.truncate(Index(1))
    log.append(entries(1, 2))
    log.hand_out(token=2)
    log.truncate(Index(1))
    log.append(entries(1, 1))
    log.hand_out(token=3)

    log.acknowledge(token=1)
    assert log.durable == 0
    log.acknowledge(token=2)
    assert log.durable == 0
    log.acknowledge(token=3)
    assert log.durable == 1


def test_a_batch_respects_both_limits_but_always_moves() -> None:
    """One entry goes, however large; after it, both limits bind."""
    log = Log(Index(0), Term(0))
    log.append([Entry(Index(index), Term(1), EntryKind.COMMAND, b"x" * 10) for index in range(1, 6)])

    assert [len(log.batch(Index(1), count, size)[0]) for count, size in [(9, 99), (2, 99), (9, 25), (9, 1)]] == [
        5,
        2,
        2,
        1,
    ]
    assert log.batch(Index(6), 9, 99) == ((), 0)


def test_only_what_was_handed_out_is_cut_off_on_disk() -> None:
    """Entries that never reached the driver need no truncation."""
    log = fresh(1, 1)
    log.append(entries(3, 1, 1))
    log.truncate(Index(3))
    log.append(entries(3, 2))

    assert log.hand_out(token=1) == (None, tuple(entries(3, 2)))

    log.truncate(Index(2))
    assert log.hand_out(token=2) == (Index(2), ())


def test_gaps_and_foreign_indexes_are_refused() -> None:
    """A driver's mistake is named, never absorbed."""
    log = fresh(1, 1)

    with pytest.raises(MisuseError, match="expected 3"):
        log.append(entries(4, 1))
    with pytest.raises(IndexError):
        log.truncate(Index(3))
    with pytest.raises(IndexError):
        log.compact(Index(3))
    with pytest.raises(IndexError):
        log.entry(Index(3))
