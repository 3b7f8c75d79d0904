"""Pictures of the documentation exist, are small, and are all shown; `python -m tests.gallery` makes them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.gallery import GALLERY

BYTES_MAX = 200_000
SHOWN = re.compile(r"!\[([^\]]+)\]\(gallery/([\w-]+\.png)\)")


def test_every_picture_is_shown_with_words_and_is_small() -> None:
    page = (GALLERY.parent / "gallery.md").read_text()
    shown = {name: words for words, name in SHOWN.findall(page)}
    there = {path.name: path for path in Path(GALLERY).glob("*.png")}

    assert set(shown) == set(there)
    assert all(len(words) > 20 for words in shown.values())
    for path in there.values():
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size < BYTES_MAX, path.name
