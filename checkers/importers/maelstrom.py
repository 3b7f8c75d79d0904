"""Maelstrom's messages: newline-delimited JSON with `src`, `dest` and `body`, as its nodes and journals see them.

A message from a client (a `src` that begins with c) is a request; the message back with `in_reply_to` answers it. The
order of lines is the real-time order, so a log must have been written where clients send and receive. Errors are
definite or indefinite by their code; a definite one that is an answer about the state becomes its word, so that it
constrains. A request without answer is of unknown outcome. A `broadcast` of a message adds it to a set, so it becomes
`add`.

Messages between nodes and those that set nodes up are no operations, and are counted. So is a reply that came after its
client had gone on: the outcome of such a request stays unknown. A reply to nothing that was asked, a second reply, one
of another type, and a request that none of the checkers' objects knows how to read are refused.

Histories that Maelstrom's Jepsen writes (`history.edn`, `history.txt`) are read as Jepsen's.

Reference: Maelstrom, doc/protocol.md, "Messages" and "Errors"; doc/workloads.md.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from checkers.conventions import Conventions
from checkers.history import History
from checkers.json_lines import UNREADABLE
from checkers.malformed import MalformedHistory
from checkers.members import require_single_value
from checkers.op import Op
from checkers.values import freeze

CONVENTIONS: Final = Conventions(source="maelstrom", failed_cas="by-error", nil_read="absent")

INDEFINITE: Final = {0: "timeout", 13: "crash"}
"""Codes after which a request may have been executed, or may yet be; unknown codes are as indefinite."""

DEFINITE: Final = {
    1: "node-not-found",
    10: "not-supported",
    11: "temporarily-unavailable",
    12: "malformed-request",
    14: "abort",
    20: "absent",
    21: "exists",
    22: "precondition-failed",
    30: "txn-conflict",
}
"""Codes after which a request was certainly not executed; 20 to 22 are answers about the state."""

SET_UP: Final = "message that sets a node up: no operation"
GAVE_UP: Final = "reply after its client had gone on: the outcome of its request stays unknown"
ANSWERED_ALREADY: Final = "answered"

SETUP: Final = ("init", "topology")
"""Requests that set a node up: no operations on data."""


class _Message(msgspec.Struct):
    src: str
    dest: str
    body: dict[str, Any]
    time: int = 0


def load(data: bytes, *, source: str, lenient: bool = False) -> History:
    """Read a log of messages."""
    return _Import(source, lenient).run(data)


ASKED: Final = ("value", "txn", "element", "delta", "message")
ANSWERED: Final = ("value", "txn", "messages")
REQUEST_FIELDS: Final = frozenset({"type", "msg_id", "key", "from", "to", *ASKED})
NAMES: Final = {"broadcast": "add"}


class _Import:
    def __init__(self, source: str, lenient: bool) -> None:
        self.source = source
        self.lenient = lenient
        self.ops: list[Op] = []
        self.lines: list[int] = []
        self.processes: dict[str, int] = {}  # client -> its process now
        self.fresh = 0
        self.asked: dict[tuple[str, Any], Op] = {}  # (client, message id) -> invoke
        self.busy: dict[int, tuple[str, Any]] = {}  # process -> its request without answer
        self.settled: dict[tuple[str, Any], str] = {}  # (client, message id) -> why no reply is waited for
        self.counted: Counter[str] = Counter()
        self.gaps: dict[str, None] = {}
        self.time = 0

    def run(self, data: bytes) -> History:
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line.strip():
                continue
            where = f"{self.source}:{number}"
            try:
                whole = msgspec.json.decode(line)
                message = msgspec.convert(whole, _Message)
            except UNREADABLE as error:
                raise MalformedHistory(str(error), "a message with src, dest and body", where) from None
            require_single_value(line, whole, where)
            self.add(message, number)
        return History(
            self.ops,
            source=self.source,
            lines=self.lines,
            lenient=self.lenient,
            conventions=CONVENTIONS,
            counted=self.counted,
            gaps=tuple(self.gaps),
        )

    def add(self, message: _Message, number: int) -> None:
        self.time = max(self.time, message.time)
        body = message.body
        if message.src.startswith("c") and "in_reply_to" not in body:
            self.request(message.src, body, number)
        elif message.dest.startswith("c") and "in_reply_to" in body:
            asked = message.dest, freeze(body["in_reply_to"])
            invoke = self.asked.pop(asked, None)
            if invoke is not None:
                self.settled[asked] = ANSWERED_ALREADY
                self.reply(invoke, body, number)
            else:
                self.unasked(asked, number)
        elif message.src.startswith("c") or message.dest.startswith("c"):
            self.counted["message of a client that neither asks nor answers: no operation"] += 1
        else:
            self.counted["message between nodes: no operation"] += 1

    def unasked(self, asked: tuple[str, Any], number: int) -> None:
        """Take a reply that no call waits for."""
        why = self.settled.get(asked)
        if why in (SET_UP, GAVE_UP):
            self.counted[why] += 1
            return
        found = f"{'a reply' if why is None else 'a second reply'} to message {asked[1]} of {asked[0]}"
        if not self.lenient:
            where = f"{self.source}:{number}"
            raise MalformedHistory(found, "one reply to each request, after it", where)
        self.gaps["a reply to what was never asked, or the second one, was left out"] = None

    def request(self, client: str, body: dict[str, Any], number: int) -> None:
        f = str(body.get("type"))
        asked = client, freeze(body.get("msg_id"))
        where = f"{self.source}:{number}"
        if asked in self.settled or asked in self.asked:
            found = f"a second request of {client} with msg_id {asked[1]}"
            raise MalformedHistory(found, "a number of its own for each request", where)
        if f in SETUP:
            self.counted[SET_UP] += 1
            self.settled[asked] = SET_UP
            return
        if body.get("create_if_not_exists"):
            raise MalformedHistory("a cas that creates its key", "a cas of a key that is there", where)
        for name in sorted(body.keys() - REQUEST_FIELDS):
            self.counted[f"field {name!r}, which is none of a request's: not judged"] += 1
        process = self.processes.get(client)
        if process is None or process in self.busy:
            # The client gave up on its last request, whose outcome is unknown: a new process goes on in its place.
            if process is not None:
                self.asked.pop(self.busy[process], None)
                self.settled[self.busy[process]] = GAVE_UP
            process = self.processes[client] = self.fresh
            self.fresh += 1
        op = self.line(number, process, "invoke", NAMES.get(f, f), body.get("key"), _asked(f, body), None)
        self.asked[asked] = op
        self.busy[process] = asked

    def reply(self, invoke: Op, body: dict[str, Any], number: int) -> None:
        process = int(invoke.process)
        code = body.get("code")
        if body.get("type") != "error":
            del self.busy[process]
            value = _answered(invoke, body, f"{self.source}:{number}")
            self.line(number, process, "ok", invoke.f, invoke.key, value, None)
        elif type(code) is int and code in DEFINITE:
            del self.busy[process]
            self.line(number, process, "fail", invoke.f, invoke.key, invoke.value, DEFINITE[code])
        else:
            word = INDEFINITE.get(code, "unknown-error") if type(code) is int else "unknown-error"
            self.line(number, process, "info", invoke.f, invoke.key, invoke.value, word)

    def line(self, number: int, process: int, kind: Any, f: str, key: Any, value: Any, error: str | None) -> Op:
        op = Op(index=len(self.ops), time=self.time, process=process, type=kind, f=f, key=key, value=value, error=error)
        self.ops.append(op)
        self.lines.append(number)
        return op


def _asked(f: str, body: dict[str, Any]) -> Any:
    if f == "cas":
        return [body.get("from"), body.get("to")]
    return next((body[name] for name in ASKED if name in body), None)


def _answered(invoke: Op, body: dict[str, Any], where: str) -> Any:
    kind = str(body.get("type")).removesuffix("_ok")
    if NAMES.get(kind, kind) != invoke.f:
        raise MalformedHistory(f"a reply of type {body.get('type')!r}", f"{invoke.f}_ok, or an error", where)
    found = next((name for name in ANSWERED if name in body), None)
    if found is None and invoke.f in ("read", "txn"):
        raise MalformedHistory(f"a reply to a {invoke.f} that says nothing", f"one of {', '.join(ANSWERED)}", where)
    return invoke.value if found is None else body[found]
