"""The disk: what was synced survives a power loss; of the rest, only a part that could have reached the platter."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness.sim.disk import Keeps, SimDisk, SyncEnd
from harness.sim.kernel.draws import Chance, Counter

SECTOR = 4
NAMES = st.sampled_from(["a", "b", "c"])
DATA = st.binary(max_size=11)


@dataclass
class Inode:
    """A file as its whole past: the content after each change, and what a torn last change may leave."""

    versions: list[bytes] = field(default_factory=lambda: [b""])
    torn: list[set[bytes]] = field(default_factory=list)  # torn[k]: what change k may leave of itself
    durable: int = 0  # changes that an fsync covered

    def change(self, content: bytes, torn: set[bytes]) -> None:
        self.versions.append(content)
        self.torn.append(torn)

    def may_be_left_with(self, content: bytes) -> bool:
        return content in self.versions[self.durable :] or any(content in torn for torn in self.torn[self.durable :])


class DiskMachine(RuleBasedStateMachine):
    """A disk beside the obvious model: every past state of every file and of the directory, and what was synced."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimDisk(sector_bytes=SECTOR)
        self.directories: list[dict[str, Inode]] = [{}]  # after each change of names
        self.durable = 0  # changes of names that an fsync of the directory covered
        self.pending: list[tuple[Callable[[], Any], Inode | None, int]] = []

    @property
    def names(self) -> dict[str, Inode]:
        return self.directories[-1]

    def rename_to(self, names: dict[str, Inode]) -> None:
        self.directories.append(names)

    def inode(self, name: str) -> Inode:
        if name not in self.names:
            self.rename_to({**self.names, name: Inode()})
        return self.names[name]

    @rule(name=NAMES, data=DATA)
    def append(self, name: str, data: bytes) -> None:
        self.disk.append(name, data)
        inode = self.inode(name)
        before = inode.versions[-1]
        inode.change(before + data, {before + data[:size] for size in range(len(data))})

    @precondition(lambda self: self.names)
    @rule(choice=st.data(), position=st.integers(0, 12), data=DATA)
    def overwrite(self, choice: st.DataObject, position: int, data: bytes) -> None:
        name = choice.draw(st.sampled_from(sorted(self.names)))
        self.disk.overwrite(name, position, data)
        inode = self.inode(name)
        before = inode.versions[-1]
        padded = before.ljust(position, b"\0")
        parts = [padded[:position] + data[:size] + padded[position + size :] for size in range(1, len(data) + 1)]
        inode.change(parts[-1] if data else padded, set(parts))

    @rule(name=NAMES, data=DATA)
    def write(self, name: str, data: bytes) -> None:
        self.disk.write(name, data)
        self.inode(name).change(data, {data[:size] for size in range(1, len(data))})

    @precondition(lambda self: self.names)
    @rule(choice=st.data(), size=st.integers(0, 12))
    def truncate(self, choice: st.DataObject, size: int) -> None:
        name = choice.draw(st.sampled_from(sorted(self.names)))
        self.disk.truncate(name, size)
        inode = self.inode(name)
        inode.change(inode.versions[-1][:size], set())

    @precondition(lambda self: self.names)
    @rule(choice=st.data(), to=NAMES)
    def rename(self, choice: st.DataObject, to: str) -> None:
        source = choice.draw(st.sampled_from(sorted(self.names)))
        self.disk.rename(source, to)
        rest = {name: inode for name, inode in self.names.items() if name != source}
        self.rename_to({**rest, to: self.names[source]})

    @precondition(lambda self: self.names)
    @rule(choice=st.data())
    def unlink(self, choice: st.DataObject) -> None:
        name = choice.draw(st.sampled_from(sorted(self.names)))
        self.disk.unlink(name)
        self.rename_to({other: inode for other, inode in self.names.items() if other != name})

    @precondition(lambda self: self.names)
    @rule(choice=st.data())
    def begin_fsync(self, choice: st.DataObject) -> None:
        name = choice.draw(st.sampled_from(sorted(self.names)))
        inode = self.inode(name)
        self.pending.append((self.disk.begin_fsync(name), inode, len(inode.torn)))

    @rule()
    def begin_fsync_directory(self) -> None:
        self.pending.append((self.disk.begin_fsync_directory(), None, len(self.directories) - 1))

    @precondition(lambda self: self.pending)
    @rule(choice=st.data())
    def complete(self, choice: st.DataObject) -> None:
        complete, inode, covered = self.pending.pop(choice.draw(st.integers(0, len(self.pending) - 1)))
        complete()
        if inode is None:
            self.durable = max(self.durable, covered)
        else:
            inode.durable = max(inode.durable, covered)

    @rule(seed=st.integers(0, 2**32))
    def lose_power(self, seed: int) -> None:
        self.disk.lose_power(Counter(Chance(seed), "power-loss"))

        left = {name: self.disk.read(name) for name in self.disk.names()}
        assert any(
            list(left) == sorted(directory)
            and all(directory[name].may_be_left_with(content) for name, content in left.items())
            for directory in self.directories[self.durable :]
        ), "no state of the directory since its last sync, with possible contents, looks like what is left"
        assert not self.disk.has_unsynced
        self.directories = [{name: Inode(versions=[content]) for name, content in left.items()}]
        self.durable = 0
        self.pending = []

    @invariant()
    def reads_see_every_change_at_once(self) -> None:
        assert self.disk.names() == sorted(self.names)
        for name, inode in self.names.items():
            assert self.disk.read(name) == inode.versions[-1]


