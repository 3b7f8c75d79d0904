"""`foreshock replay` of a live run: how often its plan fails again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.archive.layout import write_run
from harness.commands.replay import command
from harness.commands.run import command as run_command
from harness.live import live_run
from harness.live.live_run import LiveResult
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.systems.binding import RecordedBinding, RecordedCode
from tests.harness.outcomes import make_outcome

LIVE = RecordedBinding(codes={"default": RecordedCode(spec="live:raft_impl", digest="d" * 64)})
STALE = "linearizability/stale-read"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A results folder with one live run that failed."""
    write_run(tmp_path, make_outcome(1, "invalid", STALE, binding=LIVE))
    return tmp_path


def replayed(monkeypatch: pytest.MonkeyPatch, results: Path, outcomes: list[Outcome], *words: str) -> Any:
    """The command, with runs that come to these outcomes one after the other."""
    left = iter(outcomes)
    monkeypatch.setattr(live_run, "run", lambda plan, system: LiveResult(outcome=next(left), logs={"n1": b"said"}))
    return CliRunner().invoke(
        command,
        ["latest", "--results", str(results), "--repeat", str(len(outcomes)), *words],
        standalone_mode=False,
    )


def test_it_says_how_often_the_plan_failed_again_and_keeps_every_run(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [
        make_outcome(1, "valid", binding=LIVE),
        make_outcome(1, "invalid", STALE, binding=LIVE),
        make_outcome(1, "invalid", STALE, binding=LIVE),
    ]

    result = replayed(monkeypatch, stored, outcomes)

    assert result.exception is None, result.exception
    assert result.return_value == 1
    assert "repeated    3 runs: 2 invalid, 1 valid\n" in result.output
    assert f"2 of 3 with {STALE}\n" in result.output
    assert "2 of 3 did so again" in result.output
    assert "not deterministic" in result.output
    assert len(list(stored.glob("2*/logs/n1.log"))) == 3


def test_its_document_counts_verdicts_and_signatures(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [make_outcome(1, "valid", binding=LIVE), make_outcome(1, "unknown", binding=LIVE)]

    result = replayed(monkeypatch, stored, outcomes, "--json")
    document = json.loads(result.output)

    assert result.return_value == 2
    assert document["live"] is True
    assert (document["repeated"], document["verdicts"]) == (2, {"valid": 1, "unknown": 1})
    assert (document["failures"], document["before"]) == ({}, STALE)


def test_what_is_about_events_of_a_simulated_run_is_refused(stored: Path) -> None:
    result = CliRunner().invoke(command, ["latest", "--results", str(stored), "--until", "1s"], standalone_mode=False)

    assert "an option about events of a simulated run" in str(result.exception)


def test_a_live_run_is_made_in_the_simulated_world_by_that_word(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Plan] = []

    def run(plan: Plan, binding: Any, options: Any, **_: Any) -> Outcome:
        ran.append(plan)
        return make_outcome(1, "valid")

    monkeypatch.setattr("harness.run.replay.execute", run)
    result = CliRunner().invoke(
        command, ["latest", "--results", str(stored), "--world", "simulated"], standalone_mode=False
    )

    assert result.return_value == 0, result.exception
    assert "nothing to compare with" in result.output
    assert "foreshock replay latest --world simulated" in result.output
    assert ran[0].links.node.delay_max_ns > 0


def test_several_seeds_run_one_after_another_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def run(plan: Plan, system: Any) -> LiveResult:
        seeds.append(plan.drawn.seed)
        signatures = [STALE] if plan.drawn.seed == 8 else []
        outcome = make_outcome(plan.drawn.seed, "invalid" if signatures else "valid", *signatures, binding=LIVE)
        return LiveResult(outcome=outcome, logs={})

    monkeypatch.setattr(live_run, "run", run)
    words = ["--world", "live", "--seed", "7", "--count", "3", "--results", str(tmp_path)]
    result = CliRunner().invoke(run_command, words, standalone_mode=False)

    assert result.exception is None, result.exception
    assert (result.return_value, seeds) == (1, [7, 8, 9])
    assert "runs        3 runs: 1 invalid, 2 valid\n" in result.output
    assert f"seed 8      invalid: {STALE}" in result.output


def test_a_number_of_simulated_runs_is_a_suite() -> None:
    result = CliRunner().invoke(run_command, ["--count", "3"], standalone_mode=False)

    assert "foreshock suite --count N" in str(result.exception)
