"""Programs that are installed: which one a run was made with."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from harness.systems.binding import Code


def program_code(spec: str, program: str) -> Code:
    """The code of an installed program, by its file."""
    found = shutil.which(program)
    path = Path(found or program)
    return Code(spec=spec, directory=str(path.parent), digest=file_digest(path), is_foreign=True)


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
