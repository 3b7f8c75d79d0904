"""Files of a Trio program: its folders and open files, on the disk of its actor.

The disk is the folder `data_dir`, whose model is that of every other system: what was written is lost with the power,
in part, until `os.fsync` of the file, and a new name until `os.fsync` of the folder that it is in. Buffers of Python
are lost with the process. `file_names.py` has what stands for `open`, `os` and `pathlib`.

A path below `data_dir` is called a name here, and the empty name is `data_dir` itself. The disk keeps what is in a
folder under the folder's tag; `key` finds that.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import Any, Final, Protocol

from harness.systems.environment import Disk

_FIRST_DESCRIPTOR: Final = 1_000


class ProgramDisk(Disk, Protocol):
    """A disk as programs need it: with writes in the middle of files, and folders."""

    def overwrite(self, name: str, position: int, data: bytes) -> None:
        """Write at a position; a gap before it reads as zeros. Without data this makes a short file longer."""
        ...

    def make_folder(self, name: str) -> None:
        """Make an empty folder, whose name is not in use."""
        ...

    def folder_at(self, name: str) -> str:
        """The tag of the folder of this name; empty if there is none. Names in it begin with the tag and a slash."""
        ...


class Files:
    """The folders and open files of one incarnation, and the disk below them."""

    def __init__(
        self, disk: ProgramDisk, folder: str, sync: Callable[[str | None], None], is_over: Callable[[], bool]
    ) -> None:
        self.disk, self.folder = disk, folder
        self.is_over = is_over  # the incarnation; buffers that Python empties from now on go nowhere
        self.sync = sync  # of a file, of a folder (its tag and a slash), or with None of `data_dir`
        self._descriptors: dict[int, RawFile | str] = {}  # an open file, or the tag of an open folder
        self._next = _FIRST_DESCRIPTOR

    def name_of(self, path: Any) -> str | None:
        """The name of a path; empty for `data_dir` itself, None for a path elsewhere."""
        if isinstance(path, int):
            return None
        text = os.path.normpath(os.fsdecode(path))
        if text == self.folder:
            return ""
        return text.removeprefix(f"{self.folder}/") if text.startswith(f"{self.folder}/") else None

    # -- names ----------------------------------------------------------------------------------------------------

    def key(self, name: str) -> str:
        """Under which name the disk has it, or would. Raises FileNotFoundError and NotADirectoryError of folders."""
        *folders, last = name.split("/")
        before = ""
        for folder in folders:
            tag = self.disk.folder_at(before + folder)
            if not tag:
                exists = before + folder in self.disk.names()
                raise self.error(errno.ENOTDIR if exists else errno.ENOENT, name)
            before = f"{tag}/"
        return before + last

    def error(self, number: int, name: str) -> OSError:
        """The error of a path."""
        return OSError(number, os.strerror(number), f"{self.folder}/{name}".removesuffix("/"))

    def exists(self, name: str) -> bool:
        """Whether there is a file or folder of this name."""
        try:
            return name == "" or self.key(name) in self.disk.names()
        except (FileNotFoundError, NotADirectoryError):
            return False

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name."""
        return name == "" or (self.exists(name) and self.disk.folder_at(self.key(name)) != "")

    def check(self, name: str) -> str:
        """The key of what exists. Raises FileNotFoundError and NotADirectoryError."""
        key = self.key(name)
        if name and key not in self.disk.names():
            raise self.error(errno.ENOENT, name)
        return key

    def tag(self, name: str) -> str:
        """The tag of a folder; empty for `data_dir`. Raises FileNotFoundError and NotADirectoryError."""
        tag = self.disk.folder_at(self.check(name)) if name else ""
        if name and not tag:
            raise self.error(errno.ENOTDIR, name)
        return tag

    def listed(self, name: str) -> list[str]:
        """What is in a folder, sorted. Raises FileNotFoundError and NotADirectoryError."""
        return self.inside(self.tag(name))

    def inside(self, tag: str) -> list[str]:
        """What is in the folder of a tag, sorted."""
        split = (key.rpartition("/") for key in self.disk.names())
        return [name for folder, _, name in split if folder == tag]

    def size(self, name: str) -> int:
        """The size of a file; 0 of a folder. Raises FileNotFoundError and NotADirectoryError."""
        key = self.check(name)
        return 0 if self.is_folder(name) else len(self.disk.read(key))

    def resize(self, name: str, size: int) -> None:
        """Cut a file, or fill it with zeros. Raises OSError."""
        file = RawFile(self, name, os.O_WRONLY)
        file.truncate(size)
        file.close()

    # -- changes of names -----------------------------------------------------------------------------------------

    def make_folder(self, name: str) -> None:
        """Make a folder. Raises OSError."""
        if self.exists(name):
            raise self.error(errno.EEXIST, name)
        self.disk.make_folder(self.key(name))

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder. Raises OSError."""
        if not name:
            raise self.error(errno.EBUSY, name)
        if self.listed(name):
            raise self.error(errno.ENOTEMPTY, name)
        self.disk.unlink(self.key(name))

    def unlink(self, name: str) -> None:
        """Remove a file; whoever has it open keeps it. Raises OSError."""
        key = self.check(name)
        if self.is_folder(name):
            raise self.error(errno.EISDIR, name)
        content = self.disk.read(key)
        self.disk.unlink(key)
        self._unname(key, content)

    def rename(self, source: str, target: str) -> None:
        """Put a file or folder in the place of a file or of an empty folder. Raises OSError."""
        old, new = self.check(source), self.key(target)
        if not source or not target or target.startswith(f"{source}/"):
            raise self.error(errno.EINVAL, target)
        if old == new:
            return
        content = b""
        if self.exists(target):
            if self.is_folder(target) and not self.is_folder(source):
                raise self.error(errno.EISDIR, target)
            if self.is_folder(source) and not self.is_folder(target):
                raise self.error(errno.ENOTDIR, target)
            if self.is_folder(target) and self.listed(target):
                raise self.error(errno.ENOTEMPTY, target)
            content = b"" if self.is_folder(target) else self.disk.read(new)
        self.disk.rename(old, new)
        self._unname(new, content)
        for file in self._open(old):
            file.key = new

    def _unname(self, key: str, content: bytes) -> None:
        """Let those who have a file open keep it, that no name leads to from now on."""
        kept = bytearray(content)
        for file in self._open(key):
            file.kept = kept

    def _open(self, key: str) -> list[RawFile]:
        files = (file for file in self._descriptors.values() if isinstance(file, RawFile))
        return [file for file in files if file.key == key and file.kept is None]

    # -- descriptors ----------------------------------------------------------------------------------------------

    def add(self, file: RawFile | str) -> int:
        """A descriptor for an open file, or for the folder of a tag."""
        self._next += 1
        self._descriptors[self._next] = file
        return self._next

    def holds(self, descriptor: Any) -> bool:
        """Whether a descriptor is one of these."""
        return descriptor in self._descriptors

    def at(self, descriptor: int) -> RawFile | str:
        """The open file of a descriptor, or the tag of an open folder."""
        return self._descriptors[descriptor]

    def drop(self, descriptor: int) -> None:
        """A descriptor was closed."""
        self._descriptors.pop(descriptor, None)

    def fsync(self, descriptor: int) -> None:
        """Make durable what is open there. Raises OSError."""
        file = self._descriptors[descriptor]
        if isinstance(file, str):
            self.sync(f"{file}/" if file else None)
        elif file.kept is None:
            self.sync(file.key)


class RawFile(io.RawIOBase):
    """An open file without buffers."""

    def __init__(self, files: Files, name: str, flags: int) -> None:
        super().__init__()
        self._files, self.name = files, f"{files.folder}/{name}"
        self._flags = flags
        self._descriptor = 0  # none yet: Python closes also what could not be opened
        self.kept: bytearray | None = None  # the content, once no name leads to the file
        disk = files.disk
        self.key = key = files.key(name)
        if key not in disk.names():
            if not flags & os.O_CREAT:
                raise files.error(errno.ENOENT, name)
            disk.append(key, b"")
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise files.error(errno.EEXIST, name)
        elif disk.folder_at(key):
            raise files.error(errno.EISDIR, name)
        elif flags & os.O_DIRECTORY:
            raise files.error(errno.ENOTDIR, name)
        elif flags & os.O_TRUNC:
            disk.truncate(key, 0)
        self._position = 0
        self._descriptor = files.add(self)

    def fileno(self) -> int:
        """Its descriptor, for `os.fsync`."""
        return self._descriptor

    def readable(self) -> bool:
        """Whether it was opened to be read."""
        return not self._flags & os.O_WRONLY

    def writable(self) -> bool:
        """Whether it was opened to be written."""
        return bool(self._flags & (os.O_WRONLY | os.O_RDWR))

    def seekable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read from the position on."""
        data = self.read_at(len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        """Write at the position, or at the end if it was opened to append. Raises OSError."""
        content = bytes(memoryview(data))
        if self._files.is_over():
            return len(content)
        size = self.size()
        if self._flags & os.O_APPEND:
            self._position = size
        if self.kept is not None:
            self.kept.extend(bytes(max(0, self._position - size)))
            self.kept[self._position : self._position + len(content)] = content
        elif self._position == size:
            try:
                self._files.disk.append(self.key, content)
            except OSError:
                self._position = self.size()  # what follows comes behind the part that was written
                raise
        elif content:
            self._files.disk.overwrite(self.key, self._position, content)
        self._position += len(content)
        return len(content)

    def read_at(self, size: int, position: int) -> bytes:
        """Read from a position on, as `os.pread` does, and leave the file's own where it is."""
        return bytes(self._content()[position : position + size])

    def write_at(self, data: Any, position: int) -> int:
        """Write at a position, as `os.pwrite` does, and leave the file's own where it is. Raises OSError."""
        before, self._position = self._position, position
        try:
            return self.write(data)
        finally:
            self._position = before

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position. Raises OSError."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        position = offset + (self.size() if start is None else start)
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = position
        return position

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, or fill it with zeros. Raises OSError."""
        size = self._position if size is None else size
        if size < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if self.kept is not None:
            self.kept[:] = self.kept[:size].ljust(size, b"\0")
        elif size > self.size():
            self._files.disk.overwrite(self.key, size, b"")
        else:
            self._files.disk.truncate(self.key, size)
        return size

    def size(self) -> int:
        """How many bytes it has."""
        return len(self._content())

    def _content(self) -> bytes | bytearray:
        return self._files.disk.read(self.key) if self.kept is None else self.kept

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            self._files.drop(self._descriptor)
        super().close()
