"""`foreshock compile`: extension modules of the kernel of the simulator and of this checkout's `raft_impl`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from harness.compiled.finder import VARIABLE, modules_in
from harness.errors import Exit, InternalError

from .arguments import json_option
from .printing import print_json, say


@click.command("compile")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    envvar=VARIABLE,
    metavar="DIR",
    help=f"Where builds are kept.  [default: ${VARIABLE}, or foreshock/compiled in the user's cache]",
)
@json_option
def command(into: Path | None, as_json: bool) -> int:
    """Compile what runs and checks spend their time in. Nothing needs that, and nothing but the speed changes.

    It takes some minutes of a processor, mypy, setuptools and a C compiler: pip install 'foreshock[compile]'.
    A build is used where FORESHOCK_COMPILED names its folder, and only for the very sources that it was made of. It is
    kept only if a plan of each workload leaves the same fingerprint with it as without it.
    Example: foreshock compile --into builds, then FORESHOCK_COMPILED=builds foreshock suite.
    """
    from harness.compiled.build import build_code, build_harness
    from harness.systems.catalog import alias_of, own_package
    from harness.systems.loader import code_digest

    builds = (into or _user_cache() / "foreshock" / "compiled").absolute()
    package = own_package()
    made = {
        "harness": build_harness(builds, Path(__file__).parents[2]),
        "raft_impl": build_code(builds, package, alias_of(code_digest(package))),
    }
    _try_out(builds, made.values())
    counts = {what: len(modules_in(build)) for what, build in made.items()}
    if as_json:
        print_json({"into": str(builds), "modules": counts})
    else:
        for what, count in counts.items():
            say("compiled", f"{what}, {count} modules")
        say("to use them", f"{VARIABLE}={builds}", whole=True)
    return Exit.VALID


def _try_out(builds: Path, made: Iterable[Path]) -> None:
    """Run a plan of each workload with the sources and with the builds. Builds that leave anything else are removed."""
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    command = [sys.executable, "-m", "harness.run.trial"]
    expected, found = (
        subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False)
        for more in ({}, {VARIABLE: str(builds)})
    )
    if expected.returncode:
        raise InternalError(f"the sources cannot be tried out: {expected.stderr.strip()}")
    if found.returncode or found.stdout != expected.stdout:
        for build in made:
            shutil.rmtree(build)
        differing = [line for line in expected.stdout.splitlines() if line not in found.stdout.splitlines()]
        raise InternalError(
            f"compiled code ran differently and was removed; {differing[0] if differing else found.stderr}"
        )


def _user_cache() -> Path:
    """Where programs keep what they can make again (the XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
