"""The peer's own Raft chaos, beside ours: what `benchmarks.simulator --peer PYTHON DIR` runs in another interpreter.

The peer is simloop, an asyncio simulator in Python. PYTHON is an interpreter (3.13 is fastest for it) in which `pip
install simloop pytest` was done. DIR is the folder `examples/raft` of the peer's repository, which no package holds: a
teaching Raft, and `tests/test_chaos_campaign.py`, whose campaign is run as it stands, by the peer's own `explore`, seed
by seed: five nodes, three partitions, restarts, one client, and its four invariants at the end.

This file runs in that interpreter, and so imports nothing but the standard library. It answers each line of its input,
`FIRST COUNT`, with the seconds of processor time that those seeds took.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def campaign(folder: Path) -> Callable[[], Any]:
    """The peer's campaign, without the decorator that runs it under a fixed number of seeds."""
    sys.path[:0] = [str(folder), str(folder / "tests")]
    tests = vars(importlib.import_module("test_chaos_campaign"))
    run: Callable[[], Any] = tests["test_chaos_campaign_holds_the_invariants"].__wrapped__
    return run


def main() -> int:
    """Answer until the input ends."""
    explore = importlib.import_module("simloop").explore
    run = campaign(Path(sys.argv[1]))
    for line in sys.stdin:
        first, count = map(int, line.split())
        began = time.process_time()
        report = explore(run, range(first, first + count))
        seconds = time.process_time() - began
        if report is not None:
            print(f"seed {report.seed} of the peer failed", file=sys.stderr)
            return 1
        print(seconds, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
