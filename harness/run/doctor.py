"""The doctor: what this machine can do, found out by trying and not by guessing.

Each finding is `ok`, `missing` (something optional is not there, and what it would give) or `broken` (a run is not
possible, or not deterministic, here).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from harness.errors import BadInput

_SECONDS_MAX: Final = 20
_EXTRAS: Final = {
    "pytest": "the pytest plugin",
    "starlette": "browsing stored runs",
    "scipy": "intervals in comparisons",
    "edn_format": "histories of Jepsen",
    "junitparser": "JUnit reports",
    "distributed": "suites on several machines",
    "playwright": "browser tests of pages",
}
_LIBFAKETIME: Final = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime")
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "missing", "broken"]
    detail: str


def examine(results: Path) -> Iterator[Finding]:
    """Look at everything, what runs need first."""
    yield _interpreter()
    yield _trio()
    yield _determinism()
    yield _results(results)
    yield _command("git", ("git", "--version"), "comparing git refs, and mutants")
    yield Finding(name="processors", state="ok", detail=f"{len(os.sched_getaffinity(0))} for worker processes")
    yield _root()
    yield _namespaces()
    yield _libfaketime()
    yield _command("etcd", ("etcd", "--version"), "running etcd as a system under test")
    yield _browser()
    for package, purpose in _EXTRAS.items():
        yield _package(package, purpose)


def _interpreter() -> Finding:
    version = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    enough = sys.version_info >= (3, 11)
    return Finding(
        name="interpreter", state="ok" if enough else "broken", detail=version if enough else f"{version}; needs 3.11"
    )


def _trio() -> Finding:
    version = importlib.metadata.version("trio")
    try:
        # The one file that touches Trio's private names says at import whether they are there.
        import harness.sim.kernel.trio_seam  # noqa: F401
    except Exception as error:
        return Finding(name="trio", state="broken", detail=f"{version}: {error}")
    return Finding(name="trio", state="ok", detail=f"{version}, its scheduling can be made deterministic")


def _determinism() -> Finding:
    """Run one seed twice."""
    from harness.systems import catalog
    from harness.systems.catalog import load_systems
    from harness.systems.checkouts import Checkouts

    from . import runner
    from .drawing import Drawing, abilities_of

    try:
        with Checkouts() as checkouts:
            binding = catalog.bind("raft_impl", checkouts)
            drawing = Drawing(profile="calm", duration_ns=2 * 10**9)
            plan = drawing.plan(1, abilities_of(load_systems(binding).values()))
            first, second = (runner.run(plan, binding) for _ in range(2))
    except Exception as error:
        return Finding(name="determinism", state="broken", detail=f"a run failed: {type(error).__name__}: {error}")
    if first.fingerprint != second.fingerprint:
        return Finding(name="determinism", state="broken", detail="one plan gave two fingerprints")
    speed = second.simulated_ns / 1e9 / second.wall_seconds
    return Finding(
        name="determinism", state="ok", detail=f"one seed twice, one fingerprint; {speed:.0f} times real time"
    )


def _results(results: Path) -> Finding:
    from harness.archive.layout import prepare

    try:
        prepare(results)
    except BadInput as error:
        return Finding(name="results", state="broken", detail=f"{error.where}: {error.found}")
    free = shutil.disk_usage(results).free >> 20
    return Finding(name="results", state="ok", detail=f"{results} can be written, {free} MiB free")


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding(name="root", state="ok", detail="yes")
    return Finding(name="root", state="missing", detail="no: faults of real networks need it; simulated runs do not")


def _namespaces() -> Finding:
    if _succeeds(("unshare", "--net", "true")):
        return Finding(name="network namespaces", state="ok", detail="can be made")
    return Finding(
        name="network namespaces", state="missing", detail="cannot be made: live partitions use proxies instead"
    )


def _libfaketime() -> Finding:
    found = [place for place in _LIBFAKETIME if Path(place, "libfaketime.so.1").is_file()]
    if found:
        return Finding(name="libfaketime", state="ok", detail=found[0])
    return Finding(name="libfaketime", state="missing", detail="not installed: skewed clocks of foreign programs")


def _browser() -> Finding:
    found = [path for path in map(shutil.which, _BROWSERS) if path]
    if found:
        return Finding(name="browser", state="ok", detail=found[0])
    return Finding(name="browser", state="missing", detail="no Chromium: browser tests of pages")


def _command(name: str, arguments: tuple[str, ...], purpose: str) -> Finding:
    output = _output(arguments)
    if output is None:
        return Finding(name=name, state="missing", detail=f"not installed: {purpose}")
    return Finding(name=name, state="ok", detail=output)


def _package(package: str, purpose: str) -> Finding:
    if importlib.util.find_spec(package) is None:
        return Finding(name=package, state="missing", detail=f"not installed: {purpose}")
    names = importlib.metadata.packages_distributions().get(package, [package])
    return Finding(name=package, state="ok", detail=importlib.metadata.version(names[0]))


def _succeeds(arguments: tuple[str, ...]) -> bool:
    return _output(arguments) is not None


def _output(arguments: tuple[str, ...]) -> str | None:
    """First line of a command's output; None when it is not there or fails."""
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines else ""