TestDiskAgainstItsWholePast = DiskMachine.TestCase
TestDiskAgainstItsWholePast.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


# -- what users of disks rely on ------------------------------------------------------------------------------------


def durable(name: str, content: bytes) -> SimDisk:
    """A disk that certainly holds one file."""
    disk = SimDisk(sector_bytes=SECTOR)
    disk.write(name, content)
    disk.begin_fsync(name)()
    disk.begin_fsync_directory()()
    return disk


def after_power_loss(arrange: Callable[[], SimDisk], cases: int = 200) -> Tally[tuple[tuple[str, bytes], ...]]:
    """What is left in many power losses: (name, content) of each file."""
    found: Tally[tuple[tuple[str, bytes], ...]] = Tally()
    for seed in range(cases):
        disk = arrange()
        disk.lose_power(Counter(Chance(seed), "power-loss"))
        found[tuple((name, disk.read(name)) for name in disk.names())] += 1
    return found


def test_what_was_synced_survives_any_number_of_power_losses() -> None:
    disk = durable("log", b"entries")

    for seed in range(50):
        disk.append("log", b"more")
        disk.append("other", b"more")
        disk.lose_power(Counter(Chance(seed), "power-loss"))
        assert disk.read("log").startswith(b"entries")


def test_a_file_whose_name_was_not_synced_may_vanish_with_all_that_was_synced_into_it() -> None:
    def arrange() -> SimDisk:
        disk = SimDisk(sector_bytes=SECTOR)
        disk.append("log", b"entries")
        disk.begin_fsync("log")()
        return disk

    assert set(after_power_loss(arrange)) == {(), (("log", b"entries"),)}


def test_replacing_a_file_by_rename_leaves_the_old_one_or_the_new_one() -> None:
    def arrange() -> SimDisk:
        disk = durable("state", b"old")
        disk.write("state.tmp", b"new and longer")
        disk.begin_fsync("state.tmp")()
        disk.rename("state.tmp", "state")
        return disk

    left = after_power_loss(arrange)

    assert {dict(files)["state"] for files in left} == {b"old", b"new and longer"}
    assert set(left) == {
        (("state", b"old"),),
        (("state", b"old"), ("state.tmp", b"new and longer")),
        (("state", b"new and longer"),),
    }


def test_overwriting_in_place_may_leave_half_of_the_new_content_and_nothing_of_the_old() -> None:
    def arrange() -> SimDisk:
        disk = durable("state", b"old")
        disk.write("state", b"newer state")
        return disk

    contents = {files[0][1] for files in after_power_loss(arrange)}

    assert {b"old", b"newer state"} < contents
    assert all(content == b"old" or b"newer state".startswith(content) for content in contents)


def test_torn_tails_happen_in_whole_sectors_and_within_one() -> None:
    def arrange() -> SimDisk:
        disk = durable("log", b"12")
        disk.append("log", b"abcdefghijk")
        return disk

    lengths = {len(files[0][1]) for files in after_power_loss(arrange, cases=400)}

    assert lengths == set(range(2, 14))  # nothing, all, sector borders (4, 8, 12), and everything between


def test_later_changes_of_one_file_may_survive_where_earlier_ones_of_another_do_not() -> None:
    def arrange() -> SimDisk:
        disk = durable("first", b"")
        disk.write("second", b"")
        disk.begin_fsync("second")()
        disk.begin_fsync_directory()()
        disk.append("first", b"1")
        disk.append("second", b"2")
        return disk

    assert set(after_power_loss(arrange)) == {
        (("first", one), ("second", two)) for one in (b"", b"1") for two in (b"", b"2")
    }


