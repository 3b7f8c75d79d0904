"""What every step of drawing a plan needs: the streams of the seed, and the profile's table."""

from __future__ import annotations

from typing import Any

import msgspec

from .profiles import Choices, Profile
from .rng import Streams


class Draws(msgspec.Struct, frozen=True, kw_only=True):
    """The draws of one seed under one profile."""

    streams: Streams
    profile: Profile

    def choose(self, name: str, choices: Choices) -> Any:
        """A value of the table, by weight, from the stream of this name."""
        return self.streams(name).weighted(choices.values)
