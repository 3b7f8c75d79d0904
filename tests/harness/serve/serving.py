"""`foreshock serve` as a process, which a test starts and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


class Served:
    """`foreshock serve` over a folder, in a process of its own."""

    def __init__(self, results: Path) -> None:
        command = [sys.executable, "-m", "harness", "serve", "--port", "0", "--results", str(results)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()