def test_changes_of_one_file_are_lost_from_the_end() -> None:
    def arrange() -> SimDisk:
        disk = durable("log", b"")
        for letter in (b"a", b"b", b"c"):
            disk.append("log", letter)
        return disk

    assert {files[0][1] for files in after_power_loss(arrange)} == {b"", b"a", b"ab", b"abc"}


def test_an_fsync_covers_what_was_written_before_it_began_and_nothing_later() -> None:
    def arrange() -> SimDisk:
        disk = durable("log", b"")
        disk.append("log", b"before")
        complete = disk.begin_fsync("log")
        disk.append("log", b"+after")
        complete()
        return disk

    contents = {files[0][1] for files in after_power_loss(arrange)}

    assert all(content.startswith(b"before") for content in contents)
    assert b"before" in contents


def test_an_fsync_that_did_not_complete_promises_nothing() -> None:
    def arrange() -> SimDisk:
        disk = durable("log", b"")
        disk.append("log", b"entry")
        disk.begin_fsync("log")
        return disk

    assert (("log", b""),) in after_power_loss(arrange)


def test_the_same_draws_lose_the_same_part() -> None:
    def lose() -> tuple[bytes, ...]:
        draws = Counter(Chance(5), "power-loss")
        disk = durable("log", b"")
        left = []
        for _ in range(20):
            disk.append("log", b"some bytes")
            disk.lose_power(draws)
            left.append(disk.read("log"))
        return tuple(left)

    assert lose() == lose()


@pytest.mark.parametrize("call", ["read", "truncate", "rename", "unlink", "begin_fsync"])
def test_calls_on_absent_files_raise_file_not_found(call: str) -> None:
    disk = SimDisk(sector_bytes=SECTOR)
    arguments: dict[str, tuple[Any, ...]] = {"truncate": (0,), "rename": ("other",)}

    with pytest.raises(FileNotFoundError, match="absent"):
        getattr(disk, call)("absent", *arguments.get(call, ()))


def test_a_reader_is_told_how_much_of_a_file_has_not_changed() -> None:
    disk = durable("log", b"abc")
    file = dict(disk.durable_files())["log"]
    file.unchanged = len(file.durable)

    disk.append("log", b"def")
    disk.begin_fsync("log")()
    assert file.unchanged == 3
    file.unchanged = 6
    disk.truncate("log", 4)
    disk.append("log", b"x")
    disk.begin_fsync("log")()

    assert (bytes(file.durable), file.unchanged) == (b"abcdx", 4)


@pytest.mark.parametrize(("copy", "unchanged"), [(b"abcdx", 4), (b"ab", 2), (b"abXd", 0)])
def test_a_reader_of_a_name_is_told_how_much_of_its_new_file_it_has_seen(copy: bytes, unchanged: int) -> None:
    disk = durable("log", b"abcdef")
    dict(disk.durable_files())["log"].unchanged = 4

    disk.write("log.tmp", copy)
    disk.begin_fsync("log.tmp")()
    disk.rename("log.tmp", "log")
    disk.begin_fsync_directory()()

    file = dict(disk.durable_files())["log"]
    assert (bytes(file.durable), file.unchanged) == (copy, unchanged)


def test_a_name_that_was_removed_and_is_used_again_belongs_to_an_unseen_file() -> None:
    disk = durable("log", b"abcdef")
    dict(disk.durable_files())["log"].unchanged = 4

    disk.unlink("log")
    disk.append("log", b"abcdef")
    disk.begin_fsync("log")()
    disk.begin_fsync_directory()()

    assert dict(disk.durable_files())["log"].unchanged == 0


def test_sectors_survive_in_any_order_and_the_others_read_as_zeros() -> None:
    """Each subset of the sectors of an un-synced append, with or without the size that belongs to it."""
    written = bytes(range(1, 1 + 3 * SECTOR))
    survivors = set()
    for seed in range(400):
        disk = durable("log", b"")
        for at in range(0, len(written), 4):
            disk.append("log", written[at : at + 4])
        disk.lose_power(Counter(Chance(seed), "power-loss"), "sectors")
        survivors.add(disk.read("log"))

    expected = set()
    for kept in range(8):
        parts = [written[SECTOR * n : SECTOR * (n + 1)] if kept >> n & 1 else bytes(SECTOR) for n in range(3)]
        expected |= {b"".join(parts), b"".join(parts[: kept.bit_length()])}
    assert survivors == expected


