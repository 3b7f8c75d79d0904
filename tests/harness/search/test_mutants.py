"""Planted bugs are patches with headers, applied to a copy, and found at the same seed by any number of workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.search import mutants
from harness.search.mutants import begins
from harness.systems.catalog import own_package
from harness.systems.checkouts import Checkouts

HEADERS = "Name: stale\nSource: here\nExpect: linearizability\n\n"
PATCH = """--- a/raft_impl/__init__.py
+++ b/raft_impl/__init__.py
@@ -1 +1 @@
-no such line
+another line
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Source: here\n" + PATCH, "no header Name:"),
        ("Name: x\n" + PATCH, "no header Source:"),
        (PATCH + "Name: x\nSource: here\n", "no header Name:"),
    ],
)
def test_a_patch_without_its_headers_is_refused(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "x.patch").write_text(text)

    with pytest.raises(BadInput) as caught:
        mutants.read_all(tmp_path)

    assert caught.value.found == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (PATCH, "a patch that does not apply (patch failed: raft_impl/__init__.py:1)"),
        ("", "a patch that does not apply (No valid patches in input"),
        (
            "--- /dev/null\n+++ b/raft_impl/notes.txt\n@@ -0,0 +1 @@\n+no code\n",
            "a patch that changes nothing",
        ),
    ],
)
def test_a_patch_that_does_not_apply_is_refused(tmp_path: Path, body: str, found: str) -> None:
    (tmp_path / "x.patch").write_text(HEADERS + body)
    (mutant,) = mutants.read_all(tmp_path)

    with Checkouts() as checkouts, pytest.raises(BadInput) as caught:
        mutants.plant(mutant, own_package(), checkouts)

    assert found in caught.value.found


def test_patched_code_that_cannot_be_imported_is_refused_with_the_name_of_its_patch(tmp_path: Path) -> None:
    body = "--- /dev/null\n+++ b/raft_impl/errors/__init__.py\n@@ -0,0 +1 @@\n+raise RuntimeError('no')\n"
    (tmp_path / "x.patch").write_text(HEADERS + body)
    (mutant,) = mutants.read_all(tmp_path)

    with Checkouts() as checkouts, pytest.raises(BadInput) as caught:
        mutants.plant(mutant, own_package(), checkouts)

    assert "patched code that does not load (RuntimeError: no" in caught.value.found
    assert caught.value.where.endswith("x.patch")


def test_two_mutants_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.patch").write_text(HEADERS + PATCH)

    with pytest.raises(BadInput, match="the name 'stale' twice"):
        mutants.read_all(tmp_path)


@pytest.mark.parametrize(
    ("signature", "expected", "fits"),
    [
        ("raft/log-matching/leader", "raft/log-matching", True),
        ("raft/log-matching", "raft/log-matching", True),
        ("raft/log-matching", "", True),
        ("raft/log-matching", "raft/log", False),
        ("raft/log-matching", "liveness", False),
    ],
)
def test_an_expectation_names_whole_parts_of_a_signature(signature: str, expected: str, fits: bool) -> None:
    assert begins(signature, expected) is fits
