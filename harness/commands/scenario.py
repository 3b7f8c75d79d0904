"""`foreshock scenario`: a scripted walk-through with its transcript."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.errors import BadInput, Exit

from .arguments import json_option, system_option
from .printing import coloured, print_json, print_table, say


@click.command("scenario")
@click.argument("name", metavar="[NAME|FILE]", required=False)
@system_option
@click.option("--rewrite", is_flag=True, help="Write what happened into the file.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the scenario as a page that moves, and print no transcript.",
)
@json_option
def command(name: str | None, system: str, rewrite: bool, page: Path | None, as_json: bool) -> int:
    """Run a scenario, print what happened, and say whether it still reads as its file expects.

    With --html it becomes a page of its own that a browser opens without network: nodes on a ring with their timers,
    messages on their way, logs that fill, and the comments of the script as captions; it plays, stops and steps.

    Without NAME: list the scenarios that come with foreshock. A unique beginning of a name is enough. Exit code 1 when
    the transcript differs, or when the verdict is another than the scenario means to show.

    Example: foreshock scenario walkthrough_1.
    """
    from harness.scenarios import library

    if name is not None:
        return _run(library.find(name), system, rewrite, page, as_json)
    if rewrite or page is not None:
        option = "--rewrite" if rewrite else "--html"
        raise BadInput(f"{option} without a scenario", "NAME or FILE", "foreshock scenario")
    scripts = [library.read(library.find(known)) for known in library.names()]
    if as_json:
        print_json({"scenarios": [{"name": _stem(script.name), "title": script.title} for script in scripts]})
    else:
        print_table(("scenario", "shows"), [(_stem(script.name), script.title) for script in scripts])
    return Exit.VALID


def _run(path: Path, spec: str, rewrite: bool, page: Path | None, as_json: bool) -> int:
    from harness.scenarios import library
    from harness.scenarios.language import render
    from harness.systems import catalog
    from harness.systems.checkouts import Checkouts
    from harness.walkthroughs.replayed import perform_any

    script = library.read(path)
    with Checkouts() as checkouts:
        loaded = catalog.load_systems(catalog.bind(spec, checkouts))["default"]
        result = perform_any(script, loaded, is_filmed=page is not None)
    before, after = path.read_text(encoding="utf-8"), render(script, result.transcripts)
    if rewrite and before != after:
        path.write_text(after, encoding="utf-8")
    if page is not None:
        from harness.walkthroughs.written import write_page

        write_page(result, page)
    if as_json:
        print_json(_document(result) | ({"page": str(page)} if page is not None else {}))
    elif page is not None:
        say("page", str(page), whole=True)
        say("events", f"{len(result.frames) - 1}")
        _print_judgement(result, before, after, rewritten=rewrite and before != after)
    else:
        _print(result, before, after, rewritten=rewrite and before != after)
    holds = result.is_judged_as_expected and (rewrite or result.reads_as_expected)
    return Exit.VALID if holds else Exit.INVALID


def _document(result: Any) -> dict[str, Any]:
    script = result.script
    return {
        "scenario": _stem(script.name),
        "title": script.title,
        "verdict": result.verdict.validity,
        "expected_violations": list(script.violations),
        "violations": list(result.violations),
        "as_expected": result.is_judged_as_expected,
        "reads_as_expected": result.reads_as_expected,
        "steps": [
            {
                "line": step.line,
                "comment": [line.lstrip("# ") for line in step.before if line.startswith("#")],
                "command": step.text,
                "transcript": transcript,
                "as_expected": list(step.expected) == transcript,
                **msgspec.to_builtins(state),
            }
            for step, transcript, state in zip(script.steps, result.transcripts, result.states, strict=True)
        ],
    }


def _print(result: Any, before: str, after: str, *, rewritten: bool) -> None:
    """Print the scenario as it went, then what is different from what was expected."""
    for line in after.splitlines():
        if line.startswith("#"):
            line = click.style(line, dim=True)
        elif line.startswith("> "):
            line = click.style(line, bold=True)
        click.echo(line)
    if before != after and not rewritten:
        click.echo()
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), "expected", "happened", lineterm=""):
            click.echo(click.style(line, fg={"-": "red", "+": "green"}.get(line[:1])))
    click.echo()
    _print_judgement(result, before, after, rewritten=rewritten)


def _print_judgement(result: Any, before: str, after: str, *, rewritten: bool) -> None:
    wanted = f", as expected ({', '.join(result.script.violations)})" if result.script.violations else ""
    verdict = result.verdict
    say("verdict", f"{coloured(verdict.validity)}{wanted if result.is_judged_as_expected else ''}")
    if not result.is_judged_as_expected:
        for anomaly in verdict.anomalies:
            click.echo(f"{anomaly.signature}: {anomaly.message}")
        if not verdict.anomalies and result.script.violations:
            say("expected", f"{', '.join(result.script.violations)}")
    if rewritten:
        say("written", f"{result.script.name}")
    else:
        say("reads", f"{'as expected' if before == after else 'differently than its file expects'}")


def _stem(name: str) -> str:
    return Path(name).stem
