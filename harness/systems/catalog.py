"""The catalog: from what a person types to code and its adapter.

| spec | is |
| --- | --- |
| `raft_impl` | the checkout's own package |
| `raft_impl@REF` | the package as of a git ref |
| `path:DIR` | the package of another checkout |
| `patch:FILE` | a copy of the checkout's own package with a unified diff applied: a planted bug, or a fix to be tried |
| `FILE.py:NAME`, `MODULE:NAME` | a system of other people, see located.py |
| `trio:FILE.py:NAME`, `trio:MODULE:NAME` | a Trio program of other people, see programs/program.py |

A version of the code is loaded once for each content (its digest names the alias), so a worker that runs a thousand
seeds imports once. The package keeps no state of its own between runs; the determinism tests run seeds in shuffled
order to hold it to that.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from harness.errors import BadInput, one_of
from harness.plans.labels import DEFAULT_LABEL, OLDER_LABEL

from . import located
from .binding import Binding, Code
from .checkouts import PACKAGE, Checkouts
from .loader import code_digest, load_package
from .patches import patched
from .raft_impl import RaftImpl
from .system import System

_loaded: Final[dict[str, System]] = {}

FORMS: Final = (
    "raft_impl",
    "raft_impl@REF",
    "path:DIR",
    "patch:FILE",
    "FILE.py:NAME",
    "MODULE:NAME",
    "trio:FILE.py:NAME",
)


def bind(specs: str | Mapping[str, str], checkouts: Checkouts) -> Binding:
    """Resolve the spec of each label (one spec: that of the label "default"). Raises BadInput."""
    if isinstance(specs, str):
        specs = {DEFAULT_LABEL: specs}
    return Binding(codes={label: code(spec, checkouts) for label, spec in specs.items()})


def specs_of(system: str, upgrade_from: str | None) -> dict[str, str]:
    """The specs of the labels: of one version, or of one and the older one from which nodes are upgraded to it."""
    if upgrade_from is None:
        return {DEFAULT_LABEL: system}
    return {DEFAULT_LABEL: system, OLDER_LABEL: spec_of_version(upgrade_from)}


def code(spec: str, checkouts: Checkouts) -> Code:
    """Find the code that a spec names, and digest it."""
    commit = ""
    if spec == PACKAGE:
        directory = own_package()
    elif spec.startswith(f"{PACKAGE}@"):
        directory, commit = checkouts.ref(spec.partition("@")[2], own_package())
    elif spec.startswith("path:"):
        directory = _package_in(Path(spec.removeprefix("path:")), spec)
    elif spec.startswith("patch:"):
        directory, _ = patched(_patch(spec), own_package(), checkouts)
    elif spec.startswith("live:"):
        found, expected = f"system {spec!r}, which ran live", "a system of the simulated world, or `--world live`"
        raise BadInput(found, expected, "--system")
    elif spec.startswith("maelstrom:"):
        found, expected = f"system {spec!r}, which runs live only", "`--world live`, or `foreshock maelstrom`"
        raise BadInput(found, expected, "--system")
    elif located.is_located(spec):
        return located.locate(spec)
    else:
        raise BadInput(f"system {spec!r}", one_of([*FORMS, *located.names()], typed=spec), "--system")
    return Code(spec=spec, directory=str(directory), digest=code_digest(directory), commit=commit)


def load_systems(binding: Binding) -> dict[str, System]:
    """Load the system of each code label. Raises BadInput when a folder holds no usable package."""
    return {label: _load(code) for label, code in binding.codes.items()}


def spec_of_version(text: str) -> str:
    """Read a version as `compare` takes it: a folder that holds the package, a spec, or else a git ref."""
    if text == PACKAGE or text.startswith(("path:", "patch:", f"{PACKAGE}@")) or located.is_located(text):
        return text
    if _find_package(Path(text)) is not None:
        return f"path:{text}"
    return f"{PACKAGE}@{text}"


def own_package() -> Path:
    """The checkout's own `raft_impl`, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BadInput(f"no package {PACKAGE}", "an installation that has it, or `path:DIR`", "--system")
    return Path(spec.origin).parent


def alias_of(digest: str) -> str:
    """The name under which a version of `raft_impl` is loaded."""
    return f"_foreshock_code_{digest[:12]}"


def _load(code: Code) -> System:
    key = f"{code.digest} {code.spec}" if code.is_foreign else code.digest
    system = _loaded.get(key)
    if system is None:
        if code.is_foreign:
            system = located.load(code)
        else:
            system = RaftImpl(_package_of(code))
        _loaded[key] = system
    return system


def _package_of(code: Code) -> ModuleType:
    """Load the package; what is wrong with that of a git ref is said of the ref, and not of its temporary copy."""
    try:
        return load_package(code.path, alias_of(code.digest))
    except BadInput as error:
        if not code.commit:
            raise
        raise BadInput(error.found, error.expected, code.spec) from error


def _patch(spec: str) -> Path:
    patch = Path(spec.removeprefix("patch:"))
    if not patch.is_file():
        raise BadInput(f"no file {str(patch)!r}", f"a unified diff against {PACKAGE}/", spec)
    return patch


def _package_in(folder: Path, spec: str) -> Path:
    directory = _find_package(folder)
    if directory is None:
        raise BadInput(f"no {PACKAGE} package in {folder}", f"a checkout, or the folder of {PACKAGE}", spec)
    return directory


def _find_package(folder: Path) -> Path | None:
    for directory in (folder / PACKAGE, folder):
        if (directory / "__init__.py").is_file() and (directory / "surface.py").is_file():
            return directory.resolve()
    return None
