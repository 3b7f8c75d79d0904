"""`foreshock replay` as often as one likes: what is kept does not grow with the number of runs."""

from __future__ import annotations

import gc

import msgspec
import pytest

from harness.commands import replay as command
from harness.outcome import Outcome
from harness.run.replay import Replayed, replay
from tests.harness.cli.conftest import SHORT, Foreshock


def test_repeating_keeps_no_more_than_one_run_to_show(foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each outcome holds the whole trace: a hundred thousand of them once took 11 GB."""
    kept: list[int] = []

    def counted(*arguments: object) -> Replayed:
        gc.collect()
        kept.append(sum(isinstance(value, Outcome) for value in gc.get_objects()))
        return replay(*arguments)  # type: ignore[arg-type]

    foreshock("run", "--seed", "1", *SHORT)
    monkeypatch.setattr(command, "replay", counted)

    ran = foreshock("replay", "latest", "--repeat", "5", "--json")

    assert ran.code == 0
    assert len(ran.json["fingerprints"]) == 1
    assert len(kept) == 5
    assert max(kept[2:]) <= kept[1] + 1


def test_the_run_that_is_shown_is_the_first_that_differs(foreshock: Foreshock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three runs the second has another fingerprint: an internal error, with both fingerprints."""
    shown = iter(["", "another", ""])

    def other(*arguments: object) -> Replayed:
        replayed, fingerprint = replay(*arguments), next(shown)  # type: ignore[arg-type]
        if not fingerprint:
            return replayed
        outcome = msgspec.structs.replace(replayed.outcome, fingerprint=fingerprint)
        return msgspec.structs.replace(replayed, outcome=outcome, identical=False)

    foreshock("run", "--seed", "1", *SHORT)
    monkeypatch.setattr(command, "replay", other)

    ran = foreshock("replay", "latest", "--repeat", "3", "--json")

    assert ran.code == 255
    assert ran.json["identical"] is False
    assert ran.json["fingerprints"][1] == "another"
    assert ran.json["fingerprint"] == "another"
