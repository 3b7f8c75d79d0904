"""One failing run, kept, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.archive.find import StoredRun, find
from harness.archive.store import Archive
from harness.plans.plan import load
from harness.reports.written import write_report
from harness.run.execution import execute
from harness.run.runner import RunOptions
from harness.systems import catalog
from harness.systems.checkouts import Checkouts

ROOT = Path(__file__).resolve().parents[3]
CANARY = f"patch:{ROOT}/harness/suites/canaries/reads-without-quorum.patch"


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """A run in which a read missed what had been acknowledged: the plan of the README's example, when it was drawn."""
    results = tmp_path_factory.mktemp("results")
    with Archive(results) as archive, Checkouts() as checkouts:
        binding = catalog.bind(CANARY, checkouts)
        archive.keep(execute(load(Path(__file__).with_name("stale_read.json")), binding, RunOptions(keep_rows=True)))
    return find("latest", results)


@pytest.fixture(scope="session")
def blocked(failing: StoredRun) -> dict[str, Any]:
    """The operation that its counterexample calls impossible."""
    assert failing.record is not None
    evidence = failing.record.anomalies[0].evidence
    assert isinstance(evidence, dict)
    found: dict[str, Any] = evidence["blocked"]
    return found


@pytest.fixture(scope="session")
def report(failing: StoredRun) -> Path:
    """The page of that run."""
    return write_report(failing)
