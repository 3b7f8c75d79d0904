"""Files of a Trio program: `open`, `os` and `pathlib` on the disk of its actor.

The disk is one flat directory, `data_dir`, whose model is that of every other system: what was written is lost with the
power, in part, until `os.fsync` of the file, and a new name until `os.fsync` of the directory. Buffers of Python are
lost with the process. A file grows at its end, is written anew, or is overwritten anywhere; anything else that is asked
of a path in `data_dir` is refused by name, and paths elsewhere are the real ones, which can be read only.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import pathlib
import stat
from collections.abc import Callable, Generator
from typing import Any, Final, Protocol

from harness.systems.environment import Disk

from .incarnation import CURRENT

_FIRST_DESCRIPTOR: Final = 1_000


class ProgramDisk(Disk, Protocol):
    """A disk as programs need it: with writes in the middle of files."""

    def overwrite(self, name: str, position: int, data: bytes) -> None:
        """Write at a position; a gap before it reads as zeros. Without data this makes a short file longer."""
        ...


class Files:
    """The open files of one incarnation, and the disk below them."""

    def __init__(
        self, disk: ProgramDisk, folder: str, sync: Callable[[str | None], None], is_over: Callable[[], bool]
    ) -> None:
        self.disk, self.folder = disk, folder
        self.is_over = is_over  # the incarnation; buffers that Python empties from now on go nowhere
        self.sync = sync  # of a file, or with None of the directory
        self._descriptors: dict[int, RawFile | None] = {}  # None: the directory
        self._next = _FIRST_DESCRIPTOR

    def name_of(self, path: Any) -> str | None:
        """The name of a file in the folder; empty for the folder itself, None for a path elsewhere."""
        if isinstance(path, int):
            return None
        text = os.path.normpath(os.fsdecode(path))
        if text == self.folder:
            return ""
        return text.removeprefix(f"{self.folder}/") if text.startswith(f"{self.folder}/") else None

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return name == "" or name in self.disk.names()

    def size(self, name: str) -> int:
        """Its size. Raises FileNotFoundError."""
        if not self.exists(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.folder}/{name}")
        return len(self.disk.read(name)) if name else 0

    def resize(self, name: str, size: int) -> None:
        """Cut a file, or fill it with zeros. Raises OSError."""
        if size < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if size > self.size(name):
            self.disk.overwrite(name, size, b"")
        else:
            self.disk.truncate(name, size)

    def add(self, file: RawFile | None) -> int:
        """A descriptor for an open file, or for the directory."""
        self._next += 1
        self._descriptors[self._next] = file
        return self._next

    def holds(self, descriptor: Any) -> bool:
        """Whether a descriptor is one of these."""
        return descriptor in self._descriptors

    def at(self, descriptor: int) -> RawFile | None:
        """The open file of a descriptor."""
        return self._descriptors[descriptor]

    def drop(self, descriptor: int) -> None:
        """A descriptor was closed."""
        self._descriptors.pop(descriptor, None)


class RawFile(io.RawIOBase):
    """An open file without buffers."""

    def __init__(self, files: Files, name: str, flags: int) -> None:
        super().__init__()
        self._files, self.name = files, name
        self._flags = flags
        disk = files.disk
        exists = files.exists(name)
        if exists and flags & os.O_CREAT and flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        if not exists and not flags & os.O_CREAT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{files.folder}/{name}")
        if "/" in name:
            _refuse("a folder inside data_dir", "files in data_dir itself")
        if not exists:
            disk.append(name, b"")
        elif flags & os.O_TRUNC:
            disk.truncate(name, 0)
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
        data = self._files.disk.read(self.name)[self._position : self._position + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        """Write at the position, or at the end if it was opened to append. Raises OSError."""
        content = bytes(memoryview(data))
        if self._files.is_over():
            return len(content)
        size = self._files.size(self.name)
        if self._flags & os.O_APPEND:
            self._position = size
        if self._position == size:
            try:
                self._files.disk.append(self.name, content)
            except OSError:
                self._position = self._files.size(self.name)  # what follows comes behind the part that was written
                raise
        elif content:
            self._files.disk.overwrite(self.name, self._position, content)
        self._position += len(content)
        return len(content)

    def read_at(self, size: int, position: int) -> bytes:
        """Read from a position on, as `os.pread` does, and leave the file's own where it is."""
        return self._files.disk.read(self.name)[position : position + size]

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
        position = offset + (self._files.size(self.name) if start is None else start)
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = position
        return position

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, or fill it with zeros. Raises OSError."""
        size = self._position if size is None else size
        self._files.resize(self.name, size)
        return size

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            self._files.drop(self._descriptor)
        super().close()


def files() -> Files | None:
    """The files of the incarnation whose code runs."""
    incarnation = CURRENT.get()
    return None if incarnation is None else incarnation.host.files


def _refuse(what: str, instead: str) -> None:
    incarnation = CURRENT.get()
    assert incarnation is not None, "only code of an incarnation has files"
    incarnation.refuse(what, instead)


def _own(path: Any) -> tuple[Files, str] | None:
    """The files and the name, if a path leads to the actor's disk."""
    own = files()
    name = own.name_of(path) if own is not None else None
    return None if own is None or name is None else (own, name)


