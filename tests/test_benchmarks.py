"""Benchmarks measure what they say: here only that their loads do something."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import bounds, checkers, histories, peer
from benchmarks.core_steps import BATCH, LOADS, Cores
from harness.sim.kernel import events


@pytest.mark.parametrize(("load", "committed"), list(zip(LOADS, (1, BATCH, 0), strict=True)))
def test_a_load_of_the_core_is_committed_everywhere(load: str, committed: int) -> None:
    cores = Cores(3)
    before = cores.core.commit_index

    LOADS[load](cores)
    cores.beat()

    assert cores.core.commit_index == before + committed
    assert {core.commit_index for core in cores._cores.values()} == {before + committed}


PEER = """#!{python}
import json, sys
from checkers import check
from checkers.importers import load

model, file, seconds = sys.argv[1:]
assert float(seconds) == 20
verdict = check(load(file, format="porcupine"), model)
print(json.dumps({{"verdict": {verdict}, "seconds": 0.5}}))
"""


def peer_program(folder: Path, verdict: str) -> Path:
    """Make a peer that reads the file as Porcupine's, and answers so."""
    program = folder / "peer"
    program.write_text(PEER.format(python=sys.executable, verdict=verdict))
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    "word", ["register, unique values, one stale", "kv, 1 key, appends, reads and writes, one misread"]
)
def test_a_peer_is_given_the_same_history(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkers, "ROWS", [row for row in checkers.ROWS if row.name.startswith(word)])
    program = peer_program(tmp_path, "verdict.validity")

    status = checkers.main(["--largest", "10000", "--porcupine", str(program)])

    assert status == 0
    assert "invalid" in (out := capsys.readouterr().out)
    assert "(peer 0.500 s, " in out


def test_an_opposite_verdict_of_a_peer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = peer_program(tmp_path, "'invalid'")

    status = checkers.main(["kv, 1 key, appends, reads and writes", "--porcupine", str(program)])

    assert status == 1
    assert "valid, but the peer says invalid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/sh\necho no such model >&2; exit 3\n", "ended with status 3 (no such model); expected 0"),
        ("#!/bin/sh\necho yes\n", "expected one line of JSON with verdict and seconds"),
        ('#!/bin/sh\necho \'{"verdict": "ok", "seconds": 1}\'\n', "verdict 'ok'; expected valid, invalid or unknown"),
    ],
)
def test_a_peer_that_does_not_answer_is_refused(text: str, message: str, tmp_path: Path) -> None:
    program = tmp_path / "peer"
    program.write_text(text)
    program.chmod(0o755)
    made = histories.record(histories.Registers((1, 1, 1)), 10, concurrency=2, crashed=0.0)
    peer.store(made, tmp_path / "history.jsonl")

    with pytest.raises(peer.PeerFailed) as failed:
        peer.ask(program, "register", tmp_path / "history.jsonl")

    assert message in str(failed.value)


def test_how_near_runs_come_to_their_bounds_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bounds", "--seeds", "1..1"])
    monkeypatch.setattr(events, "LivelockGuard", events.LivelockGuard)

    bounds.main()

    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["events in a second", "events in ten"]
    assert all(0 < float(line.split("%")[0].split()[-1]) < 100 for line in lines[:2])
    assert lines[-1] == "anomalies: none"
