"""The log on disk: what was acknowledged survives every crash, and nothing is ever silently wrong.

`SCRIPT` is a life of a log with everything in it: votes, conflicts, rotation, a compaction, an installed snapshot. The
sweeps cut it at every operation on the disk and compare what the next life finds with the only states that are allowed:
what was acknowledged, or that and a prefix of the batch that was under way.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from raft_impl.errors import Corrupt, DiskFailed
from raft_impl.protocol.membership import encode as encode_membership
from raft_impl.protocol.ready import Persist
from raft_impl.protocol.state import (
    Entry,
    EntryKind,
    HardState,
    Index,
    Membership,
    NodeId,
    Snapshot,
    SnapshotMeta,
    Term,
)
from raft_impl.runtime.durable import DurableReader
from raft_impl.runtime.env import Disk
from raft_impl.runtime.marks import TORN_TAIL
from raft_impl.runtime.recovered import Recovered
from raft_impl.runtime.wal import Wal
from tests.raft_impl.runtime.fakes import FakeDisk, PowerLoss, run

State = tuple[HardState, int, tuple[Entry, ...]]
"""(hard state, index of the snapshot, entries behind it)"""

SEGMENT_BYTES = 300

EMPTY: State = (HardState(Term(0)), 0, ())


def entries(first: int, *terms: int, size: int = 8) -> tuple[Entry, ...]:
    return tuple(
        Entry(Index(index), Term(term), EntryKind.COMMAND, f"{index}.{term}.".encode().ljust(size, b"x"))
        for index, term in enumerate(terms, first)
    )


def hard(term: int, vote: str | None = None) -> HardState:
    return HardState(Term(term), NodeId(vote) if vote else None)


def snapshot(index: int, term: int, size: int = 40) -> Snapshot:
    meta = SnapshotMeta(Index(index), Term(term), Membership((NodeId("a"),)))
    return Snapshot(meta, f"image at {index}".encode().ljust(size, b"."))


def persist(
    hard_state: HardState | None = None,
    truncate_from: int | None = None,
    added: tuple[Entry, ...] = (),
    image: Snapshot | None = None,
) -> Persist:
    cut = None if truncate_from is None else Index(truncate_from)
    return Persist(1, hard_state, cut, added, image)


SCRIPT = (
    persist(hard(1, "a")),
    persist(None, None, entries(1, 1, 1, 1)),
    persist(hard(2), 2, entries(2, 2, 2, 2)),
    persist(None, None, entries(5, 2, 2, 2, 2, 2, size=300)),
    persist(None, None, (), snapshot(6, 2)),
    persist(None, None, entries(10, 2, 2, 2)),
    persist(hard(3, "b"), 7, (), snapshot(20, 3, size=700)),
    persist(None, None, entries(21, 3, 3)),
    persist(hard(4), 22, entries(22, 4, 4)),
    persist(None, None, (), snapshot(22, 4)),
    persist(hard(5, "c")),
    persist(None, None, entries(24, 5, 5, 5)),
)


def open_wal(disk: Disk, segment_bytes: int = SEGMENT_BYTES) -> tuple[Wal, Recovered]:
    wal = Wal(disk, "g0", segment_bytes=segment_bytes, trailing_entries=2)
    return wal, run(wal.recover())


def state_of(found: Recovered) -> State:
    covered = found.snapshot.meta.index if found.snapshot else 0
    return found.hard_state, covered, tuple(entry for entry in found.entries if entry.index > covered)


def steps(state: State, change: Persist) -> list[State]:
    """The states through which a batch goes, record by record; the last one is the state after it."""
    hard_state, covered, log = state
    passed = [state]

    def reach() -> None:
        last_term = log[-1].term if log else (change.snapshot.meta.term if change.snapshot else Term(0))
        passed.append((hard_state if hard_state.term >= last_term else HardState(last_term), covered, log))

    if change.snapshot is not None:
        meta = change.snapshot.meta
        agrees = any((entry.index, entry.term) == (meta.index, meta.term) for entry in log)
        covered, log = meta.index, tuple(entry for entry in log if agrees and entry.index > meta.index)
        reach()
    if change.hard_state is not None:
        hard_state = change.hard_state
        reach()
    if change.truncate_from is not None:
        log = tuple(entry for entry in log if entry.index < change.truncate_from)
        reach()
    for entry in change.entries:
        log = (*log, entry)
        reach()
    return passed


def live(disk: Disk) -> tuple[State, list[State]]:
    """Run the script until it ends or the disk stops it: the acknowledged state, and what else may be found."""
    state, allowed = EMPTY, [EMPTY]
    try:
        wal, _ = open_wal(disk)
        for change in SCRIPT:
            allowed = steps(state, change)
            wal.write(change)
            run(wal.sync())
            state, allowed = allowed[-1], allowed[-1:]
    except (PowerLoss, DiskFailed):
        pass
    return state, allowed


def operation_count() -> int:
    disk = FakeDisk()
    live(disk)
    return disk.operation_count


def final_state() -> State:
    return live(FakeDisk())[0]


def test_a_log_is_found_as_it_was_left() -> None:
    disk = FakeDisk()

    state, _ = live(disk)

    found = open_wal(disk.lose_power())[1]
    assert state_of(found) == state
    assert state[:2] == (hard(5, "c"), 22)
    assert [entry.index for entry in state[2]] == [23, 24, 25, 26]
    assert found.repaired == ()


def test_the_script_rotates_segments_and_removes_covered_ones() -> None:
    disk = FakeDisk()

    live(disk)

    removed = [operation for operation in disk.operations if operation.startswith("unlink")]
    assert len(removed) >= 2
    assert len(disk.names()) <= 4


def test_a_log_whose_truncation_reaches_into_a_segment_removed_since_is_found_as_it_was_left() -> None:
    """The leader's entry replaced one at the end of the segment before, and then a snapshot covered that segment."""
    disk = FakeDisk()
    wal = Wal(disk, "g0", segment_bytes=SEGMENT_BYTES, trailing_entries=0)
    run(wal.recover())
    for change in (
        persist(hard(1), None, entries(1, 1, 1, 1, size=200)),
        persist(hard(2), 3, entries(3, 2, 2, 2)),
        persist(None, None, (), snapshot(4, 2)),
        persist(None, None, entries(6, 2)),
    ):
        wal.write(change)
        run(wal.sync())
    assert [name for name in disk.names() if name.endswith(".wal")] == ["g0-00000002.wal"]

    _, found = open_wal(disk.lose_power())

    assert state_of(found) == (hard(2), 4, entries(5, 2, 2))


