"""Which modules are compiled: those in which runs and checks spend their time, but for what compiling would change.

mypyc drops the keywords of a class (`frozen=True`, `array_like=True`) and erases annotations, without a word. A
compiled `msgspec.Struct` would so encode something else than the source says. Hence the rule: **a module that defines a
Struct stays interpreted.** Nobody has to remember it: the list is made from the sources, by what they define.

What else keeps a module out, as far as it is known: a generator under `@types.coroutine` cannot be awaited when it is
compiled (`harness/sim/drivers.py`); a parameter's annotation is enforced when another value is assigned to its name, as
in `_, _, actor = row` under a parameter `_: int`; and mypyc stops at `x in (a, *others)` (in some checkers).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

HARNESS_PLACES: Final = (
    "harness/sim/kernel",
    "harness/sim/conditions.py",
    "harness/sim/lifetime.py",
    "harness/sim/timer.py",
)
"""Folders, without those below them, and single files. A module comes here when runs with it were compared."""

RAFT_PLACES: Final = ("protocol", "machines", "runtime")
"""Folders of the `raft_impl` package."""

EXCEPTIONS: Final[Mapping[str, str]] = MappingProxyType({})
"""Modules of these places that stay interpreted for another reason, and why."""


def chosen(root: Path, places: Sequence[str]) -> list[Path]:
    """The modules below `root` that are compiled, sorted."""
    found = []
    for place in places:
        path = root / place
        files = [path] if path.suffix == ".py" else sorted(path.glob("*.py"))
        found += [file for file in files if file.name != "__init__.py" and not reason_against(root, file)]
    return sorted(found)


def reason_against(root: Path, file: Path) -> str:
    """Why a module is not compiled; "" if it may be."""
    structs = defined_structs(ast.parse(file.read_text()))
    if structs:
        return f"defines Structs: {', '.join(structs)}"
    return EXCEPTIONS.get(file.relative_to(root).as_posix(), "")


def defined_structs(module: ast.Module) -> list[str]:
    """The classes whose definition names a `Struct`, in any scope, and those derived from them in the same module."""
    found: list[str] = []
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            names = {part.id for base in node.bases for part in ast.walk(base) if isinstance(part, ast.Name)}
            names |= {part.attr for base in node.bases for part in ast.walk(base) if isinstance(part, ast.Attribute)}
            if "Struct" in names or names & set(found):
                found.append(node.name)
    return found
