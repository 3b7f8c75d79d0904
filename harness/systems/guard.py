"""The guard: keeps code under test away from real time, entropy, the environment and threads.

A simulated run is a function of (plan, binding) alone. The guard works by caller: each module of a guarded package gets
its own `__builtins__`, whose `__import__` hands out *shadows* of the modules in `_ALLOWED`. A shadow can be imported
and its names can be bound (`from time import monotonic`); calling one, making an instance of one or looking into one
raises `ForbiddenInSimulation`. Harmless names (`os.path.join`, `threading.Lock`) are the real ones, and the rest of the
process keeps the real modules. The guard is a net for honest mistakes, not a prison: `sys.modules["time"]` walks around
it, and so does a third-party library that reads the clock; the determinism tests are the second net.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Final, NoReturn

from harness.errors import ForbiddenInSimulation

_ALLOWED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "time": "struct_time",
        "random": "",
        "os": "PathLike altsep curdir devnull error extsep fsdecode fsencode fspath linesep name pardir pathsep sep "
        "SEEK_SET SEEK_CUR SEEK_END",
        "os.path": "altsep basename commonpath commonprefix curdir devnull dirname extsep isabs join normcase normpath "
        "pardir pathsep sep split splitext",
        "secrets": "compare_digest",
        "uuid": "NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 SafeUUID UUID uuid3 uuid5",
        "threading": "Lock RLock TIMEOUT_MAX ThreadError local",
    }
)
"""Shadowed modules, with the names that depend on nothing outside the run."""

SHADOWED: Final = tuple(_ALLOWED)
"""Their names. The guard does not reach into compiled code, so a module that imports one of them is not compiled."""


@functools.cache
def guarded_builtins() -> dict[str, object]:
    """The builtins of a guarded module."""
    guarded = dict(vars(builtins))
    guarded["__import__"] = _guarded_import
    return guarded


def _guarded_import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> ModuleType:
    """Import as usual, but hand out shadows: `import os.path` binds `os`, `from os.path import x` reads `os.path`."""
    if level == 0:
        shadowed = name if fromlist else name.partition(".")[0]
        if shadowed in _ALLOWED:
            return _shadow(shadowed)
    return builtins.__import__(name, globals, locals, fromlist, level)


@functools.cache
def _shadow(name: str) -> ModuleType:
    real = importlib.import_module(name)
    allowed = _ALLOWED[name].split()
    shadow = ModuleType(name, f"The guard's shadow of `{name}`.")
    for attribute in sorted(set(dir(real))):
        if attribute.startswith("__"):
            continue
        submodule = f"{name}.{attribute}"
        value = getattr(real, attribute)
        if submodule in _ALLOWED:
            value = _shadow(submodule)
        elif attribute not in allowed:
            value = _forbidden(submodule, value)
        setattr(shadow, attribute, value)
    return shadow


def _forbidden(name: str, real: object) -> object:
    """Stand in for something that can be bound but not used."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise ForbiddenInSimulation(name)

    if isinstance(real, type) and issubclass(real, BaseException):
        return real
    if isinstance(real, type):
        return type(real.__name__, (), {"__new__": refuse, "__module__": name.rpartition(".")[0]})
    if callable(real):
        with contextlib.suppress(AttributeError, TypeError):
            functools.update_wrapper(refuse, real)
        return refuse
    methods: dict[str, object] = {f"__{name}__": refuse for name in _LOOKING_INTO.split()}
    return type("Forbidden", (), {**methods, "__hash__": object.__hash__})()


_LOOKING_INTO: Final = "getattr getitem setitem delitem contains iter len bool eq lt le gt ge add sub int call"
"""Operations of a value, such as `os.environ` or `time.timezone`, by which its content could be learned."""
