"""A mini language: a history on one line.

    history("0:w1 0' 1:r 1'1")

Words are separated by blanks. `P:...` invokes for process P, `P'...` completes:

    0:w1        process 0 writes 1              0'          it is done (ok; its value is that of the invoke)
    0:r         process 0 reads                 0'7         it saw 7; 0'nil saw null
    0:c1,2      cas from 1 to 2                 0!          the answer was no (the word that fits the function)
    0:+3        add 3          0:@3  add-and-get 3, answered 0'7
    0:k=5       create 5       0:s5  set 5
    0?          not known (info)                0~          it did not happen (fail, not executed)
    0:e1 0:d    enqueue, dequeue                0:a1 0:q    append or add, read of a container: 0'[1,2]
    0:L 0:U     acquire, release
    0:x.w1      the same on key x               0:t[ax1,ry]...  is not here: transactions have their own language

An operation without completion crashed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from checkers.history import History
from checkers.op import Op

FUNCTIONS = {
    "w": "write",
    "r": "read",
    "c": "cas",
    "+": "add",
    "@": "add-and-get",
    "s": "set",
    "k": "create",
    "e": "enqueue",
    "d": "dequeue",
    "a": "append",
    "A": "add",
    "q": "read",
    "L": "acquire",
    "U": "release",
    "p": "put-if-absent",
    "m": "replace",
    "z": "remove",
    "n": "size",
}
WORDS = {
    "cas": "precondition-failed",
    "put-if-absent": "exists",
    "create": "exists",
    "replace": "absent",
    "dequeue": "empty",
    "acquire": "held",
}
_WORD = re.compile(r"(\d+)([:'!?~])(?:(\w+)\.)?(.*)")


def history(text: str, **options: Any) -> History:
    """Read a one-line history."""
    return History(ops(text), **options)


def ops(text: str) -> list[Op]:
    """Read the lines of a one-line history."""
    open_calls: dict[int, Op] = {}
    found: list[Op] = []
    for index, word in enumerate(text.split()):
        match = _WORD.fullmatch(word)
        assert match, word
        process, mark, key, rest = int(match[1]), match[2], match[3], match[4]
        if mark == ":":
            op = Op(
                index=index,
                time=index * 10,
                process=process,
                type="invoke",
                f=FUNCTIONS[rest[0]],
                key=key,
                value=_asked(rest[0], rest[1:]),
            )
            open_calls[process] = op
        else:
            op = _completion(index, open_calls.pop(process), mark, rest)
        found.append(op)
    return found


def _asked(function: str, text: str) -> Any:
    if function == "c":
        return [_value(part) for part in text.split(",")]
    return _value(text.removeprefix("=")) if text else None


def _completion(index: int, invoke: Op, mark: str, rest: str) -> Op:
    value, error, kind = invoke.value, None, "ok"
    if mark == "'":
        if rest:
            value = [invoke.value, _value(rest)] if invoke.f == "add-and-get" else _value(rest)
    elif mark == "!":
        kind, error = "fail", rest or WORDS.get(invoke.f, "absent")
    elif mark == "~":
        kind, error = "fail", "refused"
    else:
        kind, error = "info", "timeout"
    return Op(
        index=index,
        time=index * 10,
        process=invoke.process,
        type=kind,  # type: ignore[arg-type]  # one of the four
        f=invoke.f,
        key=invoke.key,
        value=value,
        error=error,
    )


def _value(text: str) -> Any:
    if text == "nil":
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
