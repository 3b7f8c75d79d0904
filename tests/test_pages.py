"""What the pages show is what the commands print, and what they call an example runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages
from tests.newcomers import following

EXAMPLES = sorted((pages.ROOT / "docs" / "examples").glob("*.py"))


PAGES = [
    "README.md",
    "docs/adapters.md",
    "docs/branches.md",
    "docs/examples.md",
    "docs/maelstrom.md",
    "docs/nights.md",
    "docs/pytest.md",
    "docs/reports.md",
    "docs/replay.md",
    "docs/shrinking.md",
    "docs/trio.md",
    "docs/upgrades.md",
    "docs/your-history.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_print_what_it_shows(page: str, tmp_path: Path) -> None:
    folder = pages.lay_out(tmp_path)
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    found = list(pages.examples(pages.without(text, following.HEADING)))  # that part is followed in tests/newcomers

    assert found
    for example in found:
        actual = pages.run(example, folder)
        assert pages.fits(example.expected, actual), f"{example.command[-1]}\n{actual}"


def test_every_example_is_on_the_page_and_short() -> None:
    page = (pages.ROOT / "docs" / "examples.md").read_text(encoding="utf-8")

    assert len(EXAMPLES) >= 4
    assert [path.name for path in EXAMPLES if f"python docs/examples/{path.name}" not in page] == []
    assert [path.name for path in EXAMPLES if len(path.read_text(encoding="utf-8").splitlines()) >= 60] == []


@pytest.mark.parametrize(
    ("expected", "actual", "fit"),
    [
        ("found 3\n", "found 3\n", True),
        ("found 3\n", "found 4\n", False),
        ("took ... s\n", "took 0.4 s\n", True),
        ("first\n...\nlast\n", "first\nlast\n", True),
        ("first\n...\nlast\n", "first\na\nb\nlast\n", True),
        ("first\n...\n", "second\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_dots_stand_for_anything_and_nothing_else_does(expected: str, actual: str, fit: bool) -> None:
    assert pages.fits(expected, actual) is fit


def test_an_example_that_is_refused_fails_the_page(tmp_path: Path) -> None:
    (refused,) = pages.examples("```console\n$ foreshock run --seed x\n...\n```\n")

    with pytest.raises(AssertionError, match="exit 254"):
        pages.run(refused, tmp_path)