def test_trailing_entries_are_handed_back_with_the_snapshot() -> None:
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    wal.write(persist(hard(1), None, entries(1, 1, 1, 1, 1, 1)))
    wal.write(persist(None, None, (), snapshot(4, 1)))
    run(wal.sync())

    found = open_wal(disk)[1]

    assert found.snapshot is not None
    assert [entry.index for entry in found.entries] == [3, 4, 5]


@pytest.mark.parametrize("boundary", range(operation_count()))
def test_power_loss_at_every_operation_loses_nothing_acknowledged(boundary: int) -> None:
    for trial in range(12):
        disk = FakeDisk()
        disk.lose_power_at = boundary

        state, allowed = live(disk)
        survivor = disk.lose_power(Random(1000 * boundary + trial) if trial else None)
        wal, found = open_wal(survivor)

        assert state_of(found) in allowed, f"trial {trial}: acknowledged {state}"
        _goes_on(survivor, wal, state_of(found))


def _goes_on(disk: FakeDisk, wal: Wal, state: State) -> None:
    """A recovered log takes more, and keeps it over the next power loss."""
    last = state[2][-1].index if state[2] else state[1]
    change = persist(hard(9, "z"), None, entries(last + 1, 9))
    wal.write(change)
    run(wal.sync())

    found = open_wal(disk.lose_power())[1]

    assert state_of(found) == steps(state, change)[-1]


@pytest.mark.parametrize("trial", range(40))
def test_batches_of_one_fsync_survive_in_order(trial: int) -> None:
    """Records are only ever lost from the end, over segment boundaries too, however many writes share an fsync."""
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    allowed = [EMPTY]
    for first in range(1, 13, 2):
        change = persist(hard(first, "a"), None, entries(first, 1, 1, size=170))
        wal.write(change)
        allowed += steps(allowed[-1], change)
        if first == 3:
            run(wal.sync())
            allowed = allowed[-1:]

    found = open_wal(disk.lose_power(Random(trial)))[1]

    assert state_of(found) in allowed


@pytest.mark.parametrize("boundary", range(operation_count()))
def test_a_kill_without_power_loss_keeps_what_was_written_and_makes_it_durable(boundary: int) -> None:
    disk = FakeDisk()
    disk.lose_power_at = boundary
    _, allowed = live(disk)

    survivor = disk.kill()
    _, found = open_wal(survivor)

    assert state_of(found) in allowed
    assert state_of(open_wal(survivor.lose_power())[1]) == state_of(found)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("number", range(operation_count()))
