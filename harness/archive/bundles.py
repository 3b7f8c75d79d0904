"""Bundles: a run in one file, with the code that it ran, so that it replays on another machine.

A zip archive with the files of the run folder, the Python files of each version of raft_impl that took part (under
`code/LABEL/raft_impl/`), and `bundle.json`, which says what stood behind the run and has a SHA-256 of every file. A
system of other people is not taken along: its spec has to lead to it wherever the bundle is replayed.

A bundle may come from anybody. Nothing is unpacked but the files that `bundle.json` lists, each under a name that a run
folder can have, up to a size, and only if its content has the stated hash. Its code is code, though, and a replay runs
it: under the loader's guard, which keeps it to the simulation, but is no sandbox.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from checkers.json_lines import UNREADABLE
from harness.errors import BadInput
from harness.record import Provenance, RunRecord
from harness.systems.loader import code_digest

from .documents import read_record
from .layout import HISTORY, LATEST, PLAN, TRACE, TRACE_COMPRESSED, TRACEBACKS, VERDICT, writable

FORMAT: Final = 1
SUFFIX: Final = ".foreshock"
CODE: Final = "code"
"""Folder of a run that was imported: the code that it ran, by label."""
_MANIFEST: Final = "bundle.json"
_FILES: Final = (PLAN, HISTORY, TRACE, TRACE_COMPRESSED, VERDICT, TRACEBACKS)
_CODE_FILE: Final = re.compile(
    rf"{CODE}/[A-Za-z0-9_-]+/raft_impl/(?:[A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py"
)
_RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_BYTES_MAX: Final = 1 << 30
"""Of all files together, unpacked: a trace of a long run has some hundred megabytes."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file, so that the same run gives the same bundle."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself. `code` has the labels whose code is in it."""

    format: int
    run: str
    provenance: Provenance
    code: tuple[str, ...]
    sha256: dict[str, str]


class Bundled(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `without_code` says why the code of a label is not in it."""

    path: str
    run: str
    size: int
    code: tuple[str, ...]
    without_code: dict[str, str]


def write_bundle(
    folder: Path, record: RunRecord, code: Mapping[str, Path], without_code: Mapping[str, str], output: Path
) -> Bundled:
    """Write the bundle of a stored run, whole or not at all. `code` has the package folders by label."""
    contents = {name: folder / name for name in _FILES if (folder / name).is_file()}
    for label, package in sorted(code.items()):
        for path in sorted(package.rglob("*.py")):
            contents[f"{CODE}/{label}/raft_impl/{path.relative_to(package).as_posix()}"] = path
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in contents.items()}
    manifest = Manifest(
        format=FORMAT,
        run=folder.resolve().name,
        provenance=record.provenance,
        code=tuple(sorted(code)),
        sha256=digests,
    )
    with writable(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=output.parent)
        try:
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
                bundle.writestr(_entry(_MANIFEST), msgspec.json.format(msgspec.json.encode(manifest), indent=2))
                for name, path in contents.items():
                    bundle.writestr(_entry(name), path.read_bytes())
            os.chmod(temporary, 0o644)
            os.replace(temporary, output)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    return Bundled(
        path=str(output),
        run=manifest.run,
        size=output.stat().st_size,
        code=manifest.code,
        without_code=dict(without_code),
    )


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle, by its content."""
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as bundle:
            return _MANIFEST in bundle.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def unpack(path: Path, into: Path) -> Path:
    """Write the run of a bundle as a folder below `into`, whole or not at all; returns it.

    A run that is there already stays as it is. Raises BadInput for what is no bundle, or a damaged one.
    """
    where = str(path)
    with _opened(path) as bundle:
        manifest = _manifest(bundle, where)
        folder = into / manifest.run
        if folder.exists():
            return folder
        with writable(into):
            into.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=into))
            try:
                for name, digest in manifest.sha256.items():
                    target = temporary / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(_content(bundle, name, digest, where))
                _require_code(temporary, manifest, where)
                os.chmod(temporary, 0o755)
                os.rename(temporary, folder)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
    return folder


def code_of(folder: Path) -> dict[str, str]:
    """The specs of the code that an imported run brought along, by label; empty for a run that was made here."""
    return {one.name: f"path:{one}" for one in sorted((folder / CODE).glob("*")) if (one / "raft_impl").is_dir()}


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    expected = "a bundle that `foreshock bundle` wrote"
    try:
        with zipfile.ZipFile(path) as bundle:
            yield bundle
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(f"a damaged archive ({error})", expected, str(path)) from None
    except OSError as error:
        raise BadInput(f"a file that cannot be read ({error.strerror})", expected, str(path)) from None


def _manifest(bundle: zipfile.ZipFile, where: str) -> Manifest:
    try:
        manifest = msgspec.json.decode(_limited(bundle, _MANIFEST, where), type=Manifest)
    except UNREADABLE as error:
        raise BadInput(f"a malformed {_MANIFEST} ({error})", "a bundle that `foreshock bundle` wrote", where) from None
    if manifest.format != FORMAT:
        raise BadInput(f"bundle format {manifest.format}", f"format {FORMAT}; update foreshock", where)
    if _RUN.fullmatch(manifest.run) is None or manifest.run == LATEST:
        raise BadInput(f"the run id {manifest.run!r}", "letters, digits and - _ . :", where)
    for name in manifest.sha256:
        if name not in _FILES and _CODE_FILE.fullmatch(name) is None:
            raise BadInput(f"the file {name!r}", "the files of a run folder, and code/LABEL/raft_impl/", where)
    for name in (PLAN, HISTORY, VERDICT):
        if name not in manifest.sha256:
            raise BadInput(f"no {name}", "the files of a run folder", where)
    if sum(entry.file_size for entry in bundle.infolist()) > _BYTES_MAX:
        raise BadInput("too much to unpack", f"at most {_BYTES_MAX >> 20} MiB", where)
    return manifest


def _content(bundle: zipfile.ZipFile, name: str, digest: str, where: str) -> bytes:
    content = _limited(bundle, name, where)
    if hashlib.sha256(content).hexdigest() != digest:
        raise BadInput(f"{name} with another content", "the content that it was bundled with", where)
    return content


def _limited(bundle: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Read a file, but no more than its header says: a header may lie."""
    try:
        entry = bundle.getinfo(name)
    except KeyError:
        raise BadInput(f"no {name}", "a bundle that `foreshock bundle` wrote", where) from None
    if entry.file_size > _BYTES_MAX:
        raise BadInput("too much to unpack", f"at most {_BYTES_MAX >> 20} MiB", where)
    with bundle.open(entry) as file:
        return file.read(entry.file_size + 1)


def _require_code(folder: Path, manifest: Manifest, where: str) -> None:
    """Raise BadInput when the code is not that which the record says."""
    record = read_record((folder / VERDICT).read_bytes(), where)
    for label in manifest.code:
        recorded = record.binding.codes.get(label)
        if recorded is None or code_digest(folder / CODE / label / "raft_impl") != recorded.digest:
            raise BadInput(f"code of {label!r} that the run was not made with", "the code of the record", where)
