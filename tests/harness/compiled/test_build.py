"""Builds: made for the very sources, used for no others, and with the tracebacks of the sources."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.compiled import build as building
from harness.compiled import finder
from harness.compiled.build import build_code
from harness.compiled.finder import SUFFIX, VARIABLE, CompiledFinder, digest_of, harness_digest, modules_in
from harness.errors import InternalError
from harness.systems import loader

ROOT = Path(__file__).parents[3]

RULES = '''\
from __future__ import annotations


class Register:
    """A register that only grows."""

    def __init__(self) -> None:
        self.value = 0

    def write(self, value: int) -> int:
        if value < self.value:
            raise ValueError(f"{value} after {self.value}")
        self.value = value
        return value


def replay(values: list[int]) -> int:
    register = Register()
    for value in values:
        register.write(value)
    return register.value
'''
SURFACE = f"""\
from .protocol import rules

SURFACE_VERSION = {loader.SURFACE_VERSION}
OPTIONS = kind_of = make_client = make_server = resolve = None
replay = rules.replay
"""


def write_package(folder: Path, rules: str = RULES) -> Path:
    for name, text in (
        ("__init__.py", ""),
        ("surface.py", SURFACE),
        ("protocol/__init__.py", ""),
        ("protocol/rules.py", rules),
    ):
        file = folder / "small" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "small"


def failing_frames(alias: str) -> list[tuple[str, int | None, str, str | None]]:
    """(file, line, function, text of the line) of each frame of a package's error."""
    with pytest.raises(ValueError, match="1 after 2") as caught:
        importlib.import_module(f"{alias}.surface").replay([2, 1])
    frames = traceback.extract_tb(caught.value.__traceback__)[1:]
    return [(Path(one.filename).name, one.lineno, one.name, one.line) for one in frames]


def test_a_compiled_package_takes_the_place_of_its_sources_and_tells_of_errors_as_they_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, builds = write_package(tmp_path), tmp_path / "builds"
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    loader.load_package(package, "_interpreted_small")

    build = build_code(builds, package, "_compiled_small", optimise=0)
    monkeypatch.setenv(VARIABLE, str(builds))
    loader.load_package(package, "_compiled_small")
    frames = {alias: failing_frames(alias) for alias in ("_interpreted_small", "_compiled_small")}

    files = {name: sys.modules[f"_compiled_small.{name}"].__file__ for name in ("surface", "protocol.rules")}
    assert min(modules_in(build)) == "_compiled_small.protocol.rules"
    assert files["surface"] == str(package / "surface.py")
    assert str(files["protocol.rules"]).endswith(SUFFIX)
    assert frames["_compiled_small"] == frames["_interpreted_small"]
    assert [name for _, _, name, _ in frames["_compiled_small"]] == ["replay", "write"]
    assert not list(builds.glob("*/scratch"))
    for alias in frames:
        loader.unload(alias)


def test_a_package_that_does_not_compile_leaves_no_build_and_says_where_to_read_why(tmp_path: Path) -> None:
    package, builds = write_package(tmp_path, "def broken(x: int) -> int:\n    return x + 'a'\n"), tmp_path / "builds"

    with pytest.raises(InternalError, match=r"compiler\.log") as caught:
        build_code(builds, package, "_broken_small")

    log = Path(str(caught.value).rpartition("see ")[2])
    assert "Unsupported operand types" in log.read_text()
    assert modules_in(finder.code_build(builds, "_broken_small")) == {}


def test_one_changed_byte_of_any_source_has_no_build(tmp_path: Path) -> None:
    for package in finder.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.py").write_text("VALUE = 1\n")
    before = harness_digest(tmp_path)

    digests = {before}
    for package in finder.PACKAGES:
        (tmp_path / package / "module.py").write_text("VALUE = 2\n")
        digests.add(harness_digest(tmp_path))

    assert len(digests) == 4
    assert digest_of(tmp_path, []) not in digests


def test_an_unfinished_build_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / f"module{SUFFIX}").touch()
    finding = CompiledFinder()

    assert finding.use(tmp_path) == 0
    (tmp_path / f"complete{SUFFIX}").touch()
    assert finding.use(tmp_path) == 1
    assert finding.names() == ["package.module"]
    spec = finding.find_spec("package.module", None)
    assert spec is not None
    assert spec.origin == str(tmp_path / "package" / f"module{SUFFIX}")
    assert finding.find_spec("package", None) is None


def test_each_interpreter_has_builds_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another Python left there is neither used, nor in the way, nor refused for this one."""
    package, builds = write_package(tmp_path), tmp_path / "builds"
    foreign = SUFFIX.replace(SUFFIX.split(".")[1], "cpython-399-x86_64-linux-gnu")

    def compile_for(suffix: str) -> Callable[[Sequence[Path], Path], None]:
        return lambda _, made, optimise: (made / f"rules{suffix}").touch()

    with monkeypatch.context() as other:
        other.setattr(finder, "SUFFIX", foreign)
        other.setattr(finder, "_INTERPRETER", foreign.split(".")[1], raising=False)
        other.setattr(building, "SUFFIX", foreign)
        other.setattr(building, "_compile", compile_for(foreign))
        theirs = build_code(builds, package, "_small", optimise=0)
        assert list(modules_in(theirs)) == ["rules"]
    monkeypatch.setattr(building, "_compile", compile_for(SUFFIX))
    ours = build_code(builds, package, "_small", optimise=0)

    assert list(modules_in(ours)) == ["rules"]
    assert theirs != ours
    assert (theirs / f"complete{foreign}").is_file()
    assert finder.harness_build(builds, ROOT).name.endswith(SUFFIX.split(".")[1])


def test_a_finished_build_says_how_much_it_was_optimised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, builds = write_package(tmp_path), tmp_path / "builds"
    monkeypatch.setattr(building, "_compile", lambda _, made, optimise: (made / f"rules{SUFFIX}").touch())

    levels = [
        building.optimised(build_code(builds, package, "_small", optimise=1)),
        building.optimised(build_code(builds, package, "_small", optimise=3)),  # it is there already
        building.optimised(building.build_harness(builds, ROOT)),
    ]

    assert levels == [1, 1, building.OPTIMISE_MAX]


def test_a_finished_build_that_cannot_be_put_in_its_place_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, builds = write_package(tmp_path), tmp_path / "builds"
    monkeypatch.setattr(building, "_compile", lambda *_: None)
    finder.code_build(builds, "_small").parent.mkdir()
    finder.code_build(builds, "_small").touch()

    with pytest.raises(NotADirectoryError):
        build_code(builds, package, "_small", optimise=0)


def test_without_the_variable_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before = list(sys.meta_path)

    finder.activate()

    assert sys.meta_path == before
    assert importlib.import_module("harness.sim.network").__file__ == str(ROOT / "harness/sim/network.py")
