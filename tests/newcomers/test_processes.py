"""docs/live.md: processes of one's own, from an empty folder to their first failure."""

from __future__ import annotations

from pathlib import Path

from tests.newcomers import following


def test_a_newcomer_runs_a_store_and_finds_its_stale_reads(tmp_path: Path) -> None:
    followed = following.check("docs/live.md", tmp_path)

    assert "nonlinearizable/cas-register/read" in followed.failure
