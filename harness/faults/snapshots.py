"""Snapshots: logs that are cut at a bad moment."""

from __future__ import annotations

from typing import ClassVar

from .commands import NodeCommand


class Compact(NodeCommand, frozen=True, kw_only=True, tag="compact"):
    """Make the targets take a snapshot and cut their logs at the begin."""

    capability: ClassVar[str] = "snapshots"
    command: ClassVar[str] = "compact"
