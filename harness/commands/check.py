"""`foreshock check`: any stored history, also of other tools."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from harness import quantities
from harness.errors import BadInput, Exit

from .arguments import json_option, quantity
from .printing import print_json
from .run import print_verdict

EXITS = {"valid": Exit.VALID, "invalid": Exit.INVALID, "unknown": Exit.UNKNOWN}


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="M", help="What the object is: register, cas-register, counter, ...")
@click.option("--initial", metavar="JSON", help="The state at the start, where it is not the model's own.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "jsonl", "edn", "jepsen-log", "porcupine", "maelstrom"]),
    default="auto",
    show_default=True,
    help="How the file is written.",
)
@click.option(
    "--failed-cas",
    type=click.Choice(["auto", "constraint", "nothing"]),
    default="auto",
    show_default=True,
    help="What a failed cas says of the state.",
)
@click.option(
    "--nil-read",
    type=click.Choice(["auto", "absent", "anything"]),
    default="auto",
    show_default=True,
    help="What a read of nil says of the state.",
)
@click.option("--lenient", is_flag=True, help="Read a malformed history in its widest sense.")
@click.option("--cross-check", is_flag=True, help="Ask two independent engines; exit 255 when they disagree.")
@click.option(
    "--time-limit", type=quantity(quantities.duration), metavar="TIME", help="Say unknown after this time, such as 60s."
)
@click.option(
    "--memory-limit", type=quantity(quantities.size), metavar="SIZE", help="Say unknown above this size, such as 4GiB."
)
@json_option
def command(
    file: Path,
    model: str,
    initial: str | None,
    form: str,
    failed_cas: Literal["auto", "constraint", "nothing"],
    nil_read: Literal["auto", "absent", "anything"],
    lenient: bool,
    cross_check: bool,
    time_limit: int | None,
    memory_limit: int | None,
    as_json: bool,
) -> int:
    """Decide whether a history is linearizable, and show why not."""
    import checkers
    from checkers import importers

    if model not in checkers.MODELS:
        raise BadInput(f"model {model!r}", "one of " + ", ".join(checkers.MODELS), "--model")
    state = _json(initial)
    began = time.perf_counter()
    history = importers.load(file, format=form, lenient=lenient)
    verdict = checkers.check(
        history,
        model,
        initial=state,
        failed_cas=failed_cas,
        nil_read=nil_read,
        time_limit_s=None if time_limit is None else time_limit / 1e9,
        memory_limit_bytes=memory_limit,
        cross_check=cross_check,
    )
    document = verdict_document(verdict, time.perf_counter() - began)
    if as_json:
        print_json(document)
    else:
        print_verdict(document)
        click.echo(
            f"history   {document['ops']} ops of {model}, checked by {document['engine']}, {document['seconds']} s"
        )
        for note in document["notes"]:
            click.echo(f"note      {note}")
    return EXITS[verdict.validity]


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise BadInput(repr(text), 'JSON, such as 0, null or "a"', "--initial") from None


def verdict_document(verdict: Any, seconds: float) -> dict[str, Any]:
    """Describe a verdict, as `check --json` prints it."""
    return {
        "verdict": verdict.validity,
        "model": verdict.model,
        "ops": verdict.ops,
        "engine": verdict.engine,
        "anomalies": [
            {
                "kind": anomaly.kind,
                "signature": anomaly.signature,
                "checker": anomaly.checker,
                "index": anomaly.index,
                "allowed": False,
                "message": anomaly.message,
                "evidence": anomaly.evidence,
            }
            for anomaly in verdict.anomalies
        ],
        "seconds": round(seconds, 6),
        "reason": verdict.reason,
        "steps": verdict.steps,
        "machine_dependent": verdict.machine_dependent,
        "notes": list(verdict.notes),
    }
