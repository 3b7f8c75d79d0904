"""The loader: brings a copy of `raft_impl` into this process under an alias, behind the guard.

Several versions of one package must live in one process (mixed-version clusters, compared refs, patched copies). The
package imports itself relatively only, so it works under any name: `load_package(directory, "_foreshock_code_0")` puts
it into `sys.modules` under that alias, and never under its own name. A finder of ours, asked before all others, serves
exactly the aliases that were loaded; the rest of the process does not notice it.

**Bytecode.** Python trusts a cached `.pyc` when whole-second mtime and size of the source agree, so an edit within the
second in which the cache was written goes unseen. A harness that compares versions must not run the wrong one: such a
cache is removed first (the same reasoning as git's "racy" index entries).

**Compiled code.** Where there is a build of these very sources (`harness.compiled`), its modules are loaded instead.
The guard does not reach into them: it has run on their sources, whose fingerprints are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from harness.compiled.finder import compiled, use_code
from harness.errors import BadInput

from .guard import guarded_builtins

SURFACE_VERSION: Final = 2
"""The version of `raft_impl.surface` that the adapter speaks."""

_SURFACE_NAMES: Final = ("OPTIONS", "kind_of", "make_client", "make_server", "resolve")


def load_package(directory: Path, alias: str) -> ModuleType:
    """Import the package in `directory` (the folder of its `__init__.py`) under the name `alias`, with its `surface`.

    The same directory may be loaded under any number of aliases. Raises BadInput when there is no such package, when
    its code cannot be imported, or when it lacks the surface that the adapter needs.
    """
    directory = directory.resolve()
    if not (directory / "__init__.py").is_file():
        raise BadInput("no __init__.py", "the folder of a raft_impl package", str(directory))
    known = _finder.packages.get(alias)
    if known == directory and alias in sys.modules:
        return sys.modules[alias]
    if known is not None or alias in sys.modules:
        raise ValueError(f"the alias {alias!r} is taken; unload it first")
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.packages[alias] = directory
    use_code(alias)
    try:
        package = importlib.import_module(alias)
        _check_surface(alias, directory)
    except BadInput:
        unload(alias)
        raise
    except (Exception, SystemExit) as error:
        unload(alias)
        raise BadInput(_describe(error, directory), "code that can be imported", str(directory)) from error
    return package


def load_file(file: Path, alias: str, builtins: Callable[[], dict[str, object]] = guarded_builtins) -> ModuleType:
    """Import one Python file under the name `alias`, behind the guard; in a package, it may import its neighbours.

    `builtins` gives the modules other builtins than the guard's. Raises BadInput when its code cannot be imported.
    """
    file = file.resolve()
    directory = file.parent
    _finder.builtins[alias] = builtins
    if (directory / "__init__.py").is_file():
        while (directory.parent / "__init__.py").is_file():
            directory = directory.parent
        parts = file.relative_to(directory).with_suffix("").parts
        name = ".".join((alias, *parts)).removesuffix(".__init__")
        _finder.packages[alias] = directory
    else:
        name = alias
        _finder.files[alias] = file
    if name in sys.modules:
        return sys.modules[name]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    try:
        return importlib.import_module(name)
    except BadInput:
        unload(alias)
        raise
    except (Exception, SystemExit) as error:
        unload(alias)
        raise BadInput(_describe(error, directory), "code that can be imported", str(file)) from error


def unload(alias: str) -> None:
    """Forget a loaded package. Objects made by its code stay alive as long as they are referenced."""
    _finder.packages.pop(alias, None)
    _finder.files.pop(alias, None)
    _finder.builtins.pop(alias, None)
    for name in [name for name in sys.modules if name == alias or name.startswith(alias + ".")]:
        del sys.modules[name]


def code_digest(directory: Path) -> str:
    """SHA-256 over the sorted relative paths and contents of the package's Python files."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*.py"), key=lambda path: path.relative_to(directory).as_posix()):
        name = path.relative_to(directory).as_posix().encode()
        content = path.read_bytes()
        digest.update(len(name).to_bytes(8, "big") + name + len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def file_digest(file: Path) -> str:
    """SHA-256 over the content of one Python file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def first_line_of(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _check_surface(alias: str, directory: Path) -> None:
    expected = f"a module `surface` of version {SURFACE_VERSION}"
    if not (directory / "surface.py").is_file():
        raise BadInput("no surface.py", expected, str(directory))
    surface = importlib.import_module(f"{alias}.surface")
    version = getattr(surface, "SURFACE_VERSION", None)
    where = str(directory / "surface.py")
    if version != SURFACE_VERSION:
        raise BadInput(
            f"SURFACE_VERSION {version}", f"SURFACE_VERSION {SURFACE_VERSION}, or the harness of the same commit", where
        )
    missing = [name for name in _SURFACE_NAMES if not hasattr(surface, name)]
    if missing:
        raise BadInput(f"no {', '.join(missing)}", expected, where)


def _describe(error: BaseException, directory: Path) -> str:
    """Name an import error with the innermost line of the package's own code that raised it."""
    line = first_line_of(error)
    place, traceback = "", error.__traceback__
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if file.is_relative_to(directory):
            place = f" at {file.relative_to(directory)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return line + place


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one module of an aliased package, with builtins of its own."""

    def __init__(self, fullname: str, path: str, builtins: Callable[[], dict[str, object]]) -> None:
        super().__init__(fullname, path)
        self._builtins = builtins

    def get_code(self, fullname: str) -> CodeType | None:
        _drop_racy_cache(self.path)
        return super().get_code(fullname)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins()
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the packages and files that were registered here, and nothing else."""

    def __init__(self) -> None:
        self.packages: dict[str, Path] = {}
        self.files: dict[str, Path] = {}
        self.builtins: dict[str, Callable[[], dict[str, object]]] = {}  # by alias, where they are not the guard's

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        alias, *parts = fullname.split(".")
        builtins = self.builtins.get(alias, guarded_builtins)
        if fullname in self.files:
            source = str(self.files[fullname])
            return importlib.util.spec_from_file_location(fullname, source, loader=_Loader(fullname, source, builtins))
        if alias not in self.packages:
            return None
        extension = compiled.find_spec(fullname, path)
        if extension is not None:
            return extension
        directory = self.packages[alias]
        stem = directory.joinpath(*parts)
        package = stem / "__init__.py"
        file = package if package.is_file() else stem.with_name(stem.name + ".py")
        if not file.is_file():
            return None
        loader = _Loader(fullname, str(file), builtins)
        folders = [str(stem)] if file == package else None
        return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=folders)


_finder: Final = _Finder()
"""One a process: `sys.meta_path` is process-wide, and so is this."""


def _drop_racy_cache(source: str) -> None:
    """Remove a bytecode cache written in a second in which the source could still change unseen."""
    with contextlib.suppress(OSError, NotImplementedError):
        cache = Path(importlib.util.cache_from_source(source))
        if int(cache.stat().st_mtime) <= int(Path(source).stat().st_mtime):
            cache.unlink()
