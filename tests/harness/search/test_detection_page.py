"""The page on planted bugs: it says of each how it was measured, and of what was not measured just that."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.search.detection import MutantReport
from harness.search.detection_page import page
from harness.search.mutants import KnownBug, Mutant


def bug(name: str, difficulty: str) -> KnownBug:
    return KnownBug(
        id=name,
        name=f"{name} | in words",
        family="log",
        difficulty=difficulty,
        behaviour="",
        source="",
        url=f"https://example.org/{name}",
    )


def planted(name: str, bug: str = "", harmless: str = "", missed: str = "") -> Mutant:
    patch = Path(f"{name}.patch")
    return Mutant(name=name, source="a paper", expect="", patch=patch, bug=bug, harmless=harmless, missed=missed)


def told(name: str, *, seed: int | None, seeds_tried: int, acted: int) -> MutantReport:
    signature = None if seed is None else "raft/x"
    return MutantReport(
        name=name,
        source="",
        expect="",
        found=seed is not None,
        seed=seed,
        workload=None if seed is None else "map",
        seeds_tried=seeds_tried,
        signature=signature,
        as_expected=False,
        internal_errors=0,
        simulated_seconds=1.0,
        wall_seconds=2.25,
        acted=acted,
    )


SIZES = {"found": "2 faults, 5 ops, 3 nodes"}


def written() -> list[str]:
    mutants = [
        planted("elsewhere"),
        planted("slow", "B2"),
        planted("found", "B1"),
        planted("harmless", "B3", "nothing | uses it"),
        planted("second", "B1"),
        planted("silent", "B2"),
        planted("unreached", "B4", missed="a queue | that shrinks"),
    ]
    reports = [
        told("found", seed=3, seeds_tried=3, acted=2),
        told("harmless", seed=None, seeds_tried=20, acted=0),
        told("second", seed=None, seeds_tried=20, acted=1),
        told("silent", seed=None, seeds_tried=20, acted=7),
        told("unreached", seed=None, seeds_tried=20, acted=0),
        msgspec.structs.replace(told("slow", seed=None, seeds_tried=20, acted=9), slower={"messages": 0.125}),
    ]
    known = [bug("B1", "easy"), bug("B2", "hard"), bug("B3", "hard"), bug("B4", "very hard"), bug("B5", "easy")]
    text = page(mutants, known, reports, SIZES, seeds=range(1, 21), mix="suite `nightly`")
    return text.splitlines()


def row(lines: list[str], patch: str) -> list[str]:
    (line,) = [line for line in lines if f"| `{patch}` |" in line and line.count("|") > 7]
    return [cell.strip() for cell in line.strip("|").split(f"`{patch}` |")[1].split("|")]


def test_each_patch_is_told_as_it_was_measured() -> None:
    lines = written()

    assert row(lines, "found") == [
        "at seed 3 (`map`)", "3", "2", "2.2", "`raft/x`", "2 faults, 5 ops, 3 nodes",
    ]  # fmt: skip
    assert row(lines, "silent")[:3] == ["no: reached, not judged", "20", "7"]
    assert row(lines, "slow")[:3] == ["no: reached, only slower (messages +12 %)", "20", "9"]
    assert row(lines, "unreached")[:3] == ["no: never reached", "20", "0"]
    assert row(lines, "harmless")[0] == "no: harmless"
    assert row(lines, "elsewhere") == ["not measured", "", "", "", "", ""]


def test_those_that_were_missed_are_sorted_by_why() -> None:
    missed = [line for line in written() if line.startswith(("| never", "| reached", "| harmless in"))]

    assert [line.strip("| ").split(" | ")[-2:] for line in missed] == [
        ["1", "`unreached`"],
        ["2", "`second`, `silent`"],
        ["1", "`slow`"],
        ["1", "`harmless`"],
    ]


def test_a_bug_counts_once_and_as_found_when_one_of_its_patches_was() -> None:
    lines = written()

    assert "| easy | 1 | 1 | 1 | 0 |" in lines
    assert "| hard | 2 | 2 | 0 | 1 |" in lines
    assert "| very hard | 1 | 1 | 0 | 0 |" in lines
    assert any(line.startswith("4 of 5 bugs") and "1 bugs from elsewhere" in line for line in lines)


def test_the_page_says_how_many_seeds_each_was_given_and_why_a_bug_is_harmless() -> None:
    lines = written()

    assert any("6 were measured" in line and "seeds 1 to 20 of the suite `nightly`" in line for line in lines)
    assert "| `harmless` | B3 | nothing \\| uses it |" in lines
    assert any("B1 \\| in words" in line for line in lines)


def test_the_page_says_of_a_known_gap_what_it_would_take() -> None:
    assert "| `unreached` | B4 | a queue \\| that shrinks |" in written()
