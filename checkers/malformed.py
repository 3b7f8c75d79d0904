"""The one error of whatever reads or judges a history: it is none, or none of the kind that was asked for."""

from __future__ import annotations


class MalformedHistory(ValueError):
    """The input is no history: what was found, what was expected, and where. One line, for people."""

    def __init__(self, found: str, expected: str, where: str) -> None:
        self.found = found
        self.expected = expected
        self.where = where
        super().__init__(f"{where}: found {found}; expected {expected}")
