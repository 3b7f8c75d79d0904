"""The page that says which planted bugs are found: `foreshock mutants --markdown`, for people.

It says how many seeds every patch was given, and lists the patches that were not measured, so that a figure is never
read as more than it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from .detection import FOUND, NEVER_REACHED, NOT_JUDGED, ONLY_SLOWER, MutantReport
from .mutants import KnownBug, Mutant

DIFFICULTIES: Final = ("easy", "medium", "hard", "very hard")


def page(
    planted: Sequence[Mutant],
    known: Sequence[KnownBug],
    reports: Sequence[MutantReport],
    sizes: Mapping[str, str],
    *,
    seeds: range,
    mix: str,
) -> str:
    """Write the page about `planted`, of which those in `reports` were measured over `seeds` of a `mix`, in words.

    `sizes` says by the name of a patch to what its failure was shrunk.
    """
    by_name = {report.name: report for report in reports}
    listed = {bug.id: bug for bug in known}
    of_list = [mutant for mutant in planted if mutant.bug in listed]
    others = [mutant for mutant in planted if mutant.bug not in listed]
    lines = [
        "# Which known bugs are found",
        "",
        "<!-- Written by `foreshock mutants --markdown`. -->",
        "",
        f"{len({mutant.bug for mutant in of_list})} of {len(known)} bugs that real systems had are planted, some in "
        f"more than one way, and {len(others)} bugs from elsewhere.",
        f"Of these {len(planted)} patches {len(reports)} were measured here, each over seeds {seeds[0]} to {seeds[-1]} "
        f"of the {mix}, or until the first that failed.",
        "So *not found* means: not within that many seeds. A patch that was not measured is listed as such.",
        "Seconds are those of all runs up to the first that failed, on the machine where the page was written.",
        "",
        *_by_difficulty(of_list, listed, by_name),
        "",
        *_why_missed(planted, by_name),
        "## Bugs that real systems had",
        "",
        *_table(
            ("bug", "family", "difficulty"),
            ((f"[{bug.id}]({bug.url}) {bug.name}", bug.family, bug.difficulty) for bug in _bugs(of_list, listed)),
            sorted(of_list, key=lambda mutant: mutant.bug),
            by_name,
            sizes,
        ),
        "",
    ]
    if others:
        others_first = ((mutant.source,) for mutant in others)
        lines += [
            "## Bugs from elsewhere",
            "",
            *_table(("source",), others_first, others, by_name, sizes),
            "",
        ]
    gaps = [(mutant, mutant.missed) for mutant in planted if mutant.missed]
    harmless = [(mutant, mutant.harmless) for mutant in planted if mutant.harmless]
    lines += _told(
        "## Known gaps",
        "What it would take to find them. A search fails by what else it misses.",
        "what it would take",
        gaps,
    )
    lines += _told(
        "## Harmless in this code",
        "Planted all the same: they say that nothing here depends on the line that they change.",
        "why it does no harm",
        harmless,
    )
    return "\n".join(lines)


def _told(title: str, meaning: str, head: str, told: Sequence[tuple[Mutant, str]]) -> list[str]:
    """A section of those whose headers say something; nothing where none does."""
    if not told:
        return []
    rows = ((f"`{mutant.name}`", mutant.bug, what) for mutant, what in told)
    return [title, "", meaning, "", *_rows(("patch", "bug", head), rows), ""]


_WHY: Final = {
    NEVER_REACHED: "every run is that of the code without the bug: the plans lack its situation",
    NOT_JUDGED: "runs differ, and each is right by every oracle",
    ONLY_SLOWER: "runs differ and are right, and over all of them something is worse than without the bug",
}


def _why_missed(planted: Sequence[Mutant], reports: Mapping[str, MutantReport]) -> list[str]:
    """Those that were measured and not found, by why."""
    missed = [mutant for mutant in planted if mutant.name in reports and not reports[mutant.name].found]
    if not missed:
        return []
    rows = []
    for why, meaning in _WHY.items():
        names = [m.name for m in missed if reports[m.name].state == why and not m.harmless]
        rows.append((why, meaning, str(len(names)), ", ".join(f"`{name}`" for name in names)))
    harmless = [mutant.name for mutant in missed if mutant.harmless]
    meaning = "nothing in this code depends on the line that it changes; why is said below"
    rows.append(("harmless in this code", meaning, str(len(harmless)), ", ".join(f"`{name}`" for name in harmless)))
    return ["## Why some are missed", "", *_rows(("why missed", "what that means", "patches", "which"), rows), ""]


def _bugs(mutants: Iterable[Mutant], listed: dict[str, KnownBug]) -> Iterator[KnownBug]:
    return (listed[mutant.bug] for mutant in sorted(mutants, key=lambda mutant: mutant.bug))


def _by_difficulty(
    mutants: Sequence[Mutant], listed: dict[str, KnownBug], reports: dict[str, MutantReport]
) -> list[str]:
    """How many bugs were found: a bug counts as found when one of its patches was."""
    rows = []
    for difficulty in DIFFICULTIES:
        of_these = [mutant for mutant in mutants if listed[mutant.bug].difficulty == difficulty]
        measured = [mutant for mutant in of_these if mutant.name in reports]
        found = {mutant.bug for mutant in measured if reports[mutant.name].found}
        harmless = {mutant.bug for mutant in measured if mutant.harmless} - found
        counts = (len(_ids(of_these)), len(_ids(measured)), len(found), len(harmless))
        rows.append((difficulty, *map(str, counts)))
    return _rows(("difficulty", "bugs planted", "measured", "found", "harmless in this code"), rows)


def _ids(mutants: Iterable[Mutant]) -> set[str]:
    return {mutant.bug for mutant in mutants}


def _table(
    heads: tuple[str, ...],
    firsts: Iterable[tuple[str, ...]],
    mutants: Sequence[Mutant],
    reports: dict[str, MutantReport],
    sizes: Mapping[str, str],
) -> list[str]:
    rows = [
        (*first, f"`{mutant.name}`", *_measured(mutant, reports.get(mutant.name)), sizes.get(mutant.name, ""))
        for first, mutant in zip(firsts, mutants, strict=True)
    ]
    return _rows((*heads, "patch", "found", "seeds run", "acted in", "seconds", "seen as", "shrunk to"), rows)


def _measured(mutant: Mutant, report: MutantReport | None) -> tuple[str, ...]:
    if report is None:
        return "not measured", "", "", "", ""
    if report.found:
        state = f"at seed {report.seed} (`{report.workload}`)"
    else:
        worse = ", ".join(f"{name} {100 * share:+.0f} %" for name, share in sorted(report.slower.items()))
        state = "no: harmless" if mutant.harmless else f"no: {report.state}" + (f" ({worse})" if worse else "")
    assert report.found == (report.state == FOUND)
    signature = f"`{report.signature}`" if report.signature else ""
    return state, str(report.seeds_tried), str(report.acted), f"{report.wall_seconds:.1f}", signature


def _rows(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        for row in (heads, ("---",) * len(heads), *rows)
    ]
