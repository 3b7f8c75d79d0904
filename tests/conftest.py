"""Options of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is, and what else runs on it, is no claim of a test.
settings.register_profile("claims", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("claims")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--rewrite-scenarios`."""
    parser.addoption(
        "--rewrite-scenarios", action="store_true", help="write the transcripts of harness/scenarios/*.txt anew"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what the ordinary command leaves out."""
    return None if _wants_slow(config) else "slow tests: left to the nightly script (-m slow, or name one)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests marked `slow` to the nightly script, unless markers or a single test were asked for."""
    if not _wants_slow(config):
        items[:] = [item for item in items if item.get_closest_marker("slow") is None]


def _wants_slow(config: pytest.Config) -> bool:
    return bool(config.option.markexpr) or any("::" in argument for argument in config.args)
