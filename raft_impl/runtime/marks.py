"""Coverage marks: names of rare situations that a test campaign should reach.

A mark says that a situation came up, not that anything is wrong. A server notes `("mark", name)` when it happens, and
the harness counts the marks over many runs: one that is never hit shows a gap in what the runs exercise, and a search
that is guided by marks tries to close it. TigerBeetle calls them marks, Antithesis "sometimes" assertions, FoundationDB
code probes. Each name is `family: situation`. Those of the protocol are in `protocol.marks`.
"""

from __future__ import annotations

from typing import Final

from ..protocol.marks import MARKS as PROTOCOL_MARKS

DEPOSED_WITH_PROPOSALS: Final = "election: leader deposed with uncommitted entries"
LEVEL_PROPOSED: Final = "membership: feature level proposed"
LEVEL_RAISED: Final = "membership: feature level raised"
READ_WAITED: Final = "read: read waited for the machine"
REPEATED_COMMAND: Final = "session: repeated command answered from its session"
REPEATED_OPENING: Final = "session: repeated opening answered from memory"
RETRY_ATTACHED: Final = "session: a retry joined the command that is under way"
SESSION_GONE: Final = "session: a command of a session that has expired"
REPEATED_REQUEST: Final = "client: repeated request dropped"
FORMER_CONNECTION: Final = "client: a request meant for an earlier life of the server"
OUTCOME_CUT: Final = "client: outcome unknown, the entry was cut off"
OUTCOME_IN_IMAGE: Final = "client: outcome unknown, an image took the entry's place"
OUTCOME_REPLACED: Final = "client: outcome unknown, another entry was applied in its place"
DAMAGED_FRAME: Final = "message: damaged frame dropped"
STRANGER_DROPPED: Final = "message: message of a node that is no member dropped"
LOADING: Final = "snapshot: work waited for an image to be loaded"
TORN_TAIL: Final = "storage: torn tail repaired"
UNFINISHED_SEGMENT: Final = "storage: unfinished segment removed"
UNFINISHED_SNAPSHOT: Final = "storage: unfinished snapshot removed"
SEVERAL_SEGMENTS: Final = "storage: a start read several segments"
LEFT_OVER_SEGMENTS: Final = "storage: a start removed segments that were covered"
LOG_VOID: Final = "storage: a start found a log that its snapshot voids"
LOG_BEFORE_SNAPSHOT: Final = "storage: a start kept entries from before its snapshot"

SNAPSHOT: Final = {how: f"snapshot: snapshot {how}" for how in ("taken", "installed", "recovered")}

MARKS: Final[tuple[str, ...]] = (
    *PROTOCOL_MARKS,
    *(value for name, value in tuple(globals().items()) if name.isupper() and isinstance(value, str)),
    *SNAPSHOT.values(),
)
"""Every mark that a server can note."""
