"""docs/live.md is true: its commands run, and print what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import pages
from tests.newcomers import following

pytest.importorskip("h11")
pytest.importorskip("pysyncobj")


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
@pytest.mark.slow
def test_the_page_shows_what_its_commands_print(tmp_path: Path) -> None:
    page = (pages.ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    pages.lay_out(tmp_path)

    for example in pages.examples(pages.without(page, following.HEADING)):
        actual = pages.run(example, tmp_path, seconds_max=180)  # two live runs, on a machine that has other work
        assert pages.fits(example.expected, actual), f"{example.command[-1]}\n{actual}"
