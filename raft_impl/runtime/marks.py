"""Coverage marks: names of rare events that a test campaign should reach.

A mark says that a code path ran, not that anything is wrong. A server notes `("mark", name)` when it happens, and the
harness counts the marks over many runs: one that is never hit shows a gap in what the runs exercise. TigerBeetle calls
them marks, Antithesis "sometimes" assertions.
"""

from __future__ import annotations

from typing import Final

DAMAGED_FRAME: Final = "damaged frame dropped"
DEPOSED_WITH_PROPOSALS: Final = "leader deposed with uncommitted entries"
IMPLAUSIBLE_TERM: Final = "implausible term refused"
LEVEL_RAISED: Final = "feature level raised"
READ_WAITED: Final = "read waited for the machine"
REPEATED_COMMAND: Final = "repeated command answered from its session"
REPEATED_OPENING: Final = "repeated opening answered from memory"
REPEATED_REQUEST: Final = "repeated request dropped"
STRANGER_DROPPED: Final = "message of a node that is no member dropped"
TORN_TAIL: Final = "torn tail repaired"
UNFINISHED_SEGMENT: Final = "unfinished segment removed"
UNFINISHED_SNAPSHOT: Final = "unfinished snapshot removed"

SNAPSHOT: Final = {how: f"snapshot {how}" for how in ("taken", "installed", "recovered")}

MARKS: Final[tuple[str, ...]] = (
    DAMAGED_FRAME,
    DEPOSED_WITH_PROPOSALS,
    IMPLAUSIBLE_TERM,
    LEVEL_RAISED,
    READ_WAITED,
    REPEATED_COMMAND,
    REPEATED_OPENING,
    REPEATED_REQUEST,
    *SNAPSHOT.values(),
    STRANGER_DROPPED,
    TORN_TAIL,
    UNFINISHED_SEGMENT,
    UNFINISHED_SNAPSHOT,
)
"""Every mark that a server can note."""