def test_any_failing_operation_stops_the_log_for_good(number: int, for_ever: bool) -> None:
    disk = FakeDisk()
    disk.fail_at, disk.for_ever = number, for_ever
    state, allowed = EMPTY, [EMPTY]
    failed = False
    try:
        wal, _ = open_wal(disk)
    except DiskFailed:
        return
    for change in SCRIPT:
        allowed = steps(state, change)
        wal.write(change)
        try:
            run(wal.sync())
        except DiskFailed:
            failed = True
            break
        state, allowed = allowed[-1], allowed[-1:]

    assert failed
    with pytest.raises(DiskFailed):
        run(wal.sync())
    for survivor in (disk.lose_power(), disk.lose_power(Random(number)), disk.kill()):
        assert state_of(open_wal(survivor)[1]) in allowed


def test_a_failed_write_is_latched_although_the_next_ones_would_succeed() -> None:
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    disk.fail_at = disk.operation_count

    wal.write(persist(hard(1)))
    wal.write(persist(hard(2)))

    with pytest.raises(DiskFailed, match="io-error"):
        run(wal.sync())
    assert disk.operations[-1].startswith("append")


def files_of_a_small_log() -> dict[str, bytes]:
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    for change in (
        persist(hard(1, "a"), None, entries(1, 1, 1)),
        persist(None, None, (), snapshot(1, 1)),
        persist(hard(2, "b"), 2, entries(2, 2, 2)),
    ):
        wal.write(change)
        run(wal.sync())
    return {name: disk.durable_content(name) for name in disk.names()}


SMALL = files_of_a_small_log()
SMALL_STATE = state_of(open_wal(FakeDisk(SMALL))[1])


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_flipped_bit_anywhere_is_refused(name: str) -> None:
    """A flipped bit leaves no hole, so not even at the end is it taken for a torn write and forgotten."""
    accepted = []
    for position in range(len(SMALL[name])):
        for bit in range(8):
            damaged = bytearray(SMALL[name])
            damaged[position] ^= 1 << bit
            try:
                open_wal(FakeDisk({**SMALL, name: bytes(damaged)}))
            except Corrupt:
                continue
            accepted.append((position, bit))

    assert accepted == []


def test_a_log_cut_at_any_byte_is_repaired_to_a_prefix() -> None:
    name = "g0-00000001.wal"
    seen = set()
    for size in range(len(SMALL[name])):
        files = {name: SMALL[name][:size]}
        found = open_wal(FakeDisk(files))[1]
        seen.add((found.hard_state, len(found.entries)))

    assert seen == {
        (hard(0), 0),
        (hard(1, "a"), 0),
        (hard(1, "a"), 1),
        (hard(1, "a"), 2),
        (hard(2, "b"), 2),
        (hard(2, "b"), 1),
    }


def test_a_torn_tail_is_cut_off_and_reported() -> None:
    name = "g0-00000001.wal"
    disk = FakeDisk({**SMALL, name: SMALL[name][:-3]})

    wal, found = open_wal(disk)

    assert found.repaired == (TORN_TAIL,)
    assert found.entries[-1].index == 2
    _goes_on(disk, wal, state_of(found))


def test_a_sector_of_zeros_that_was_durable_is_refused() -> None:
    disk = FakeDisk()
    wal, _ = open_wal(disk, segment_bytes=100_000)
    for number in range(1, 9):
        wal.write(persist(None, None, entries(number, 1, size=200)))
        run(wal.sync())
    name = disk.names()[0]
    content = bytearray(disk.durable_content(name))
    content[512:1024] = bytes(512)

    with pytest.raises(Corrupt, match="log-corrupt"):
        open_wal(FakeDisk({name: bytes(content)}))


def test_a_hole_in_the_last_batch_takes_the_whole_records_behind_it_along() -> None:
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    wal.write(persist(hard(1), None, entries(1, 1)))
    run(wal.sync())
    wal.write(persist(None, None, entries(2, 1, 1, 1, 1, 1, 1, size=200)))
    name = disk.names()[0]
    content = disk.cached[name]
    content[512:1024] = bytes(512)

    found = open_wal(FakeDisk({name: bytes(content)}))[1]

    assert found.repaired == (TORN_TAIL,)
    assert [entry.index for entry in found.entries] == [1, 2]


