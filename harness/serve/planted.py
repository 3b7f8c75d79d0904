"""Pages of planted bugs: what searches found, from their ledger, and one of the bugs with its patch and its runs."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from harness.search.detection import FOUND, LEDGER, NEVER_REACHED, NOT_JUDGED
from harness.search.searched import NOT_COMPARED, SearchedMutant, read

from .questions import PAGE_ROWS, part_of
from .rendering import Rendering

_STATES = (FOUND, NOT_JUDGED, NEVER_REACHED, NOT_COMPARED)
_PATCH_LINES_MAX = 400


class Planted:
    """Answers what is asked of planted bugs."""

    def __init__(self, results: Path, rendering: Rendering) -> None:
        self._path, self._rendering = results / LEDGER, rendering

    def mutants(self, request: Request) -> Response:
        """All that were searched, or those of a state, an oracle, or with a word in their names."""
        query = request.query_params
        chosen = {name: query.get(name, "").strip()[:100] for name in ("state", "oracle", "text")}
        searched = self._searched()
        fitting = [one for one in searched if _fits(one, **chosen)]
        shown = part_of(query, len(fitting))
        counted = Counter(one.state for one in searched)
        return self._rendering.page(
            "mutants",
            chosen=chosen,
            counts=[(state, counted[state]) for state in _STATES if counted[state]],
            oracles=sorted({one.oracle for one in searched if one.oracle}),
            all_count=len(searched),
            total=len(fitting),
            rows=fitting[shown.begin : shown.begin + PAGE_ROWS],
            part=shown,
        )

    def mutant(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["name"]
        one = next((one for one in self._searched() if one.name.name == name), None)
        if one is None:
            return self._rendering.missing("planted bug", name)
        lines = one.name.patch.splitlines()
        return self._rendering.page(
            "mutant",
            one=one,
            patch=[(_kind(line), line) for line in lines[:_PATCH_LINES_MAX]],
            rows=one.runs[:PAGE_ROWS],
        )

    def _searched(self) -> list[SearchedMutant]:
        if self._path.is_symlink() or not self._path.is_file():
            return []
        state = self._path.stat()
        return _read(self._path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, _changed_ns: int, _size: int) -> list[SearchedMutant]:
    return read(path)


def _fits(one: SearchedMutant, *, state: str, oracle: str, text: str) -> bool:
    words = " ".join((one.name.name, one.name.source, one.name.bug.name if one.name.bug else "", *one.signatures))
    return (
        (not state or one.state == state)
        and (not oracle or one.oracle == oracle)
        and (not text or text.lower() in words.lower())
    )


def _kind(line: str) -> str:
    """What a line of a patch is, for its colour."""
    if line.startswith(("---", "+++", "diff ")):
        return "head"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "same")
