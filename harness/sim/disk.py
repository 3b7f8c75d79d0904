"""A simulated disk: what is written, what is durable, and what a power loss leaves.

Model. A disk is a directory of files, and of folders where a program makes some. A file has the content that reads see
(the operating system's cache) and the content that is on the platter, with a journal of changes between the two.
`fsync` covers the changes made before it was called, and they reach the platter when it completes. Names are apart from
contents: a creation, rename or removal is in a journal of names until `fsync_directory` of their directory completes. A
rename between two directories is in both: an fsync of either makes it durable, with all that came before it in either,
so that it happens as a whole.

A folder is a name, too, and has a tag of its own that never changes; the names in it are kept as `tag/name`. So a
folder is renamed by its own entry, and one whose entry never became durable is lost with all in it.

A crash without power loss keeps everything written: the operating system goes on. A power loss keeps what was durable
and, of each journal, what `Keeps` says: a drawn prefix (a prefix is closed under dependencies) and of the first lost
write a drawn torn part; or, in any order, some sectors of what was written, where the others are as they were, or zeros
behind the former end, and one that was overwritten is as any of the writes left it; or nothing. Files are independent
of each other, so later changes of one may survive where earlier ones of another do not; and a file whose name never
became durable is gone, whatever was synced into it.

A failed fsync is Linux's: what it should have made durable never will be, nor what was written to the file meanwhile,
for that lies in the same pages. They count as clean from then on, and read as written until the power goes ("clean"),
or read as they are on the platter at once ("gone"). A later fsync reports success without them; overwriting a dropped
place makes the bytes durable that are written then, and no other. Of the directory nothing is dropped: a journal keeps
the changes for the next try.

Damage is apart from `durable`, which stays what fsyncs promised: an oracle compares a node with the promise. It shows
in what is read, from the next power loss on or at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from .kernel.draws import Counter

Keeps = Literal["prefix", "sectors", "nothing"]
"""What a power loss keeps of what was not durable."""

SyncEnd = Literal["durable", "clean", "gone", "nothing"]
"""How an fsync ends: as promised; failed, with its pages dropped in one of two ways; or a lie that changes nothing."""

Change = tuple[Literal["append", "overwrite", "write", "truncate"], bytes, int]
"""What is done, with which bytes, and where: the position of those, or the new size."""

NameChange = tuple[Literal["create", "rename", "unlink"], str, str, "SimFile | None"]


class SimFile:
    """One file's content: as read, as durable, and the changes between the two."""

    __slots__ = (
        "claimed",
        "content",
        "damage",
        "damaged_by",
        "durable",
        "durable_count",
        "durable_name",
        "folder",
        "journal",
        "shows_damage",
        "sizes",
        "unchanged",
    )

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.durable_name: str | None = None  # under which a power loss now would leave it, if any
        self.folder = ""  # the tag of a folder; empty for a file
        self.journal: list[Change] = []
        self.durable_count = 0  # how many changes ever became durable
        self.unchanged = 0  # length of the durable prefix that a reader of its name saw when it last looked
        self.sizes = (0, 0, 0)  # of the durable content after the last three fsyncs that found work, oldest first
        self.claimed = 0  # how many changes a lying fsync has called durable
        self.damage: list[tuple[int, bytes]] = []  # (position, bytes) on the platter instead of the durable ones
        self.damaged_by = ""  # the fault that did it
        self.shows_damage = False  # whether reads find it

    def append(self, data: bytes) -> None:
        """Add at the end, and remember the change as not yet durable."""
        self.journal.append(("append", data, len(self.content)))
        self.content += data

    def apply(self, change: Change) -> None:
        """Overwrite, replace or cut the content, and remember the change as not yet durable."""
        size = _rewrite(self.content, change)
        end = size + len(change[1]) if change[0] == "overwrite" else math.inf
        whole = self.damage
        self.damage = [(at, bad[: size - at]) for at, bad in whole if at < size]
        self.damage += [(max(at, int(end)), bad[max(0, int(end) - at) :]) for at, bad in whole if at + len(bad) > end]
        self.journal.append(change)

    def make_durable(self, count: int) -> None:
        """Make the first `count` journalled changes durable."""
        durable = self.durable
        for change in self.journal[:count]:
            if change[0] != "append":
                size = _rewrite(durable, change)
                self.unchanged = min(self.unchanged, size)
                if change[0] == "overwrite":  # where the latest writes went is no longer told by the sizes
                    size = 0
                first, second, third = self.sizes
                self.sizes = (min(first, size), min(second, size), min(third, size))
            elif change[2] == len(durable):  # leaves what is there as it is
                durable += change[1]
            else:  # behind pages that a failed fsync dropped, or among them
                _place(durable, change[2], change[1])
                self.unchanged = min(self.unchanged, change[2])
        del self.journal[:count]
        self.durable_count += count

    def drop(self, *, is_gone: bool) -> None:
        """Forget all journalled changes: they will never be durable. `is_gone`: nor can they be read from now on."""
        self.durable_count += len(self.journal)
        self.journal.clear()
        if is_gone:  # the file keeps its size: what was dropped reads as zeros, and the next append lands behind it
            size = len(self.content)
            self.content = bytearray(self.durable)
            self.content.extend(bytes(max(0, size - len(self.durable))))

    def read_from_platter(self) -> None:
        """Read what the platter holds, damage and all, now that nothing of the file is in memory."""
        self.content = bytearray(self.durable)
        for at, bad in self.damage:
            _place(self.content, at, bad)
            self.shows_damage = True


