"""What must hold of the whole repository: nothing dead, nothing undocumented, no broken link, no place of one's own.

Files are those that git tracks; in an unpacked archive without git, all that a build would not have left behind.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from benchmarks import structure
from harness.commands.group import COMMANDS
from harness.faults.catalog import KINDS
from harness.search import mutants, suites
from workloads.catalog import WORKLOADS

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "raft_impl", "workloads", "checkers")
BUILT = {".venv", "__pycache__", ".git", "build", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|Users|work|mnt)/\w")
REGISTRY = re.compile(r"(index-url|find-links|https?://[\w.-]*(artifactory|nexus|devpi|pypi)[\w.-]*)", re.IGNORECASE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LIBRARY = re.compile(
    r"\b(?:(?:checkers|harness\.systems|harness\.testing)(?:\.\w+)+|raft_impl\.(?:client|roles|singleton)\b)"
)
IN_CODE = re.compile(r"`([^`\n]+)`")
PROSE = (".py", ".md", ".txt", ".toml", ".patch", ".yml")
FRAGMENT = re.compile(r"(\+[\w-]+|\d+)\.(added|changed|fixed|removed)(\.\d+)?\.md")
REQUIREMENT = re.compile(r"[\w-]+")
RUN_AS_MODULE = re.compile(r"python -m ([\w.]+)")


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the repository, sorted, relative to its root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return tuple(sorted(name for name in names if not BUILT.intersection(name.parts) and (ROOT / name).is_file()))


@cache
def text_of(path: Path) -> str:
    """The content of a text file, nothing for another one."""
    content = (ROOT / path).read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


def pages() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path) -> set[str]:
    """Every module that a file may import, each with its packages; `from a import b` may mean the module a.b."""
    found: set[str] = set()
    package = module_name(path).split(".") if path.name == "__init__.py" else module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(text_of(path))):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found.add(origin)
            found.update(f"{origin}.{name.name}" for name in node.names)
    return found


def test_no_module_is_dead() -> None:
    """Each is imported by another one, is a command, is run as a module, or is a documented part of the
    library that the checkers are.
    """
    sources = [path for path in tracked() if path.suffix == ".py"]
    alive = {f"harness.commands.{name.replace('-', '_')}" for name in COMMANDS}
    facts = tomllib.loads(text_of(Path("pyproject.toml")))["project"]
    alive |= {place.partition(":")[0] for group in facts["entry-points"].values() for place in group.values()}
    for path in sources:
        if path.parts[0] in PACKAGES:
            alive |= imported_by(path) - {module_name(path)}
    for path in tracked():
        alive.update(RUN_AS_MODULE.findall(text_of(path)))
    for page in pages():
        for words in LIBRARY.findall(text_of(page).replace("/", ".")):
            alive |= {words, words.rpartition(".")[0]}

    modules = [
        path for path in sources if path.parts[0] in PACKAGES and path.name not in ("__init__.py", "__main__.py")
    ]
    dead = [str(path) for path in modules if module_name(path) not in alive]

    assert len(modules) > 100
    assert dead == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("docs/cli.md", [f"## foreshock {name}\n" for name in COMMANDS]),
        ("docs/cli.md", list(suites.named())),
        ("docs/faults.md", [f"### {kind}\n" for kind in KINDS]),
        ("docs/workloads.md", [f"## {name}\n" for name in WORKLOADS]),
    ],
    ids=["commands", "suites", "faults", "workloads"],
)
def test_everything_that_can_be_typed_is_documented(page: str, words: list[str]) -> None:
    text = text_of(Path(page))

    assert words
    assert [word for word in words if word not in text] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in pages():
        for target in LINK.findall(text_of(page)):
            path = target.partition("#")[0]
            if path and "://" not in path and not (ROOT / page.parent / path).exists():
                broken.append(f"{page}: {target}")

    assert len(pages()) > 8
    assert broken == []


def test_no_page_of_docs_is_an_island() -> None:
    linked = {
        (ROOT / page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(text_of(page))
        if "://" not in target
    }
    islands = [
        str(page)
        for page in pages()
        if page.parts[0] == "docs" and page.parts[1] != "changelog.d" and (ROOT / page).resolve() not in linked
    ]

    assert islands == []


def test_the_tour_names_every_module() -> None:
    """By its path, or by its name under a heading, or in a line, that names its folder first."""
    named: set[str] = set()
    for section in re.split(r"^## ", text_of(Path("docs/tour.md")), flags=re.MULTILINE):
        heading, _, walk = section.partition("\n")
        folder = (IN_CODE.findall(heading) or [""])[0]
        for line in walk.splitlines():
            names = IN_CODE.findall(line)
            room = names[0] if names and names[0].endswith("/") else ""
            named |= {folder + room + name for name in names if name.endswith(".py")}
    modules = {
        path.as_posix()
        for path in tracked()
        if path.suffix == ".py" and path.parts[0] in PACKAGES and path.name != "__init__.py"
    }

    assert sorted(modules - named) == []
    assert sorted(name for name in named if name.startswith(PACKAGES) and name not in modules) == []


def test_retired_words_are_gone() -> None:
    """One word for one thing: the glossary's. What was retired is listed with its successor."""
    listed = Path("tests/retired_words.toml")
    table = tomllib.loads(text_of(listed))
    past = [pattern for entry in table["allowed"] for pattern in entry["files"]]
    texts = {
        path: text_of(path)
        for path in tracked()
        if path.suffix in PROSE and path != listed and not any(path.match(pattern) for pattern in past)
    }
    left = [
        f"{path}: {found.group()!r}; now {successor}"
        for word, successor in table["words"].items()
        for pattern in [re.compile(rf"(?<![A-Za-z])({word.replace(' ', chr(92) + 's+')})(?![a-z])", re.IGNORECASE)]
        for path, text in texts.items()
        if (found := pattern.search(text))
    ]

    assert len(texts) > 300
    assert left == []


