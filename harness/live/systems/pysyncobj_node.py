"""One node of PySyncObj: registers and counters as replicated methods, with an HTTP interface for clients.

`python -m harness.live.systems.pysyncobj_node '{"own": ..., ...}'` runs it; `Settings` says what the argument holds. A
client posts `{"f": ..., "key": ..., "value": ...}` and is answered `{"value": ...}` or `{"error": ..., "certain": ...}`
over HTTP. Each command is called in the process of the node that is asked, as PySyncObj is meant to be used: a follower
passes it on to its leader.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

_CERTAIN: Final = ("QUEUE_FULL", "MISSING_LEADER", "REQUEST_DENIED")
"""Failures after which the command is in no log; of the others nobody knows."""
_MILLISECONDS: Final = 1000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a node must know. Addresses are HOST:PORT."""

    name: str
    own: str
    """Where it listens."""
    told: str
    """Where others reach it."""
    others: tuple[str, ...]
    http: tuple[str, int]
    """Where clients are answered."""
    data: str
    election_timeout_ms: int
    snapshot_threshold: int
    client_timeout_ms: int
    reads: str
    """`local`: from the state of the node that is asked; `log`: as a command, like a write."""


def main(argument: str) -> None:
    """Run one node until it is killed."""
    settings = msgspec.json.decode(argument, type=Settings)
    store = _new_store(settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(_answer(store, settings, **asked)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(settings.http, Handler)
    server.daemon_threads = True
    print(f"{settings.name} answers at {settings.http}", file=sys.stderr, flush=True)
    server.serve_forever()


def _new_store(settings: Settings) -> Any:
    from pysyncobj import SyncObj, SyncObjConf, replicated  # type: ignore[import-not-found, import-untyped, unused-ignore]

    class Store(SyncObj):  # type: ignore[misc, unused-ignore]
        """The replicated state: each method is a command of the log."""

        def __init__(self) -> None:
            timeout_s = settings.election_timeout_ms / _MILLISECONDS
            super().__init__(
                settings.told,
                list(settings.others),
                SyncObjConf(
                    bindAddress=settings.own,
                    journalFile=f"{settings.data}/journal",
                    fullDumpFile=f"{settings.data}/dump",
                    flushJournal=True,
                    raftMinTimeout=timeout_s,
                    raftMaxTimeout=2 * timeout_s,
                    appendEntriesPeriod=timeout_s / 10,
                    connectionTimeout=3 * timeout_s,
                    connectionRetryTime=timeout_s / 2,
                    logCompactionMinEntries=settings.snapshot_threshold,
                ),
            )
            self.values: Any = {}  # by key

        @replicated  # type: ignore[untyped-decorator, unused-ignore]
        def write(self, key: str, value: Any) -> Any:
            self.values[key] = value
            return value

        @replicated  # type: ignore[untyped-decorator, unused-ignore]
        def cas(self, key: str, old: Any, new: Any) -> bool:
            is_equal: bool = self.values.get(key) == old
            if is_equal:
                self.values[key] = new
            return is_equal

        @replicated  # type: ignore[untyped-decorator, unused-ignore]
        def add(self, key: str, by: int) -> int:
            self.values[key] = total = self.values.get(key, 0) + by
            return int(total)

        @replicated  # type: ignore[untyped-decorator, unused-ignore]
        def read(self, key: str) -> Any:
            return self.values.get(key)

    return Store()


def _answer(store: Any, settings: Settings, f: str, key: str | None = None, value: Any = None) -> dict[str, object]:
    """Perform one request of a client."""
    match f:
        case "status":
            is_leader = bool(store.isReady()) and store._getLeader() == store.selfNode
            return {"value": ["leader" if is_leader else "follower", store.raftCurrentTerm, time.monotonic_ns()]}
        case "read" if settings.reads == "local":
            return {"value": store.values.get(key)}
        case "read":
            return _called(settings, lambda done: store.read(key, callback=done))
        case "write":
            return _called(settings, lambda done: store.write(key, value, callback=done))
        case "cas":
            return _called(settings, lambda done: store.cas(key, *value, callback=done))
        case "add":
            return _called(settings, lambda done: store.add(key, value, callback=done))
        case _:
            return {"error": "unsupported", "certain": True}


def _called(settings: Settings, call: Callable[[Callable[[Any, int], None]], object]) -> dict[str, object]:
    """Call a replicated method and wait for what it comes to."""
    from pysyncobj import FAIL_REASON  # type: ignore[import-not-found, import-untyped, unused-ignore]

    ended = threading.Event()
    found: list[Any] = []

    def done(result: Any, reason: int) -> None:
        found.extend((result, reason))
        ended.set()

    call(done)
    if not ended.wait(settings.client_timeout_ms / _MILLISECONDS):
        return {"error": "timeout", "certain": False}
    result, reason = found[0], found[1]
    if reason == FAIL_REASON.SUCCESS:
        return {"value": result}
    word = next((name for name, number in vars(FAIL_REASON).items() if number == reason), str(reason))
    return {"error": word.lower().replace("_", "-"), "certain": word in _CERTAIN}


if __name__ == "__main__":
    main(sys.argv[1])