# -- what stands for the builtin `open` -------------------------------------------------------------------------------


def open_(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    """`open`, for paths on the actor's disk and for others."""
    own = _own(file)
    if own is None:
        return builtins.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if own[1] == "":
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
    raw = RawFile(*own, _flags_of(mode))
    if buffering == 0:
        return raw
    buffered: Any
    if "+" in mode:
        buffered = io.BufferedRandom(raw)
    else:
        buffered = io.BufferedReader(raw) if raw.readable() else io.BufferedWriter(raw)
    if "a" in mode:
        buffered.seek(0, os.SEEK_END)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)


def _flags_of(mode: str) -> int:
    flags = {"r": 0, "w": os.O_CREAT | os.O_TRUNC, "a": os.O_CREAT | os.O_APPEND, "x": os.O_CREAT | os.O_EXCL}
    kind = next((letter for letter in mode if letter in flags), "")
    if not kind:
        raise ValueError(f"invalid mode: {mode!r}")
    access = os.O_RDWR if "+" in mode else os.O_RDONLY if kind == "r" else os.O_WRONLY
    return flags[kind] | access


# -- what stands for functions of `os` and `os.path` ------------------------------------------------------------------


def _os_open(path: Any, flags: int, mode: int = 0o777) -> int:
    own = _own(path)
    if own is None:
        return os.open(path, flags, mode)
    return own[0].add(None) if own[1] == "" else RawFile(*own, flags).fileno()


def _for_descriptor(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(descriptor: Any, *arguments: Any) -> Any:
        own = files()
        descriptor = descriptor.fileno() if hasattr(descriptor, "fileno") else descriptor
        if own is None or not own.holds(descriptor):
            return real(descriptor, *arguments)
        return act(own, descriptor, *arguments)

    return call


def _fsync(own: Files, descriptor: int) -> None:
    file = own.at(descriptor)
    own.sync(None if file is None else file.name)


def _close(own: Files, descriptor: int) -> None:
    file = own.at(descriptor)
    own.drop(descriptor)
    if file is not None:
        file.close()


def _raw(own: Files, descriptor: int) -> RawFile:
    file = own.at(descriptor)
    if file is None:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return file


def _for_path(real: Callable[..., Any], act: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        own = _own(path)
        return real(path, *arguments, **named) if own is None else act(*own, *arguments, **named)

    return call


def _rename(source: Any, target: Any) -> None:
    old, new = _own(source), _own(target)
    if old is None or new is None:
        os.rename(source, target)  # the real file system, which native.py refuses
    else:
        old[0].disk.rename(old[1], new[1])


def _make_folder(own: Files, name: str, mode: int = 0o777, exist_ok: bool = False, parents: bool = False) -> None:
    if name:
        _refuse("a folder inside data_dir", "files in data_dir itself")
    if not exist_ok:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), own.folder)


def _stat(own: Files, name: str, **_: Any) -> os.stat_result:
    kind = stat.S_IFREG if name else stat.S_IFDIR
    return os.stat_result((kind | 0o644, 1, 1, 1, 0, 0, own.size(name), 0, 0, 0))


