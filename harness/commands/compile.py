"""`foreshock compile`: extension modules of the simulator, the checkers and this checkout's `raft_impl`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from harness.compiled.finder import VARIABLE, modules_in
from harness.errors import Exit

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
    A build is used where FORESHOCK_COMPILED names its folder, and only for the very sources that it was made of.
    Example: foreshock compile --into builds, then FORESHOCK_COMPILED=builds foreshock suite.
    """
    from harness.compiled.build import build_code, build_harness
    from harness.systems.catalog import alias_of, own_package
    from harness.systems.loader import code_digest

    builds = (into or _user_cache() / "foreshock" / "compiled").absolute()
    package = own_package()
    made = {
        "harness and checkers": build_harness(builds, Path(__file__).parents[2]),
        "raft_impl": build_code(builds, package, alias_of(code_digest(package))),
    }
    counts = {what: len(modules_in(build)) for what, build in made.items()}
    if as_json:
        print_json({"into": str(builds), "modules": counts})
    else:
        for what, count in counts.items():
            say("compiled", f"{what}, {count} modules")
        say("to use them", f"{VARIABLE}={builds}", whole=True)
    return Exit.VALID


def _user_cache() -> Path:
    """Where programs keep what they can make again (the XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
