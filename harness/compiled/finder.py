"""Uses extension modules in place of sources, if `FORESHOCK_COMPILED` names a folder that has them for *these* sources.

The sources are the truth. A build lies in a folder that is named by the digest of all the sources it was made from, and
by the interpreter; what differs in one byte of one file has no build, and is interpreted. `foreshock doctor` says which
it is. Nothing but the standard library is imported here, for this runs before anything else of `harness`, and little of
it: every command pays for what it takes. `importlib.abc` alone brings as much as half of that again.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

VARIABLE: Final = "FORESHOCK_COMPILED"
"""The environment variable that names the folder of builds."""

PACKAGES: Final = ("checkers", "harness", "workloads")
"""What is digested together: compiled code has constants of all of them within it."""

SUFFIX: Final = importlib.machinery.EXTENSION_SUFFIXES[0]
_INTERPRETER: Final = SUFFIX.split(".")[1]
"""What an extension module is made for: implementation, version, platform, as in `cpython-311-x86_64-linux-gnu`."""


def folder() -> Path | None:
    """The folder of builds that is asked for, if any."""
    name = os.environ.get(VARIABLE)
    return Path(name).absolute() if name else None


def harness_digest(root: Path) -> str:
    """SHA-256 over the paths and contents of the sources of the packages below `root`."""
    return digest_of(root, sorted(file for package in PACKAGES for file in (root / package).rglob("*.py")))


def digest_of(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the relative paths and contents of files, in the given order."""
    import hashlib  # slow, and needed where something is compiled

    digest = hashlib.sha256()
    for file in files:
        name, content = file.relative_to(root).as_posix().encode(), file.read_bytes()
        digest.update(len(name).to_bytes(8, "big") + name + len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def harness_build(builds: Path, root: Path) -> Path:
    """Where a build of the harness lies."""
    return builds / f"harness-{harness_digest(root)[:12]}-{_INTERPRETER}"


def code_build(builds: Path, alias: str) -> Path:
    """Where a build of a `raft_impl` package lies; its alias holds the digest of its sources."""
    return builds / f"{alias.lstrip('_')}-{_INTERPRETER}"


def code_sources(builds: Path, alias: str) -> Path:
    """Where the copy of a `raft_impl` package lies that its build was made of, and that its tracebacks name."""
    return builds / "sources" / alias


def modules_in(build: Path) -> dict[str, Path]:
    """The extension modules of a finished build for this interpreter, by full name; none of an unfinished one."""
    if not (build / f"complete{SUFFIX}").is_file():
        return {}
    files = (file for file in build.rglob(f"*{SUFFIX}") if file.name != f"complete{SUFFIX}")
    return {".".join(file.relative_to(build).parts).removesuffix(SUFFIX): file for file in files}


class CompiledFinder:
    """Finds the extension modules of the builds that are in use, and nothing else."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    def use(self, build: Path) -> int:
        """Find the modules of a build from now on. Returns how many there are."""
        found = modules_in(build)
        self._files |= found
        return len(found)

    def names(self) -> list[str]:
        """The full names of all modules that are found here, sorted."""
        return sorted(self._files)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return None
        loader = importlib.machinery.ExtensionFileLoader(fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


compiled: Final = CompiledFinder()
"""One a process, as `sys.meta_path` is."""


def activate() -> None:
    """Use the build of this very harness, if there is one in the folder that is asked for."""
    builds = folder()
    if builds is not None:
        sys.meta_path.insert(0, compiled)
        compiled.use(harness_build(builds, Path(__file__).parents[2]))


def use_code(alias: str) -> None:
    """Use the build of a `raft_impl` package before it is loaded under its alias, if there is one."""
    builds = folder()
    if builds is not None:
        compiled.use(code_build(builds, alias))
