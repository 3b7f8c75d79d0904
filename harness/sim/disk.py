"""A simulated disk: what is written, what is durable, and what a power loss leaves.

Model. A disk is one flat directory. A file has the content that reads see (the operating system's cache) and the
content that is on the platter, with a journal of changes between the two. `fsync` covers the changes made before it
was called, and they reach the platter when it completes. Names are apart from contents: a creation, rename or removal
is in the directory's own journal until `fsync_directory` completes.

A crash without power loss keeps everything written: the operating system goes on. A power loss keeps what was
durable and, of each journal, a drawn prefix (a prefix is closed under dependencies), and of the first lost append a
drawn torn part. Files are independent of each other, so later changes of one may survive where earlier ones of
another do not; and a file whose name never became durable is gone, whatever was synced into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from .kernel.draws import Counter

Change = tuple[Literal["append", "write", "truncate"], bytes, int]
NameChange = tuple[Literal["create", "rename", "unlink"], str, str, "SimFile | None"]


class SimFile:
    """One file's content: as read, as durable, and the changes between the two."""

    __slots__ = ("content", "durable", "durable_count", "durable_name", "journal", "unchanged")

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.durable_name: str | None = None  # under which a power loss now would leave it, if any
        self.journal: list[Change] = []
        self.durable_count = 0  # how many changes ever became durable
        self.unchanged = 0  # length of the durable prefix that has not changed since a reader last looked

    def apply(self, change: Change) -> None:
        """Change the content, and remember the change as not yet durable."""
        if change[0] == "append":
            self.content += change[1]
        else:
            _rewrite(self.content, change)
        self.journal.append(change)

    def make_durable(self, count: int) -> None:
        """Make the first `count` journalled changes durable."""
        for change in self.journal[:count]:
            if change[0] == "append":  # leaves what is there as it is
                self.durable += change[1]
            else:
                self.unchanged = min(self.unchanged, _rewrite(self.durable, change))
        del self.journal[:count]
        self.durable_count += count


