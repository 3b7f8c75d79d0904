"""What stands in an address, and one that asks for what cannot be answered."""

from __future__ import annotations

from harness.errors import BadInput
from harness.quantities import SEED_MAX


class BadAddress(BadInput):
    """An address is at fault, and no file: who sent it can mend it."""


def number_in(text: str) -> int | None:
    """The number that stands in an address; None where it is none, or larger than any seed."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(SEED_MAX))
    return int(text) if is_number and int(text) <= SEED_MAX else None
