"""Bugs that a program plants: each changes one line of a function, applies to the code, and still is Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from harness.search import mutants
from harness.systems.hunks import parse, planted
from tests.mutants import generate

CHANGES = generate.draw(280, seed=1)


def test_all_kinds_of_changes_are_drawn_alike() -> None:
    kinds = [change.kind for change in CHANGES]

    assert {"left out", "never", "one more", "turn the comparison", "drop condition"} <= set(kinds)
    assert max(map(kinds.count, kinds)) <= 2 * len(kinds) / len(set(kinds))
    assert len(set(CHANGES)) == len(CHANGES)


def test_the_same_seed_draws_the_same_patches_and_another_one_others() -> None:
    assert generate.draw(20, seed=1) == CHANGES[:20]
    assert generate.draw(20, seed=2) != CHANGES[:20]


@pytest.mark.parametrize("number", range(0, len(CHANGES), 7))
def test_a_patch_changes_one_line_of_the_code_of_today_which_stays_python(number: int) -> None:
    _, text = generate.patch(CHANGES[number], number)

    ((path, (hunk,)),) = parse(text)[1].items()
    before = (generate.ROOT / path).read_text()
    after = planted(before, hunk, path)
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    assert [old for old, new in pairs if old != new] == [before.splitlines()[CHANGES[number].line]]
    assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(before))


def test_a_folder_of_them_is_one_that_mutants_reads(tmp_path: Path) -> None:
    assert generate.main([str(tmp_path / "made"), "--count", "5"]) == 0

    read = mutants.read_all(tmp_path / "made")

    assert len(read) == 5
    assert all(mutant.source.startswith("made by a program: ") and not mutant.expect for mutant in read)
    with pytest.raises(SystemExit):
        generate.main([str(tmp_path / "made")])
