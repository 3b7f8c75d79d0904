"""Objects of other people's files: `FILE.py:NAME`, as in `--model shop/model.py:STACK`.

A file is imported once in a process, under a name of its own that no import statement can collide with.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class NotLocated(ValueError):
    """What a spec names is not there, or is something else: what was found, what was expected, and where."""

    def __init__(self, found: str, expected: str, where: str) -> None:
        super().__init__(f"found {found}; expected {expected}; in {where}")
        self.found, self.expected, self.where = found, expected, where


def is_located(spec: str) -> bool:
    """Whether a spec names a place, and not one of the things that have a name here."""
    return ".py:" in spec


def locate(spec: str, kind: type[T]) -> T:
    """Import the file of a spec and return what it calls by the name behind the colon. Raises NotLocated."""
    place, _, name = spec.rpartition(":")
    file = Path(place).resolve()
    word = kind.__name__
    if not file.is_file():
        raise NotLocated(f"no file {place}", f"a Python file with a {word} in it", spec)
    alias = f"_foreshock_file_{file}"
    module = sys.modules.get(alias)
    if module is None:
        found = importlib.util.spec_from_file_location(alias, file)
        assert found is not None, "a name that ends in .py has a loader"
        assert found.loader is not None
        module = sys.modules[alias] = importlib.util.module_from_spec(found)
        try:
            found.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # a script, say
            del sys.modules[alias]
            line = f"{type(error).__name__}: {error}".splitlines()[0]
            raise NotLocated(line, "a file that can be imported", spec) from error
    value = getattr(module, name, None)
    if not isinstance(value, kind):
        others = ", ".join(key for key, other in vars(module).items() if isinstance(other, kind)) or f"a {word}"
        raise NotLocated(f"{name}, which is no {word}" if hasattr(module, name) else f"no name {name!r}", others, spec)
    return value
