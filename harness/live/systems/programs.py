"""Programs that are started: which one a run was made with, and how an interpreter finds this package."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import harness
from harness.systems.binding import Code

OUR_CODE: Final = {"PYTHONPATH": str(Path(harness.__file__).parents[1])}
"""The environment in which an interpreter that is started anywhere finds this package."""


def program_code(spec: str, program: str) -> Code:
    """The code of an installed program, by its file."""
    found = shutil.which(program)
    path = Path(found or program)
    return Code(spec=spec, directory=str(path.parent), digest=file_digest(path), is_foreign=True)


def command_code(spec: str, folder: Path, words: Sequence[str]) -> Code:
    """The code of a command that is called in a folder, by the files that it names."""
    files = [folder / word for word in words if (folder / word).is_file()]
    digest = hashlib.sha256("".join([spec, *map(file_digest, files)]).encode()).hexdigest()
    return Code(spec=spec, directory=str(folder), digest=digest, is_foreign=True)


def file_digest(path: Path) -> str:
    """Digest of a file; of its name where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        digest.update(str(path).encode())
    return digest.hexdigest()
