"""A drawing in text: characters in rows and columns, each with the name of a style."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, Literal

import msgspec

from harness.reports.texts import plain

Style = Literal["", "wrong", "good", "warning", "dim", "strong"]
"""What a part is: wrong (what cannot be), good (a leader, an answer), a warning (a fault), beside the point, a name."""

Span = tuple[str, Style]


class Glyphs(msgspec.Struct, frozen=True, kw_only=True):
    """The characters of one way to draw."""

    begin: str
    end: str
    bar: str
    loose: str
    unknown: str
    wrong: str
    right: str
    left: str
    lost: str
    line: str
    lane: str
    lead: str
    lead_flat: str
    stand: str
    down: str
    ramp: str
    mark: str
    step: str
    step_end: str


PLAIN: Final = Glyphs(
    begin="[", end="]", bar="-", loose="~", unknown="?", wrong="=", right=">", left="<", lost="x", line="-", lane="|",
    lead="L", lead_flat="L", stand="C", down=" ", ramp=" .:-=+*#", mark="^", step="|", step_end="v",
)  # fmt: skip
"""Letters that every terminal, log and mail has."""

LINES: Final = Glyphs(
    begin="├", end="┤", bar="─", loose="╌", unknown="?", wrong="━", right="▶", left="◀", lost="✗", line="─", lane="│",
    lead="┃", lead_flat="━", stand="C", down=" ", ramp=" ▁▂▃▄▅▆▇", mark="▲", step="│", step_end="▼",
)  # fmt: skip
"""Lines, for terminals that show them."""


class Drawing:
    """Rows of characters. What is put beyond `width` is cut off there."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._rows: list[list[tuple[str, Style]]] = []

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def row(self) -> int:
        """Add an empty row. Returns its number."""
        self._rows.append([])
        return len(self._rows) - 1

    def put(self, row: int, column: int, text: str, style: Style = "") -> None:
        """Write over what stands there."""
        cells = self._rows[row]
        for place, character in enumerate(text[: max(0, self.width - column)], column):
            while len(cells) <= place:
                cells.append((" ", ""))
            cells[place] = (character, style)

    def line(self, *spans: Span) -> int:
        """Add a row with texts one after the other."""
        row, column = self.row(), 0
        for text, style in spans:
            self.put(row, column, text, style)
            column += len(text)
        return row

    def is_free(self, row: int, column: int, length: int) -> bool:
        """Whether nothing stands there, and it is within the width."""
        cells = self._rows[row]
        return column + length <= self.width and all(cell[0] == " " for cell in cells[max(0, column) : column + length])

    def add(self, other: Drawing) -> None:
        """Put another drawing below."""
        self._rows += other._rows

    def lines(self) -> list[list[Span]]:
        """The rows as runs of one style, without blanks at their ends."""
        return [list(_runs(row)) for row in self._rows]

    def __str__(self) -> str:
        return "\n".join("".join(text for text, _ in spans) for spans in self.lines())


def _runs(row: Sequence[tuple[str, Style]]) -> Iterable[Span]:
    length = len(row)
    while length and row[length - 1][0] == " ":
        length -= 1
    for style, cells in groupby(row[:length], key=lambda cell: cell[1]):
        yield "".join(character for character, _ in cells), style


def one_cell(text: str) -> str:
    """A text each of whose characters takes one column of a terminal; another one is written as its number."""
    return "".join(map(_narrow, plain(text, length_max=len(text)).replace("\n", " ").replace("\t", " ")))


def _narrow(character: str) -> str:
    if character.isascii():
        return character
    is_one = unicodedata.east_asian_width(character) not in "WF" and unicodedata.category(character)[0] != "M"
    return character if is_one and character.isprintable() else f"\\u{{{ord(character):x}}}"


def cut(text: str, length_max: int) -> str:
    """A text of bounded length."""
    return text if len(text) <= length_max else f"{text[: max(1, length_max - 3)]}..."[:length_max]


def cut_inside(text: str, length_max: int) -> str:
    """A text of bounded length, of which the end is kept as well: there lists differ."""
    if len(text) <= length_max or length_max < 8:
        return cut(text, length_max)
    tail = (length_max - 3) // 2
    return f"{text[: length_max - 3 - tail]}...{text[-tail:]}"
