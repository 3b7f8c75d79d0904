"""An adaptive dask cluster of its own process: prints the scheduler's address, then how many workers there are.

It prints a number whenever that has changed, and ends when its input does, or after two minutes.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

import dask
from distributed import LocalCluster

SECONDS_MAX = 120
"""Nobody waits longer for a number."""


def main() -> None:
    """Begin with no worker, and keep one or two as long as jobs wait."""
    dask.config.set({"distributed.worker.daemon": False})
    with LocalCluster(n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        cluster.adapt(minimum=0, maximum=2, interval="100ms", target_duration="500ms", wait_count=5)
        print(cluster.scheduler_address, flush=True)
        ended = threading.Event()
        threading.Thread(target=lambda: (os.read(0, 1), ended.set()), daemon=True).start()
        before, deadline = -1, time.monotonic() + SECONDS_MAX
        while not ended.wait(0.05) and time.monotonic() < deadline:
            number = len(cluster.scheduler.workers)
            if number != before:
                before = number
                with contextlib.suppress(BrokenPipeError):
                    print(number, flush=True)


if __name__ == "__main__":
    main()
