"""What a leader knows of one follower's log, and how much it may send (section 5.3, figure 2: nextIndex, matchIndex).

Three states:

* PROBE: the leader does not know where the logs part. One append is on its way at a time.
* REPLICATE: the last append was accepted. Appends leave optimistically, each beyond the last, up to a window of
  messages and bytes.
* SNAPSHOT: the follower needs entries that are gone. No appends; one chunk of the snapshot is on its way at a time.

Over links that reorder, most of a full window is refused and leaves again. That costs messages, not time: what does
arrive in order shares one fsync of the follower. A window that opens slowly after a refusal, as TCP's does, was tried;
with one entry an append and a slow disk a follower then took so long to catch up that the group made no progress.

`next > match` always. On a network that loses and reorders, a refusal is believed only if it answers something that is
still in question, and silence is ended by the answer to a heartbeat that left well after the last append.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from .log import Log
from .messages import AppendReject
from .quorum import NEVER
from .state import Index, Snapshot


class Pace(enum.Enum):
    """How a follower is fed."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


_PROBE: Final = Pace.PROBE
_REPLICATE: Final = Pace.REPLICATE


class Progress:
    """One follower, as its leader sees it."""

    __slots__ = (
        "confirmed_ns",
        "heard_ns",
        "inflight",
        "inflight_bytes",
        "match",
        "next",
        "offset",
        "pace",
        "probing",
        "round",
        "sent_ns",
        "snapshot",
    )

    def __init__(self, next_index: Index, now: int) -> None:
        """Know nothing: probe at `next_index`. A follower is given one timeout from `now` to be heard."""
        self.match = Index(0)  # the follower durably holds our log up to here
        self.next = next_index  # the next entry to send
        self.pace = _PROBE
        self.probing = False  # PROBE: the one append is on its way
        self.inflight: deque[tuple[Index, int]] = deque()  # REPLICATE: (last index, bytes) of appends on their way
        self.inflight_bytes = 0
        self.snapshot: Snapshot | None = None  # SNAPSHOT: what is being sent; pinned, a newer one does not replace it
        self.offset = 0  # SNAPSHOT: of the chunk on its way
        self.sent_ns = now  # when the last append or chunk left
        self.heard_ns = now  # when the last answer of this term came
        self.round = 0  # the newest heartbeat round answered
        self.confirmed_ns = NEVER  # when that round was sent: since then it surely took us for its leader

    def may_send(self, messages_max: int, bytes_max: int) -> bool:
        """Whether the window has room for one more append."""
        if self.pace is _REPLICATE:
            return len(self.inflight) < messages_max and (self.inflight_bytes < bytes_max or not self.inflight)
        return self.pace is _PROBE and not self.probing

    def sent(self, last: Index, size: int, now: int) -> None:
        """An append up to `last` left."""
        self.sent_ns = now
        if self.pace is _PROBE:
            self.probing = True
        elif last >= self.next:
            self.inflight.append((last, size))
            self.inflight_bytes += size
            self.next = Index(last + 1)

    def accepted(self, match: Index, base: Index) -> bool:
        """The follower holds our log up to `match`, and ours begins after `base`. Returns whether that is new."""
        inflight = self.inflight
        while inflight and inflight[0][0] <= match:
            self.inflight_bytes -= inflight.popleft()[1]
        if match > self.match:
            self.match = match
        elif self.pace is not _PROBE or match < self.next - 1:
            return False  # an old answer, also to an older probe
        if self.next <= self.match:
            self.next = Index(self.match + 1)
        if self.pace is _PROBE or (self.snapshot is not None and match >= min(base, self.snapshot.meta.index)):
            self._become(_REPLICATE)
        return True

    def refused(self, reject: AppendReject, log: Log) -> bool:
        """The follower lacks what was to precede an append. Returns whether the refusal was believed.

        Old and duplicated refusals abound; one counts only if its prev is what the current probe asks, or, when
        appends are pipelined, lies beyond what is known to match.
        """
        if self.pace is _PROBE:
            believed = reject.prev_index == self.next - 1
        else:
            believed = self.pace is _REPLICATE and reject.prev_index > self.match
        if not believed:
            return False
        self.next = max(Index(self.match + 1), _retreat(reject, log))
        self._become(_PROBE)
        return True

    def begin_snapshot(self, snapshot: Snapshot) -> None:
        """Send an image instead of entries."""
        self._become(Pace.SNAPSHOT)
        self.snapshot = snapshot

    def resend(self) -> None:
        """What was on its way is lost: begin again behind what is known to match."""
        if self.pace is _REPLICATE:
            self.next = Index(self.match + 1)
            self._become(_PROBE)
        self.probing = False

    def _become(self, pace: Pace) -> None:
        self.pace = pace
        self.probing = False
        self.inflight.clear()
        self.inflight_bytes = 0
        self.snapshot = None
        self.offset = 0


def _retreat(reject: AppendReject, log: Log) -> Index:
    """Where to probe next: skip whole terms instead of single entries (end of section 5.3)."""
    if reject.conflict_term:
        ours = log.last_of_term(reject.conflict_term, reject.prev_index)
        if ours is not None:
            return Index(ours + 1)
    return min(reject.conflict_index, reject.prev_index)
