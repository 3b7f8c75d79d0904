"""`foreshock compile`: extension modules of what runs and checks spend their time in, for this checkout."""

from __future__ import annotations

import shutil
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
@click.option(
    "--optimise",
    type=click.IntRange(0, 3),
    default=3,
    show_default=True,
    metavar="LEVEL",
    help="How much the C compiler optimises: with 0 it is done sooner, and what it makes is slower. "
    "A build of a lower level is made again.",
)
@json_option
def command(into: Path | None, optimise: int, as_json: bool) -> int:
    """Compile what runs and checks spend their time in. Nothing needs that, and nothing but the speed changes.

    It takes some minutes of a processor, mypy, setuptools and a C compiler: pip install 'foreshock[compile]'.
    A build is used where FORESHOCK_COMPILED names its folder, and only for the very sources that it was made of. It is
    kept only if a plan of each workload leaves the same fingerprint with it as without it.
    Example: foreshock compile --into builds, then FORESHOCK_COMPILED=builds foreshock suite.
    """
    from harness.compiled.build import optimised, require_tools, user_cache
    from harness.search import compiling
    from harness.systems.catalog import bind
    from harness.systems.checkouts import PACKAGE, Checkouts

    require_tools()
    builds = (into or user_cache()).absolute()
    with Checkouts() as checkouts:
        binding = bind(PACKAGE, checkouts)
        for place in compiling.places(builds, binding):
            shutil.rmtree(compiling.refused(place), ignore_errors=True)
            if modules_in(place) and optimised(place) < optimise:
                shutil.rmtree(place)
        parts = compiling.make(builds, compiling.short_runs(binding), optimise=optimise)
    for part in parts:
        if part.build is None:
            raise InternalError(f"{part.name} stays interpreted: {part.why}")
    counts = {part.name: len(modules_in(part.build)) for part in parts if part.build is not None}
    if as_json:
        print_json({"into": str(builds), "modules": counts})
    else:
        for what, count in counts.items():
            say("compiled", f"{what}, {count} modules")
        say("to use them", f"{VARIABLE}={builds}", whole=True)
    return Exit.VALID
