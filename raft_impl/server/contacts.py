"""what the targets that one actor dials have said to it: who they are, or why they do not want it."""

from __future__ import annotations

import trio

from .handshake import Party


class Contacts:
    """Filled by the transport; looked at by whoever waits for a target."""

    def __init__(self) -> None:
        self.peers: dict[str, Party] = {}
        """Targets that have taken a connection of ours, as they presented themselves last."""
        self.refusals: dict[str, tuple[str, str]] = {}
        """Word and sentence of the latest refusal of, or by, each target that refuses now."""
        self._news = trio.Event()

    async def news(self) -> None:
        """Wait until a target welcomes or refuses us."""
        await self._news.wait()

    def welcomed(self, target: str, peer: Party) -> None:
        """A target took a connection."""
        self.refusals.pop(target, None)
        self.peers[target] = peer
        self._tell()

    def refused(self, target: str, word: str, sentence: str) -> None:
        """One side does not want the other."""
        self.refusals[target] = (word, sentence)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()
