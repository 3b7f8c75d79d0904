"""Feature levels: how a cluster of mixed versions learns new commands without any replica skipping one.

A command that one replica executes and another does not know would split their states. So a new command belongs to a
feature level, the group has a level in its replicated state (1 at first), and every replica refuses, with the same
word at the same index, every command above it, including replicas that know the command. A leader asks its members
which level they know; once all of them know a higher one, it raises the group's level by an entry of its own kind
(EntryKind.FEATURE), and the commands exist from that index on.

A replica that meets a level above its own (an older program that was put back, or a late joiner) must not go on:
skipping is the one thing it must never do. It stops with `TooNew`.

To add a command: raise `LEVEL` by one and give the command that number in its machine's `commands`.
"""

from __future__ import annotations

from typing import Final

FIRST_LEVEL: Final = 1
LEVEL: Final = 1
"""What this code knows."""
