"""The memory of shrinking: answers of trials in a file, so that what was stopped goes on where it was.

`shrink/KEY.jsonl` in the results folder holds a line a trial. The key covers the plan that is shrunk, the failure that
is kept, the code under test and the harness, so an answer is never used for another question. A line that was cut short
when the process died is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from harness.archive.layout import writable
from harness.archive.provenance import provenance
from harness.plans.plan import Plan
from harness.systems.binding import Binding

from .trial import Answer, Target

FOLDER: Final = "shrink"


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    plan: str
    answer: Answer


class Memory(MutableMapping[str, Answer]):
    """Answers by the hash of their plans; use as a context manager. Raises BadInput when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._answers: dict[str, Answer] = {}
        self._path = path
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        self._file.seek(0)
        decoder = msgspec.json.Decoder(_Line)
        line = b"\n"
        for line in self._file:
            with contextlib.suppress(msgspec.DecodeError):
                read = decoder.decode(line)
                self._answers[read.plan] = read.answer
        if not line.endswith(b"\n"):
            self._file.write(b"\n")
        self.found = len(self._answers)
        """How many answers an earlier process has left."""

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __setitem__(self, plan: str, answer: Answer) -> None:
        self._answers[plan] = answer
        with writable(self._path):
            self._file.write(msgspec.json.encode(_Line(plan=plan, answer=answer)) + b"\n")
            self._file.flush()

    def __getitem__(self, plan: str) -> Answer:
        return self._answers[plan]

    def __delitem__(self, plan: str) -> None:
        raise TypeError("what was seen is not forgotten")

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)


def place(results: Path, plan: Plan, target: Target, binding: Binding) -> Path:
    """Where the answers of one shrinking are kept."""
    parts = (plan.sha256, target.signature, target.plan_class, binding.code_digest, provenance().harness)
    return results / FOLDER / f"{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:32]}.jsonl"
