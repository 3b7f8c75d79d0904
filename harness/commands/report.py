"""`foreshock report`: a stored run as one page that needs no network."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import BadInput, Exit

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
@click.option("--text", is_flag=True, help="Print the pictures of the run in text instead, for a terminal or a log.")
@results_option
@json_option
def command(run: str, output: Path | None, text: bool, results: Path, as_json: bool) -> int:
    """Write the page of a stored run: verdict, counterexample, time axis, messages and plan in one HTML file.

    The file is whole in itself: a browser opens it without network or server. `foreshock run` writes it by itself for a
    run that is invalid.

    With --text the same is printed in letters, at most as wide as the terminal: the counterexample, who led when, the
    messages around the failure, and every fault with what it did.

    Example: foreshock report latest. Exit 0 when it was written, whatever the verdict.
    """
    from harness.reports.written import subject_of, write_report

    if text:
        if output is not None or as_json:
            raise BadInput("--text beside --html or --json", "one of them", "foreshock report")
        from .screen import print_stored

        print_stored(subject_of(read_run(run, results)))
        return Exit.VALID
    path = write_report(read_run(run, results), output=output)
    if as_json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
    else:
        say("report", str(path), whole=True)
    return Exit.VALID
