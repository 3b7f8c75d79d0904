"""What the ledger of searches for planted bugs says: of each mutant, how often it acted, and who judged it.

The latest search counts: answers of the code that a mutant's name last stood for, by the harness that answered last.
A run acted when it failed, or when the code without any mutant made another run of the same plan.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from checkers.json_lines import UNREADABLE
from harness.run.drawing import Drawing

from .detection import FOUND, NEVER_REACHED, NOT_JUDGED, Answer, LedgerLine, LedgerName
from .mutants import begins
from .statistics import wilson

NOT_COMPARED: Final = "not judged"
"""Of a search without runs of the code without the mutant: whether it acted is not known."""
BYTES_MAX: Final = 256 << 20
_ORDER: Final = (FOUND, NOT_JUDGED, NOT_COMPARED, NEVER_REACHED)


class SearchedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a mutant. `acted` is None where nobody ran the plan without it; `command` has the run again."""

    answer: Answer
    acted: bool | None
    guided: bool
    command: str


class SearchedMutant(msgspec.Struct, frozen=True, kw_only=True):
    """A mutant with its runs, by seed. `low` and `high` are the 95 % interval (Wilson) of the share judged wrong.

    `name` says what it is; of a ledger that did not say so, it is the beginning of the digest of its code.
    """

    name: LedgerName
    runs: tuple[SearchedRun, ...]
    acted: int
    compared: int
    wrong: int
    low: float
    high: float
    signatures: dict[str, int]

    @property
    def first(self) -> SearchedRun | None:
        """The failing run of the smallest seed."""
        return next((run for run in self.runs if run.answer.signature is not None), None)

    @property
    def state(self) -> str:
        """In words, how far the bug came."""
        if self.wrong:
            return FOUND
        if self.acted:
            return NOT_JUDGED
        return NEVER_REACHED if self.compared == len(self.runs) else NOT_COMPARED

    @property
    def oracle(self) -> str:
        """Who judged it, by its first failing run; empty when nobody did."""
        return "" if self.first is None else (self.first.answer.signature or "").partition("/")[0]

    @property
    def is_as_expected(self) -> bool:
        """Whether its first failure is the one that was expected of it."""
        return self.first is not None and begins(self.first.answer.signature or "", self.name.expect)


def read(path: Path) -> list[SearchedMutant]:
    """Read a ledger, by name; lines that are none are left out. An absent or a linked file is an empty one."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > BYTES_MAX:
        return []
    names, lines = _lines(path)
    harness = {line.code: line.harness for line in lines}  # the one that answered last
    of_code: dict[str, list[LedgerLine]] = {}
    for line in lines:
        if line.harness == harness[line.code]:
            of_code.setdefault(line.code, []).append(line)
    plain = {
        (line.harness, line.drawing, line.answer.seed): line.answer.fingerprint
        for line in lines
        if line.code in names and not names[line.code].name
    }
    latest = {name.name: name for code, name in names.items() if code in of_code}
    nameless = [LedgerName(code=code, name=code[:16]) for code in of_code if code not in names]
    found = [_searched(name, of_code[name.code], plain) for name in (*latest.values(), *nameless) if name.name]
    return sorted(found, key=lambda one: (_ORDER.index(one.state), one.name.name))


def _lines(path: Path) -> tuple[dict[str, LedgerName], list[LedgerLine]]:
    """Names by code, the latest last; and answers as they were written."""
    names: dict[str, LedgerName] = {}
    lines: list[LedgerLine] = []
    for text in path.read_bytes().splitlines():
        line = _decoded(text)
        if isinstance(line, LedgerLine):
            lines.append(line)
        elif line is not None:
            names.pop(line.code, None)
            names[line.code] = line
    return names, lines


def _decoded(text: bytes) -> LedgerLine | LedgerName | None:
    kinds: tuple[type[LedgerLine] | type[LedgerName], ...] = (LedgerLine, LedgerName)
    for kind in kinds:
        with contextlib.suppress(*UNREADABLE):
            return msgspec.json.decode(text, type=kind)
    return None


def _searched(name: LedgerName, lines: list[LedgerLine], plain: Mapping[tuple[str, str, int], str]) -> SearchedMutant:
    by_seed = {line.answer.seed: line for line in lines}
    runs = tuple(_run(name, line, plain) for _, line in sorted(by_seed.items()))
    seen = Counter(run.answer.signature for run in runs if run.answer.signature is not None)
    low, high = wilson(seen.total(), len(runs))
    return SearchedMutant(
        name=name,
        runs=runs,
        acted=sum(run.acted is True for run in runs),
        compared=sum(run.acted is not None for run in runs),
        wrong=seen.total(),
        low=low,
        high=high,
        signatures=dict(seen.most_common()),
    )


def _run(name: LedgerName, line: LedgerLine, plain: Mapping[tuple[str, str, int], str]) -> SearchedRun:
    answer = line.answer
    without = plain.get((line.harness, line.drawing, answer.seed)) if line.way == "random" else None
    acted = True if answer.signature is not None else None if without is None else without != answer.fingerprint
    command = ""
    if line.way == "random":
        with contextlib.suppress(*UNREADABLE):
            drawing = msgspec.json.decode(line.drawing, type=Drawing)
            command = msgspec.structs.replace(drawing, system=name.system or "raft_impl").command(answer.seed)
    return SearchedRun(answer=answer, acted=acted, guided=line.way == "guided", command=command)
