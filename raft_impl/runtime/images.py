"""Snapshots of one replica: when one is due, and how they are made and loaded beside the steps of its server.

To encode a large state, or to load one, takes longer than an election timeout, so both are done in the background.

*Making.* What is encoded is an image of the machine at an index. Meanwhile the machine goes on; what was applied since
is no part of the snapshot, and its log stays.

*Loading.* A snapshot that a leader sent is loaded before it is written, because a trace tells its digest. What the core
wants meanwhile waits behind it, in order, as it would behind a slow disk: nothing of that may be told or done before.
Only what depends on nothing leaves at once, such as answers to heartbeats.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ..machines.sessions import SessionedMachine
from ..protocol.core import Raft
from ..protocol.ready import Ready
from ..protocol.state import Index, Snapshot, SnapshotMeta
from .applier import Applier

Then = Callable[[int, Any], None]
"""Takes the time and the result of work that was done in the background."""
Begin = Callable[[Callable[[], Any], Then], None]
"""Has work done in the background."""
Act = Callable[[int, Ready], None]


class Images:
    """Makes and loads the snapshots of one replica."""

    def __init__(self, applier: Applier, begin: Begin, *, threshold: int, trailing_entries: int) -> None:
        self._applier = applier
        self._begin = begin
        self.threshold = threshold
        """How many entries are applied until the next snapshot is due; 0: it never is."""
        self.loading: deque[Ready] = deque()
        """What has a snapshot that is being loaded, and what came behind it."""
        self.loaded: Ready | None = None
        """What had the snapshot that was loaded last."""
        self._trailing_entries = trailing_entries
        self._imaged: bytes | None = None  # digest of the state of which a snapshot is being made

    def make(self, core: Raft, act: Act) -> None:
        """Take a snapshot of the machine as it is, and drop the log before it but for the trailing entries.

        One at a time. `act` gets what the core makes of it.
        """
        if self._imaged is None:
            meta = core.snapshot_meta(self._applier.index)
            self._imaged = self._applier.machine.digest
            self._applier.snapshot_index = meta.index
            self._begin(self._applier.machine.image(), partial(self._take, core, act, meta))

    def _take(self, core: Raft, act: Act, meta: SnapshotMeta, now: int, data: bytes) -> None:
        # The core drops it if a leader has sent a later one since.
        index = Index(meta.index - self._trailing_entries)  # below 0 is below the log's beginning
        act(now, core.compact(now, index, Snapshot(meta, data)))
        self._imaged = None

    def load_before(self, ready: Ready, act: Act) -> None:
        """Load the snapshot of this `Ready`, or wait for the one that is being loaded, and then `act` on it."""
        self.loading.append(ready)
        if len(self.loading) == 1:
            assert ready.restore is not None, "the first to wait is what the others wait for"
            self._begin(partial(self._applier.load, ready.restore.data), partial(self._take_loaded, act))

    def _take_loaded(self, act: Act, now: int, machine: SessionedMachine) -> None:
        self._applier.expect(machine)
        loading, self.loading = self.loading, deque()
        self.loaded = loading[0]
        for ready in loading:
            act(now, ready)
        self.loaded = None

    def digest(self, how: str) -> bytes:
        """The digest of the state in a snapshot that was "taken" here, "installed" from a leader, or "recovered"."""
        return self._imaged if how == "taken" and self._imaged is not None else self._applier.newest.digest
