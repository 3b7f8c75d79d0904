"""Mutants: planted bugs, and how many seeds the harness needs to find each.

A mutant is a unified diff against `raft_impl/` with header lines above the first hunk:

    Name: no-election-restriction
    Source: raft.md D3; Ongaro and Ousterhout 2014, section 5.4.1
    Expect: raft/leader-completeness

A fourth line, `Workload: orders`, names the one workload that reaches it, whatever others are searched with.

It is applied to a copy of the package, so that product code holds no `if bug:`. `Expect` begins the signature that the
bug should show; another one still counts as found, and the report says so. `seed` is always the first seed that fails,
however many workers search: seeds are handed out in order, and a later failure waits for the earlier seeds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import BadInput, Exit
from harness.record import RunRecord
from harness.run.drawing import Drawing
from harness.systems.binding import DEFAULT_LABEL, Binding, Code
from harness.systems.checkouts import Checkouts
from harness.systems.patches import patched

from .executors import Pool
from .jobs import Job, perform

HEADERS: Final = ("Name", "Source", "Expect", "Workload")


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A planted bug. `expect` begins the signature that it should show; empty: any. So for `workload`."""

    name: str
    source: str
    expect: str
    patch: Path
    workload: str = ""


class MutantReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the search for one mutant went, as `mutants --json` prints it."""

    name: str
    source: str
    expect: str
    found: bool
    seed: int | None
    workload: str | None
    seeds_tried: int
    signature: str | None
    as_expected: bool
    internal_errors: int
    simulated_seconds: float
    wall_seconds: float


class Search(msgspec.Struct, kw_only=True):
    """How far the search for one mutant is."""

    mutant: Mutant
    binding: Binding
    answers: dict[int, RunRecord] = {}
    errors: dict[int, str] = {}
    first_failure: int | None = None


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
    )


def plant(mutant: Mutant, source: Path, checkouts: Checkouts) -> Binding:
    """Apply a mutant to a copy of the package and bind it. Raises BadInput when the patch does not apply."""
    package, digest = patched(mutant.patch, source, checkouts)
    code = Code(spec=f"patch:{mutant.patch}", directory=str(package), digest=digest)
    return Binding(codes={DEFAULT_LABEL: code})


def search_one(
    mutant: Mutant, binding: Binding, cells: Sequence[Drawing], count: int, *, jobs: int | None = None
) -> MutantReport:
    """Search one planted bug, such as a suite's canary. Returns its report."""
    searched = Search(mutant=mutant, binding=binding, answers={}, errors={})
    seeds = range(1, count + 1)
    search([searched], cells, seeds, lambda _: None, jobs=jobs)
    return report(searched, seeds)


def search(
    searches: Sequence[Search],
    cells: Sequence[Drawing],
    seeds: range,
    advance: Callable[[str], None],
    *,
    tell: Callable[[str], None] = lambda _: None,
    jobs: int | None = None,
) -> None:
    """Search all mutants, seed by seed in turn, each until its first failing seed is known.

    `advance` is called with a word on the state after each seed, `tell` with a line when a mutant first fails.
    """
    by_name = {search.mutant.name: search for search in searches}

    def items() -> Iterator[Job]:
        waiting = deque((search, seed) for seed in seeds for search in searches)
        while waiting:
            search, seed = waiting.popleft()
            if search.first_failure is None:
                cell = cells[seed % len(cells)]
                workload = search.mutant.workload or cell.workload
                drawing = msgspec.structs.replace(cell, system=f"mutant:{search.mutant.name}", workload=workload)
                yield Job(seed=seed, drawing=drawing, binding=search.binding, stop_at_first=True)

    with Pool(perform, jobs=jobs) as pool:
        for done in pool.map(items()):
            found = by_name[done.item.drawing.system.partition(":")[2]]
            if done.result is None:
                found.errors[done.item.seed] = done.error
            else:
                found.answers[done.item.seed] = done.result
                if done.result.is_failure:
                    if found.first_failure is None:
                        tell(f"{found.mutant.name}: {done.result.failure_signature}, seed {done.item.seed}")
                    found.first_failure = min(done.item.seed, found.first_failure or done.item.seed)
            advance(f"{sum(s.first_failure is not None for s in searches)} of {len(searches)} found")


def report(search: Search, seeds: range) -> MutantReport:
    """Describe one search. Seconds are those of the seeds up to the failing one."""
    seed, mutant = search.first_failure, search.mutant
    last = seeds[-1] if seed is None else seed
    tried = [search.answers[number] for number in seeds if number <= last and number in search.answers]
    failure = None if seed is None else search.answers[seed]
    signature = None if failure is None else failure.failure_signature
    return MutantReport(
        name=mutant.name,
        source=mutant.source,
        expect=mutant.expect,
        found=failure is not None,
        seed=seed,
        workload=None if failure is None else failure.workload,
        seeds_tried=sum(1 for number in (*search.answers, *search.errors) if number <= last),
        signature=signature,
        as_expected=signature is not None and begins(signature, mutant.expect),
        internal_errors=len(search.errors),
        simulated_seconds=round(sum(record.simulated_seconds for record in tried), 3),
        wall_seconds=round(sum(record.wall_seconds for record in tried), 3),
    )


def exit_code(reports: Sequence[MutantReport]) -> Exit:
    """0 when all were found."""
    return Exit.VALID if all(entry.found for entry in reports) else Exit.INVALID


def begins(signature: str, expected: str) -> bool:
    """True when the parts of the signature begin with the expected ones; nothing expected fits everything."""
    return not expected or signature == expected or signature.startswith(expected.rstrip("/") + "/")


def _text(patch: Path) -> str:
    try:
        return patch.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"a file that cannot be read ({error})", "a unified diff", str(patch)) from None
