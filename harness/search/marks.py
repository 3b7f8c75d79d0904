"""The page about coverage marks, written from the code: `python -m harness.search.marks > docs/marks.md`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.run.marks import MARKS as CLIENT_MARKS
from harness.sim.world import MARKS as WORLD_MARKS
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

_HEAD: Final = """# Coverage marks

<!-- Written by `python -m harness.search.marks`. -->

A mark names a rare situation.
That one was reached says that code which handles it has run, and not that anything is wrong.
No verdict depends on a mark.

* `foreshock run --json` has how often a run hit each of them, and so has `verdict.json` of a stored run.
* `foreshock suite` counts over all runs how often each was hit, and lists those that no run hit.
* [Guided search](search.md) varies the plans that hit rare ones.

Names are `family: situation`.
A system of your own declares its marks in `marks` ([adapters](adapters.md)) and notes `("mark", name)` when one is hit.
Marks of clients, and those of the simulated machines, are there for every system.
"""


def families(marks: Iterable[str]) -> dict[str, list[str]]:
    """Marks by family, in their order; those without a family come under `other`."""
    found: dict[str, list[str]] = {}
    for mark in marks:
        family, colon, situation = mark.partition(": ")
        found.setdefault(family if colon else "other", []).append(situation if colon else mark)
    return found


def page() -> str:
    """The page, in Markdown."""
    (system,) = load_systems(bind("raft_impl", Checkouts())).values()
    marks = (*system.marks, *WORLD_MARKS, *CLIENT_MARKS)
    lines = [_HEAD, f"There are {len(marks)}.", ""]
    for family, situations in families(marks).items():
        lines += [f"## {family.capitalize()}", "", *(f"* {situation}" for situation in situations), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
