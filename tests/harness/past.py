"""A repository with a past, made for a test: commits that are harmless, broken, slow, stuck or wrong.

The commits are patches on a copy of `raft_impl`, in this order; only their subjects say what they are.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

COMMITS: Final = (
    "import the log",
    "say who wrote it",
    "explain a constant",
    "be very sure that the log is durable",
    "rename nothing",
    "import what does not exist",
    "do not import it after all",
    "commit in the order of the log",
    "name a module",
    "let whoever is asked answer a read",
    "add a last word",
)
"""Subjects, the oldest first."""
SLOW, BROKEN, STUCK, WRONG = COMMITS[3], COMMITS[5], COMMITS[7], COMMITS[9]


def make(folder: Path) -> Path:
    """Make the repository, with a tag for each commit: c0, c1, ..."""
    package = folder / "raft_impl"
    folder.mkdir()
    shutil.copytree(ROOT / "raft_impl", package, ignore=shutil.ignore_patterns("__pycache__"))
    _git(folder, "init", "-q", "-b", "main")
    changes = {
        "say who wrote it": lambda: (folder / "AUTHORS").write_text("a test\n"),
        "explain a constant": lambda: _append(package / "surface.py", "\n# Nothing here is constant.\n"),
        SLOW: lambda: three_fsyncs(package),
        "rename nothing": lambda: _append(package / "errors.py", "\n# The names are as they were.\n"),
        BROKEN: lambda: _append(package / "surface.py", "\nfrom . import nowhere\n"),
        "do not import it after all": lambda: _replace(
            package / "surface.py", "from . import nowhere", "# Nowhere is not here."
        ),
        STUCK: lambda: _git(folder, "apply", str(ROOT / "tests" / "mutants" / "commit-stops-at-earlier-term.patch")),
        "name a module": lambda: (package / "named.py").write_text('"""Nothing uses this module."""\n'),
        WRONG: lambda: _git(folder, "apply", str(ROOT / "tests" / "mutants" / "read-by-any-replica.patch")),
        "add a last word": lambda: _append(package / "errors.py", "\n# Amen.\n"),
    }
    for number, subject in enumerate(COMMITS):
        changes.get(subject, lambda: None)()
        _git(folder, "add", "--all")
        _git(folder, "commit", "-q", "-m", subject)
        _git(folder, "tag", f"c{number}")
    return folder


def commit(folder: Path, subject: str) -> str:
    """The id of a commit by its subject."""
    return _git(folder, "rev-parse", f"c{COMMITS.index(subject)}").strip()


def three_fsyncs(package: Path) -> None:
    """Make the log sync three times where once would do."""
    wal = package / "runtime" / "wal.py"
    once = "await self._disk.fsync(self._name)\n"
    before = wal.read_text()
    indent = before[: before.index(once)].rsplit("\n", 1)[1]
    wal.write_text(before.replace(once, once + 2 * (indent + once), 1))


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _replace(path: Path, before: str, after: str) -> None:
    path.write_text(path.read_text().replace(before, after))


def _git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout
