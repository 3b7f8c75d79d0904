"""docs/adapters.md: an adapter, from an empty folder to its first failure."""

from __future__ import annotations

from pathlib import Path

from tests.newcomers import following


def test_a_newcomer_finds_a_failure_and_mends_it(tmp_path: Path) -> None:
    followed = following.check("docs/adapters.md", tmp_path)

    assert "nonlinearizable" in followed.failure
