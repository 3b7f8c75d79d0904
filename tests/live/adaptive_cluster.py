"""An adaptive dask cluster of its own process: prints the scheduler's address, then how many workers there are.

It prints a number whenever a worker has come or gone, and ends when its input does, or after two minutes.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

import dask
from distributed import LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin

SECONDS_MAX = 120
"""Nobody waits longer for a number."""


class Counted(SchedulerPlugin):  # type: ignore[misc, unused-ignore]
    """Told by the scheduler itself of each worker."""

    def add_worker(self, scheduler: Any, worker: str) -> None:
        """One has come."""
        tell(len(scheduler.workers))

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """One has gone."""
        tell(len(scheduler.workers))


def tell(what: object) -> None:
    """Print a line, as long as anybody reads."""
    with contextlib.suppress(BrokenPipeError):
        print(what, flush=True)


def main() -> None:
    """Begin with no worker, and keep one or two as long as jobs wait."""
    dask.config.set({"distributed.worker.daemon": False})
    with LocalCluster(n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        cluster.scheduler.add_plugin(Counted())
        cluster.adapt(minimum=0, maximum=2, interval="100ms", target_duration="500ms", wait_count=5)
        tell(cluster.scheduler_address)
        tell(len(cluster.scheduler.workers))
        ended = threading.Event()
        threading.Thread(target=lambda: (os.read(0, 1), ended.set()), daemon=True).start()
        ended.wait(SECONDS_MAX)


if __name__ == "__main__":
    main()
