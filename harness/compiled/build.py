"""Makes the extension modules, with mypyc (which comes with mypy) and the C compiler of this machine.

One build is one shared library and a small module for each source. It is made in a folder beside its place and renamed
when it is whole. The sources are given by absolute paths, which tracebacks of compiled code then name. A `raft_impl`
package may lie in a temporary folder, and is copied beside the builds first, under its alias.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from harness.errors import BadInput, InternalError

from .finder import SUFFIX, code_build, code_sources, harness_build, modules_in
from .modules import HARNESS_PLACES, RAFT_PLACES, chosen

OPTIMISE_MAX: Final = 3
"""How much a C compiler optimises (`-O3`); below that it is done sooner, and what it makes is slower."""
_LOG: Final = "compiler.log"
"""What mypy and the C compiler said."""


def build_harness(builds: Path, root: Path, *, optimise: int = OPTIMISE_MAX) -> Path:
    """Compile what is chosen of the harness below `root`, unless that is done. Returns the folder of the build."""
    build = harness_build(builds, root)
    if not modules_in(build):
        with _made_beside(build) as made:
            _compile(chosen(root, HARNESS_PLACES), made, optimise)
            _finish(made, optimise)
    return build


def build_code(
    builds: Path, package: Path, alias: str, forbidden: Collection[str] = (), *, optimise: int = OPTIMISE_MAX
) -> Path:
    """Compile a `raft_impl` package under an alias, unless that is done, but for modules that import what is forbidden.

    Returns the folder of the build.
    """
    build = code_build(builds, alias)
    if not modules_in(build):
        copy = code_sources(builds, alias)
        if not copy.is_dir():
            with _made_beside(copy) as made:
                shutil.copytree(package, made, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        with _made_beside(build) as made:
            _compile(chosen(copy, RAFT_PLACES, forbidden), made, optimise)
            _finish(made, optimise)
    return build


def optimised(build: Path) -> int:
    """How much a finished build was optimised; 0 if it is of a version that did not note it."""
    return int((build / f"complete{SUFFIX}").read_text(encoding="ascii") or 0)


def user_cache() -> Path:
    """Where builds are kept that nobody gave another place: what can be made again (the XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foreshock" / "compiled"


def _finish(made: Path, optimise: int) -> None:
    """Mark a build as whole, and note what its name does not say: the level is no part of the digest."""
    (made / f"complete{SUFFIX}").write_text(str(optimise), encoding="ascii")


@contextlib.contextmanager
def _made_beside(place: Path) -> Iterator[Path]:
    """A new folder that takes its place when all went well, if no other process was faster."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    try:
        yield made
        try:
            made.rename(place)
        except OSError:
            if not place.is_dir():  # else there is one now, made of the same sources for the same interpreter
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _compile(sources: Sequence[Path], made: Path, optimise: int) -> None:
    """Make the extension modules of sources in `made`. Raises BadInput without tools, InternalError if one fails."""
    require_tools()
    try:
        with _output_in(made / _LOG):
            _run_compilers(sources, made, optimise)
    except (Exception, SystemExit) as error:  # mypycify ends the process where mypy finds an error
        log = shutil.copy(made / _LOG, made.parent / _LOG)
        raise InternalError(f"compiling failed ({type(error).__name__}: {error}); see {log}") from error


def require_tools() -> None:
    """Raise BadInput without mypyc, a C compiler or Python's headers, before mypyc has worked for a minute."""
    for name in ("mypyc", "setuptools"):
        if importlib.util.find_spec(name) is None:
            raise BadInput(f"no {name}", "mypy and setuptools: pip install 'foreshock[compile]'", "foreshock compile")
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        raise BadInput(f"no C compiler `{compiler}`", "one on the PATH, or in CC", "foreshock compile")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise BadInput(f"no {header}", "Python's headers, for C extensions", "foreshock compile")


def _run_compilers(sources: Sequence[Path], made: Path, optimise: int) -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    scratch = made / "scratch"
    options = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={scratch / 'mypy'}"]
    extensions: list[Any] = mypycify(
        [*options, *map(str, sources)], opt_level=str(optimise), debug_level="0", target_dir=str(scratch / "c")
    )
    command = build_ext(Distribution({"name": "foreshock", "ext_modules": extensions}))
    command.build_lib, command.build_temp = str(made), str(scratch / "o")
    command.ensure_finalized()
    command.run()
    shutil.rmtree(scratch)


@contextlib.contextmanager
def _output_in(file: Path) -> Iterator[None]:
    """Send what this process and its children print into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with file.open("w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            for descriptor in kept:
                os.close(descriptor)
