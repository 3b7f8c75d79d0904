"""The loader puts several copies of a package into one process, behind a guard that only they meet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from harness.errors import BadInput, ForbiddenInSimulation
from harness.systems import loader

SURFACE = """
from .core import VALUE
SURFACE_VERSION = 2
OPTIONS = ()
def resolve(options): return dict(options)
def kind_of(frame): return "garbage"
def make_server(env, *, groups, options): return VALUE
def make_client(env, **rest): return VALUE
"""

Loading = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Loading]:
    """Write a package with the given extra files, load it under a fresh alias, and unload all at the end."""
    aliases: list[str] = []

    def write_and_load(files: dict[str, str] | None = None) -> ModuleType:
        alias = f"_loader_test_{len(aliases)}"
        aliases.append(alias)
        directory = write(tmp_path / alias, files or {})
        return loader.load_package(directory, alias)

    yield write_and_load
    for alias in aliases:
        loader.unload(alias)


def write(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir()
    for name, text in {"__init__.py": "", "surface.py": SURFACE, "core.py": "VALUE = 1", **files}.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return directory


def test_two_copies_live_in_one_process_and_keep_their_own_modules(load: Loading) -> None:
    first = load({"core.py": "VALUE = 1"})
    second = load({"core.py": "VALUE = 2"})

    assert first.surface.make_server(None, groups={}, options={}) == 1
    assert second.surface.make_server(None, groups={}, options={}) == 2
    assert first.surface.__name__ == "_loader_test_0.surface"


def test_loading_does_not_put_the_package_under_its_own_name(load: Loading, tmp_path: Path) -> None:
    before = set(sys.modules)

    load({"protocol/__init__.py": "from ..core import VALUE", "core.py": "VALUE = 1"})

    ours = {
        name for name in set(sys.modules) - before if str(tmp_path) in str(getattr(sys.modules[name], "__file__", ""))
    }
    assert ours == {"_loader_test_0", "_loader_test_0.surface", "_loader_test_0.core"}


def test_a_subpackage_imports_from_its_own_copy(load: Loading) -> None:
    package = load({"core.py": "from .deep.value import VALUE", "deep/__init__.py": "", "deep/value.py": "VALUE = 7"})

    assert package.surface.make_server(None, groups={}, options={}) == 7


@pytest.mark.parametrize(
    "use",
    [
        "import time; VALUE = time.monotonic",
        "from time import time_ns as VALUE",
        "import random; VALUE = random.random",
        "import random; VALUE = random.Random",
        "import os; VALUE = lambda: os.environ['HOME']",
        "import os; VALUE = lambda: os.environ.get('HOME')",
        "import os; VALUE = lambda: list(os.environ)",
        "import os.path; VALUE = lambda: os.path.exists('.')",
        "from os.path import exists as VALUE",
        "from os import urandom; VALUE = lambda: urandom(4)",
        "import secrets; VALUE = secrets.token_bytes",
        "import uuid; VALUE = uuid.uuid4",
        "import threading; VALUE = threading.Thread",
        "import threading\nclass Mine(threading.Thread): pass\nVALUE = Mine",
        "def VALUE():\n    import time\n    return time.perf_counter_ns()",
    ],
)
def test_guarded_code_may_bind_but_not_use_what_a_run_may_not_depend_on(load: Loading, use: str) -> None:
    package = load({"core.py": use})

    with pytest.raises(ForbiddenInSimulation, match="not a function of"):
        package.surface.make_server(None, groups={}, options={})()


@pytest.mark.parametrize(
    ("use", "value"),
    [
        ("import os; VALUE = os.path.join('a', 'b')", os.path.join("a", "b")),
        ("from os.path import splitext; VALUE = splitext('a.b')", ("a", ".b")),
        ("import threading; VALUE = threading.Lock().acquire()", True),
        ("import uuid; VALUE = uuid.UUID(int=5).int", 5),
        ("import os; VALUE = issubclass(os.error, Exception)", True),
    ],
)
def test_harmless_names_stay_real_behind_the_guard(load: Loading, use: str, value: object) -> None:
    package = load({"core.py": use})

    assert package.surface.make_server(None, groups={}, options={}) == value


def test_only_the_loaded_code_meets_the_guard(load: Loading) -> None:
    load({"core.py": "import time; VALUE = time"})

    import time as mine

    assert mine is time
    assert mine.monotonic() > 0


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"surface.py": ""}, "SURFACE_VERSION None"),
        ({"surface.py": "SURFACE_VERSION = 99"}, "SURFACE_VERSION 99"),
        ({"surface.py": "SURFACE_VERSION = 2\nOPTIONS = ()"}, "no kind_of, make_client, make_server, resolve"),
        ({"core.py": "VALUE = ("}, "SyntaxError: '(' was never closed"),
        ({"core.py": "VALUE = 1\nraise OSError('boom')"}, "OSError: boom at core.py:2"),
        (
            {"core.py": "import random\nVALUE = random.random()"},
            "ForbiddenInSimulation: code under test used random.random",
        ),
    ],
)
def test_code_that_cannot_be_used_is_one_clear_line(load: Loading, files: dict[str, str], found: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(files)

    assert found in caught.value.found
    assert "\n" not in str(caught.value)
    assert not [name for name in sys.modules if name.startswith("_loader_test_0")]


@pytest.mark.parametrize(("missing", "found"), [("__init__.py", "no __init__.py"), ("surface.py", "no surface.py")])
def test_a_folder_that_is_no_such_package_is_named(tmp_path: Path, missing: str, found: str) -> None:
    directory = write(tmp_path / "package", {})
    (directory / missing).unlink()

    with pytest.raises(BadInput) as caught:
        loader.load_package(directory, "_loader_test_missing")

    assert caught.value.found == found
    assert str(directory) in caught.value.where


def test_loading_the_same_directory_twice_gives_the_same_module(tmp_path: Path) -> None:
    directory = write(tmp_path / "package", {})

    first = loader.load_package(directory, "_loader_test_same")
    second = loader.load_package(directory, "_loader_test_same")
    loader.unload("_loader_test_same")

    assert first is second


def test_an_alias_never_changes_its_meaning_silently(tmp_path: Path) -> None:
    loader.load_package(write(tmp_path / "a", {}), "_loader_test_taken")

    with pytest.raises(ValueError, match="is taken"):
        loader.load_package(write(tmp_path / "b", {}), "_loader_test_taken")

    loader.unload("_loader_test_taken")


def test_an_edit_within_the_second_of_the_cache_is_seen(tmp_path: Path) -> None:
    """Whole-second mtime and size agree here; Python alone would run the stale bytecode."""
    directory = write(tmp_path / "package", {"core.py": "VALUE = 1"})
    loader.load_package(directory, "_loader_test_edit")
    loader.unload("_loader_test_edit")
    stat = (directory / "core.py").stat()
    (directory / "core.py").write_text("VALUE = 2")
    os.utime(directory / "core.py", ns=(stat.st_atime_ns, stat.st_mtime_ns))

    package = loader.load_package(directory, "_loader_test_edit")
    loader.unload("_loader_test_edit")

    assert package.surface.make_server(None, groups={}, options={}) == 2


def test_the_digest_covers_names_and_contents_of_python_files_only(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"core.py": "VALUE = 1"})
    same = write(tmp_path / "same", {"core.py": "VALUE = 1", "notes.txt": "not code"})
    edited = write(tmp_path / "edited", {"core.py": "VALUE = 2"})
    renamed = write(tmp_path / "renamed", {"core.py": "VALUE = 1", "extra.py": ""})

    digests = [loader.code_digest(directory) for directory in (one, same, edited, renamed)]

    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