@pytest.mark.parametrize("is_told", [False, True])
def test_a_blank_before_a_whole_record_is_cut_off_unless_that_record_says_it_was_durable(is_told: bool) -> None:
    # What a failed fsync leaves whose pages were dropped, if more was appended before the node stopped.
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    wal.write(persist(hard(1), None, entries(1, 1)))
    run(wal.sync())
    name = disk.names()[0]
    begin = len(disk.cached[name])
    wal.write(persist(None, None, entries(2, 1)))
    end = len(disk.cached[name])
    if is_told:
        run(wal.sync())
    wal.write(persist(None, None, entries(3, 1)))
    content = bytearray(disk.cached[name])
    content[begin:end] = bytes(end - begin)
    assert end - begin < 512
    blanked = FakeDisk({name: bytes(content)})

    if is_told:
        with pytest.raises(Corrupt, match="log-corrupt"):
            open_wal(blanked)
        return
    found = open_wal(blanked)[1]

    assert found.repaired == (TORN_TAIL,)
    assert [entry.index for entry in found.entries] == [1]


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_missing_segment_is_refused_unless_a_snapshot_covers_it(victim: int) -> None:
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    for number in range(1, 10):
        wal.write(persist(None, None, entries(number, 1, size=300)))
        run(wal.sync())
    names = disk.names()
    assert len(names) > 3

    files = {name: disk.durable_content(name) for name in names}
    del files[names[victim]]
    damaged = FakeDisk(files)

    with pytest.raises(Corrupt, match="log-gap"):
        open_wal(damaged)

    assert damaged.cached == files


def test_a_missing_snapshot_is_refused() -> None:
    disk = FakeDisk()
    live(disk)
    files = {name: disk.durable_content(name) for name in disk.names() if not name.endswith(".snapshot")}

    with pytest.raises(Corrupt, match="log-gap"):
        open_wal(FakeDisk(files))


def test_an_old_record_in_a_new_place_is_refused() -> None:
    """A misdirected write puts a whole, well-formed record where another one was."""
    disk = FakeDisk()
    wal, _ = open_wal(disk)
    sizes = [0]
    for number in range(1, 4):
        wal.write(persist(None, None, entries(number, 1)))
        run(wal.sync())
        sizes.append(len(disk.durable_content("g0-00000001.wal")))
    content = bytearray(disk.durable_content("g0-00000001.wal"))
    length = sizes[3] - sizes[2]
    content[sizes[2] : sizes[3]] = content[sizes[1] : sizes[1] + length]

    with pytest.raises(Corrupt):
        open_wal(FakeDisk({"g0-00000001.wal": bytes(content)}))


def test_files_of_other_groups_are_left_alone() -> None:
    disk = FakeDisk()
    live(disk)
    before = {name: disk.read(name) for name in disk.names()}
    other = Wal(disk, "g1", segment_bytes=SEGMENT_BYTES, trailing_entries=2)

    found = run(other.recover())
    other.write(persist(hard(7)))
    run(other.sync())

    assert state_of(found) == EMPTY
    assert {name: disk.read(name) for name in before} == before


def test_the_reader_of_durable_facts_follows_every_fsync() -> None:
    disk, reader = FakeDisk(), DurableReader()
    wal, _ = open_wal(disk)
    sizes: dict[str, int] = {}
    state = EMPTY
    for change in SCRIPT:
        state = steps(state, change)[-1]
        wal.write(change)
        run(wal.sync())
        facts: tuple[object, ...] = ()
        for name in disk.names():
            content = bytearray(disk.durable_content(name))
            if name not in sizes or len(content) > sizes[name]:
                facts = reader.synced(name, content, sizes.get(name, 0)) or facts
            sizes[name] = len(content)
        last = state[2][-1].index if state[2] else state[1]
        if change.entries or change.hard_state is not None:
            assert [fact[:4] for fact in facts] == [("g0", last, state[0].term, state[0].vote)]
            if state[2]:
                assert [fact[4:] for fact in facts] in ([(state[2][-1].term,)], [()])


def test_the_reader_reads_anew_what_changed_under_it() -> None:
    reader = DurableReader()
    name = "g0-00000001.wal"
    reader.synced(name, bytearray(SMALL[name]), 0)

    shorter = reader.synced(name, bytearray(SMALL[name][:-3]), 0)
    again = reader.synced(name, bytearray(SMALL[name]), 0)

    assert shorter == (("g0", 2, 2, "b", 2),)
    assert again == (("g0", 3, 2, "b", 2),)


