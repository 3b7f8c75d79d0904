"""What the core raises. Both mean that the node must stop; neither ever comes from what a peer or a client did.

ProtocolError
├── SafetyError   the protocol's own promises are broken: going on could lose what was acknowledged
└── MisuseError   the driver broke its side of the contract in `ready`
"""

from __future__ import annotations


class ProtocolError(Exception):
    """The core cannot go on."""


class SafetyError(ProtocolError):
    """A state that a correct Raft never reaches, such as a leader that contradicts a committed entry."""


class MisuseError(ProtocolError):
    """An input that a legal driver never gives, such as a compaction beyond what was applied."""
