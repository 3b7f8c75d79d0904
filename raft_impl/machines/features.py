"""Feature levels: how a cluster of mixed versions learns something new without any replica doing otherwise.

What one replica does and another does not know would split their states. So whatever changes the state or its encoding
belongs to a feature level, the group has a level in its replicated state (1 at first), and every replica does only what
that level has, including replicas that know more: a command above it is refused by all, with the same word at the same
index. A leader asks its members which levels they know; once all of them know a higher one, it raises the group's level
by an entry of its own kind (EntryKind.FEATURE), and what belongs to it exists from that index on. How far a leader
raises it is the option `feature_level`: until then the members can be put back to the older code.

A replica that meets a level which it does not know (an older program that was put back, or a late joiner) must not go
on: skipping is the one thing it must never do. It stops with `TooNew`, at the latest when it would apply the entry that
raised the level, and before anything else when it starts on a log or a snapshot that tells of it. One that no longer
knows a level so low stops with `TooOld`.

| level | since then |
| --- | --- |
| 1 | |
| 2 | openings of sessions are part of the replicated state and of its snapshots (see `sessions`) |

To add a level: raise `LEVEL` by one and add its line here. A command gets that number in its machine's `commands`.
"""

from __future__ import annotations

from typing import Final

from ..errors import TooNew, TooOld

FIRST_LEVEL: Final = 1
"""That of a group which raised it never."""
LOWEST_LEVEL: Final = 1
"""The lowest that this code knows."""
OPENINGS_LEVEL: Final = 2
"""Since then openings of sessions are replicated."""
LEVEL: Final = 2
"""The highest that this code knows."""


def require_known(level: int, highest: int, where: str, *, lowest: int = LOWEST_LEVEL) -> None:
    """Raise TooNew or TooOld for a level of the group that code which knows `lowest` to `highest` cannot serve."""
    known = f"{where} is of feature level {level}, this code knows {lowest} to {highest}"
    if level > highest:
        raise TooNew("feature-unknown", f"{known}; start newer code on this data")
    if level < lowest:
        raise TooOld("feature-forgotten", f"{known}; raise the level with older code first")
