"""What stands for `open`, for functions of `os` and `os.path`, and for `pathlib.Path`, in a Trio program.

Paths in `data_dir` lead to the actor's disk (`files.py`); others are the real ones, which can be read only. What a path
in `data_dir` cannot be asked for is refused by name.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import fnmatch
import io
import os
import pathlib
import stat
import zlib
from collections.abc import Callable, Generator, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final, Self

from .files import Files, RawFile
from .incarnation import CURRENT


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
        mine = files()
        if mine is None or not mine.holds(file):
            return builtins.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _raw(mine, file)
    elif opener is not None:
        raw = _raw(own[0], opener(file, _flags_of(mode)))
    elif own[1] == "":
        raise own[0].error(errno.EISDIR, "")
    else:
        raw = RawFile(*own, _flags_of(mode))
    if buffering == 0:
        return raw
    buffered: Any
    if "+" in mode:
        buffered = io.BufferedRandom(raw)
    else:
        buffered = io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)
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


def _os_open(path: Any, flags: int, mode: int = 0o777, **named: Any) -> int:
    own = _own(path)
    if own is None:
        return os.open(path, flags, mode, **named)
    return own[0].add(own[0].tag(own[1])) if own[0].is_folder(own[1]) else RawFile(*own, flags).fileno()


def _for_descriptor(name: str, act: Callable[..., Any], module: ModuleType = os) -> Callable[..., Any]:
    real = getattr(module, name)

    def call(descriptor: Any, *arguments: Any, **named: Any) -> Any:
        own = files()
        descriptor = descriptor.fileno() if hasattr(descriptor, "fileno") else descriptor
        if own is None or not own.holds(descriptor):
            return real(descriptor, *arguments, **named)
        return act(own, descriptor, *arguments, **named)

    return call


def _close(own: Files, descriptor: int) -> None:
    file = own.at(descriptor)
    own.drop(descriptor)
    if isinstance(file, RawFile):
        file.close()


def _raw(own: Files, descriptor: int) -> RawFile:
    file = own.at(descriptor)
    if isinstance(file, str):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return file


def _for_path(real: Callable[..., Any], act: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        own = _own(path)
        return real(path, *arguments, **named) if own is None else act(*own, *arguments, **named)

    return call


def _rename(source: Any, target: Any, **named: Any) -> None:
    old, new = _own(source), _own(target)
    if old is None or new is None:
        os.rename(source, target, **named)  # the real file system, which native.py refuses
    else:
        old[0].rename(old[1], new[1])


def _make_folder(own: Files, name: str, mode: int = 0o777, **_: Any) -> None:
    own.make_folder(name)


def _make_folders(own: Files, name: str, mode: int = 0o777, exist_ok: bool = False) -> None:
    if own.exists(name) and not (exist_ok and own.is_folder(name)):
        raise own.error(errno.EEXIST, name)
    parts = name.split("/")
    for path in ("/".join(parts[: count + 1]) for count in range(len(parts))):
        if not own.is_folder(path):
            own.make_folder(path)


def _stat(own: Files, name: str, **_: Any) -> os.stat_result:
    return _status(own.check(name), own.size(name), is_folder=own.is_folder(name))


def _fstat(own: Files, descriptor: int) -> os.stat_result:
    file = own.at(descriptor)
    return _status(file, 0, is_folder=True) if isinstance(file, str) else _status(file.key, file.size())


def _status(key: str, size: int, *, is_folder: bool = False) -> os.stat_result:
    kind = stat.S_IFDIR | 0o755 if is_folder else stat.S_IFREG | 0o644
    return os.stat_result((kind, zlib.crc32(key.encode()), 1, 1, 0, 0, size, 0, 0, 0))


def _access(own: Files, name: str, mode: int, **_: Any) -> bool:
    return own.exists(name)


class Entry:
    """What stands for `os.DirEntry`."""

    def __init__(self, own: Files, folder: str, path: str, name: str) -> None:
        self._own, self._inner = own, f"{folder}/{name}".removeprefix("/")
        self.name, self.path = name, os.path.join(path, name)

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder."""
        return self._own.is_folder(self._inner)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a file."""
        return self._own.exists(self._inner) and not self.is_dir()

    def is_symlink(self) -> bool:
        """Never: there are none."""
        return False

    def is_junction(self) -> bool:
        """Never: there are none."""
        return False

    def inode(self) -> int:
        """Its number, as in `stat`."""
        return self.stat().st_ino

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """As `os.stat`."""
        return _stat(self._own, self._inner)


class _Scan:
    """What stands for the iterator of `os.scandir`."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    def __next__(self) -> Entry:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""


