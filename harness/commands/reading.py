"""Finding the run that a person read about: in a CI log, in a JUnit report, in a chat, on another machine.

A run is named by its id or folder, a bundle, a plan file, `latest`; and by any text in which one of these stands:

* the id of a stored run;
* the name of a test case of a suite's JUnit report, such as `register.swarm.seed 12`;
* a command `foreshock run --seed ...`, as every report prints it, which is enough in a fresh clone.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import click

from harness.archive.find import StoredRun, find
from harness.archive.index import FILE, Index
from harness.errors import BadInput
from harness.live.specs import WORLD
from harness.run.drawing import Drawing, abilities_of

from .arguments import drawing_of

_RUN_ID: Final = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9_.:-]+?-s\d+-[0-9a-f]{4}(?:-\d+)?(?![\w])")
_CASE: Final = re.compile(r"([\w-]+)\.([\w-]+)\W{1,4}seed[ _]?(\d+)\b")
_COMMAND: Final = re.compile(r"\bforeshock run\b[^`|\n\r<]*")
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FORMS: Final = (
    "a run id, the beginning of one, a run folder, `latest`, a plan file, the name of a JUnit test case, or text with "
    "`foreshock run --seed ...`"
)


def read_run(text: str, results: Path) -> StoredRun:
    """Find the run or plan that a text is about. Raises BadInput."""
    text = _ESCAPES.sub("", text).strip()
    if text and (_is_there(Path(text)) or _is_there(results / text)):
        return find(text, results)
    if not any(pattern.search(text) for pattern in (_CASE, _COMMAND)) and not re.search(r"\s", text):
        return find(text, results)
    for id in _RUN_ID.findall(text):
        if (results / id).is_dir():
            return find(id, results)
    if (command := _COMMAND.search(text)) is not None:
        return _drawn_by_command(command.group())
    if (case := _CASE.search(text)) is not None:
        return _of_case(*case.groups(), results=results)
    if ids := _RUN_ID.findall(text):
        raise BadInput(
            f"run {ids[0]!r}, which is not here", "a stored run, or the line `foreshock run ...`", str(results)
        )
    raise BadInput(f"no run in {_short(text)!r}", _FORMS, str(results))


def _is_there(path: Path) -> bool:
    """Whether there is something at a path, whatever is in its name; a text that is too long for one is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _drawn_by_command(line: str) -> StoredRun:
    """Draw the plan of a command, read by the options of the command itself."""
    from . import run

    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadInput(f"a line that is no command ({error})", "`foreshock run --seed ...`", _short(line)) from None
    with click.Context(run.command) as context:
        parser = run.command.make_parser(context)
        try:
            values, rest, _ = parser.parse_args(words[2:])
            context = run.command.make_context("foreshock run", words[2 : len(words) - len(rest)])
        except click.UsageError as error:
            where = _short(line)
            raise BadInput(f"a command that does not parse ({error.message})", "`foreshock run`", where) from None
    seed, plan_file = context.params["seed"], context.params["plan_file"]
    if plan_file is not None:
        return find(str(plan_file), Path())
    if values.get("seed") is None or seed is None:
        raise BadInput("a command without --seed", "`foreshock run --seed ...`", _short(line))
    return _drawn(drawing_of(context.params), seed)


def _of_case(workload: str, profile: str, seed: str, *, results: Path) -> StoredRun:
    """Find the newest run of a test case; one that was valid kept no folder, and is drawn again."""
    from harness.search.campaign import read_settings

    where = f"{workload}.{profile}.seed {seed}"
    if not (results / FILE).is_file():
        raise BadInput("no index of runs", "the results of the suite, or the line `foreshock run ...`", where)
    with Index(results) as index:
        rows = [row for row in index.runs(workload=workload, seed=int(seed)) if row.profile == profile]
        if not rows:
            raise BadInput("no run of this test case", "one of a suite that ran here", where)
        row = rows[0]
        if row.run is not None and (results / row.run).is_dir():
            return find(row.run, results)
        if row.campaign is None or row.cell is None:
            raise BadInput("a run without a folder", "one of a suite", where)
        return _drawn(read_settings(index.campaign(row.campaign)).suite.cells[row.cell], int(seed))


def _drawn(drawing: Drawing, seed: int) -> StoredRun:
    from harness.systems import catalog
    from harness.systems.catalog import load_systems
    from harness.systems.checkouts import Checkouts

    with Checkouts() as checkouts:
        if drawing.world == "live":
            from harness.live.systems.catalog import abilities_of_live, live_system

            system = live_system(drawing.system, checkouts)
            plan = drawing.plan(seed, abilities_of_live(system, drawing.network))
            return StoredRun(plan=plan, run=None, folder=None, record=None, spec=WORLD + system.code.spec)
        specs = catalog.specs_of(drawing.system, drawing.upgrade_from)
        systems = load_systems(catalog.bind(specs, checkouts))
        plan = drawing.plan(seed, abilities_of(systems.values()))
    return StoredRun(plan=plan, run=None, folder=None, record=None, spec=drawing.system, older=drawing.upgrade_from)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
