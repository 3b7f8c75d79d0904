"""Commits: the line of a history between two refs, as far as it changes the code under test.

The line follows first parents, so that each commit has one before it and one after it. Only `raft_impl` comes from a
ref; commits that leave it as it was cannot differ in any run, and belong to the last one that changed it.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import BadInput

from .checkouts import PACKAGE, commit_of, git

_FIELDS: Final = "%H%x00%P%x00%aI%x00%an%x00%s"


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit. `tree` names the content of `raft_impl`, and is empty where there is no such folder.

    `date` is the author's, in ISO 8601.
    """

    id: str
    parents: tuple[str, ...]
    date: str
    author: str
    subject: str
    tree: str

    @property
    def short(self) -> str:
        """Its first ten digits, as people read it."""
        return self.id[:10]

    @property
    def is_merge(self) -> bool:
        """Whether it joins another line of commits, all of which come with it."""
        return len(self.parents) > 1


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """From a good commit to a bad one. `changes` are those after the good one that change the code, the oldest first;
    the last of them is the code of the bad commit. `total` counts all commits between.
    """

    top: Path
    good: Commit
    bad: Commit
    changes: tuple[Commit, ...]
    total: int


def line(top: Path, good: str, bad: str) -> Line:
    """Read the line of commits from one ref to another. Raises BadInput when the first is not before the other."""
    first, last = commit_of(top, good), commit_of(top, bad)
    listed = git(top, "rev-list", "--first-parent", "--reverse", f"{first}..{last}").decode().split()
    if not listed:
        raise BadInput(f"no commit from {good} to {bad}", "GOOD before BAD", str(top))
    before = git(top, "rev-parse", "--verify", "--quiet", f"{listed[0]}^1").decode().strip()
    if before != first:
        found = f"{good}, which is not on the line of first parents of {bad}"
        raise BadInput(
            found, f"a commit before BAD, such as {before[:10]}" if before else "a commit before BAD", str(top)
        )
    commits = _read(top, [first, *listed])
    changes = [one for earlier, one in pairwise(commits) if one.tree != earlier.tree]
    if not changes:
        raise BadInput(f"no commit from {good} to {bad} that changes {PACKAGE}/", "commits that do", str(top))
    return Line(top=top, good=commits[0], bad=commits[-1], changes=tuple(changes), total=len(listed))


def _read(top: Path, ids: list[str]) -> list[Commit]:
    """Describe commits, with two calls of git however many they are."""
    given = "".join(f"{id}\n" for id in ids).encode()
    told = git(top, "log", "--no-walk=unsorted", "--stdin", f"--format={_FIELDS}", given=given).decode(errors="replace")
    asked = "".join(f"{id}:{PACKAGE}\n" for id in ids).encode()
    trees = git(top, "cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked).decode().splitlines()
    commits = []
    for text, tree in zip(told.splitlines(), trees, strict=True):
        id, parents, date, author, subject = text.split("\0", 4)
        name, _, kind = tree.rpartition(" ")
        commits.append(
            Commit(
                id=id,
                parents=tuple(parents.split()),
                date=date,
                author=author,
                subject=subject,
                tree=name if kind == "tree" else "",
            )
        )
    return commits
