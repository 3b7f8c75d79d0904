"""Options of real nodes: docs/real-nodes.md lists their defaults, and heartbeats follow a short election timeout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raft_impl.runtime.options import REAL_DEFAULTS, resolve, resolve_real

PAGE = Path(__file__).parents[3] / "docs" / "real-nodes.md"


def test_the_page_lists_the_defaults_of_real_nodes() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE))

    assert rows == {name: str(value) for name, value in REAL_DEFAULTS.items()}


def test_what_is_given_wins_and_everything_else_is_as_in_simulation() -> None:
    resolved = resolve_real({"storage": "sync", "reads": "lease"})

    assert resolved == resolve({**REAL_DEFAULTS, "storage": "sync", "reads": "lease"})


@pytest.mark.parametrize(("timeout_ms", "heartbeat_ms"), [("5000", 100), ("150", 50), (2, 1)])
def test_heartbeats_follow_a_short_election_timeout(timeout_ms: str | int, heartbeat_ms: int) -> None:
    assert resolve_real({"election_timeout_ms": timeout_ms})["heartbeat_ms"] == heartbeat_ms


def test_a_bad_election_timeout_is_refused_as_that() -> None:
    with pytest.raises(ValueError, match="election_timeout_ms is 'x'"):
        resolve_real({"election_timeout_ms": "x"})
