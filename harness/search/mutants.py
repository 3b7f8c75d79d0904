"""Mutants: planted bugs, as patches with a few headers.

A mutant is a unified diff against `raft_impl/` with header lines above the first hunk:

    Name: no-election-restriction
    Source: raft.md D3; Ongaro and Ousterhout 2014, section 5.4.1
    Expect: raft/leader-completeness

A line `Workload: orders` names the one workload that reaches it, whatever others are searched with. A line
`Bug: RB011` names the bug of a list of known ones (`known-bugs.json` beside the patches) that it plants, and
`Harmless: because ...` says why a known bug does no harm in this code. `Missed: ...` says of a bug that
does harm, and is not found within the seeds that a night gives it, what it would take: such a gap is told, and is no
failure anew.

It is applied to a copy of the package, so that product code holds no `if bug:`. `Expect` begins the signature that the
bug should show; another one still counts as found, and the report says so. How they are searched is `detection`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from checkers.json_lines import UNREADABLE
from harness.errors import BadInput
from harness.plans.labels import DEFAULT_LABEL
from harness.systems.binding import Binding, Code
from harness.systems.checkouts import Checkouts
from harness.systems.patches import patched

HEADERS: Final = ("Name", "Bug", "Source", "Expect", "Workload", "Harmless", "Missed")
KNOWN_BUGS: Final = "known-bugs.json"


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A planted bug. `expect` begins the signature that it should show; empty: any. So for `workload`.

    `bug` is its id in the list of known bugs, empty for a bug from elsewhere; `harmless` says why it does no harm here,
    and `missed` what it would take to find it.
    """

    name: str
    source: str
    expect: str
    patch: Path
    workload: str = ""
    bug: str = ""
    harmless: str = ""
    missed: str = ""


class KnownBug(msgspec.Struct, frozen=True, kw_only=True):
    """A bug that a real system had, as `known-bugs.json` lists it."""

    id: str
    name: str
    family: str
    difficulty: str
    behaviour: str
    source: str
    url: str


def known_bugs(folder: Path) -> list[KnownBug]:
    """The list of known bugs beside the patches of a folder, in its order; empty if there is none. Raises BadInput."""
    path = folder / KNOWN_BUGS
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(_text(path), type=list[KnownBug])
    except UNREADABLE as error:
        raise BadInput(str(error), "a list of known bugs", str(path)) from None


def read_all(folder: Path) -> list[Mutant]:
    """Read the headers of every `*.patch` of a folder, sorted by file name. Raises BadInput."""
    patches = sorted(folder.glob("*.patch"))
    if not patches:
        raise BadInput("no *.patch", "a folder of unified diffs against raft_impl/", str(folder))
    mutants = [read(patch) for patch in patches]
    names = [mutant.name for mutant in mutants]
    for mutant in mutants:
        if names.count(mutant.name) > 1:
            raise BadInput(f"the name {mutant.name!r} twice", "a name of its own for each mutant", str(mutant.patch))
    return mutants


def read(patch: Path) -> Mutant:
    """Read the headers of a patch: lines before its first hunk."""
    headers: dict[str, str] = {}
    for line in _text(patch).splitlines():
        if line.startswith(("--- ", "diff ")):
            break
        name, colon, value = line.partition(":")
        if colon and name in HEADERS:
            headers[name] = value.strip()
    missing = [name for name in ("Name", "Source") if not headers.get(name)]
    if missing:
        raise BadInput(f"no header {missing[0]}:", "header lines Name:, Source:, Expect: above the diff", str(patch))
    return Mutant(
        name=headers["Name"],
        source=headers["Source"],
        expect=headers.get("Expect", ""),
        patch=patch,
        workload=headers.get("Workload", ""),
        bug=headers.get("Bug", ""),
        harmless=headers.get("Harmless", ""),
        missed=headers.get("Missed", ""),
    )


def plant(mutant: Mutant, source: Path, checkouts: Checkouts) -> Binding:
    """Apply a mutant to a copy of the package and bind it. Raises BadInput when the patch does not apply."""
    package, digest = patched(mutant.patch, source, checkouts)
    code = Code(spec=f"patch:{mutant.patch}", directory=str(package), digest=digest)
    return Binding(codes={DEFAULT_LABEL: code})


def begins(signature: str, expected: str) -> bool:
    """True when the parts of the signature begin with the expected ones; nothing expected fits everything."""
    return not expected or signature == expected or signature.startswith(expected.rstrip("/") + "/")


def _text(patch: Path) -> str:
    try:
        return patch.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"a file that cannot be read ({error})", "a unified diff", str(patch)) from None
