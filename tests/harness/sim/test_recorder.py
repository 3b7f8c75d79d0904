"""The recorder: one sequence for everything, judged as it happens, and nothing after the end."""

from __future__ import annotations

from typing import Any

from checkers.op import Op
from harness.sim.kernel.events import Kernel
from harness.sim.kernel.fingerprint import Log
from harness.sim.recorder import Recorder


def recorder(seen: list[tuple[Any, ...]] | None = None) -> tuple[Recorder, Kernel]:
    """A recorder that tells of terms."""
    kernel = Kernel(seed=1, log=Log(keep=True))
    handlers = {} if seen is None else {"term": lambda index, row: seen.append((index, *row))}
    return Recorder(kernel, handlers), kernel


def test_rows_notes_and_ops_share_one_index() -> None:
    recording, kernel = recorder()

    recording.row("start", "n1", 1, "default")
    kernel.now = 5
    recording.op(0, "invoke", "write", "x", 7)
    recording.notes("n1", [("role", "g0", "follower", 1), ("mark", "rare")])
    kernel.now = 9
    recording.op(0, "ok", "write", "x", 7)

    kernel.log.close()
    assert kernel.log.kept == [
        (0, "start", "n1", 1, "default"),
        (5, "op", "", (0, "invoke", "write", "x", 7, None)),
        (5, "role", "n1", "g0", "follower", 1),
        (5, "mark", "n1", "rare"),
        (9, "op", "", (0, "ok", "write", "x", 7, None)),
    ]
    assert recording.history == [
        Op(index=1, time=5, process=0, type="invoke", f="write", key="x", value=7),
        Op(index=4, time=9, process=0, type="ok", f="write", key="x", value=7),
    ]


def test_a_listener_to_a_kind_is_called_at_once_with_the_index_of_the_row() -> None:
    seen: list[tuple[Any, ...]] = []
    recording, _ = recorder(seen)

    recording.row("start", "n1", 1, "default")
    recording.row("term", "n1", "g0", 3)
    recording.notes("n2", [("role", "g0", "follower", 3), ("term", "g0", 4)])

    assert seen == [(1, 0, "term", "n1", "g0", 3), (3, 0, "term", "n2", "g0", 4)]


def test_marks_are_counted_however_they_come() -> None:
    recording, _ = recorder()

    recording.row("mark", "n1", "rare")
    recording.notes("n1", [("mark", "rare"), ("mark", "rarer")])

    assert recording.marks == {"rare": 2, "rarer": 1}


def test_nothing_is_recorded_after_the_end() -> None:
    seen: list[tuple[Any, ...]] = []
    recording, kernel = recorder(seen)
    kernel.stop("done")

    recording.row("term", "n1", "g0", 3)
    recording.notes("n1", [("term", "g0", 4), ("mark", "rare")])
    recording.op(0, "invoke", "write", "x", 7)

    assert (seen, recording.history, kernel.log.kept) == ([], [], [])
    assert not recording.marks
