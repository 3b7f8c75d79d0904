"""A ledger of searches for planted bugs, as `foreshock mutants` writes it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.run.drawing import Drawing
from harness.search.detection import LEDGER, Answer, Ledger
from harness.search.mutants import Mutant
from harness.systems.binding import Binding, Code

PATCH = "Name: {name}\nSource: {source}\n\n--- a/raft_impl/x.py\n+++ b/raft_impl/x.py\n@@ -1 +1 @@\n-right\n+wrong\n"


def write(
    results: Path,
    bugs: dict[str, tuple[str | None, ...]],
    *,
    source: str = "raft.md",
    expect: str = "raft",
    names: bool = True,
    plain: bool = True,
) -> None:
    """Write what searches left of `bugs`: of each seed from 1 on a signature, "acted" or None. Appends."""
    folder = results / "patches"
    folder.mkdir(exist_ok=True)
    longest = max(map(len, bugs.values()))
    with Ledger(results / LEDGER) as ledger:
        if plain:
            if names:
                ledger.name(_binding("plain"), None)
            for seed in range(1, longest + 1):
                ledger.add(_binding("plain"), Drawing(), _answer(seed, None, "plain"))
        for place, (name, seen) in enumerate(bugs.items()):
            patch = folder / f"{place}.patch"
            patch.write_text(PATCH.format(name=name, source=source))
            mutant = Mutant(name=name, source=source, expect=expect, patch=patch)
            if names:
                ledger.name(_binding(name), mutant)
            for seed, what in enumerate(seen, 1):
                signature = None if what in (None, "acted") else what
                ledger.add(_binding(name), Drawing(), _answer(seed, signature, "plain" if what is None else name))


def _binding(name: str) -> Binding:
    return Binding(codes={"default": Code(spec=name, directory="", digest=name)})


def _answer(seed: int, signature: str | None, fingerprint: str) -> Answer:
    return Answer(
        seed=seed, workload="register", signature=signature, fingerprint=fingerprint, simulated_seconds=1.0,
        wall_seconds=0.1,
    )  # fmt: skip


def add_line(results: Path, line: object) -> None:
    """Add a line that no search wrote."""
    with (results / LEDGER).open("ab") as file:
        file.write(line if isinstance(line, bytes) else msgspec.json.encode(line) + b"\n")
