"""A way to run programs live for a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from harness.maelstrom import drawing, live_run
from harness.maelstrom.workloads import WORKLOADS
from harness.outcome import Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def live() -> Run:
    """Run a command for half a second, or as the settings say."""

    def run(workload: str, command: Sequence[str], seed: int = 1, **settings: object) -> Outcome:
        chosen: dict[str, object] = {
            "nodes": 3,
            "concurrency": 6,
            "rate": 100.0,
            "time_limit_ns": 500_000_000,
            "quiet_ns": 300_000_000,
        }
        plan = drawing.draw(drawing.Settings(**(chosen | settings)), WORKLOADS[workload], seed)  # type: ignore[arg-type]
        return live_run.run(plan, command).outcome

    return run
