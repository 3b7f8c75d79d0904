"""`foreshock report`: a stored run as one page that needs no network."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import Exit

from .arguments import json_option, results_option
from .printing import print_json, say
from .reading import read_run


@click.command("report")
@click.argument("run", metavar="RUN")
@click.option(
    "--html",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it.  [default: report.html in the run folder]",
)
@results_option
@json_option
def command(run: str, output: Path | None, results: Path, as_json: bool) -> int:
    """Write the page of a stored run: verdict, counterexample, time axis, messages and plan in one HTML file.

    The file is whole in itself: a browser opens it without network or server. `foreshock run` writes it by itself for a
    run that is invalid.

    Example: foreshock report latest. Exit 0 when it was written, whatever the verdict.
    """
    from harness.reports.written import write_report

    path = write_report(read_run(run, results), output=output)
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        say("report", str(path), whole=True)
    return Exit.VALID