class SimDisk:
    """The files of one actor, and how they outlive its crashes. Timing is the environment's business."""

    def __init__(self, *, sector_bytes: int) -> None:
        self._sector_bytes = sector_bytes
        self._names: dict[str, SimFile] = {}
        self._durable_names: dict[str, SimFile] = {}
        self._journal: list[NameChange] = []
        self._durable_count = 0  # how many name changes ever became durable

    # -- what the actor sees --------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Names of the files, sorted."""
        return sorted(self._names)

    def read(self, name: str) -> bytes:
        """The whole content."""
        return bytes(self._file(name).content)

    def append(self, name: str, data: bytes) -> None:
        """Add at the end."""
        self._file_or_new(name).apply(("append", data, 0))

    def write(self, name: str, data: bytes) -> None:
        """Replace the whole content."""
        self._file_or_new(name).apply(("write", data, 0))

    def truncate(self, name: str, size: int) -> None:
        """Cut to `size` bytes."""
        self._file(name).apply(("truncate", b"", size))

    def rename(self, source: str, target: str) -> None:
        """Replace `target` by `source`."""
        file = self._file(source)
        del self._names[source]
        self._names[target] = file
        self._journal.append(("rename", source, target, file))

    def unlink(self, name: str) -> None:
        """Remove a name."""
        self._file(name)
        del self._names[name]
        self._journal.append(("unlink", name, "", None))

    # -- what the environment does --------------------------------------------------------------------------------

    def begin_fsync(self, name: str) -> Callable[[], SimFile]:
        """Note what an fsync issued now covers; call the result when it completes."""
        file = self._file(name)
        mark = file.durable_count + len(file.journal)

        def complete() -> SimFile:
            if file.durable_count < mark:  # else another fsync has made all of it durable already
                file.make_durable(mark - file.durable_count)
            return file

        return complete

    def begin_fsync_directory(self) -> Callable[[], list[NameChange]]:
        """Note which name changes an fsync of the directory issued now covers; call the result when it completes."""
        mark = self._durable_count + len(self._journal)

        def complete() -> list[NameChange]:
            covered = self._journal[: max(0, mark - self._durable_count)]
            for change in covered:
                self._make_name_durable(change)
            del self._journal[: len(covered)]
            self._durable_count += len(covered)
            return covered

        return complete

    @property
    def has_unsynced(self) -> bool:
        """Whether a power loss now could lose anything."""
        return bool(self._journal) or any(file.journal for file in self._names.values())

    def lose_power(self, draws: Counter) -> bool:
        """Keep what was durable and a drawn part of the rest. Returns whether anything was lost."""
        lost = self.has_unsynced
        names_are_open = bool(self._journal)
        for change in self._journal[: draws.between(0, len(self._journal))]:
            self._make_name_durable(change)
        self._durable_count += len(self._journal)
        self._journal.clear()
        self._names = dict(self._durable_names)
        for name in sorted(self._names):
            file = self._names[name]
            kept = draws.between(0, len(file.journal))
            torn = file.journal[kept] if kept < len(file.journal) else None
            file.make_durable(kept)
            if torn is not None and torn[0] != "truncate":
                self._tear(file, torn, draws)
            file.durable_count += len(file.journal)
            file.journal.clear()
            file.content = bytearray(file.durable)
            if names_are_open:  # a name may belong to another file now than when a reader last looked
                file.unchanged = 0
        return lost

    def cut_power(self, kept_bytes: int) -> None:
        """Lose power at a chosen moment: of what was not durable, only the first bytes appended to each file are kept.

        For scripts; a run draws what it loses (`lose_power`).
        """
        self._durable_count += len(self._journal)
        self._journal.clear()
        self._names = dict(self._durable_names)
        for file in self._names.values():
            left = kept_bytes
            for what, data, _ in file.journal:
                if what != "append" or not left:
                    break
                file.durable += data[:left]
                left -= min(left, len(data))
            file.durable_count += len(file.journal)
            file.journal.clear()
            file.content = bytearray(file.durable)
            file.unchanged = 0

    def flip(self, name: str, position: int) -> None:
        """Flip the lowest bit of one byte of a file, as read and on the platter."""
        file = self._file(name)
        for content in (file.content, file.durable):
            if position < len(content):
                content[position] ^= 1
        file.unchanged = 0

    def durable_files(self) -> list[tuple[str, SimFile]]:
        """Names and files that a power loss now would leave, sorted."""
        return sorted(self._durable_names.items())

    def _tear(self, file: SimFile, change: Change, draws: Counter) -> None:
        """A part of the first lost write reached the platter: whole sectors, or half of one."""
        data = change[1]
        size = draws.between(0, len(data))
        if draws.below(2):
            end = len(file.durable) + size
            size = max(0, size - end % self._sector_bytes)
        if change[0] == "write":
            if size:
                file.durable[:] = data[:size]
                file.unchanged = 0
        else:
            file.durable += data[:size]

    def _make_name_durable(self, change: NameChange) -> None:
        what, name, target, file = change
        names = self._durable_names
        if what != "create":
            _lose_name(names.pop(name, None))
        if file is not None:
            durable_name = name if what == "create" else target
            _lose_name(names.get(durable_name))
            names[durable_name] = file
            file.durable_name = durable_name

    def _file(self, name: str) -> SimFile:
        file = self._names.get(name)
        if file is None:
            raise FileNotFoundError(name)
        return file

    def _file_or_new(self, name: str) -> SimFile:
        file = self._names.get(name)
        if file is None:
            file = self._names[name] = SimFile()
            self._journal.append(("create", name, "", file))
        return file


def _lose_name(file: SimFile | None) -> None:
    if file is not None:
        file.durable_name = None


def _rewrite(content: bytearray, change: Change) -> int:
    """Apply a change that is no append, and return how long the unchanged prefix is."""
    what, data, size = change
    if what == "write":
        content[:] = data
        return 0
    del content[size:]
    return min(size, len(content))
