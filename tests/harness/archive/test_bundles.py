"""A bundle holds a run whole, and nothing of a bundle from elsewhere is written but what it may hold."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.archive import bundles, layout
from harness.archive.documents import read_record
from harness.archive.find import find
from harness.archive.verify import damage_of
from harness.errors import BadInput
from harness.record import RunRecord
from harness.systems.binding import RecordedBinding, RecordedCode
from harness.systems.loader import code_digest
from tests.harness.outcomes import make_outcome, make_rows

Change = Callable[[dict[str, bytes]], None]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two files, and one that is no code."""
    folder = tmp_path / "checkout" / "raft_impl"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "surface.py").write_text("VERSION = 2\n")
    (folder / "deep" / "core.py").write_text("core = True\n")
    (folder / "notes.txt").write_text("no code\n")
    return folder


@pytest.fixture
def bundle(tmp_path: Path, package: Path) -> Path:
    """The bundle of a run of that package."""
    digest = code_digest(package)
    binding = RecordedBinding(codes={"default": RecordedCode(spec="raft_impl", digest=digest)})
    outcome = make_outcome(7, "invalid", "liveness/no-leader", rows=make_rows(3), binding=binding)
    (tmp_path / "results").mkdir()
    folder = Path(layout.write_run(tmp_path / "results", outcome).path or "")
    record = read_record((folder / "verdict.json").read_bytes(), "test")
    assert isinstance(record, RunRecord)
    path = tmp_path / "one.foreshock"
    bundles.write_bundle(folder, record, {"default": package}, {}, path)
    return path


def test_a_bundle_unpacks_to_the_folder_that_it_was_made_of_with_its_code(bundle: Path, tmp_path: Path) -> None:
    folder = bundles.unpack(bundle, tmp_path / "elsewhere")

    before = tmp_path / "results" / folder.name
    assert {path.name: path.read_bytes() for path in before.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()
    }
    code = folder / "code" / "default"
    assert bundles.code_of(folder) == {"default": f"path:{code}"}
    assert (code / "raft_impl" / "deep" / "core.py").read_text() == "core = True\n"
    assert not (code / "raft_impl" / "notes.txt").exists()


def test_the_same_run_gives_the_same_bundle(bundle: Path, tmp_path: Path, package: Path) -> None:
    folder = tmp_path / "results" / bundles.unpack(bundle, tmp_path / "elsewhere").name
    record = read_record((folder / "verdict.json").read_bytes(), "test")
    assert isinstance(record, RunRecord)

    bundles.write_bundle(folder, record, {"default": package}, {}, tmp_path / "two.foreshock")

    assert (tmp_path / "two.foreshock").read_bytes() == bundle.read_bytes()


def test_a_run_that_is_there_already_stays_as_it_is(bundle: Path, tmp_path: Path) -> None:
    folder = bundles.unpack(bundle, tmp_path / "elsewhere")
    (folder / "mine.txt").write_text("kept")

    assert bundles.unpack(bundle, tmp_path / "elsewhere") == folder
    assert (folder / "mine.txt").exists()


def test_a_bundle_is_found_like_a_run_and_leaves_nothing_in_the_results(bundle: Path, tmp_path: Path) -> None:
    stored = find(str(bundle), tmp_path / "empty")

    assert stored.record is not None
    assert stored.record.primary == "liveness/no-leader"
    assert not (tmp_path / "empty").exists()


