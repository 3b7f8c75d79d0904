"""docs/cluster.md is true: its commands make a cluster of four, on ports that are free here."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pages
from tests.live.cluster import eventually, free_ports

pytest.importorskip("hypercorn")
pytest.importorskip("starlette")


def processes_in(folder: Path) -> list[int]:
    """Processes that work in a folder: what a page started, and nothing else."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:
            continue  # it has gone, or is not ours to look at
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a page; what runs in it is ended with the test."""
    laid = pages.lay_out(tmp_path)
    try:
        yield laid
    finally:
        for process in processes_in(laid):
            os.kill(process, signal.SIGKILL)
        eventually(lambda: not processes_in(laid))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page asks with curl")
def test_the_page_leads_from_nothing_to_four_servers_and_ends_them(folder: Path) -> None:
    page = (pages.ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    written = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)", page)))
    for port, free in zip(written, free_ports(len(written)), strict=True):
        page = page.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    found = list(pages.examples(page))

    assert len(found) >= 20
    for example in found:
        actual = pages.run(example, folder)
        logs = "".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))
        assert pages.fits(example.expected, actual), f"{example.command[-1]}\n{actual}\n{logs}"
    eventually(lambda: not processes_in(folder))
