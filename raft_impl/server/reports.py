"""What a node says of those who come to it, at a bounded rate: many strangers must not become many lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import trio

OnEvent = Callable[[str, dict[str, Any]], None]

_REPEAT_S: Final = 10.0
"""How long the same thing of the same peer is not said again."""
_LINES_MAX: Final = 50
"""Lines in that time, whatever they say."""


class Reports:
    """Passes events on, or counts those that it keeps back; the next line says how many that were."""

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self._said: set[tuple[str, str, str]] = set()
        self._since_s = 0.0
        self._kept_back = 0

    def report(self, event: str, *, peer: str, word: str, why: str) -> None:
        """Say it, unless it was said just now."""
        if self._on_event is None:
            return
        now_s = trio.current_time()
        if now_s - self._since_s > _REPEAT_S:
            self._since_s = now_s
            self._said.clear()
        key = (event, peer, word)
        if key in self._said or len(self._said) >= _LINES_MAX:
            self._kept_back += 1
            return
        self._said.add(key)
        kept_back, self._kept_back = self._kept_back, 0
        self._on_event(event, {"peer": peer, "word": word, "why": why, "kept_back": kept_back})
