"""Texts in the data of a page: interned, of bounded length, and without characters that deceive the eye.

What a history holds was written by other people. The page only ever shows it as text (no markup is made of it); here
it is cut to a length that a person reads, and control characters, marks that turn the direction of writing, and lone
surrogates are written as their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from checkers.json_lines import UNREADABLE
from checkers.values import thaw

PageData = Mapping[str, Any]
"""What the script or the template of a page reads, by name, and nothing else does."""

TEXT_MAX: Final = 160
"""Characters of one value that a page holds; the stored history has all."""

_DECEIVING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff0-\ufffb]"
)
"""Control characters but tab and newline; invisible ones; those that reorder what follows; halves of characters."""


def plain(text: str, length_max: int = TEXT_MAX) -> str:
    """Make a text safe to look at, and cut it where it is long."""
    if len(text) > length_max:
        text = f"{text[: length_max - 20]}... ({len(text):,} characters)"
    return _DECEIVING.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def value_text(value: Any, length_max: int = TEXT_MAX) -> str:
    """Print a value of a history as JSON, on one line."""
    try:
        return plain(msgspec.json.encode(value, enc_hook=thaw).decode(), length_max)
    except (*UNREADABLE, UnicodeEncodeError, TypeError, ValueError):
        return plain(repr(value), length_max)


class Texts:
    """A table of texts; `place` gives the number of one, and equal texts have one number."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {"": 0}
        self._texts = [""]

    def place(self, text: str) -> int:
        """Number of a text, which is taken in when it is new."""
        at = self._places.setdefault(text, len(self._texts))
        if at == len(self._texts):
            self._texts.append(text)
        return at

    def text(self, place: int) -> str:
        """The text of a number."""
        return self._texts[place]

    @property
    def table(self) -> list[str]:
        """All texts, in the order of their numbers."""
        return list(self._texts)
