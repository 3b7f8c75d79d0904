"""Probes: rare things worth knowing that they happened at all, by name.

A probe is no judgement. A server notes `("probe", name)`, and whoever runs many runs counts them: one that is never hit
says that the runs do not reach where they were meant to go.
"""

from __future__ import annotations

from typing import Final

DAMAGED_FRAME: Final = "damaged frame dropped"
DEPOSED_WITH_PROPOSALS: Final = "leader deposed with uncommitted entries"
LEVEL_RAISED: Final = "feature level raised"
READ_WAITED: Final = "read waited for the machine"
REPEATED_COMMAND: Final = "repeated command answered from its session"
REPEATED_REQUEST: Final = "repeated request dropped"
TORN_TAIL: Final = "torn tail repaired"
UNFINISHED_SEGMENT: Final = "unfinished segment removed"
UNFINISHED_SNAPSHOT: Final = "unfinished snapshot removed"

SNAPSHOT: Final = {how: f"snapshot {how}" for how in ("taken", "installed", "recovered")}

PROBES: Final[tuple[str, ...]] = (
    DAMAGED_FRAME,
    DEPOSED_WITH_PROPOSALS,
    LEVEL_RAISED,
    READ_WAITED,
    REPEATED_COMMAND,
    REPEATED_REQUEST,
    *SNAPSHOT.values(),
    TORN_TAIL,
    UNFINISHED_SEGMENT,
    UNFINISHED_SNAPSHOT,
)
"""All of them."""
