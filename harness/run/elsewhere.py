"""A run made again in another process, with other hashes of strings and another memory allocator.

What differs between two processes does not show in one: the order of a set of strings, addresses, numbers of processes
and threads, the time that a native library keeps. A Python that is started anew has all of these otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from harness.archive.layout import Event
from harness.errors import BadInput, InternalError
from harness.plans.plan import Plan, decode
from harness.systems.binding import Binding

from .execution import execute
from .replay import KEPT, trace_events
from .runner import WHOLE

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from harness.run.elsewhere import serve; serve()"
)
_HASH_SEEDS: Final = ("1", "2")


class Elsewhere(msgspec.Struct, frozen=True):
    """What a run in another process was; `events` are those of its trace, if they were asked for."""

    fingerprint: str
    events: list[Event] | None = None


@contextlib.contextmanager
def run_elsewhere(plan: Plan, binding: Binding, *, with_events: bool = False) -> Iterator[Callable[[], Elsewhere]]:
    """Run a plan in a process of its own, while this one does something else; what it gives waits for the answer.

    That raises BadInput as the run does, and InternalError when there is no answer.
    """
    hash_seed = next(seed for seed in _HASH_SEEDS if seed != os.environ.get("PYTHONHASHSEED"))
    with tempfile.TemporaryFile() as asked:
        asked.write(msgspec.msgpack.encode((plan.to_json(), binding, with_events)))
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, *["-O"] * sys.flags.optimize, "-c", _START, json.dumps(sys.path)],
            stdin=asked,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONMALLOC": "malloc"},
        )
    with process:
        try:
            yield lambda: _answer_of(process)
        finally:
            process.kill()


def _answer_of(process: subprocess.Popen[bytes]) -> Elsewhere:
    said, _ = process.communicate()
    if process.returncode or not said:
        raise InternalError(f"a second process for the same plan ended with exit code {process.returncode}")
    kind, answer = msgspec.msgpack.decode(said)
    if kind == "refused":
        raise BadInput(*answer)
    return msgspec.convert(answer, Elsewhere)


def serve() -> None:
    """Be that process: answer what stands on the standard input."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C goes to both, and the other one speaks
    document, binding, with_events = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=tuple[bytes, Binding, bool])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the system prints is no answer
    try:
        outcome = execute(decode(document, "the plan"), binding, KEPT if with_events else WHOLE)
    except BadInput as error:
        answer: tuple[str, Any] = ("refused", (error.found, error.expected, error.where))
    else:
        events = list(trace_events(outcome.rows or ())) if with_events else None
        answer = ("done", Elsewhere(outcome.fingerprint, events))
    with answers:
        answers.write(msgspec.msgpack.encode(answer))
