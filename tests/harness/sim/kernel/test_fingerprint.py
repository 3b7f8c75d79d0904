"""The fingerprint: a hash of what happened, whenever it was computed."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from harness.sim.kernel.fingerprint import Log, Row

ROWS: list[Row] = [(i * 7, "send", f"n{i % 3}", i, "n1", b"\0" * (i % 5), (i, None, "x")) for i in range(5_000)]


def logged(rows: list[Row], *, hash_at: Iterable[int] = (), keep: bool = False) -> Log:
    moments = set(hash_at)
    log = Log(keep=keep)
    for position, row in enumerate(rows):
        log.append(row)
        if position in moments:
            log.hash_batches()
    return log


@pytest.mark.parametrize("count", [0, 1, 2_047, 2_048, 2_049, 4_096, 5_000])
def test_the_moment_of_hashing_does_not_matter(count: int) -> None:
    at_random = set(random.Random(count).sample(range(5_000), 300))

    digests = {
        logged(ROWS[:count]).close(),
        logged(ROWS[:count], hash_at=set(range(count))).close(),
        logged(ROWS[:count], hash_at=at_random).close(),
    }

    assert len(digests) == 1


@pytest.mark.parametrize(
    "other",
    [
        ROWS[:-1],
        [*ROWS[:-1], (0,)],
        [ROWS[1], ROWS[0], *ROWS[2:]],
        [(*ROWS[0][:-1], (0, "", "x")), *ROWS[1:]],
        [(*ROWS[0][:-1], (0, False, "x")), *ROWS[1:]],
        [(*ROWS[0], None), *ROWS[1:]],
    ],
    ids=["shorter", "last row", "order", "none or text", "none or false", "longer row"],
)
def test_any_difference_shows(other: list[Row]) -> None:
    assert logged(ROWS).close() != logged(other).close()


def test_where_one_part_of_the_seed_ends_shows() -> None:
    one, other = Log(keep=False), Log(keep=False)

    one.seed(b"sim/1", b"plan")
    other.seed(b"sim/1p", b"lan")

    assert one.close() != other.close()


def test_rows_after_the_end_are_ignored() -> None:
    log = logged(ROWS[:10], keep=True)
    digest = log.close()

    log.append((99, "note", "n1"))
    log.hash_batches()

    assert log.close() == digest
    assert log.kept == ROWS[:10]
    assert log.index == 10


@pytest.mark.parametrize("keep", [False, True])
def test_every_row_is_passed_on_once_and_in_order(keep: bool) -> None:
    passed: list[Row] = []

    def take(first: int, rows: list[Row]) -> None:
        assert first == len(passed)
        passed.extend(rows)

    log = Log(keep=keep)
    log.takers.append(take)
    for row in ROWS:
        log.append(row)
        log.hash_batches()

    assert log.close() == logged(ROWS).close()
    assert passed == ROWS
    assert log.kept == (ROWS if keep else [])


def test_the_index_counts_every_row() -> None:
    log = Log(keep=False)

    indexes = []
    for row in ROWS:
        indexes.append(log.index)
        log.append(row)
        if row[0] % 5 == 0:
            log.hash_batches()

    assert indexes == list(range(len(ROWS)))
    assert log.kept == []


@pytest.mark.parametrize("begin", [0, 1, 2_047, 2_048, 3_000, 5_000])
def test_rows_can_be_kept_from_any_index_on(begin: int) -> None:
    log = Log(keep=False)
    for position, row in enumerate(ROWS):
        if position == begin:
            log.keep_from_here()
        log.append(row)
        log.hash_batches()
    if begin == len(ROWS):
        log.keep_from_here()

    log.close()

    assert log.kept_from == begin
    assert log.kept == ROWS[begin:]


@pytest.mark.parametrize("restarts_at", [0, 1, 2_048, 4_999])
def test_a_log_that_is_restarted_is_that_of_another_plan_from_the_start(restarts_at: int) -> None:
    other, log = Log(keep=False), Log(keep=False, can_restart=True)
    other.seed(b"world", b"its plan")
    log.seed(b"world", b"a plan")

    for position, row in enumerate(ROWS):
        for one in (other, log):
            one.append(row)
            one.hash_batches()
        if position == restarts_at:
            log.restart(b"world", b"its plan")

    assert log.close() == other.close()


def test_a_closed_log_can_be_restarted_too() -> None:
    other, log = Log(keep=False), Log(keep=False, can_restart=True)
    other.seed(b"its plan")
    for one in (other, log):
        for row in ROWS:
            one.append(row)
    log.close()

    log.restart(b"its plan")

    assert log.close() == other.close()
