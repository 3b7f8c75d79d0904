"""Patches: a copy of the package with a unified diff applied, so that product code holds no `if bug:`.

`git apply` is asked first. Where it refuses, because lines around a change are others by now, the change is found again
by what of the patch still stands (`hunks`).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from harness.errors import BadInput

from .checkouts import PACKAGE, Checkouts, copy_package
from .hunks import parse, planted
from .loader import code_digest, load_package, unload

_APPLY_SECONDS_MAX: Final = 60


def patched(patch: Path, source: Path, checkouts: Checkouts) -> tuple[Path, str]:
    """Apply a patch to a copy of the package in `source`. Returns the copy's folder and its digest.

    Raises BadInput when the patch does not apply, changes nothing, or leaves code that cannot be imported.
    """
    folder = checkouts.folder("patched")
    package = copy_package(source, folder / PACKAGE)
    before = code_digest(package)
    # Outside a repository, `git apply` patches plain files; the ceiling keeps it from finding one further up.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent), "LC_ALL": "C"}
    done = subprocess.run(
        ["git", "apply", "-p1", "--whitespace=nowarn", str(patch.resolve())],
        cwd=folder,
        env={name: value for name, value in environment.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")},
        capture_output=True,
        text=True,
        timeout=_APPLY_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0 and not _plant(patch, folder):
        raise BadInput(
            f"a patch that does not apply ({_first_line(done.stderr)})", f"a diff against {PACKAGE}/", str(patch)
        )
    digest = code_digest(package)
    if digest == before:
        raise BadInput("a patch that changes nothing", f"a diff against {PACKAGE}/", str(patch))
    _require_loadable(package, patch)
    return package, digest


def _plant(patch: Path, folder: Path) -> bool:
    """Apply a patch whose neighbouring lines have changed. Whether every hunk was found; if not, nothing is written."""
    after: dict[Path, str] = {}
    try:
        _, files = parse(patch.read_text(encoding="utf-8"))
        for path, hunks in files.items():
            text = (folder / path).read_text(encoding="utf-8")
            for hunk in hunks:
                text = planted(text, hunk, path)
            after[folder / path] = text
    except (LookupError, OSError, SyntaxError, UnicodeDecodeError):
        return False
    for place, text in after.items():
        place.write_text(text, encoding="utf-8")
    return bool(after)


def _require_loadable(package: Path, patch: Path) -> None:
    """Find out here, with the patch's name, and not in a worker, that the patched code cannot be imported."""
    alias = "_foreshock_patched"
    try:
        load_package(package, alias)
    except BadInput as error:
        raise BadInput(f"patched code that does not load ({error.found})", "a bug that can run", str(patch)) from error
    finally:
        unload(alias)


def _first_line(text: str) -> str:
    lines = [line.removeprefix("error: ") for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "git apply said nothing"