def test_classes_and_untyped_documents_stay_within_their_limits() -> None:
    """Only Raft's own core and leader may be larger: a protocol is better whole than scattered."""
    assert structure.LIMITS == {"class lines": 300, "class attributes": 20, "dict[str, Any] in harness": 24}
    assert sorted(structure.EXEMPT_LINES) == ["Leader", "Raft"]
    assert list(structure.EXEMPT_ATTRIBUTES) == ["Raft"]
    assert structure.too_large(ROOT) == []


def test_a_class_above_the_limits_is_found(tmp_path: Path) -> None:
    """A class of 301 lines, one of 21 attributes, and 26 untyped documents."""
    long = "class Long:\n" + "    pass\n" * 300
    wide = "class Wide:\n    def __init__(self):\n" + "".join(f"        self.a{i} = {i}\n" for i in range(21))
    untyped = "".join(f"u{i}: dict[str, Any]\n" for i in range(26))
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "large.py").write_text(long + wide + untyped)

    assert [line.partition(":")[2] for line in structure.too_large(tmp_path)] == [
        "1 Long: 301 lines; at most 300",
        "302 Wide: 21 attributes; at most 20",
        " 26 uses of dict[str, Any]; at most 24",
    ]


def test_every_field_of_a_plan_has_a_reader() -> None:
    """A field that nothing reads is a promise that nothing keeps. `format` is read before the plan is decoded."""
    declared = [
        statement.target.id
        for definition in ast.parse(text_of(Path("harness/plans/plan.py"))).body
        if isinstance(definition, ast.ClassDef)
        for statement in definition.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    read = {
        node.attr
        for path in tracked()
        if path.suffix == ".py" and path.parts[0] == "harness"
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }

    assert len(declared) > 60
    assert sorted(set(declared) - read - {"format"}) == []


def test_every_patch_says_what_it_plants() -> None:
    patches = [path for path in tracked() if path.suffix == ".patch"]

    assert [mutants.read(ROOT / path).name for path in patches] == [path.stem for path in patches]
    assert len(patches) > 20


def test_nothing_names_a_place_of_ones_own() -> None:
    """No path of one machine and no host of a package registry: neither is there for the next reader."""
    own = [
        f"{path}: {found.group()}"
        for path in tracked()
        if path != Path(__file__).relative_to(ROOT)
        for pattern in (MACHINE_PATH, REGISTRY)
        if (found := pattern.search(text_of(path)))
    ]

    assert own == []


def test_the_license_stands() -> None:
    assert "Apache License" in text_of(Path("LICENSE"))
    assert "Version 2.0" in text_of(Path("LICENSE"))
    assert "Apache-2.0" in text_of(Path("pyproject.toml"))


def test_changelog_fragments_are_sentences_under_a_name_that_towncrier_reads() -> None:
    """`+WHAT.KIND.md` or `NUMBER.KIND.md`: towncrier leaves out a file of any other name, and says nothing."""
    folder = Path("docs/changelog.d")
    fragments = [path for path in tracked() if path.parent == folder and path.name != "README.md"]

    assert [str(path) for path in fragments if not FRAGMENT.fullmatch(path.name)] == []
    assert [str(path) for path in fragments if not text_of(path).strip().endswith(".")] == []


def test_every_dependency_is_imported_by_the_product() -> None:
    """What an installation pulls in is used; only `dev` may hold what tests and tools need."""
    project = tomllib.loads(text_of(Path("pyproject.toml")))["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines]
    names = {REQUIREMENT.match(line).group() for line in (*project["dependencies"], *extras)} - {project["name"]}  # type: ignore[union-attr]
    sources = [path for path in tracked() if path.suffix == ".py" and path.parts[0] in PACKAGES]
    imported = {name.partition(".")[0] for path in sources for name in imported_by(path)}
    imported |= {"mypy"} & {name.removesuffix("c") for name in imported}  # mypyc comes with mypy

    assert {"trio", "click"} <= names
    assert sorted(names - imported) == []
