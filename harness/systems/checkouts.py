"""Checkouts: the code under test as it stood at a git ref, in temporary folders that vanish with their owner.

Only `raft_impl` comes from a ref; harness, workloads and checkers are the caller's. So a checkout holds that one
package: `git archive` writes it without touching the repository's worktree list or its locks, and several processes may
do so at once.

A ref is one of the repository around the current folder, if that has a `raft_impl` at its top; else of the one that the
installed package came from.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

from harness.errors import BadInput

PACKAGE: Final = "raft_impl"
_GIT_SECONDS_MAX: Final = 60
"""A local git command that takes longer waits for something (a lock, a password) that will not come."""


class Checkouts:
    """A temporary folder of checkouts; use as a context manager. Each commit is written once."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._by_commit: dict[tuple[Path, str], Path] = {}

    def __enter__(self) -> Checkouts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove all checkouts."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
        self._root = None
        self._by_commit.clear()

    def folder(self, name: str) -> Path:
        """Make a fresh folder that is kept as long as the checkouts are."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="foreshock-"))
        return Path(tempfile.mkdtemp(prefix=name + "-", dir=self._root))

    def ref(self, ref: str, near: Path) -> tuple[Path, str]:
        """Write the package as of `ref` of the repository around `near`. Returns its folder and the commit."""
        top = repository(near, ref)
        commit = commit_of(top, ref)
        if (top, commit) not in self._by_commit:
            self._by_commit[top, commit] = self._write(top, ref, commit)
        return self._by_commit[top, commit], commit

    def _write(self, top: Path, ref: str, commit: str) -> Path:
        archive = git(top, "archive", "--format=tar", commit, PACKAGE)
        if not archive:
            raise BadInput(f"no folder {PACKAGE}/", "a commit that holds the system under test", f"{ref} of {top}")
        folder = self.folder("ref")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return folder / PACKAGE


def repository(near: Path, ref: str) -> Path:
    """Find the repository of a ref: around the current folder, or around `near`. Raises BadInput without any."""
    here = _top(Path.cwd())
    if here is not None and (here / PACKAGE).is_dir():
        return here
    found = _top(near) or here
    if found is not None:
        return found
    raise BadInput("no git repository", f"a repository that has the ref {ref!r}", str(near))


def revision_of(folder: Path) -> str:
    """The commit that is checked out around a folder, with a + if the folder differs from it; empty without any, or
    without git.
    """
    try:
        commit = git(folder, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
    except BadInput:
        return ""
    is_changed = bool(commit) and bool(git(folder, "status", "--porcelain", "--", ".").strip())
    return f"{commit}+" if is_changed else commit


def _top(place: Path) -> Path | None:
    top = git(place, "rev-parse", "--show-toplevel").decode().strip()
    return Path(top) if top else None


def commit_of(top: Path, ref: str) -> str:
    """The commit that a ref means. Raises BadInput when there is none."""
    commit = git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    if not commit:
        raise BadInput(f"no commit {ref!r}", "a git ref, or a folder that holds raft_impl", str(top))
    return commit


def copy_package(source: Path, target: Path) -> Path:
    """Copy the package's files without bytecode. Returns `target`."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return target


def git(place: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run git in `place` and return its output, empty when it failed; `given` is its input.

    Raises BadInput when there is no git.
    """
    # A hook's GIT_DIR would send the command to another repository than the one around `place`.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *arguments],
            capture_output=True,
            input=given,
            env=environment,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except FileNotFoundError:
        raise BadInput("no command `git`", "git, to read a ref", "PATH") from None
    except subprocess.TimeoutExpired:
        raise BadInput(
            "a git command that does not end", f"an answer within {_GIT_SECONDS_MAX} s", str(place)
        ) from None
    return done.stdout if done.returncode == 0 else b""
