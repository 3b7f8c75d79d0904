"""The services that Maelstrom offers to nodes: lin-kv, seq-kv, lww-kv and lin-tso.

Each answers a request at one instant, when it arrives: `lin-kv` and `lin-tso` are linearizable by that. The weaker ones
use what they may: `seq-kv` answers reads from states of the past, but never from before what the same client saw, and
`lww-kv` has two replicas of which chance picks one, which merge now and then by the time of the last write.

Their chance comes from the seed of the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from checkers.values import freeze
from harness.live.maelstrom_protocol import (
    KEY_DOES_NOT_EXIST,
    MALFORMED_REQUEST,
    NOT_SUPPORTED,
    PRECONDITION_FAILED,
    Body,
    error,
)
from harness.plans.rng import Stream

_PAST_STATES: Final = 32
"""How many states of the past a sequentially consistent read may see."""
_MERGE_PPM: Final = 500_000


def read(state: dict[Any, Any], body: Body) -> Body:
    """Answer a read."""
    key = freeze(body["key"])
    if key not in state:
        return error(KEY_DOES_NOT_EXIST, "key does not exist")
    return {"type": "read_ok", "value": state[key]}


def change(state: dict[Any, Any], body: Body) -> Body:
    """Answer a write or a compare-and-set, and do it."""
    key, kind = freeze(body["key"]), body["type"]
    if kind == "write":
        state[key] = body["value"]
        return {"type": "write_ok"}
    if kind != "cas":
        return error(NOT_SUPPORTED, f"no request {kind!r} here")
    if key not in state and not body.get("create_if_not_exists"):
        return error(KEY_DOES_NOT_EXIST, "key does not exist")
    if key in state and state[key] != body["from"]:
        return error(PRECONDITION_FAILED, f"expected {body['from']!r}, but had {state[key]!r}")
    state[key] = body["to"]
    return {"type": "cas_ok"}


class LinearizableStore:
    """`lin-kv`: one state."""

    def __init__(self) -> None:
        self._state: dict[Any, Any] = {}

    def answer(self, client: str, body: Body) -> Body:
        """Answer a request."""
        return read(self._state, body) if body["type"] == "read" else change(self._state, body)


class SequentialStore:
    """`seq-kv`: changes meet the newest state; a read any of the last ones that is not before what its client saw."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._states: deque[tuple[int, dict[Any, Any]]] = deque([(0, {})], _PAST_STATES)
        self._seen: dict[str, int] = {}

    def answer(self, client: str, body: Body) -> Body:
        """Answer a request."""
        number, newest = self._states[-1]
        if body["type"] == "read":
            seen = self._seen.get(client, 0)
            number, state = self._stream.choice([entry for entry in self._states if entry[0] >= seen])
            self._seen[client] = number
            return read(state, body)
        state = dict(newest)
        answer = change(state, body)
        if answer["type"] != "error":
            number += 1
            self._states.append((number, state))
        self._seen[client] = number
        return answer


class LastWriteWinsStore:
    """`lww-kv`: two replicas, one of them picked for each request; the last write of a key wins where they merge."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._replicas: tuple[dict[Any, tuple[int, Any]], ...] = ({}, {})
        self._writes = 0

    def answer(self, client: str, body: Body) -> Body:
        """Answer a request."""
        mine = self._stream.below(len(self._replicas))
        replica = self._replicas[mine]
        if self._stream.chance_ppm(_MERGE_PPM):
            for key, entry in self._replicas[1 - mine].items():
                replica[key] = max(replica.get(key, entry), entry, key=lambda one: one[0])
        state = {key: value for key, (_, value) in replica.items()}
        if body["type"] == "read":
            return read(state, body)
        answer = change(state, body)
        if answer["type"] != "error":
            self._writes += 1
            key = freeze(body["key"])
            replica[key] = (self._writes, state[key])
        return answer


class Timestamps:
    """`lin-tso`: numbers that grow with every request."""

    def __init__(self) -> None:
        self._last = -1

    def answer(self, client: str, body: Body) -> Body:
        """Answer a request."""
        if body["type"] != "ts":
            return error(NOT_SUPPORTED, f"no request {body['type']!r} here")
        self._last += 1
        return {"type": "ts_ok", "ts": self._last}


Service = Callable[[str, Body], Body]
"""(who asks, the request) -> the body of the answer."""


def services(seed: int) -> dict[str, Service]:
    """Make all services by the names under which nodes reach them."""
    return {
        name: _refusing_malformed(answer)
        for name, answer in {
            "lin-kv": LinearizableStore().answer,
            "seq-kv": SequentialStore(Stream(seed, "maelstrom/seq-kv")).answer,
            "lww-kv": LastWriteWinsStore(Stream(seed, "maelstrom/lww-kv")).answer,
            "lin-tso": Timestamps().answer,
        }.items()
    }


def _refusing_malformed(service: Service) -> Service:
    def answer(client: str, body: Body) -> Body:
        try:
            return service(client, body)
        except KeyError as missing:
            return error(MALFORMED_REQUEST, f"no field {missing} in a {body['type']}")

    return answer
