"""`foreshock doctor`: what this machine can do, found out by trying and not by guessing.

Each finding is `ok`, `missing` (something optional is not there, and what it would give) or `broken` (a run is not
possible, or not deterministic, here). There is a line for what foreshock uses, and for nothing else.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import click
import msgspec

from harness.compiled.finder import VARIABLE, compiled, folder
from harness.errors import BadInput, Exit

from .arguments import json_option, results_option
from .printing import print_json, print_table


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "missing", "broken"]
    detail: str


@click.command("doctor")
@results_option
@json_option
def command(results: Path, as_json: bool) -> int:
    """Say what this machine can do, by running one seed twice among others.

    Example: foreshock doctor. Exit 255 when a run is not possible, or not deterministic, here.
    """
    findings = list(examine(results))
    if as_json:
        print_json({"findings": findings})
    else:
        print_table(("what", "state", "detail"), [(one.name, one.state, one.detail) for one in findings])
    return Exit.INTERNAL if any(one.state == "broken" for one in findings) else Exit.VALID


def examine(results: Path) -> Iterator[Finding]:
    """Look at everything, what runs need first."""
    yield _interpreter()
    yield _trio()
    yield _determinism()
    yield _results(results)
    yield Finding(name="processors", state="ok", detail=f"{len(os.sched_getaffinity(0))} for worker processes")
    yield _compiled()
    yield _git()
    yield _junit()
    yield _http()


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
    from harness.run import runner
    from harness.run.drawing import Drawing, abilities_of
    from harness.systems import catalog
    from harness.systems.catalog import load_systems
    from harness.systems.checkouts import Checkouts

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


def _compiled() -> Finding:
    """The determinism test has loaded `raft_impl`, compiled if that is there."""
    builds, names = folder(), [name for name in compiled.names() if name in sys.modules]
    own = sum(name.startswith(("harness.", "checkers.")) for name in names)
    code = sum(name.startswith("_foreshock_code_") for name in names)
    if own and code:
        detail = f"active: {own} modules of the harness and its checkers and {code} of raft_impl, from {builds}"
        return Finding(name="compiled build", state="ok", detail=detail)
    wanted = f"{builds} has no build of these sources" if builds is not None else f"{VARIABLE} is not set"
    part = "the harness" if own else "raft_impl" if code else "nothing"
    detail = f"{part} is compiled, all else is interpreted: {wanted} (`foreshock compile` makes one)"
    return Finding(name="compiled build", state="missing", detail=detail)


def _git() -> Finding:
    try:
        done = subprocess.run(("git", "--version"), capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding(name="git", state="missing", detail="needed for raft_impl@REF, compare and mutants")
    return Finding(name="git", state="ok", detail=done.stdout.strip())


def _junit() -> Finding:
    try:
        return Finding(name="junitparser", state="ok", detail=importlib.metadata.version("junitparser"))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name="junitparser", state="missing", detail="needed for suite --junit")


def _http() -> Finding:
    found = []
    for name in ("starlette", "hypercorn"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            return Finding(name="http", state="missing", detail=f"{name}, needed for node --http")
    return Finding(name="http", state="ok", detail=", ".join(found))