def rebuilt(bundle: Path, change: Change, *, lists: bool = True) -> Path:
    """The bundle with changed contents; `lists`: its list of files says so too, as an attacker's would."""
    with zipfile.ZipFile(bundle) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    change(contents)
    manifest = msgspec.json.decode(contents["bundle.json"])
    if lists:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items() if name != "bundle.json"}
        contents["bundle.json"] = msgspec.json.encode({**manifest, "sha256": digests})
    changed = bundle.with_name("changed.foreshock")
    with zipfile.ZipFile(changed, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return changed


def _manifest(**fields: object) -> Change:
    def change(contents: dict[str, bytes]) -> None:
        contents["bundle.json"] = msgspec.json.encode({**msgspec.json.decode(contents["bundle.json"]), **fields})

    return change


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda contents: contents.update({"../../evil.py": b"x"}), "the file '../../evil.py'"),
        (lambda contents: contents.update({"/etc/passwd": b"x"}), "the file '/etc/passwd'"),
        (lambda contents: contents.update({"code/default/raft_impl/../../x.py": b""}), "the file 'code/default/raft"),
        (lambda contents: contents.update({"code/default/raft_impl/x.so": b""}), "the file 'code/default/raft_impl"),
        (lambda contents: contents.update({"code/default/raft_impl/more.py": b"x = 1"}), "code of 'default' that"),
        (lambda contents: contents.pop("history.jsonl"), "no history.jsonl"),
        (_manifest(run="../outside"), "the run id '../outside'"),
        (_manifest(run="latest"), "the run id 'latest'"),
        (_manifest(format=9), "bundle format 9"),
        (_manifest(code="many"), "a malformed bundle.json"),
    ],
)
def test_a_hostile_bundle_is_refused_and_writes_nothing(
    bundle: Path, tmp_path: Path, change: Change, found: str
) -> None:
    changed = rebuilt(bundle, change)

    with pytest.raises(BadInput) as caught:
        bundles.unpack(changed, tmp_path / "elsewhere")

    assert caught.value.found.startswith(found)
    assert not (tmp_path / "elsewhere").exists() or list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "evil.py").exists()


def test_another_content_than_the_list_says_is_refused(bundle: Path, tmp_path: Path) -> None:
    changed = rebuilt(bundle, lambda contents: contents.update({"history.jsonl": b"{}\n"}), lists=False)

    with pytest.raises(BadInput, match=r"history\.jsonl with another content"):
        bundles.unpack(changed, tmp_path / "elsewhere")


def test_what_would_fill_the_disk_is_refused(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_BYTES_MAX", 1000)

    with pytest.raises(BadInput, match="too much to unpack"):
        bundles.unpack(bundle, tmp_path / "elsewhere")


@pytest.mark.parametrize("size", [0, 40, 400])
def test_a_torn_bundle_is_no_bundle(bundle: Path, tmp_path: Path, size: int) -> None:
    torn = tmp_path / "torn.foreshock"
    torn.write_bytes(bundle.read_bytes()[:size])

    assert not bundles.is_bundle(torn)
    with pytest.raises(BadInput, match="a damaged archive"):
        bundles.unpack(torn, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda folder: (folder / "history.jsonl").write_text(""), "history.jsonl is not the history of its record"),
        (lambda folder: (folder / "history.jsonl").unlink(), "history.jsonl cannot be read"),
        (lambda folder: (folder / "plan.json").write_text("{}"), "plan.json cannot be read"),
        (lambda folder: (folder / "verdict.json").write_text("{"), "verdict.json cannot be read"),
        (lambda folder: (folder / "trace.jsonl").write_text("{}\n{"), "trace.jsonl cannot be read"),
        (lambda folder: (folder / "trace.jsonl").write_text(""), "trace.jsonl has 0 events"),
    ],
)
def test_damage_of_a_run_folder_is_named(tmp_path: Path, damage: Callable[[Path], object], found: str) -> None:
    rows = make_rows(2)
    outcome = make_outcome(7, "invalid", "liveness/no-leader", rows=rows)
    outcome = msgspec.structs.replace(outcome, history_sha256=hashlib.sha256(_history(outcome, tmp_path)).hexdigest())
    folder = Path(layout.write_run(tmp_path, outcome).path or "")
    assert list(damage_of(folder)) == []

    damage(folder)

    (named,) = damage_of(folder)
    assert named.startswith(found)


def _history(outcome: object, tmp_path: Path) -> bytes:
    """The bytes of an outcome's history, as they are stored."""
    (tmp_path / "once").mkdir()
    folder = Path(layout.write_run(tmp_path / "once", outcome).path or "")  # type: ignore[arg-type]
    data = (folder / "history.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "once")
    return data