def _list(own: Files, name: str) -> list[str]:
    if name:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    return own.disk.names()


def _unlink(own: Files, name: str, missing_ok: bool = False) -> None:
    if not (missing_ok and not own.exists(name)):
        own.disk.unlink(name)


def _scan(own: Files, name: str) -> None:
    _refuse("os.scandir of data_dir", "os.listdir")


PATH_NAMES: Final[dict[str, Callable[..., Any]]] = {
    "exists": _for_path(os.path.exists, lambda own, name: own.exists(name)),
    "isfile": _for_path(os.path.isfile, lambda own, name: name != "" and own.exists(name)),
    "isdir": _for_path(os.path.isdir, lambda own, name: name == ""),
    "getsize": _for_path(os.path.getsize, lambda own, name: own.size(name)),
}
OS_NAMES: Final[dict[str, Callable[..., Any]]] = {
    "open": _os_open,
    "close": _for_descriptor("close", _close),
    "fsync": _for_descriptor("fsync", _fsync),
    "fdatasync": _for_descriptor("fdatasync", _fsync),
    "write": _for_descriptor("write", lambda own, descriptor, data: _raw(own, descriptor).write(data)),
    "read": _for_descriptor("read", lambda own, descriptor, size: _raw(own, descriptor).read(size)),
    "pread": _for_descriptor("pread", lambda own, descriptor, *rest: _raw(own, descriptor).read_at(*rest)),
    "pwrite": _for_descriptor("pwrite", lambda own, descriptor, *rest: _raw(own, descriptor).write_at(*rest)),
    "lseek": _for_descriptor("lseek", lambda own, descriptor, *rest: _raw(own, descriptor).seek(*rest)),
    "ftruncate": _for_descriptor("ftruncate", lambda own, descriptor, size: _raw(own, descriptor).truncate(size)),
    "rename": _rename,
    "replace": _rename,
    "remove": _for_path(os.remove, _unlink),
    "unlink": _for_path(os.unlink, _unlink),
    "truncate": _for_path(os.truncate, lambda own, name, size: own.resize(name, size)),
    "mkdir": _for_path(os.mkdir, _make_folder),
    "makedirs": _for_path(os.makedirs, _make_folder),
    "listdir": _for_path(os.listdir, _list),
    "scandir": _for_path(os.scandir, _scan),
    "stat": _for_path(os.stat, _stat),
}


class SimPath(pathlib.PosixPath):
    """`pathlib.Path`, for paths on the actor's disk and for others."""

    def open(self, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        return open_(str(self), mode, *arguments, **named)

    def exists(self, **named: Any) -> bool:
        return bool(PATH_NAMES["exists"](str(self)))

    def is_file(self, **named: Any) -> bool:
        return bool(PATH_NAMES["isfile"](str(self)))

    def is_dir(self, **named: Any) -> bool:
        return bool(PATH_NAMES["isdir"](str(self)))

    def stat(self, **named: Any) -> os.stat_result:
        result: os.stat_result = OS_NAMES["stat"](str(self), **named)
        return result

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        OS_NAMES["makedirs"](str(self), mode, exist_ok)

    def iterdir(self) -> Generator[SimPath, None, None]:
        return (self / name for name in OS_NAMES["listdir"](str(self)))

    def rename(self, target: Any) -> Any:
        _rename(str(self), target)
        return type(self)(target)

    def replace(self, target: Any) -> Any:
        return self.rename(target)

    def unlink(self, missing_ok: bool = False) -> None:
        if not (missing_ok and not self.exists()):
            OS_NAMES["unlink"](str(self))

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        self.open("a" if exist_ok else "x").close()

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        with self.open("r", encoding=encoding, errors=errors) as file:
            return str(file.read())

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return bytes(file.read())

    def write_text(
        self, data: str, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> int:
        with self.open("w", encoding=encoding, errors=errors, newline=newline) as file:
            return int(file.write(data))

    def write_bytes(self, data: Any) -> int:
        with self.open("wb") as file:
            return int(file.write(data))
