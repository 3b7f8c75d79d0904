"""Finding a stored run: by its id or a beginning of it, by its folder, as `latest`, in a bundle; or a plan file."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from harness.errors import BadInput
from harness.plans import plan as plans
from harness.record import RunRecord

from .bundles import is_bundle, unpack
from .documents import read_record
from .layout import HISTORY, LATEST, PLAN, VERDICT

_EXPECTED: Final = "a run id, the beginning of one, a run folder, `latest`, or a plan file"


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run folder, read. `record` is None for a lone plan, which never ran here; `spec` is the code it was drawn for,
    when that is known.
    """

    plan: plans.Plan
    run: str | None
    folder: Path | None
    record: RunRecord | None
    spec: str | None = None
    older: str | None = None
    """The version with which its nodes begin, of a plan that was drawn with `--upgrade-from`."""


def find(text: str, results: Path) -> StoredRun:
    """Read the run or plan file that a person named. Raises BadInput."""
    path = Path(text)
    try:
        folder = None if path.is_file() else _folder(text, results)
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput("a text that can be no name of a file", _EXPECTED, str(results)) from None
    if folder is not None:
        return _of_folder(folder)
    if is_bundle(path):
        return _of_folder(unpack(path, _unpacked()))
    return StoredRun(plan=_load(path), run=None, folder=None, record=None)


def _of_folder(folder: Path) -> StoredRun:
    record = _record(folder / VERDICT)
    return StoredRun(plan=_load(folder / PLAN), run=folder.resolve().name, folder=folder, record=record)


def _unpacked() -> Path:
    """A folder for the run of a bundle, which vanishes with this process."""
    folder = tempfile.mkdtemp(prefix="foreshock-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def read_history(folder: Path) -> bytes:
    """Read the stored history."""
    return _read(folder / HISTORY)


def _folder(text: str, results: Path) -> Path:
    for folder in (results / text, Path(text)):
        if (folder / PLAN).is_file():
            return folder.resolve() if text == LATEST else folder
    matching = [path for path in sorted(results.glob(f"{_escape(text)}*")) if (path / PLAN).is_file()] if text else []
    if len(matching) == 1:
        return matching[0]
    found = f"{len(matching)} runs that begin with {text!r}" if matching else f"no run or plan file {text!r}"
    raise BadInput(found, _EXPECTED, str(results))


def _escape(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _load(path: Path) -> plans.Plan:
    return plans.decode(_read(path), str(path))


def _record(path: Path) -> RunRecord:
    record = read_record(_read(path), str(path))
    if not isinstance(record, RunRecord):
        raise BadInput("the record of an internal error", "the record of a run", str(path))
    return record


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"a file that cannot be read ({error.strerror})", "a file of a stored run", str(path)) from None
