"""The command line as scripts see it: exit code, stdout, stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harness import cli


class Ran(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


Foreshock = Callable[..., Ran]

SHORT: Sequence[str] = ("--profile", "calm", "--nodes", "3", "--concurrency", "2", "--rate", "40", "--duration", "2s")
"""A run of some milliseconds."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Where the runs of a test go."""
    return tmp_path / "results"


@pytest.fixture
def foreshock(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, results: Path) -> Foreshock:
    """Run a command in this process."""
    monkeypatch.setenv("FORESHOCK_RESULTS", str(results))

    def run(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(int(code), out, err)

    return run
