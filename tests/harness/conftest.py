"""Copies of the system under test that behave otherwise, made by wrapping the one interface that the harness uses."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

_WRAP = """

_make_server, _make_client = make_server, make_client


def make_server(env, *, groups, options):
    return _make_server(env, groups=groups, options={{**options, {changes}}})


def make_client(env, *, options, **rest):
    return _make_client(env, options={{**options, {changes}}}, **rest)
"""


@pytest.fixture
def hasty_copy(tmp_path: Path) -> Path:
    """A checkout that is correct and beats its heart sooner: no run of it is the same."""
    return copy_with(tmp_path / "hasty", '"heartbeat_ms": 31')


@pytest.fixture
def stale_copy(tmp_path: Path) -> Path:
    """A checkout that answers reads from whatever replica was asked, whatever its options say."""
    return copy_with(tmp_path / "stale", '"reads": "local"')


@pytest.fixture
def stale_patch(stale_copy: Path, tmp_path: Path) -> Path:
    """A folder with one mutant: the difference between the code and the copy that reads anywhere."""
    before, after = ((root / "raft_impl" / "surface.py").read_text() for root in (ROOT, stale_copy))
    names = ("a/raft_impl/surface.py", "b/raft_impl/surface.py")
    diff = difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), *names)
    folder = tmp_path / "mutants"
    folder.mkdir()
    (folder / "stale.patch").write_text(
        "Name: reads-without-quorum\nSource: a test\nExpect: linearizability/nonlinearizable\n\n" + "".join(diff)
    )
    return folder


def copy_with(folder: Path, changes: str) -> Path:
    """Copy raft_impl so that servers and clients see changed options."""
    shutil.copytree(ROOT / "raft_impl", folder / "raft_impl", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "raft_impl" / "surface.py").open("a") as surface:
        surface.write(_WRAP.format(changes=changes))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGUMENTS))
        yield started
        started.close()
