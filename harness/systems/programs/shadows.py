"""Modules that work on an actor's own time and chance: what a Trio program gets for `time`, `random` and their like.

Each module of a program has its own `__builtins__`, as in the guard (`harness.systems.guard`), whose `__import__` hands
out these shadows, and copies of modules that work on files (`copies.py`). A shadow has all names of the real module;
those that tell the time or draw give the virtual values of the actor whose code calls them. Local time is UTC.
`libraries.py` gives them to libraries from elsewhere.
"""

from __future__ import annotations

import builtins
import calendar
import contextlib
import datetime
import fcntl
import functools
import io
import os
import pathlib
import random
import secrets
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from types import ModuleType
from typing import Any, Final

import trio

from . import async_files, file_names, plain_sockets
from .copies import COPIED, copy_of
from .incarnation import current
from .native import ENDINGS, SIGNALS

_RANDOM_FUNCTIONS: Final = frozenset(name for name in dir(random.Random) if not name.startswith("_")) - {"VERSION"}
"""What the module offers of the generator that all share."""


@functools.cache
def program_builtins() -> dict[str, object]:
    """The builtins of a module of a Trio program."""

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        module = builtins.__import__(name, globals, locals, fromlist, level)
        wanted = name if fromlist else name.partition(".")[0]
        if level or wanted not in COPIED:
            return module if level else shadows().get(wanted, module)
        return copy_of(wanted, program_builtins())

    return {**vars(builtins), "__import__": import_, **FUNCTIONS}


FUNCTIONS: Final = {"open": file_names.open_}
"""Builtins that are not those of Python."""


@functools.cache
def shadows() -> dict[str, ModuleType]:
    """The shadows, by the names of their modules."""
    trio_socket = _shadow(trio.socket, {"from_stdlib_socket": plain_sockets.taken})
    return {
        "time": _shadow(time, _time_names()),
        "datetime": _shadow(datetime, {"datetime": _DateTime, "date": _Date}),
        "random": _shadow(random, _random_names()),
        "secrets": _shadow(secrets, _secrets_names()),
        "uuid": _shadow(uuid, {"uuid1": _uuid1, "uuid4": _uuid4, "getnode": lambda: current().ordinal}),
        "os": _shadow(os, _os_names()),
        "os.path": _PATH,
        "pathlib": _shadow(pathlib, {"Path": file_names.SimPath, "PosixPath": file_names.SimPath}),
        "io": _shadow(io, FUNCTIONS),
        "builtins": _shadow(builtins, FUNCTIONS),
        "fcntl": _shadow(fcntl, file_names.LOCK_NAMES),
        "socket": _shadow(socket, _socket_names()),
        "signal": _shadow(signal, _signal_names()),
        "trio": _shadow(
            trio,
            {
                "socket": trio_socket,
                "Path": async_files.SimTrioPath,
                "open_file": async_files.open_file,
                "open_signal_receiver": _open_signal_receiver,
            },
        ),
        "trio.socket": trio_socket,
    }


