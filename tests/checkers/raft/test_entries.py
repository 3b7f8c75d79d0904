"""Entries in columns answer as plain dictionaries do, whatever is seen in whichever order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers.raft.entries import GAP_MAX, GENESIS, Applied, Entries

DIGESTS: list[Any] = [b"12345678", b"abcdefgh", bytes(8), b"", b"short", b"long" * 5]
FAR = 3 * GAP_MAX


class Dictionaries:
    """What columns stand for."""

    def __init__(self) -> None:
        self.named: dict[tuple[int, int, Any], int] = {}
        self.seen: dict[tuple[int, int], int] = {(0, 0): GENESIS}
        self.entries: list[tuple[int, Any]] = [(0, b"")]

    def add(self, at: int, before: int, term: int, digest: Any) -> None:
        self.named[before, term, digest] = len(self.entries)
        self.seen.setdefault((at, term), len(self.entries))
        self.entries.append((term, digest))

    def add_unknown(self, at: int, term: int) -> None:
        if term:
            self.seen.setdefault((at, term), len(self.entries))
        self.entries.append((term, b""))


@pytest.mark.parametrize("seed", range(40))
def test_entries_are_found_as_in_dictionaries(seed: int) -> None:
    rng = random.Random(seed)
    columns, plain = Entries(), Dictionaries()
    at_of = [0]
    for _ in range(150):
        before = rng.choice([len(at_of) - 1, len(at_of) - 1, rng.randrange(len(at_of))])
        at = at_of[before] + rng.choice([1] * 30 + [2, FAR])
        term, digest = rng.randrange(1, 4), rng.choice(DIGESTS[:2] * 5 + DIGESTS)
        assert columns.find(before, term, digest) == plain.named.get((before, term, digest))
        if (before, term, digest) in plain.named:
            continue
        if rng.random() < 0.1:
            at, term = rng.choice([at, rng.randrange(5), FAR + rng.randrange(9)]), rng.randrange(3)
            columns.add_unknown(at, term)
            plain.add_unknown(at, term)
        else:
            columns.add(at, before, term, digest)
            plain.add(at, before, term, digest)
        at_of.append(at)

    for (before, term, digest), identity in plain.named.items():
        assert columns.find(before, term, digest) == identity
    for identity, (term, digest) in enumerate(plain.entries):
        assert (columns.term_of[identity], columns.digest_of(identity)) == (term, digest)
    for at in {*at_of, -1, 7, FAR, max(at_of) + 1}:
        for term in range(5):
            assert columns.seen_at(at, term) == plain.seen.get((at, term))


@pytest.mark.parametrize("seed", range(40))
def test_what_was_applied_is_compared_with_the_first_word_on_each_index(seed: int) -> None:
    rng = random.Random(seed)
    columns, plain = Applied(), dict[int, tuple[Any, Any]]()
    for number in range(200):
        index = rng.choice([number // 2, rng.randrange(-1, 90), FAR + rng.randrange(20)])
        command, state = rng.choice(DIGESTS), rng.choice(DIGESTS)
        first = plain.setdefault(index, (command, state))
        expected = "command" if first[0] != command else "state" if first[1] != state else ""

        assert columns.note(index, command, state) == expected
        assert columns.state_at(index) == first[1]
        assert columns.state_at(index + 1) == plain.get(index + 1, (None, None))[1]
