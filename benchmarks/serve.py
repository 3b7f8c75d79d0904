"""How fast `foreshock serve` answers over many runs, against a folder without any.

    python -m benchmarks.serve [--runs 10000] [--gate]

Prints the median of some requests to each address, in milliseconds, and the ratio to an empty index. `--gate` fails
when an answer takes longer than 100 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request

from harness.archive.documents import run_record
from harness.archive.index import Index
from harness.search.campaign import Settings
from harness.search.suites import load
from harness.serve.application import Browser
from harness.serve.films import Films
from tests.harness.outcomes import make_outcome

LIST_MS_MAX: Final = 100
_REPEAT: Final = 9
_CAMPAIGN_RUNS: Final = 500
_ADDRESSES: Final = {
    "list of runs": ("runs", ""),
    "its hundredth page": ("runs", "below=100"),
    "invalid ones": ("runs", "verdict=invalid"),
    "by text": ("runs", "text=election"),
    "list as JSON": ("api_runs", ""),
    "campaigns": ("campaigns", ""),
    "failures with trends": ("failures", ""),
}


def fill(results: Path, count: int) -> None:
    """An index of `count` runs, in campaigns of 500; every tenth failed."""
    settings = Settings(suite=load("default"), system="raft_impl", code_digest="d" * 64, first=1, last=_CAMPAIGN_RUNS)
    with Index(results) as index, index.batch():
        for seed in range(count):
            campaign = f"night-{seed // _CAMPAIGN_RUNS}"
            if seed % _CAMPAIGN_RUNS == 0:
                index.begin_campaign(campaign, "default", settings)
            signature = f"raft/election-safety/{seed % 7}"
            outcome = make_outcome(seed, "invalid", signature) if seed % 10 == 0 else make_outcome(seed)
            index.add(run_record(outcome), campaign=campaign, cell=0)


def median_ms(answer: Callable[[Request], Any], query: str) -> float:
    """Median time of an answer."""
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": []}
    took = []
    for _ in range(_REPEAT):
        began = time.perf_counter()
        answer(Request(scope))
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took)


def main() -> int:
    """Measure, print, and gate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--gate", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as none:
        fill(Path(many), arguments.runs)
        fill(Path(none), 0)
        browsers = [Browser(Path(folder), Films()) for folder in (many, none)]
        print(f"{'ms, median':<24}{arguments.runs:>10,} runs{'no run':>10}{'ratio':>8}")
        slowest = 0.0
        for name, (method, query) in _ADDRESSES.items():
            full, empty = (median_ms(getattr(browser, method), query) for browser in browsers)
            slowest = max(slowest, full)
            print(f"{name:<24}{full:>15.1f}{empty:>10.1f}{full / empty:>8.1f}")
    if arguments.gate and slowest > LIST_MS_MAX:
        print(f"found {slowest:.0f} ms; expected at most {LIST_MS_MAX} ms")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