def _scandir(path: Any = ".") -> Any:
    own = _own(path)
    if own is None:
        return os.scandir(path)
    files_of, name = own
    return _Scan([Entry(files_of, name, os.fspath(path), inside) for inside in files_of.listed(name)])


def _refused(name: str) -> Callable[..., Any]:
    """A function that is refused where any of its first two arguments is a path on the actor's disk."""
    real = getattr(os, name)

    def call(*arguments: Any, **named: Any) -> Any:
        for path in arguments[:2]:
            if isinstance(path, str | bytes | os.PathLike) and _own(path) is not None:
                _refuse(f"os.{name} in data_dir", "files and folders that are made, renamed and removed")
        return real(*arguments, **named)

    return call


def _refused_descriptor(name: str) -> Callable[..., Any]:
    def refuse(own: Files, descriptor: int, *_: Any, **__: Any) -> None:
        _refuse(f"os.{name} of a file in data_dir", "os.read, os.write, os.pread, os.pwrite and os.lseek")

    return _for_descriptor(name, refuse)


def _no_copy(own: Files, descriptor: int, *_: Any) -> None:
    """As file systems say that have no such call: `shutil` then copies by reading and writing."""
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _allocate(own: Files, descriptor: int, offset: int, length: int) -> None:
    file = _raw(own, descriptor)
    if offset + length > file.size():
        file.truncate(offset + length)


def _nothing(*_: Any, **__: Any) -> None:
    """What has no effect here: there is one user, no time of files, and nobody else who could hold a lock."""


def _over(function: Any, names: dict[str, object]) -> Any:
    """A function of the standard library, with other globals below it."""
    made = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


PATH_NAMES: Final[dict[str, Callable[..., Any]]] = {
    "exists": _for_path(os.path.exists, lambda own, name: own.exists(name)),
    "isfile": _for_path(os.path.isfile, lambda own, name: own.exists(name) and not own.is_folder(name)),
    "isdir": _for_path(os.path.isdir, lambda own, name: own.is_folder(name)),
    "lexists": _for_path(os.path.lexists, lambda own, name: own.exists(name)),
    "islink": _for_path(os.path.islink, lambda own, name: False),
    "samefile": lambda one, other: os.path.samestat(OS_NAMES["stat"](one), OS_NAMES["stat"](other)),
    "getsize": _for_path(os.path.getsize, lambda own, name: own.size(name)),
}
OS_NAMES: Final[dict[str, Callable[..., Any]]] = {
    "open": _os_open,
    "close": _for_descriptor("close", _close),
    "fsync": _for_descriptor("fsync", Files.fsync),
    "fdatasync": _for_descriptor("fdatasync", Files.fsync),
    "write": _for_descriptor("write", lambda own, descriptor, data: _raw(own, descriptor).write(data)),
    "read": _for_descriptor("read", lambda own, descriptor, size: _raw(own, descriptor).read(size)),
    "pread": _for_descriptor("pread", lambda own, descriptor, *rest: _raw(own, descriptor).read_at(*rest)),
    "pwrite": _for_descriptor("pwrite", lambda own, descriptor, *rest: _raw(own, descriptor).write_at(*rest)),
    "lseek": _for_descriptor("lseek", lambda own, descriptor, *rest: _raw(own, descriptor).seek(*rest)),
    "ftruncate": _for_descriptor("ftruncate", lambda own, descriptor, size: _raw(own, descriptor).truncate(size)),
    "rename": _rename,
    "replace": _rename,
    "remove": _for_path(os.remove, Files.unlink),
    "unlink": _for_path(os.unlink, Files.unlink),
    "truncate": _for_path(os.truncate, Files.resize),
    "mkdir": _for_path(os.mkdir, _make_folder),
    "makedirs": _for_path(os.makedirs, _make_folders),
    "rmdir": _for_path(os.rmdir, Files.remove_folder),
    "listdir": _for_path(os.listdir, Files.listed),
    "scandir": _scandir,
    "stat": _for_path(os.stat, _stat),
    "lstat": _for_path(os.lstat, _stat),
    "fstat": _for_descriptor("fstat", _fstat),
    "access": _for_path(os.access, _access),
    "chmod": _for_path(os.chmod, _nothing),
    "chown": _for_path(os.chown, _nothing),
    "lchown": _for_path(os.lchown, _nothing),
    "utime": _for_path(os.utime, _nothing),
    "listxattr": _for_path(os.listxattr, lambda own, name, **_: []),
    "fdopen": open_,
    "fchmod": _for_descriptor("fchmod", _nothing),
    "posix_fadvise": _for_descriptor("posix_fadvise", _nothing),
    "posix_fallocate": _for_descriptor("posix_fallocate", _allocate),
    "sendfile": _for_descriptor("sendfile", _no_copy),
    "isatty": _for_descriptor("isatty", lambda own, descriptor: False),
    **{name: _refused_descriptor(name) for name in ("dup", "dup2", "fchown", "fstatvfs", "lockf", "preadv", "pwritev")},
    **{name: _refused_descriptor(name) for name in ("copy_file_range", "readv", "splice", "writev")},
    **{name: _refused(name) for name in ("chdir", "link", "mkfifo", "mknod", "readlink", "statvfs", "symlink")},
}
LOCK_NAMES: Final = {name: _for_descriptor(name, _nothing, fcntl) for name in ("flock", "lockf")}
"""What stands for functions of `fcntl`."""

