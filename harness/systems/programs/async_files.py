"""`trio.Path` and `trio.open_file` on the disk of an actor: asked for in Trio's threads."""

from __future__ import annotations

import functools
import inspect
import pathlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import trio

from .file_names import SimPath, open_

_METHODS: Final = [
    name for name in dir(trio.Path) if name != "open" and inspect.iscoroutinefunction(getattr(trio.Path, name))
]
"""What `trio.Path` does in a thread, but for `open`."""


async def open_file(file: Any, *arguments: Any, **named: Any) -> Any:
    """`trio.open_file`, for paths on the actor's disk and for others."""
    return trio.wrap_file(await trio.to_thread.run_sync(functools.partial(open_, file, *arguments, **named)))


class SimTrioPath(pathlib.PurePosixPath):
    """`trio.Path`, for paths on the actor's disk and for others."""

    async def open(self, *arguments: Any, **named: Any) -> Any:
        return await open_file(str(self), *arguments, **named)


def _in_thread(name: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: SimTrioPath, *arguments: Any, **named: Any) -> Any:
        method = functools.partial(getattr(SimPath(self), name), *arguments, **named)
        found = await trio.to_thread.run_sync(lambda: _listed(method()))
        if isinstance(found, list):
            return iter([SimTrioPath(path) for path in found])
        return SimTrioPath(found) if isinstance(found, pathlib.Path) else found

    return call


def _listed(found: Any) -> Any:
    """What a method gave, and the list of what it would give one by one."""
    return list(found) if isinstance(found, Iterator) else found


for _name in _METHODS:
    setattr(SimTrioPath, _name, _in_thread(_name))
