"""What a server is told of a group that it hosts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a group replicates, and its members before the log says otherwise."""

    machine: str
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()
    addresses: Mapping[str, str] = {}
    """Where nodes are reached, as far as the log does not say it."""
