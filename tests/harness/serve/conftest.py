"""A results folder with campaigns, runs with and without folders, and an application over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.archive.documents import run_record
from harness.archive.index import Index
from harness.archive.layout import write_run
from harness.search.campaign import Settings
from harness.search.suites import load
from harness.serve.access import Access
from harness.serve.application import application
from harness.serve.films import Films
from tests.harness.outcomes import make_outcome, make_rows

from .serving import Served, opened

STALE = "linearizability/nonlinearizable/cas-register/read"
VOTES = "raft/election-safety"


def settings(last: int | None = 40) -> Settings:
    """Settings of a campaign over seeds 1 to `last`."""
    return Settings(suite=load("default"), system="raft_impl", code_digest="d" * 64, first=1, last=last)


def add_runs(index: Index, count: int, *, first: int = 1, campaign: str | None = None) -> None:
    """Runs without folders; every tenth failed, every seventh is unknown."""
    with index.batch():
        for seed in range(first, first + count):
            outcome = make_outcome(seed, "unknown") if seed % 7 == 0 else make_outcome(seed)
            if seed % 10 == 0:
                outcome = make_outcome(seed, "invalid", VOTES if seed % 20 == 0 else STALE)
            index.add(run_record(outcome), campaign=campaign, cell=0)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two campaigns of 40 runs, the older finished, and two runs with folders."""
    folder = tmp_path_factory.mktemp("results")
    with Index(folder) as index:
        index.begin_campaign("night-1", "default", settings())
        add_runs(index, 40, campaign="night-1")
        index.end_campaign("night-1", msgspec.defstruct("Nothing", [])(), is_finished=True)
        index.begin_campaign("night-2", "default", settings(400))
        add_runs(index, 30, first=41, campaign="night-2")
        for outcome in (make_outcome(7, rows=make_rows(50)), make_outcome(8, "invalid", STALE, rows=make_rows(50))):
            index.add(write_run(folder, outcome))
    return folder


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """A page that looks at what the module serves."""
    with opened(browser, served) as one:
        yield one


@pytest.fixture(scope="module")
def app(results: Path) -> Iterator[Any]:
    """The application, as loopback has it."""
    films = Films()
    yield Access(application(results, films), None)
    films.close()
