"""Which modules are compiled: those in which runs and checks spend their time, but for what compiling would change.

mypyc drops the keywords of a class (`frozen=True`, `array_like=True`) and erases annotations, without a word. A
compiled `msgspec.Struct` would so encode something else than the source says. Hence the rule: **a module that defines a
Struct stays interpreted.** Nobody has to remember it: the list is made from the sources, by what they define.

What else mypyc cannot do: await a generator under `@types.coroutine`; let an interpreted class derive from a compiled
one, which fails when the class is used; read `x in (a, *others)`; delete an attribute that is not named in the
`__deletable__` of its class. And it enforces the annotation of a parameter when another value is assigned to its name,
as in `_, _, actor = row` under a parameter `_: int`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

HARNESS_PLACES: Final = (
    "harness/sim",
    "harness/sim/kernel",
    "harness/run/interpreter.py",
    "checkers/raft",
    "checkers/raft/rules",
    "checkers/linearizability/search",
    "checkers/linearizability/fast",
    "checkers/transactions",
)
"""Folders, without those below them, and single files. A module comes here when runs with it were compared."""

RAFT_PLACES: Final = ("protocol", "machines", "runtime")
"""Folders of the `raft_impl` package."""

EXCEPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"checkers/linearizability/fast/fast_path.py": "mypyc makes no class of a generic dataclass: importing it fails"}
)
"""Modules of these places that stay interpreted for another reason, and why."""


def chosen(root: Path, places: Sequence[str], forbidden: Collection[str] = ()) -> list[Path]:
    """The modules below `root` that are compiled, sorted; those that import what is `forbidden` are not."""
    found = []
    for place in places:
        path = root / place
        files = [path] if path.suffix == ".py" else sorted(path.glob("*.py"))
        found += [file for file in files if file.name != "__init__.py" and not reason_against(root, file, forbidden)]
    return sorted(found)


def reason_against(root: Path, file: Path, forbidden: Collection[str] = ()) -> str:
    """Why a module is not compiled; "" if it may be."""
    module = ast.parse(file.read_text())
    structs = defined_structs(module)
    if structs:
        return f"defines Structs: {', '.join(structs)}"
    names = sorted(set(imported(module)) & set(forbidden))
    if names:
        return f"imports {', '.join(names)}, which the guard watches"
    return EXCEPTIONS.get(file.relative_to(root).as_posix(), "")


def imported(module: ast.Module) -> Iterator[str]:
    """The names of all modules outside its package that a module imports, in any scope."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (name for alias in node.names for name in (alias.name, alias.name.partition(".")[0]))
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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
