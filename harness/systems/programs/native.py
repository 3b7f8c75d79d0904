"""What leaves the simulation is refused by name: real sockets, threads, child processes, and files that are written.

CPython tells its audit hooks (PEP 578) of nearly everything by which code reaches the operating system, whichever
library does it and in whatever language that is written; an exception from a hook prevents it. Our hook asks who runs:
code of an incarnation is refused, the harness is not. Threads have no such event in Python 3.11: `Thread.start` is
replaced while a run lasts. Those that Trio starts are events (`harness.sim.programs.threads`), in which a call from the
thread back into Trio would wait for itself.
"""

from __future__ import annotations

import _thread
import contextlib
import dbm
import functools
import os
import posix
import signal
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import trio

from . import openssl
from .incarnation import CURRENT

_OWN_FILES: Final = "files in data_dir, by open, os, pathlib and what the standard library makes of them"
_ONE_PROCESS: Final = "a program in one process"
_TO_END: Final = "a node that raises, or sys.exit"
_THREAD: Final = ("a thread that Trio does not start", "trio.to_thread.run_sync")
SIGNALS: Final = {
    name: (f"signal.{name}, which interrupts the harness", "trio.sleep, trio.fail_after, or a node that raises")
    for name in ("alarm", "setitimer", "raise_signal", "pthread_kill")
}
"""Functions of `signal` that interrupt, after a while or at once."""

ENDINGS: Final = {
    "_exit": ("os._exit, which ends the harness as well", _TO_END),
    "abort": ("os.abort, which ends the harness as well", _TO_END),
}
"""Functions of `os` that no audit event tells of."""

_INSTEAD: Final = {
    "socket.__new__": ("a socket of the operating system", "trio.socket, trio.open_tcp_stream or trio.serve_tcp"),
    "subprocess.Popen": ("a child process", _ONE_PROCESS),
    "os.fork": ("os.fork", _ONE_PROCESS),
    "os.forkpty": ("os.forkpty", _ONE_PROCESS),
    "os.posix_spawn": ("os.posix_spawn", _ONE_PROCESS),
    "os.exec": ("os.exec", _ONE_PROCESS),
    "os.system": ("os.system", _ONE_PROCESS),
    "os.kill": ("os.kill, a signal to a process of the machine", _TO_END),
    "os.killpg": ("os.killpg, a signal to processes of the machine", _TO_END),
    "os.chdir": ("os.chdir, which moves the harness as well", "paths that begin with data_dir"),
    "resource.setrlimit": ("resource.setrlimit, which bounds the harness as well", "a program without limits"),
    "_thread.start_new_thread": _THREAD,
    "_thread.start_joinable_thread": _THREAD,
    "os.mkdir": ("a folder made in the real file system", _OWN_FILES),
    "os.rmdir": ("a folder removed from the real file system", _OWN_FILES),
    "os.link": ("a link made in the real file system", _OWN_FILES),
    "os.symlink": ("a link made in the real file system", _OWN_FILES),
    "os.chmod": ("permissions changed in the real file system", _OWN_FILES),
    "os.chown": ("an owner changed in the real file system", _OWN_FILES),
    "os.utime": ("times changed in the real file system", _OWN_FILES),
    "os.remove": ("a file removed from the real file system", _OWN_FILES),
    "os.rename": ("a file renamed in the real file system", _OWN_FILES),
    "os.truncate": ("a file cut in the real file system", _OWN_FILES),
}
_REPLACED: Final = (
    (threading.Thread, "start", *_THREAD),
    (_thread, "start_new_thread", *_THREAD),
    (_thread, "start_new", *_THREAD),
    *((_thread, name, *_THREAD) for name in ("start_joinable_thread",) if hasattr(_thread, name)),
    *((module, name, *what) for name, what in ENDINGS.items() for module in (os, posix)),
    *((signal, name, *what) for name, what in SIGNALS.items()),
    (trio.from_thread, "run", "trio.from_thread.run", "a thread that returns what it found"),
    (trio.from_thread, "run_sync", "trio.from_thread.run_sync", "a thread that returns what it found"),
    (dbm, "open", "a dbm database, which native code may write", _OWN_FILES),
)
_TLS: Final = (
    ssl.SSLContext,
    "wrap_bio",
    "TLS under a Python whose OpenSSL cannot be given the chance of a plan",
    "a Python whose module _ssl is linked with OpenSSL's libcrypto, as those of Linux distributions are",
)
_JUDGED: Final = frozenset({"mmap.__new__", "open", "sqlite3.connect"})
"""Events that are refused by what they are of."""

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@functools.cache
def _watch_operating_system() -> None:
    """Install the hook; a hook stays for good, and this one lets everybody pass but code of an incarnation."""
    sys.addaudithook(_audit)


@contextmanager
def refused() -> Iterator[None]:
    """While this lasts, code of an incarnation cannot leave the simulation, and OpenSSL draws for it by the plan."""
    _watch_operating_system()
    with contextlib.ExitStack() as replaced:
        is_drawn = replaced.enter_context(openssl.drawn())
        for place, name, what, instead in _REPLACED if is_drawn else (*_REPLACED, _TLS):
            replaced.enter_context(_refused_function(place, name, what, instead))
        yield


@contextmanager
def _refused_function(place: Any, name: str, what: str, instead: str) -> Iterator[None]:
    real = getattr(place, name)

    @functools.wraps(real)
    def call(*arguments: Any, **named: Any) -> Any:
        incarnation = CURRENT.get()
        if incarnation is not None:
            incarnation.refuse(what, instead)
        return real(*arguments, **named)

    setattr(place, name, call)
    try:
        yield
    finally:
        setattr(place, name, real)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _INSTEAD and event not in _JUDGED:
        return
    incarnation = CURRENT.get()
    if incarnation is None:
        return
    if event in _INSTEAD:
        incarnation.refuse(*_INSTEAD[event])
    path, *rest = arguments
    if event == "mmap.__new__":
        if incarnation.host is not None and incarnation.host.files.holds(path):
            incarnation.refuse("mmap of a file in data_dir", _OWN_FILES)
    elif event == "open":
        flags = rest[-1] if rest else 0
        if isinstance(flags, int) and flags & _WRITES and not _is_bytecode(path):
            incarnation.refuse(f"a file opened to be written ({path!r})", _OWN_FILES)
    elif path != ":memory:":
        _refuse_database(path)


def _refuse_database(path: object) -> NoReturn:
    incarnation = CURRENT.get()
    assert incarnation is not None
    incarnation.refuse(f"an SQLite database in a file ({path!r})", _OWN_FILES)


def _is_bytecode(path: object) -> bool:
    """Whether Python itself writes here, for a module that the program imports late."""
    return isinstance(path, str) and "__pycache__" in path
