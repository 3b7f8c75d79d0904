"""Which modules are compiled: no module with a Struct, and what is excepted says why."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import msgspec
import pytest

from harness.compiled.modules import EXCEPTIONS, HARNESS_PLACES, RAFT_PLACES, chosen, defined_structs

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "raft_impl"


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def all_files(root: Path, places: tuple[str, ...]) -> list[Path]:
    paths = [root / place for place in places]
    return [file for path in paths for file in ([path] if path.suffix else path.glob("*.py"))]


CHOSEN = sorted({*chosen(ROOT, HARNESS_PLACES), *chosen(PACKAGE, RAFT_PLACES)})


def structs_in(file: Path) -> list[str]:
    """Found in the running module, and not in its text as the rule itself does."""
    module = importlib.import_module(module_of(file))
    return sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    )


def test_a_module_that_defines_a_struct_stays_interpreted() -> None:
    """mypyc drops class keywords and erases annotations in silence: a compiled Struct encodes something else."""
    assert len(CHOSEN) > 40
    assert {module_of(file): found for file in CHOSEN if (found := structs_in(file))} == {}


def test_only_structs_and_named_reasons_keep_a_module_of_these_places_interpreted() -> None:
    files = {*all_files(ROOT, HARNESS_PLACES), *all_files(PACKAGE, RAFT_PLACES)}
    left = {file for file in files - set(CHOSEN) if file.name != "__init__.py"}

    assert {file.relative_to(ROOT).as_posix() for file in left if not structs_in(file)} == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "source",
    [
        "class A(msgspec.Struct, frozen=True): pass",
        "class A(Struct): pass",
        "class A(Generic[T], msgspec.Struct): pass",
        "def make():\n    class A(msgspec.Struct): pass\n    return A",
    ],
)
def test_structs_are_found_however_they_are_written(source: str) -> None:
    assert defined_structs(ast.parse(source)) == ["A"]


def test_a_struct_derived_from_one_of_the_same_module_is_one() -> None:
    assert defined_structs(ast.parse("class A(Struct): pass\nclass B(A, tag='b'): pass\nclass C(list): pass")) == [
        "A",
        "B",
    ]
