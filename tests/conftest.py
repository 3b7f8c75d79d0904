"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--rewrite-scenarios`."""
    parser.addoption(
        "--rewrite-scenarios", action="store_true", help="write the transcripts of harness/scenarios/*.txt anew"
    )