class _Shadow(ModuleType):
    """Has the names of a module as they were when it was made, and those that came later."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__, f"The simulator's `{real.__name__}`.")
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _shadow(real: ModuleType, names: Mapping[str, Any]) -> ModuleType:
    shadow = _Shadow(real)
    vars(shadow).update({name: value for name, value in vars(real).items() if not name.startswith("__")})
    vars(shadow).update(names)
    return shadow


# -- time -------------------------------------------------------------------------------------------------------------


_WALL_CLOCKS: Final = (time.CLOCK_REALTIME, getattr(time, "CLOCK_TAI", time.CLOCK_REALTIME))


def _wall_ns() -> int:
    return current().environment.clock.wall_ns()


def _monotonic_ns() -> int:
    return current().environment.clock.monotonic_ns()


def _seconds(clock_ns: Callable[[], int]) -> Callable[[], float]:
    return lambda: clock_ns() / 1e9


def _sleep(_: float) -> None:
    current().refuse("time.sleep, which stops all tasks", "await trio.sleep")


def _gmtime(seconds: float | None = None) -> time.struct_time:
    return time.gmtime(_wall_ns() / 1e9 if seconds is None else seconds)


def _clock_ns(clock: int) -> int:
    return _wall_ns() if clock in _WALL_CLOCKS else _monotonic_ns()


def _time_names() -> dict[str, object]:
    names: dict[str, object] = {"time": _seconds(_wall_ns), "time_ns": _wall_ns, "sleep": _sleep}
    names |= {"clock_gettime": lambda clock: _clock_ns(clock) / 1e9, "clock_gettime_ns": _clock_ns}
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        names[name], names[f"{name}_ns"] = _seconds(_monotonic_ns), _monotonic_ns
    names["gmtime"] = names["localtime"] = _gmtime
    names["ctime"] = lambda seconds=None: time.asctime(_gmtime(seconds))
    names["asctime"] = lambda when=None: time.asctime(when or _gmtime())
    names["strftime"] = lambda format, when=None: time.strftime(format, when or _gmtime())
    # Local time is UTC, whatever the zone of the machine: one seed must be one run on all of them.
    names["mktime"] = lambda when: float(calendar.timegm(when))
    names |= {"timezone": 0, "altzone": 0, "daylight": 0, "tzname": ("UTC", "UTC"), "tzset": lambda: None}
    return names


class _OfRealType(type):
    """Makes a shadowed class and the real one the same to `isinstance`."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _DateTime(datetime.datetime, metaclass=_OfRealType):
    """`datetime.datetime` with the actor's wall clock; local time, which a naive one means, is UTC."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _DateTime:
        return cls.fromtimestamp(_wall_ns() / 1e9, tz)

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: datetime.tzinfo | None = None) -> _DateTime:
        found = super().fromtimestamp(timestamp, datetime.UTC)
        return found.astimezone(tz) if tz is not None else found.replace(tzinfo=None)

    def timestamp(self) -> float:
        return datetime.datetime.timestamp(self._aware())

    def astimezone(self, tz: datetime.tzinfo | None = None) -> _DateTime:
        return datetime.datetime.astimezone(self._aware(), tz or datetime.UTC)

    def _aware(self) -> _DateTime:
        return self if self.tzinfo is not None else self.replace(tzinfo=datetime.UTC)

    @classmethod
    def utcnow(cls) -> _DateTime:
        return cls.now()

    @classmethod
    def today(cls) -> _DateTime:
        return cls.now()


class _Date(datetime.date, metaclass=_OfRealType):
    """`datetime.date` with the actor's wall clock."""

    @classmethod
    def today(cls) -> _Date:
        return cls.fromtimestamp(_wall_ns() / 1e9)

    @classmethod
    def fromtimestamp(cls, timestamp: float) -> _Date:
        found = _DateTime.fromtimestamp(timestamp)
        return cls(found.year, found.month, found.day)


# -- chance -----------------------------------------------------------------------------------------------------------


class _Random(random.Random):
    """`random.Random`, whose default seed is drawn by the plan."""

    def __init__(self, x: Any = None) -> None:
        incarnation = current()
        super().__init__(incarnation.word("random") if x is None else x)
        if x is None:
            incarnation.note_generator(self)


