"""Which modules are compiled: no module with a Struct, and what is excepted says why."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
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
    "name",
    [
        "checkers/raft/rules/wire.py",
        "harness/sim/network.py",
        "raft_impl/protocol/core.py",
        "raft_impl/protocol/leader.py",
        "raft_impl/protocol/membership.py",
        "raft_impl/runtime/logshape.py",
        "raft_impl/runtime/member.py",
        "raft_impl/runtime/node.py",
        "raft_impl/runtime/wire.py",
    ],
)
def test_what_every_message_goes_through_is_compiled(name: str) -> None:
    """A Struct that is defined there would keep all of it interpreted."""
    assert ROOT / name in CHOSEN


def bases_in(file: Path) -> Iterator[tuple[str, str]]:
    """Each class of a file with the module that a base of it is imported from."""
    tree = ast.parse(file.read_text())
    package = file.relative_to(ROOT).parent.parts
    origins = {
        alias.asname or alias.name: ".".join(
            (*(package[: len(package) + 1 - node.level] if node.level else ()), node.module)
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
            names = {base.id for base in bases if isinstance(base, ast.Name)}
            yield from ((node.name, origins[name]) for name in names & set(origins))


def test_no_interpreted_class_derives_from_a_compiled_one() -> None:
    """mypyc refuses that when the class is used: the command that uses it would end with a TypeError."""
    names = {module_of(file) for file in CHOSEN}
    packages = ("checkers", "harness", "workloads", "raft_impl")
    interpreted = [file for package in packages for file in (ROOT / package).rglob("*.py") if file not in CHOSEN]

    found = {(module_of(file), *derived) for file in interpreted for derived in bases_in(file)}

    assert ("harness.live.systems.etcd", "Etcd", "harness.live.systems.polling") in found
    assert {one for one in found if one[2] in names} == set()


def assigned_words(tree: ast.AST, name: str) -> set[str]:
    """The words in the tuples that are assigned to a name of classes."""
    return {
        word.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        if any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        for word in node.value.elts
        if isinstance(word, ast.Constant)
    }


def test_an_attribute_is_only_deleted_where_its_class_says_so() -> None:
    """mypyc refuses it else, and nothing of the harness was compiled any more."""
    trees = {module_of(file): ast.parse(file.read_text()) for file in CHOSEN}

    deleted = {
        name: found
        for name, tree in trees.items()
        if (
            found := {
                target.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Delete)
                for target in node.targets
                if isinstance(target, ast.Attribute)
            }
        )
    }

    assert deleted
    assert {name: found - assigned_words(trees[name], "__deletable__") for name, found in deleted.items()} == {
        name: set() for name in deleted
    }


def test_no_parameter_that_nobody_reads_is_used_again_for_parts_that_nobody_reads() -> None:
    """mypyc enforces its annotation on the new value: runs with a build once ended with a TypeError in this way."""
    functions = {
        (module_of(file), node.name): node
        for file in CHOSEN
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    unread = {place: node for place, node in functions.items() if any(one.arg == "_" for one in node.args.args)}

    names = {
        place: {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} for place, node in unread.items()
    }

    assert len(unread) > 3
    assert {place for place, used in names.items() if "_" in used} == set()


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
