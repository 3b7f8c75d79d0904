"""Walk-throughs made for a browser, in a process of their own.

A simulation makes Trio deterministic for the whole process that it runs in, and the server runs on Trio too: the two
must not share one. What a results folder says of a run is drawn and read there too, where there is an end to it.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from harness.errors import BadInput
from harness.scenarios import library
from harness.scenarios.runner import perform
from harness.systems import catalog
from harness.systems.checkouts import Checkouts
from harness.walkthroughs.written import page_of

from .beginnings import Asked, make_run_file, make_run_sandbox
from .sandbox import Attempt, make_file, make_sandbox

_SECONDS_MAX: Final = 60
_HEADINGS: Final = (
    ("walkthrough_", "Raft for a newcomer, in parts"),
    ("demo_", "What people try first with a new key-value store"),
    ("f", "Known hard situations, and the paper's figures"),
    ("one_", "What one node can do that breaks an assumption"),
    ("i_", "Interactions, one by one"),
    ("trap_", "One rule each, which a planted bug breaks"),
    ("debug_", "What to look at when a cluster misbehaves"),
    ("", "Others"),
)
"""Beginnings of names, and what the scenarios of each show."""

T = TypeVar("T")
R = TypeVar("R")


class Films:
    """Pages of the scenarios that come with the harness; each is made when it is first asked for, and kept."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._pages: dict[str, bytes] = {}
        self._lock = threading.Lock()  # pages are asked for from several threads

    def titles(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Names and titles of all scenarios under headings, those for newcomers first."""
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for _, heading in _HEADINGS}
        for name in library.names():
            heading = next(heading for begins, heading in _HEADINGS if name.startswith(begins))
            groups[heading].append((name, library.read(library.find(name)).title))
        return [(heading, names) for heading, names in groups.items() if names]

    def page(self, name: str) -> bytes | None:
        """The page of a scenario; None when there is none of this name."""
        if name not in library.names():
            return None
        if name not in self._pages:
            self._pages[name] = self._made(make_page, name)
        return self._pages[name]

    def sandbox(self, attempt: Attempt) -> bytes | None:
        """The page of an attempt; None when there is no such scenario. Raises BadInput."""
        return self._made(make_sandbox, attempt) if attempt.scenario in library.names() else None

    def file(self, attempt: Attempt) -> bytes | None:
        """An attempt as a scenario file; None when there is no such scenario. Raises BadInput."""
        return self._made(make_file, attempt) if attempt.scenario in library.names() else None

    def run_sandbox(self, asked: Asked) -> bytes | None:
        """The page of an attempt that begins in a run; None when there is no such run. Raises BadInput."""
        return self._made(make_run_sandbox, asked)

    def run_file(self, asked: Asked) -> bytes | None:
        """The same as a scenario file."""
        return self._made(make_run_file, asked)

    def _made(self, make: Callable[[T], R], of: T) -> R:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            pool = self._pool
        try:
            made = pool.submit(make, of)  # a pool whose process has ended refuses here already
            return made.result(_SECONDS_MAX)
        except BrokenExecutor:
            with self._lock:
                if self._pool is pool:
                    self._pool = None  # the next page gets a new process
            raise BadInput(
                "a page whose process was ended, such as for want of memory", "a shorter one", "foreshock serve"
            ) from None
        except TimeoutError:
            made.cancel()  # one that has not begun would keep the next waiting for nobody
            raise BadInput(
                f"a page that takes more than {_SECONDS_MAX} s", "a shorter one, or to wait", "foreshock serve"
            ) from None

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def make_page(name: str) -> bytes:
    """Perform a scenario of the library on the code of this installation, and make its page."""
    script = library.read(Path(library.find(name)))
    with Checkouts() as checkouts:
        system = catalog.load_systems(catalog.bind("raft_impl", checkouts))["default"]
        return page_of(perform(script, system, is_filmed=True), is_served=True)
