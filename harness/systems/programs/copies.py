"""Modules of the standard library that work on files: each incarnation of a program has copies of its own.

They ask `open`, `os` and `io` for everything, as the program's own code does. So they are loaded anew, with the
builtins that the program has, and find its disk below these names. What they remember, such as the names that
`tempfile` draws, ends with the incarnation.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Final

from .incarnation import current

COPIED: Final = frozenset(
    {"bz2", "configparser", "fileinput", "glob", "gzip", "lzma", "shutil", "tarfile", "tempfile", "zipfile"}
)
"""Their names."""


def copy_of(name: str, builtins: dict[str, object]) -> ModuleType:
    """The copy that the incarnation has whose code runs."""
    copies = current().copies
    if name not in copies:
        spec = importlib.util.find_spec(name)
        assert spec is not None, "a module of the standard library"
        assert spec.loader is not None, "which is a file of Python"
        copies[name] = module = importlib.util.module_from_spec(spec)
        vars(module)["__builtins__"] = builtins
        spec.loader.exec_module(module)
    return copies[name]