def test_sectors_of_different_sides_of_a_truncation_never_mix() -> None:
    kept = set()
    for seed in range(200):
        disk = durable("log", b"old")
        disk.append("log", b"A" * SECTOR)
        disk.truncate("log", 2)
        disk.append("log", b"B" * SECTOR)
        disk.lose_power(Counter(Chance(seed), "power-loss"), "sectors")
        kept.add(bytes(disk.read("log")).rstrip(b"\0"))

    assert all(content.startswith(b"ol") for content in kept)
    assert not any(b"A" in content and b"B" in content for content in kept)
    assert any(b"A" in content for content in kept)
    assert any(b"B" in content for content in kept)


def test_a_power_loss_that_keeps_nothing_takes_unsynced_names_and_bytes() -> None:
    disk = durable("log", b"kept")
    disk.append("log", b"lost")
    disk.append("new", b"lost")

    disk.lose_power(Counter(Chance(1), "power-loss"), "nothing")

    assert disk.names() == ["log"]
    assert disk.read("log") == b"kept"


# -- overwriting in the middle ----------------------------------------------------------------------------------------


def overwritten(*writes: tuple[int, bytes]) -> SimDisk:
    """Two sectors that are durable, and writes into them that are not."""
    disk = durable("page", b"abcdefgh")
    for position, data in writes:
        disk.overwrite("page", position, data)
    return disk


def left_of(arrange: Callable[[], SimDisk], keeps: Keeps = "prefix", cases: int = 400) -> set[bytes]:
    """What power losses leave of the file "page"."""
    found = set()
    for seed in range(cases):
        disk = arrange()
        disk.lose_power(Counter(Chance(seed), "power-loss"), keeps)
        found.add(disk.read("page"))
    return found


def test_an_overwrite_is_read_at_once_and_fills_a_gap_with_zeros() -> None:
    disk = overwritten((1, b"XY"), (10, b"Z"))

    assert disk.read("page") == b"aXYdefgh\0\0Z"
    disk.begin_fsync("page")()
    assert left_of(lambda: disk, cases=1) == {b"aXYdefgh\0\0Z"}


def test_a_lost_overwrite_leaves_any_prefix_of_the_writes_and_a_torn_part_of_the_next() -> None:
    expected = {b"abcdefgh"[:2] + b"WXYZ"[:size] + b"abcdefgh"[2 + size :] for size in range(5)}
    expected |= {b"abWXYZgh"[:5] + b"12"[:size] + b"abWXYZgh"[5 + size :] for size in range(3)}

    assert left_of(lambda: overwritten((2, b"WXYZ"), (5, b"12"))) == expected


def test_overwritten_sectors_survive_in_any_order_each_as_any_write_left_it() -> None:
    writes = ((2, b"WXYZ"), (1, b"1"), (6, b"2"))
    first = [b"abcd", b"abWX", b"a1WX"]
    second = [b"efgh", b"YZgh", b"YZ2h"]

    assert left_of(lambda: overwritten(*writes), "sectors") == {one + two for one in first for two in second}


def test_overwriting_and_growing_leave_every_mixture_of_sectors() -> None:
    def arrange() -> SimDisk:
        disk = overwritten((4, b"E"))
        disk.append("page", b"ijkl")
        return disk

    tails = (b"", b"ijkl", bytes(4))
    assert left_of(arrange, "sectors") == {b"abcd" + one + b"fgh" + tail for one in (b"e", b"E") for tail in tails}


@pytest.mark.parametrize(("end", "read"), [("clean", b"aXcdefgh"), ("gone", b"abcdefgh")])
def test_an_overwrite_that_a_failed_fsync_dropped_never_becomes_durable(end: SyncEnd, read: bytes) -> None:
    disk = overwritten((1, b"X"))
    disk.begin_fsync("page")(end)
    assert disk.read("page") == read

    disk.overwrite("page", 6, b"Y")
    disk.begin_fsync("page")()
    disk.lose_power(Counter(Chance(1), "power-loss"))

    assert disk.read("page") == b"abcdefYh"


def test_a_reader_is_told_of_an_overwrite_by_what_is_unchanged() -> None:
    disk = overwritten()
    file = dict(disk.durable_files())["page"]
    file.unchanged = 8
    disk.overwrite("page", 3, b"X")
    disk.begin_fsync("page")()

    assert (bytes(file.durable), file.unchanged) == (b"abcXefgh", 3)
    assert file.sizes == (0, 0, 8), "no damage may take the place of the last write for all behind its position"


