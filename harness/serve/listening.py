"""Listening: Hypercorn on Trio, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from .access import Access
from .application import application
from .films import Films

_IDLE_S: Final = 30
_TARGET_BYTES_MAX: Final = 16 * 1024
_GRACE_S: Final = 2


def run(results: Path, host: str, port: int, token: str | None, tell: Callable[[str], None]) -> None:
    """Serve a results folder until a signal says to stop. `tell` is given the address once it is listened on."""
    config = Config()
    config.bind = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    config.accesslog = config.errorlog = None
    config.keep_alive_timeout = config.read_timeout = _IDLE_S
    config.h11_max_incomplete_size = _TARGET_BYTES_MAX
    config.graceful_timeout = _GRACE_S
    films = Films()
    app: Any = Access(application(results, films), token)

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:

            async def until_told() -> None:
                await anext(signals)

            async with trio.open_nursery() as nursery:
                binds = await nursery.start(partial(serve, app, config, shutdown_trigger=until_told))
                tell(binds[0])

    try:
        trio.run(main)
    finally:
        films.close()