class SimDisk:
    """The files of one actor, and how they outlive its crashes. Timing is the environment's business."""

    def __init__(self, *, sector_bytes: int) -> None:
        self._sector_bytes = sector_bytes
        self._names: dict[str, SimFile] = {}
        self._durable_names: dict[str, SimFile] = {}
        self._journal: dict[int, NameChange] = {}  # by number, in their order
        self._changes = 0  # how many name changes there ever were
        self._claimed: set[int] = set()  # those that a lying fsync has called durable
        self._folders = 0  # how many folders were ever made
        self.broken_claims = 0
        """Files of which a power loss took what a lying fsync had called durable; a lost name counts as one."""

    # -- what the actor sees --------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        return sorted(self._names)

    def read(self, name: str) -> bytes:
        """The whole content."""
        return bytes(self._file(name).content)

    def append(self, name: str, data: bytes) -> None:
        """Add at the end."""
        self._file_or_new(name).append(data)

    def write(self, name: str, data: bytes) -> None:
        """Replace the whole content."""
        self._file_or_new(name).apply(("write", data, 0))

    def overwrite(self, name: str, position: int, data: bytes) -> None:
        """Write at a position; a gap before it reads as zeros. Without data this makes a short file longer."""
        self._file(name).apply(("overwrite", data, position))

    def truncate(self, name: str, size: int) -> None:
        """Cut to `size` bytes."""
        self._file(name).apply(("truncate", b"", size))

    def rename(self, source: str, target: str) -> None:
        """Replace `target` by `source`."""
        file = self._file(source)
        del self._names[source]
        self._names[target] = file
        self._note(("rename", source, target, file))

    def unlink(self, name: str) -> None:
        """Remove a name."""
        self._file(name)
        del self._names[name]
        self._note(("unlink", name, "", None))

    def make_folder(self, name: str) -> None:
        """Make an empty folder. Its name is durable as that of a file is."""
        self._folders += 1
        folder = self._file_or_new(name)
        folder.folder = f"{name.rpartition('/')[2]}#{self._folders}"

    def folder_at(self, name: str) -> str:
        """The tag of the folder of this name; empty if there is none."""
        file = self._names.get(name)
        return "" if file is None else file.folder

    # -- what the environment does --------------------------------------------------------------------------------

    def begin_fsync(self, name: str) -> Callable[..., SimFile]:
        """Note what an fsync issued now covers; call the result when it completes, with how it ends."""
        file = self._file(name)
        mark = file.durable_count + len(file.journal)

        def complete(end: SyncEnd = "durable") -> SimFile:
            count = mark - file.durable_count
            if count <= 0:  # another fsync has made all of it durable already
                return file
            if end == "durable":
                file.make_durable(count)
                _, before, last = file.sizes
                file.sizes = (before, last, len(file.durable))
            elif end == "nothing":
                file.claimed = mark
            else:
                file.drop(is_gone=end == "gone")
            return file

        return complete

    def begin_fsync_directory(self, folder: str = "") -> Callable[..., list[NameChange]]:
        """Note which name changes an fsync of a directory issued now covers; call the result when it completes.

        `folder` is the tag of a folder, or empty for the directory that all is in.
        """
        mark = self._changes

        def complete(end: SyncEnd = "durable") -> list[NameChange]:
            if end == "durable":
                covered = [self._journal.pop(number) for number in self._covered(mark, folder)]
                for change in covered:
                    self._make_name_durable(change)
                return covered
            if end == "nothing":
                self._claimed.update(self._covered(mark, folder))
            return []

        return complete

    @property
    def has_unsynced(self) -> bool:
        """Whether a power loss now could lose anything."""
        return bool(self._journal) or any(file.journal for file in self._names.values())

    def lose_power(self, draws: Counter, keeps: Keeps = "prefix") -> bool:
        """Keep what was durable and a part of the rest. Returns whether anything was lost."""
        lost = self.has_unsynced
        names_are_open = bool(self._journal)
        kept_names = 0 if keeps == "nothing" else draws.between(0, len(self._journal))
        numbers = list(self._journal)
        for number in numbers[:kept_names]:
            self._make_name_durable(self._journal[number])
        self.broken_claims += not self._claimed.isdisjoint(numbers[kept_names:])
        self._forget_names()
        for name in sorted(self._names):
            file = self._names[name]
            if keeps == "prefix":
                self._keep_prefix(file, draws)
            elif keeps == "sectors":
                self._keep_sectors(file, draws)
            self.broken_claims += file.claimed > file.durable_count
            file.durable_count += len(file.journal)
            file.journal.clear()
            file.read_from_platter()
            if names_are_open:  # a name may belong to another file now than when a reader last looked
                file.unchanged = 0
        return lost

    def _keep_prefix(self, file: SimFile, draws: Counter) -> None:
        """The first changes of a file, and of the next one a torn part."""
        kept = draws.between(0, len(file.journal))
        torn = file.journal[kept] if kept < len(file.journal) else None
        file.make_durable(kept)
        if torn is not None and torn[0] != "truncate":
            self._tear(file, torn, draws)

    def _keep_sectors(self, file: SimFile, draws: Counter) -> None:
        """Some sectors of what was written to a file, in any order; others are as before, zeros, or behind its end.

        Replacing and cutting are kept in order, each after everything before it.
        """
        breaks = [place for place, change in enumerate(file.journal, 1) if change[0] in ("write", "truncate")]
        file.make_durable((0, *breaks)[draws.between(0, len(breaks))])
        written = []
        for change in file.journal:
            if change[0] in ("write", "truncate"):
                break
            written.append(change)
        if not written:
            return
        durable, size = file.durable, self._sector_bytes
        whole, versions = _written_over(durable, written, size)
        begin = min(at for _, _, at in written)
        for sector in range(begin // size, -(-len(whole) // size)):
            at = max(begin, sector * size)
            if at < len(whole):
                states = versions.get(sector) or [bytes(whole[sector * size : (sector + 1) * size])]
                kept = draws.below(len(states) + 1)
                if kept:
                    _place(durable, at, states[kept - 1][at - sector * size :])
        if draws.below(2):  # the size reached the platter, what lies there did not
            _place(durable, len(whole), b"")
        file.unchanged = min(file.unchanged, begin)

    def wipe(self) -> bool:
        """Empty the disk, as if it were a new one. Returns whether it held anything."""
        held_something = bool(self._names or self._durable_names)
        self._names, self._durable_names = {}, {}
        self._journal.clear()
        return held_something

    def cut_power(self, kept_bytes: int) -> None:
        """Lose power at a chosen moment: of what was not durable, only the first bytes appended to each file are kept.

        For scripts; a run draws what it loses (`lose_power`).
        """
        self._forget_names()
        for file in self._names.values():
            left = kept_bytes
            for what, data, _ in file.journal:
                if what != "append" or not left:
                    break
                file.durable += data[:left]
                left -= min(left, len(data))
            file.durable_count += len(file.journal)
            file.journal.clear()
            file.read_from_platter()
            file.unchanged = 0

    def flip(self, name: str, position: int) -> None:
        """Flip the lowest bit of one byte of a file, as read and on the platter."""
        file = self._file(name)
        for content in (file.content, file.durable):
            if position < len(content):
                content[position] ^= 1
        file.unchanged = 0

    def find(self, name: str) -> SimFile | None:
        """The file that has this name now, if there is one."""
        return self._names.get(name)

    def durable_files(self) -> list[tuple[str, SimFile]]:
        """Names and files that a power loss now would leave, sorted."""
        return sorted(self._durable_names.items())

    def _tear(self, file: SimFile, change: Change, draws: Counter) -> None:
        """A part of the first lost write reached the platter: whole sectors, or half of one."""
        data = change[1]
        size = draws.between(0, len(data))
        if draws.below(2):
            end = size + (len(file.durable) if change[0] == "write" else change[2])
            size = max(0, size - end % self._sector_bytes)
        if change[0] == "write":
            if size:
                file.durable[:] = data[:size]
                file.unchanged = 0
        elif size:
            _place(file.durable, change[2], data[:size])
            file.unchanged = min(file.unchanged, change[2])

    def _note(self, change: NameChange) -> None:
        self._journal[self._changes] = change
        self._changes += 1

    def _covered(self, mark: int, folder: str) -> list[int]:
        """Which changes of names, of those before `mark`, an fsync of a directory makes durable."""
        if not self._folders:
            return [number for number in self._journal if number < mark]
        reached, found = {folder}, []
        for number, (_, name, target, _) in reversed(self._journal.items()):
            touched = {_folder_of(name), _folder_of(target or name)}
            if number < mark and not reached.isdisjoint(touched):
                reached |= touched
                found.append(number)
        return found[::-1]

    def _forget_names(self) -> None:
        """The names that a power loss leaves: the durable ones, if their folders are."""
        self._journal.clear()
        self._claimed.clear()
        durable = self._durable_names
        lost = self._folders
        while lost:
            tags = {"", *(file.folder for file in durable.values())}
            gone = [name for name in durable if _folder_of(name) not in tags]
            for name in gone:
                _lose_name(durable.pop(name))
            lost = len(gone)
        self._names = dict(durable)

    def _make_name_durable(self, change: NameChange) -> None:
        what, name, target, file = change
        names = self._durable_names
        if what != "create":
            _lose_name(names.pop(name, None))
        if file is not None:
            durable_name = name if what == "create" else target
            replaced = names.get(durable_name)
            _lose_name(replaced)
            names[durable_name] = file
            file.durable_name = durable_name
            file.unchanged = _seen(file, replaced)

    def _file(self, name: str) -> SimFile:
        file = self._names.get(name)
        if file is None:
            raise FileNotFoundError(name)
        return file

    def _file_or_new(self, name: str) -> SimFile:
        file = self._names.get(name)
        if file is None:
            file = self._names[name] = SimFile()
            self._note(("create", name, "", file))
        return file


def _folder_of(name: str) -> str:
    """The tag of the folder that a name is in."""
    return name.rpartition("/")[0]


def _lose_name(file: SimFile | None) -> None:
    if file is not None:
        file.durable_name = None


def _seen(file: SimFile, replaced: SimFile | None) -> int:
    """How much of a file a reader of its new name has seen already, in the file that had the name before."""
    if replaced is None:
        return 0
    size = min(len(file.durable), replaced.unchanged)
    return size if file.durable[:size] == replaced.durable[:size] else 0


def _rewrite(content: bytearray, change: Change) -> int:
    """Apply a change that is no append, and return how long the unchanged prefix is."""
    what, data, size = change
    if what == "overwrite":
        _place(content, size, data)
        return size
    if what == "write":
        content[:] = data
        return 0
    del content[size:]
    return min(size, len(content))


def _place(content: bytearray, position: int, data: bytes) -> None:
    """Write at a position; what was never written before it reads as zeros."""
    if position > len(content):
        content.extend(bytes(position - len(content)))
    content[position : position + len(data)] = data


def _written_over(
    durable: bytearray, written: list[Change], sector_bytes: int
) -> tuple[bytearray, dict[int, list[bytes]]]:
    """What appends and overwrites make of a content, and of each overwritten sector all that the cache ever held."""
    whole = bytearray(durable)
    overwritten = {
        sector
        for what, data, at in written
        if what == "overwrite"
        for sector in range(at // sector_bytes, -(-(at + len(data)) // sector_bytes))
    }
    versions: dict[int, list[bytes]] = {}
    for _, data, at in written:
        _place(whole, at, data)
        for sector in range(at // sector_bytes, -(-(at + len(data)) // sector_bytes)):
            if sector in overwritten:
                image = bytes(whole[sector * sector_bytes : (sector + 1) * sector_bytes])
                versions.setdefault(sector, []).append(image)
    return whole, versions