def test_an_overwrite_heals_the_damage_below_it_and_no_other() -> None:
    disk = overwritten()
    file = dict(disk.durable_files())["page"]
    file.damage = [(1, b"12345")]
    disk.overwrite("page", 2, b"XY")
    disk.begin_fsync("page")()

    assert left_of(lambda: disk, cases=1) == {b"a1XY45gh"}


# -- folders ----------------------------------------------------------------------------------------------------------


def with_folder(*, is_durable: bool) -> SimDisk:
    """A disk with a folder, whose own name is durable or not, and a synced file in it with a synced name."""
    disk = SimDisk(sector_bytes=SECTOR)
    disk.make_folder("sub")
    if is_durable:
        disk.begin_fsync_directory()()
    name = f"{disk.folder_at('sub')}/file"
    disk.append(name, b"data")
    disk.begin_fsync(name)()
    disk.begin_fsync_directory(disk.folder_at("sub"))()
    return disk


def names_left(arrange: Callable[[], SimDisk]) -> set[tuple[str, ...]]:
    """Names that power losses leave."""
    return {tuple(name for name, _ in files) for files in after_power_loss(arrange)}


def test_a_folder_whose_name_was_not_synced_is_lost_with_all_in_it() -> None:
    assert names_left(lambda: with_folder(is_durable=False)) == {(), ("sub", "sub#1/file")}
    assert names_left(lambda: with_folder(is_durable=True)) == {("sub", "sub#1/file")}


def test_an_fsync_of_a_folder_covers_its_own_names_and_no_other() -> None:
    def arrange(synced: str) -> SimDisk:
        disk = with_folder(is_durable=True)
        disk.append("outside", b"")
        disk.append("sub#1/inside", b"")
        disk.begin_fsync_directory(synced)()
        return disk

    old = ("sub", "sub#1/file")
    assert names_left(lambda: arrange("sub#1")) == {
        ("sub", "sub#1/file", "sub#1/inside"),
        ("outside", "sub", "sub#1/file", "sub#1/inside"),
    }
    assert names_left(lambda: arrange("")) == {("outside", *old), ("outside", *old, "sub#1/inside")}


@pytest.mark.parametrize("synced", ["", "sub#1"])
def test_a_rename_between_folders_happens_as_a_whole(synced: str) -> None:
    def arrange(*, sync: bool) -> SimDisk:
        disk = with_folder(is_durable=True)
        disk.rename("sub#1/file", "file")
        if sync:
            disk.begin_fsync_directory(synced)()
        return disk

    assert names_left(lambda: arrange(sync=False)) == {("sub", "sub#1/file"), ("file", "sub")}
    assert names_left(lambda: arrange(sync=True)) == {("file", "sub")}


def test_a_renamed_folder_takes_along_what_is_in_it() -> None:
    def arrange() -> SimDisk:
        disk = with_folder(is_durable=True)
        disk.rename("sub", "other")
        assert disk.folder_at("other") == "sub#1"
        return disk

    assert names_left(arrange) == {("sub", "sub#1/file"), ("other", "sub#1/file")}


def test_an_fsync_in_flight_covers_its_names_whatever_another_folder_has_made_durable() -> None:
    def arrange() -> SimDisk:
        disk = with_folder(is_durable=True)
        disk.append("sub#1/a", b"")
        disk.append("b", b"")
        complete = disk.begin_fsync_directory()
        disk.append("sub#1/c", b"")
        disk.append("d", b"")
        disk.begin_fsync_directory("sub#1")()
        complete()
        return disk

    always = ("b", "sub", "sub#1/a", "sub#1/c", "sub#1/file")
    assert names_left(arrange) == {tuple(sorted(always)), tuple(sorted((*always, "d")))}


def test_a_lie_about_a_folder_is_broken_by_its_own_names_only() -> None:
    def broken(told: str, seed: int) -> int:
        disk = with_folder(is_durable=True)
        disk.append("sub#1/inside", b"")
        disk.begin_fsync_directory(told)("nothing")
        disk.lose_power(Counter(Chance(seed), "power-loss"), "nothing")
        return disk.broken_claims

    assert {broken("sub#1", seed) for seed in range(4)} == {1}
    assert {broken("", seed) for seed in range(4)} == {0}
