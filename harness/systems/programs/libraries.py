"""Libraries of a program: while it runs, they see the same time, chance, files and sockets as its own modules.

A library is imported once, with the real modules. Where a name in one of its modules stands for a real module, or for a
real function of one, that has a shadow, the shadow takes its place for as long as incarnations run, and `open` is
added. So `time.time()`, and `from time import time` at the head of a module, are the actor's own. What a library
imports inside a function, keeps in a class, or does in native code stays real; the first run, which is made twice,
shows that.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final

_LEFT_ALONE: Final = frozenset(
    {"attr", "attrs", "checkers", "exceptiongroup", "harness", "msgspec", "outcome", "raft_impl", "sniffio"}
    | {"sortedcontainers", "trio", "workloads", "hypothesis", "pytest", "_pytest", "xdist"}
    | (sys.stdlib_module_names - {"logging"})
)
"""Top-level packages that are not changed: the world itself, what Trio stands on, and who runs tests.

Of the standard library that is all but `logging`, whose loggers the program shares with its libraries.
"""

_MISSING: Final = object()


class Libraries:
    """The libraries of one program. They are changed while at least one incarnation runs."""

    def __init__(self, shadows: Mapping[str, ModuleType], functions: Mapping[str, Any]) -> None:
        self._instead = dict(_instead(shadows))
        self._functions = functions  # names that every module gets
        self._changed: list[tuple[dict[str, object], str, Any]] = []
        self._packages: set[str] = set()  # the top-level packages of libraries that were reached
        self._seen: set[str] = set()  # their modules, which were changed
        self._users = 0

    @contextlib.contextmanager
    def changed(self, program: str) -> Iterator[None]:
        """While this lasts, what the modules of a program reach is changed; their names begin with `program`."""
        self._users += 1
        try:
            self._reach({name for name in sys.modules if name == program or name.startswith(f"{program}.")})
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._restore()

    def _reach(self, modules: set[str]) -> None:
        """Change the modules of the libraries that some modules refer to, of those that they refer to, and so on.

        Those that were reached before are not looked at again, but for what has been imported of them since.
        """
        while modules:
            tops = {top for name in modules for top in _tops(sys.modules[name])}
            self._packages |= {top for top in tops - _LEFT_ALONE if top in sys.modules}
            modules = {name for name in sys.modules if name.partition(".")[0] in self._packages} - self._seen
            self._seen |= modules
            for name in sorted(modules):
                self._change(name)

    def _change(self, name: str) -> None:
        names = vars(sys.modules[name])
        for key, value in list(names.items()):
            shadow = self._instead.get(id(value))
            if shadow is not None and not key.startswith("__"):
                self._set(names, key, shadow)
        for key, value in self._functions.items():
            if key not in names:
                self._set(names, key, value)

    def _set(self, names: dict[str, object], key: str, value: Any) -> None:
        self._changed.append((names, key, names.get(key, _MISSING)))
        names[key] = value

    def _restore(self) -> None:
        for names, key, value in reversed(self._changed):
            if value is _MISSING:
                names.pop(key, None)
            else:
                names[key] = value
        self._changed.clear()
        self._packages.clear()
        self._seen.clear()


def _instead(shadows: Mapping[str, ModuleType]) -> Iterator[tuple[int, Any]]:
    """Each shadow, and each name that a shadow changes, by the identity of what it stands for."""
    for name, shadow in shadows.items():
        real = sys.modules[name]
        yield id(real), shadow
        for key, value in vars(shadow).items():
            before = vars(real).get(key, value)
            if before is not value and callable(before):
                yield id(before), value


def _tops(module: ModuleType) -> Iterator[str]:
    """The top-level packages that the names of a module lead to."""
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value.__name__.partition(".")[0]
        elif isinstance(value, type | FunctionType) and isinstance(value.__module__, str):
            yield value.__module__.partition(".")[0]
