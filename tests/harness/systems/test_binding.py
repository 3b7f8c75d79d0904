"""Specs that people type lead to code: the checkout's own, a git ref's, or a folder's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.errors import BadInput
from harness.systems import catalog
from harness.systems.binding import Binding
from harness.systems.checkouts import Checkouts, revision_of
from harness.systems.loader import code_digest


@pytest.fixture
def checkouts() -> Iterator[Checkouts]:
    with Checkouts() as opened:
        yield opened


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits of raft_impl, tagged `one` and `two`, and an uncommitted edit."""
    package = tmp_path / "repository" / "raft_impl"
    package.mkdir(parents=True)
    monkeypatch.setattr(catalog, "own_package", lambda: package)
    monkeypatch.chdir(tmp_path)  # in no repository, so that refs are those of the package's
    git(package.parent, "init", "-q", "-b", "main")
    for tag in ("one", "two"):
        (package / "__init__.py").write_text("")
        (package / "surface.py").write_text(f"VERSION = {tag!r}\n")
        git(package.parent, "add", ".")
        git(package.parent, "commit", "-q", "-m", tag)
        git(package.parent, "tag", tag)
    (package / "surface.py").write_text("VERSION = 'edited'\n")
    return package.parent


def git(place: Path, *arguments: str) -> None:
    who = {f"GIT_{role}_{part}": "tester@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    subprocess.run(
        ["git", *arguments], cwd=place, env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}, check=True
    )


def version(binding: Binding, label: str = "default") -> str:
    return (binding.codes[label].path / "surface.py").read_text().strip()


@pytest.mark.parametrize(
    ("spec", "content"),
    [
        ("raft_impl", "VERSION = 'edited'"),
        ("raft_impl@one", "VERSION = 'one'"),
        ("raft_impl@two", "VERSION = 'two'"),
        ("raft_impl@main~1", "VERSION = 'one'"),
    ],
)
def test_a_spec_leads_to_the_code_it_names(repository: Path, checkouts: Checkouts, spec: str, content: str) -> None:
    binding = catalog.bind(spec, checkouts)

    assert version(binding) == content
    assert binding.codes["default"].digest == code_digest(binding.codes["default"].path)


@pytest.mark.parametrize("below", ["", "raft_impl"])
def test_a_path_may_name_the_checkout_or_the_package(repository: Path, checkouts: Checkouts, below: str) -> None:
    binding = catalog.bind(f"path:{repository / below}", checkouts)

    assert version(binding) == "VERSION = 'edited'"


def test_a_ref_is_one_of_the_repository_around_the_current_folder(
    repository: Path, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A repository without raft_impl at its top has no such refs."""
    (other := tmp_path / "other" / "raft_impl").mkdir(parents=True)
    (other / "surface.py").write_text("VERSION = 'other'\n")
    git(other.parent, "init", "-q", "-b", "main")
    git(other.parent, "add", ".")
    git(other.parent, "commit", "-q", "-m", "other")
    (unrelated := tmp_path / "unrelated").mkdir()
    git(unrelated, "init", "-q", "-b", "main")

    monkeypatch.chdir(other)
    assert version(catalog.bind("raft_impl@main", checkouts)) == "VERSION = 'other'"
    monkeypatch.chdir(unrelated)
    assert version(catalog.bind("raft_impl@main", checkouts)) == "VERSION = 'two'"


def test_a_revision_says_what_is_checked_out_and_whether_it_was_changed(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = revision_of(repository / "raft_impl")
    git(repository, "checkout", "-q", "raft_impl")
    clean = revision_of(repository / "raft_impl")
    (tmp_path / "nowhere").mkdir()

    assert (edited, len(clean)) == (f"{clean}+", 40)
    assert revision_of(tmp_path / "nowhere") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision_of(repository) == "", "no git, no revision"


def test_labels_may_stand_for_different_versions(repository: Path, checkouts: Checkouts) -> None:
    binding = catalog.bind({"A": "raft_impl@one", "B": "raft_impl@two"}, checkouts)

    assert (version(binding, "A"), version(binding, "B")) == ("VERSION = 'one'", "VERSION = 'two'")
    assert binding.code_digest != catalog.bind("raft_impl@one", checkouts).code_digest


def test_checkouts_vanish_with_their_owner(repository: Path) -> None:
    with Checkouts() as opened:
        folder = catalog.bind("raft_impl@one", opened).codes["default"].path
        assert folder.is_dir()

    assert not folder.exists()
    assert not folder.parent.parent.exists()


def test_a_ref_ignores_the_repository_of_a_running_hook(
    repository: Path, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")

    assert version(catalog.bind("raft_impl@one", checkouts)) == "VERSION = 'one'"


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("raft_impl@gone", "no commit 'gone'"),
        ("raft_impl@--all", "no commit '--all'"),
        ("raft_impl@", "no commit ''"),
        ("path:nowhere", "no raft_impl package in nowhere"),
        ("zookeeper", "system 'zookeeper'"),
    ],
)
def test_a_spec_that_leads_nowhere_is_bad_input(repository: Path, checkouts: Checkouts, spec: str, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        catalog.bind(spec, checkouts)

    assert caught.value.found == found


def test_a_commit_without_the_system_is_bad_input(repository: Path, checkouts: Checkouts) -> None:
    git(repository, "rm", "-rqf", "raft_impl")
    git(repository, "commit", "-q", "-m", "without")

    with pytest.raises(BadInput, match="found no folder raft_impl/"):
        checkouts.ref("main", repository)


def test_a_folder_wins_over_a_ref_only_when_it_holds_the_package(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.parent)
    (repository.parent / "main").mkdir()

    assert catalog.spec_of_version("main") == "raft_impl@main"
    assert catalog.spec_of_version("repository") == "path:repository"
    assert catalog.spec_of_version("raft_impl@one") == "raft_impl@one"


def test_what_is_recorded_names_no_folder_of_this_machine(repository: Path, checkouts: Checkouts) -> None:
    binding = catalog.bind("raft_impl@one", checkouts)

    assert str(repository.parent) not in msgspec.json.encode(binding.recorded()).decode()
    assert msgspec.json.decode(msgspec.json.encode(binding), type=Binding) == binding
