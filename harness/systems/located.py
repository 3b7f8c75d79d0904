"""Systems of other people: found in a file, in a module, or by the entry point of an installed package.

    my/module.py:MySystem     a file, and the name of a class or of an instance in it
    package.module:MySystem   a module that can be imported from here or is installed
    trio:FILE.py, trio:MODULE:NAME   an ordinary Trio program, see programs/program.py
    mine                      what an installed package offers in its entry point group `foreshock.systems`

A class is made without arguments. What it must have are the methods of `harness.systems.system.System`; most systems
take them from the base classes in `harness.systems.adapter`. A file is loaded like a version of `raft_impl`: under an
alias, behind the guard. A module is imported by its own name, since its package may import itself, so the guard does
not see it; a first run is therefore made twice (see `harness.run.twice`).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

from harness.errors import BadInput, one_of

from .adapter import ADAPTER_VERSION
from .binding import Code
from .loader import code_digest, file_digest, first_line_of, load_file
from .programs import program
from .requirements import require_complete, require_words
from .system import System, require_members

ENTRY_POINTS: Final = "foreshock.systems"


def names() -> list[str]:
    """The systems of installed packages."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINTS)})


def is_located(spec: str) -> bool:
    """Whether a spec names a system in one of the forms above."""
    return ":" in spec or spec in names()


def locate(spec: str) -> Code:
    """Find the code of a system without running it. Raises BadInput."""
    if spec.startswith(program.PREFIX):
        _see_working_directory()
        return program.locate(spec)
    target = _entry_point(spec).value if ":" not in spec else spec
    place, _, _ = target.rpartition(":")
    if place.endswith(".py"):
        file = Path(place)
        if not file.is_file():
            raise BadInput(f"no file {place}", "a Python file and a name in it, such as my/module.py:MySystem", spec)
        folder = file.resolve().parent
        digest = code_digest(folder) if (folder / "__init__.py").is_file() else file_digest(file)
        return Code(spec=spec, directory=str(folder), digest=digest, is_foreign=True)
    origin = _origin(place, spec)
    package = origin.parent if origin.name == "__init__.py" else origin
    digest = code_digest(package) if package.is_dir() else file_digest(package)
    return Code(spec=spec, directory=str(package), digest=digest, is_foreign=True)


def load(code: Code) -> System:
    """Import a located system. Raises BadInput with one line for what is missing or cannot be imported."""
    spec = code.spec
    if spec.startswith(program.PREFIX):
        return program.load(code)
    target = _entry_point(spec).value if ":" not in spec else spec
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        module: Any = load_file(Path(code.directory) / Path(place).name, f"_foreshock_code_{code.digest[:12]}")
    else:
        _see_working_directory()
        try:
            module = importlib.import_module(place)
        except (Exception, SystemExit) as error:
            raise BadInput(first_line_of(error), "a module that can be imported", spec) from error
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            own = [word for word, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
            raise BadInput(f"no name {name!r}", one_of(own, typed=name) if own else "a system", spec)
        found = getattr(found, part)
    return _checked(found, spec)


def _checked(found: Any, spec: str) -> System:
    """The system itself, once it has everything that a system must have."""
    name = getattr(found, "__name__", type(found).__name__)
    if isinstance(found, type):
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise BadInput(first_line_of(error), f"a class {name} that is made without arguments", spec) from error
    if getattr(found, "runs_live", False):
        raise BadInput(f"{name}, which starts processes", "--world live, or a system of the simulated world", spec)
    require_members(found, System, spec)
    version = getattr(found, "adapter_version", ADAPTER_VERSION)
    if version != ADAPTER_VERSION:
        raise BadInput(f"adapter_version {version}", f"{ADAPTER_VERSION}, which this harness speaks", spec)
    if not isinstance(found.name, str) or not found.name:
        raise BadInput(f"name {found.name!r}", "a word", f"{spec}: {name}.name")
    require_words(found.workloads, "workloads", spec, least=1)
    require_complete(found, spec)
    return found  # type: ignore[no-any-return]


def _entry_point(spec: str) -> EntryPoint:
    found = [entry for entry in entry_points(group=ENTRY_POINTS) if entry.name == spec]
    if len({entry.value for entry in found}) > 1:
        raise BadInput(f"two packages that offer {spec!r}", "one entry point of each name", ENTRY_POINTS)
    return found[0]


def _origin(module: str, spec: str) -> Path:
    """The file of a module, or of the package that holds it; the package is not imported if it need not be."""
    _see_working_directory()
    top = module.partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise BadInput(f"no module {top!r}", "a module that can be imported from here, or FILE.py:NAME", spec)
    return Path(found.origin)


def _see_working_directory() -> None:
    """A person who types `package.module:Name` means the folder in which he is, as with `python -m`."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
