"""The guides, each followed from an empty folder to its first failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.newcomers import following


@pytest.mark.parametrize(
    ("page", "failure"),
    [
        ("docs/adapters.md", "nonlinearizable"),
        ("docs/live.md", "nonlinearizable/cas-register/read"),
        ("docs/maelstrom.md", "nonlinearizable/cas-register"),
        ("docs/trio.md", "nonlinearizable"),
    ],
)
def test_a_newcomer_finds_the_failure_of_a_guide(page: str, failure: str, tmp_path: Path) -> None:
    assert failure in following.check(page, tmp_path).failure
