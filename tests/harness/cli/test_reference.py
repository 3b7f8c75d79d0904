"""docs/cli.md is what the commands themselves say."""

from __future__ import annotations

from harness.commands.group import COMMANDS
from harness.commands.reference import reference
from tests.harness.conftest import ROOT


def test_the_reference_of_the_command_line_is_current() -> None:
    """Rewrite it with `python -m harness.commands.reference > docs/cli.md`."""
    assert (ROOT / "docs" / "cli.md").read_text() == reference()


def test_every_command_says_in_one_line_what_it_does() -> None:
    for name, line in COMMANDS.items():
        assert f"## foreshock {name}\n" in reference()
        assert line.endswith((".", "?"))