def test_the_reader_says_everything_again_of_a_file_that_took_the_place_of_another() -> None:
    configuration = Entry(Index(1), Term(1), EntryKind.CONFIG, encode_membership(Membership((NodeId("a"),))))
    disk, reader, name = FakeDisk(), DurableReader(), "g0-00000001.wal"
    wal, _ = open_wal(disk)
    wal.write(persist(hard(1), None, (configuration, *entries(2, 1))))
    run(wal.sync())
    content = bytearray(disk.durable_content(name))
    expected = (("g0", 2, 1, None, 1, ((1, 1, ("a",), (), ()),)),)

    first, second = reader.synced(name, content, 0), reader.synced(name, content, len(content))
    reader.renamed(f"{name}.tmp", name)
    copied = reader.synced(name, content, len(content))

    assert first == copied == expected
    assert second == (("g0", 2, 1, None, 1),)


def test_the_reader_follows_a_truncation_into_an_earlier_segment() -> None:
    disk, reader = FakeDisk(), DurableReader()
    wal, _ = open_wal(disk)
    facts: tuple[object, ...] = ()
    for change in (persist(hard(1), None, entries(1, 1, 1, 1, size=200)), persist(hard(2), 2), persist(hard(3))):
        wal.write(change)
        run(wal.sync())
        name = disk.names()[-1]
        facts = reader.synced(name, bytearray(disk.durable_content(name)), 0)

    assert len(disk.names()) == 2
    assert facts == (("g0", 1, 3, None),)


def test_records_behind_a_second_snapshot_are_not_taken_for_durable_with_the_first() -> None:
    """Found by the membership profile, counter seed 657, with asynchronous storage.

    A snapshot and an entry came while another snapshot was being published. The entry was framed, and waited behind its
    snapshot; the fsync of the file at the end of that sync did not cover it, and was taken to.
    """

    class Busy(FakeDisk):
        during: Callable[[], None] | None = None

        async def fsync(self, name: str) -> None:
            meanwhile, self.during = self.during, None
            if meanwhile is not None:
                meanwhile()
            await super().fsync(name)

    disk = Busy()
    wal, _ = open_wal(disk)
    wal.write(persist(hard(1), None, entries(1, 1, 1, 1)))
    run(wal.sync())
    wal.write(persist(image=snapshot(2, 1)))

    def more() -> None:
        wal.write(persist(image=snapshot(3, 1)))
        wal.write(persist(None, None, entries(4, 1)))

    disk.during = more
    run(wal.sync())
    run(wal.sync())

    facts = DurableReader().synced("g0-00000001.wal", bytearray(disk.durable_content("g0-00000001.wal")), 0)
    assert facts[0][1] == 4


def overlapping(disk: FakeDisk, random: Random) -> list[State]:
    """Run the script with asynchronous storage: what is written comes during fsyncs, too. The states that may be found.

    What is acknowledged is what was written before a sync that has ended began. An image may be there before what was
    written before it: records wait for an image that waits, and a second one takes the place of the first.
    """
    wal = Wal(disk, "g0", segment_bytes=SEGMENT_BYTES, trailing_entries=random.choice((0, 2)))
    left = list(SCRIPT)
    allowed = [EMPTY]

    def write_next() -> None:
        change = left.pop(0)
        allowed.extend(steps(allowed[-1], change)[1:])
        wal.write(change)

    async def meanwhile() -> None:
        while left and random.random() < 0.4:
            write_next()

    try:
        run(wal.recover())
        disk.pause = meanwhile
        while left:
            write_next()
            written = allowed[-1]
            run(wal.sync())
            del allowed[: len(allowed) - 1 - allowed[::-1].index(written)]
    except PowerLoss:
        pass
    images = [change.snapshot for change in SCRIPT if change.snapshot is not None]
    return allowed + [
        steps(state, persist(image=image))[-1]
        for state in allowed
        for image in images[: len(images) - sum(change.snapshot is not None for change in left)]
        if image.meta.index > state[1]
    ]


@pytest.mark.parametrize("trial", range(30))
@pytest.mark.parametrize("is_kill", [True, False], ids=["kill", "power-loss"])
def test_what_is_written_during_an_fsync_costs_nothing_that_was_acknowledged(trial: int, is_kill: bool) -> None:
    """Found by seed 432 of the nightly suite, with asynchronous storage.

    An image came during the fsync of a segment, and what only this image covers was removed before it had its name.
    """
    whole = FakeDisk()
    overlapping(whole, Random(trial))
    for boundary in range(whole.operation_count + 1):
        disk = FakeDisk()
        disk.lose_power_at = boundary
        allowed = overlapping(disk, Random(trial))

        survivor = disk.kill() if is_kill else disk.lose_power(Random(boundary))

        assert state_of(open_wal(survivor)[1]) in allowed, f"boundary {boundary}"