class _SystemRandom(random.SystemRandom):
    """`random.SystemRandom` over the plan's draws."""

    def random(self) -> float:
        return (current().word("entropy") >> 11) / 2**53

    def getrandbits(self, k: int) -> int:
        return int.from_bytes(current().entropy(-(-k // 8))) >> (-k % 8)

    def randbytes(self, n: int) -> bytes:
        return current().entropy(n)


def _random_names() -> dict[str, object]:
    def drawn(name: str) -> Callable[..., Any]:
        def draw(*arguments: Any, **named: Any) -> Any:
            return getattr(current().random, name)(*arguments, **named)

        return draw

    names: dict[str, object] = {name: drawn(name) for name in sorted(_RANDOM_FUNCTIONS)}
    return {**names, "Random": _Random, "SystemRandom": _SystemRandom}


def _secrets_names() -> dict[str, object]:
    system = _SystemRandom()

    def token(size: int | None = None) -> bytes:
        return current().entropy(32 if size is None else size)

    return {
        "SystemRandom": _SystemRandom,
        "choice": system.choice,
        "randbelow": system.randrange,
        "randbits": system.getrandbits,
        "token_bytes": token,
        "token_hex": lambda size=None: token(size).hex(),
        "token_urlsafe": lambda size=None: secrets.base64.urlsafe_b64encode(token(size)).rstrip(b"=").decode(),  # type: ignore[attr-defined]
    }


def _socket_names() -> dict[str, object]:
    def refused(name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> None:
            current().refuse(f"socket.{name}, which asks without Trio", "trio.socket.getaddrinfo")

        return refuse

    names: dict[str, object] = {"socket": plain_sockets.PlainSocket, "SocketType": plain_sockets.PlainSocket}
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "getfqdn"):
        names[name] = refused(name)
    return {**names, "gethostname": lambda: current().actor}


_PATH: Final = _shadow(os.path, file_names.PATH_NAMES)


def _uuid1(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    return uuid.UUID(bytes=current().entropy(16), version=1)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(bytes=current().entropy(16), version=4)


# -- the process ------------------------------------------------------------------------------------------------------


class _Environ(MutableMapping[str, str]):
    """`os.environ`: empty when a process begins, and gone with it."""

    def __getitem__(self, key: str) -> str:
        return current().environ[_text(key)]

    def __setitem__(self, key: str, value: str) -> None:
        current().environ[_text(key)] = _text(value)

    def __delitem__(self, key: str) -> None:
        del current().environ[_text(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(list(current().environ))

    def __len__(self) -> int:
        return len(current().environ)

    def copy(self) -> dict[str, str]:
        return dict(self)


class _EnvironBytes(MutableMapping[bytes, bytes]):
    """`os.environb`: the same, as bytes."""

    def __getitem__(self, key: bytes) -> bytes:
        return os.fsencode(current().environ[os.fsdecode(key)])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        current().environ[os.fsdecode(key)] = os.fsdecode(value)

    def __delitem__(self, key: bytes) -> None:
        del current().environ[os.fsdecode(key)]

    def __iter__(self) -> Iterator[bytes]:
        return iter([os.fsencode(key) for key in current().environ])

    def __len__(self) -> int:
        return len(current().environ)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"str expected, not {type(value).__name__}")
    return value


def _pid() -> int:
    return 1_000 + current().ordinal


def _times() -> os.times_result:
    seconds = _monotonic_ns() / 1e9
    return os.times_result((seconds, 0.0, 0.0, 0.0, seconds))


def _uname() -> os.uname_result:
    system, _, *rest = os.uname()
    return os.uname_result((system, current().actor, *rest))


def _handler_of(number: int) -> Any:
    return current().handlers.get(number, signal.SIG_DFL)


def _set_handler(number: int, handler: Any) -> Any:
    """Nobody sends a signal to a simulated process; that of the machine belongs to the harness."""
    before = _handler_of(number)
    current().handlers[number] = handler
    return before


def _signal_names() -> dict[str, object]:
    refused = {name: _refused(what, instead) for name, (what, instead) in SIGNALS.items()}
    return {"signal": _set_handler, "getsignal": _handler_of, "set_wakeup_fd": lambda *_, **__: -1, **refused}


class _NoSignals:
    """The signals that a process gets: none."""

    def __aiter__(self) -> _NoSignals:
        return self

    async def __anext__(self) -> int:
        await trio.sleep_forever()


@contextlib.contextmanager
def _open_signal_receiver(*signals: int) -> Iterator[_NoSignals]:
    if not signals:
        raise TypeError("No signals were provided")
    yield _NoSignals()


def _refused(what: str, instead: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        current().refuse(what, instead)

    return refuse


def _os_names() -> dict[str, object]:
    environ, environb = _Environ(), _EnvironBytes()
    return {
        "urandom": lambda size: current().entropy(size),
        "getrandom": lambda size, flags=0: current().entropy(size),
        "getpid": _pid,
        "getpgrp": _pid,
        "getpgid": lambda pid: pid or _pid(),
        "getsid": lambda pid: pid or _pid(),
        "getppid": lambda: 1,
        "cpu_count": lambda: 1,
        "process_cpu_count": lambda: 1,
        "sched_getaffinity": lambda pid: {0},
        "getloadavg": lambda: (0.0, 0.0, 0.0),
        "times": _times,
        "uname": _uname,
        "environ": environ,
        "environb": environb,
        "getenv": environ.get,
        "getenvb": environb.get,
        "putenv": lambda key, value: None,
        "unsetenv": lambda key: None,
        "path": _PATH,
        **{name: _refused(what, instead) for name, (what, instead) in ENDINGS.items()},
        **file_names.OS_NAMES,
    }
