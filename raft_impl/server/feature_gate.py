"""A node that does not know the feature level of a group is refused at the handshake, with one line on both sides.

It could do no harm: it stops before it applies anything that it does not know (see `machines.features`). But whoever
puts an old program beside new ones should read why it does not take part, and read it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .handshake import HandshakeRefused, Party

WORD = "feature-level"


class FeatureGate:
    """Judges peers by the levels that they announce. `levels` gives those of the groups here, once there are any."""

    def __init__(self, node: str) -> None:
        self.levels: Callable[[], Mapping[str, int]] = dict
        self._node = node

    def judge(self, peer: Party) -> None:
        """Raise HandshakeRefused for a peer that cannot serve a group at its present level."""
        lowest, highest = peer.feature_levels
        for group, level in self.levels().items():
            if group in peer.machines and not lowest <= level <= highest:
                sentence = (
                    f"{group} is at feature level {level} at {self._node}, {peer.name} knows {lowest} to {highest}; "
                    f"expected code that knows {level}"
                )
                raise HandshakeRefused(WORD, sentence, peer=peer.name)
