"""`foreshock serve` as a process, which a test starts and ends, and a page of a browser that looks at it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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


@contextmanager
def served_over(results: Path) -> Iterator[Served]:
    """Serve a folder, and end well."""
    one = Served(results)
    try:
        yield one
    finally:
        code = one.stop()
    assert code == 0


@contextmanager
def opened(browser: Any, served: Served) -> Iterator[Any]:
    """A page that complains of nothing and asks nobody but the server."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        yield page
    finally:
        context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((served.address, "blob:", "data:"))] == []