_PATHS: Final = ModuleType("posixpath")
vars(_PATHS).update({**vars(os.path), **PATH_NAMES})
_GLOBALS: Final = {**vars(os), **OS_NAMES, "path": _PATHS}
for _name in ("walk", "_walk", "removedirs", "renames"):  # they are made of the functions above
    if hasattr(os, _name):
        OS_NAMES[_name] = _GLOBALS[_name] = _over(getattr(os, _name), _GLOBALS)


def _matching(path: SimPath, pattern: tuple[str, ...]) -> Iterator[SimPath]:
    """What matches the parts of a pattern below a path: `pathlib`'s own search asks the real `os`."""
    if not pattern:
        yield path
    elif pattern[0] == "**":
        yield from _matching(path, pattern[1:])
        for folder in path.iterdir():
            if folder.is_dir():
                yield from _matching(folder, pattern)
    elif path.is_dir():
        for inside in path.iterdir():
            if fnmatch.fnmatchcase(inside.name, pattern[0]) and (len(pattern) == 1 or inside.is_dir()):
                yield from _matching(inside, pattern[1:])


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

    def lstat(self) -> os.stat_result:
        return self.stat()

    def is_symlink(self) -> bool:
        return bool(PATH_NAMES["islink"](str(self)))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if parents:
            OS_NAMES["makedirs"](str(self), mode, exist_ok)
        elif not (exist_ok and self.is_dir()):
            OS_NAMES["mkdir"](str(self), mode)

    def rmdir(self) -> None:
        OS_NAMES["rmdir"](str(self))

    def symlink_to(self, target: Any, target_is_directory: bool = False) -> None:
        OS_NAMES["symlink"](os.fspath(target), str(self))

    def hardlink_to(self, target: Any) -> None:
        OS_NAMES["link"](os.fspath(target), str(self))

    def chmod(self, mode: int, *, follow_symlinks: bool = True) -> None:
        OS_NAMES["chmod"](str(self), mode, follow_symlinks=follow_symlinks)

    def glob(self, pattern: str, **named: Any) -> Generator[SimPath, None, None]:
        if _own(str(self)) is None:
            return super().glob(pattern, **named)
        found = dict.fromkeys(_matching(self, pathlib.PurePath(pattern).parts))
        return (path for path in found)

    def rglob(self, pattern: str, **named: Any) -> Generator[SimPath, None, None]:
        return self.glob(os.path.join("**", pattern), **named)

    def walk(
        self, top_down: bool = True, on_error: Callable[[OSError], None] | None = None, follow_symlinks: bool = False
    ) -> Iterator[tuple[SimPath, list[str], list[str]]]:
        for folder, folders, names in OS_NAMES["walk"](str(self), top_down, on_error, follow_symlinks):
            yield type(self)(folder), folders, names

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
