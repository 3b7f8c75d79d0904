"""What the page about continuous integration says of exit codes and commands is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from harness.commands.group import cli
from harness.errors import Exit
from tests.harness.cli.conftest import Foreshock
from tests.harness.conftest import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / "docs" / "examples" / "ci" / "nightly.yml").read_text(encoding="utf-8")


def test_the_page_has_every_exit_code_and_no_other() -> None:
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == sorted(Exit)


def commands() -> list[str]:
    """Commands of the workflow, of the line for cron, and of the prose, each to its end."""
    ends = r"(?= \\?\|| >|`|\n|$)"
    workflow = re.sub(r"\$\{\{.*?\}\}", "1/4", WORKFLOW)
    workflow = workflow.replace('"$SUITE"', "nightly").replace('"$SYSTEM"', "raft_impl")
    found = re.findall(rf"foreshock \w[\w-]*(?: .*?)??{ends}", PAGE + workflow)
    return [command for command in found if not re.search(r" ID\b|FILE|DIR|THE LINE|\.\.\.", command)]


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_page_and_the_workflow_parses(command: str) -> None:
    words = shlex.split(command)[1:]
    context = click.Context(cli)
    found = cli.get_command(context, words[0])

    assert found is not None
    assert found.make_context(words[0], words[1:], parent=context)


def test_the_workflow_has_its_four_shards_and_no_tabs() -> None:
    assert "shard: [1/4, 2/4, 3/4, 4/4]" in WORKFLOW
    assert "\t" not in WORKFLOW
    assert len(commands()) >= 8
    assert all("--count" in command for command in commands() if "--shard" in command), "a shard needs a last seed"


def test_a_night_leaves_a_summary_with_lines_to_copy_and_a_bundle_that_replays(
    foreshock: Foreshock, stale_copy: Path, tmp_path: Path
) -> None:
    words = ("suite", "--seeds", "1..6", "--workload", "register", "--profile", "partitions", "--duration", "3s")
    night = ("--baseline", "latest", "--markdown", tmp_path / "summary.md", "--bundles", tmp_path / "bundles")
    foreshock(*words)

    ran = foreshock(*words, "--system", f"path:{stale_copy}", *night, "--json")

    assert ran.code == 1
    summary = (tmp_path / "summary.md").read_text()
    news = [failure for failure in ran.json["failures"] if not failure["allowed"]]
    for failure in news:
        assert f"{failure['reproduce']}  # {failure['signature']}\n" in summary
        assert f"| `{failure['signature']}` | {failure['runs']} | **new** |" in summary
    assert "```sh\nforeshock run --seed " in summary
    again = foreshock("replay", news[0]["bundle"], "--results", tmp_path / "elsewhere", "--json").json
    assert again["identical"] is True
