"""Maelstrom's messages: newline-delimited JSON with `src`, `dest` and `body`, as its nodes and journals see them.

A message from a client (a `src` that begins with c) is a request; the message back with `in_reply_to` answers it. The
order of lines is the real-time order, so a log must have been written where clients send and receive. Errors are
definite or indefinite by their code; a definite one that is an answer about the state becomes its word, so that it
constrains. A request without answer is of unknown outcome.

Histories that Maelstrom's Jepsen writes (`history.edn`, `history.txt`) are read as Jepsen's.

Reference: Maelstrom, doc/protocol.md, "Messages" and "Errors"; doc/workloads.md.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from checkers.history import Conventions, History, MalformedHistory, Op

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
        self.time = 0

    def run(self, data: bytes) -> History:
        decoder = msgspec.json.Decoder(_Message)
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                message = decoder.decode(line)
            except msgspec.DecodeError as error:
                where = f"{self.source}:{number}"
                raise MalformedHistory(str(error), "a message with src, dest and body", where) from None
            self.take(message, number)
        return History(self.ops, source=self.source, lines=self.lines, lenient=self.lenient, conventions=CONVENTIONS)

    def take(self, message: _Message, number: int) -> None:
        self.time = max(self.time, message.time)
        body = message.body
        if message.src.startswith("c") and "in_reply_to" not in body:
            self.request(message.src, body, number)
        elif message.dest.startswith("c") and "in_reply_to" in body:
            invoke = self.asked.pop((message.dest, body["in_reply_to"]), None)
            if invoke is not None:
                self.reply(invoke, body, number)

    def request(self, client: str, body: dict[str, Any], number: int) -> None:
        f = str(body.get("type"))
        if f in SETUP:
            return
        process = self.processes.get(client)
        if process is None or process in self.busy:
            # The client gave up on its last request, whose outcome is unknown: a new process goes on in its place.
            if process is not None:
                self.asked.pop(self.busy[process], None)
            process = self.processes[client] = self.fresh
            self.fresh += 1
        op = self.line(number, process, "invoke", f, body.get("key"), _asked(f, body), None)
        self.asked[client, body.get("msg_id")] = op
        self.busy[process] = (client, body.get("msg_id"))

    def reply(self, invoke: Op, body: dict[str, Any], number: int) -> None:
        process = int(invoke.process)
        code = body.get("code") if body.get("type") == "error" else None
        if body.get("type") != "error":
            del self.busy[process]
            self.line(number, process, "ok", invoke.f, invoke.key, _answered(invoke, body), None)
        elif code in DEFINITE:
            del self.busy[process]
            self.line(number, process, "fail", invoke.f, invoke.key, invoke.value, DEFINITE[code])
        else:
            word = INDEFINITE.get(code, "unknown-error") if isinstance(code, int) else "unknown-error"
            self.line(number, process, "info", invoke.f, invoke.key, invoke.value, word)

    def line(self, number: int, process: int, kind: Any, f: str, key: Any, value: Any, error: str | None) -> Op:
        op = Op(index=len(self.ops), time=self.time, process=process, type=kind, f=f, key=key, value=value, error=error)
        self.ops.append(op)
        self.lines.append(number)
        return op


def _asked(f: str, body: dict[str, Any]) -> Any:
    if f == "cas":
        return [body.get("from"), body.get("to")]
    for name in ("value", "txn", "element", "delta", "message"):
        if name in body:
            return body[name]
    return None


def _answered(invoke: Op, body: dict[str, Any]) -> Any:
    for name in ("value", "txn", "messages"):
        if name in body:
            return body[name]
    return invoke.value
