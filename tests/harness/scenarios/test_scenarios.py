"""Every scenario still reads as it did when somebody last looked at it, and breaks no invariant."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness.scenarios
from harness.scenarios.language import parse, render
from harness.scenarios.stage import perform
from harness.systems.catalog import bind
from harness.systems.checkouts import Checkouts
from harness.systems.versions import systems

FOLDER = Path(harness.scenarios.__file__).parent
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario_reads_as_it_did(path: Path, request: pytest.FixtureRequest) -> None:
    """The transcript is the expected one to the letter; `--rewrite-scenarios` writes it anew, to be reviewed as a diff."""
    script = parse(path.read_text(), path.name)
    system = systems(bind("raft_impl", Checkouts()))["default"]

    result = perform(script, system)

    assert result.verdict.validity == "valid", [anomaly.message for anomaly in result.verdict.anomalies]
    text = render(script, result.transcripts)
    if request.config.getoption("--rewrite-scenarios"):
        path.write_text(text)
    assert text == path.read_text()
