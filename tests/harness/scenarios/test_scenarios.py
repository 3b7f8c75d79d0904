"""Every scenario still reads as it did when it was last reviewed, and its verdict is what it means to show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.scenarios import library
from harness.scenarios.language import render
from harness.scenarios.runner import perform
from harness.systems.system import System
from tests.harness.sim.task_driver import task_lane


@pytest.mark.parametrize("name", library.names())
def test_scenario_reads_as_it_did(name: str, own_system: System, request: pytest.FixtureRequest) -> None:
    """The transcript is the expected one to the letter; `--rewrite-scenarios` writes it anew, for review."""
    path = library.find(name)
    script = library.read(path)

    result = perform(script, own_system)

    assert result.is_judged_as_expected, [(anomaly.signature, anomaly.message) for anomaly in result.verdict.anomalies]
    text = render(script, result.transcripts)
    if request.config.getoption("--rewrite-scenarios"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", library.names())
def test_both_lanes_give_the_same_transcript(name: str, own_system: System) -> None:
    """The task lane, where every delivery wakes a Trio task, is the oracle of the product's drivers."""
    script = library.read(library.find(name))

    driven = perform(script, own_system)
    with task_lane():
        task = perform(script, own_system)

    assert driven.transcripts == task.transcripts
    assert driven.verdict.anomalies == task.verdict.anomalies


@pytest.mark.parametrize("name", library.names())
def test_scenario_tells_what_it_shows(name: str) -> None:
    """The first line is a title that fits on a line of the list, and comments say what happens."""
    script = library.read(library.find(name))

    assert script.title.endswith(".")
    assert 20 <= len(script.title) <= 118
    assert any(step.before for step in script.steps[1:]), "a scenario needs comments beside its title"


@pytest.mark.parametrize("name", library.names())
def test_no_command_of_a_scenario_is_in_vain(name: str) -> None:
    """Nothing is delivered that does not wait, and no node that is down is asked: such a line is a slip."""
    script = library.read(library.find(name))
    told = [line for step in script.steps for line in step.expected]

    assert [line for line in told if line.endswith((" waits", " is down", " is up"))] == []


def test_documentation_names_only_scenarios_that_exist() -> None:
    """Names in docs/scenarios.md are files, and each family of files is named there."""
    page = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text()
    named = set(re.findall(r"\b(?:f\d\d[a-e]?|i|trap|debug|walkthrough)_[a-z0-9_]+", page))
    families = {"f01" if name.startswith("f") else name.partition("_")[0] + "_*" for name in library.names()}

    assert named - set(library.names()) == set()
    assert {family for family in families if f"`{family}`" not in page} == set()
