"""`foreshock recheck`: the history of a stored run under today's checkers."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .arguments import json_option, results_option
from .check import EXITS, malformed_is_bad_input, verdict_document
from .printing import coloured, print_json
from .run import print_verdict


@click.command("recheck")
@click.argument("run", metavar="RUN")
@results_option
@json_option
def command(run: str, results: Path, as_json: bool) -> int:
    """Check the history of a stored run again, and say whether the verdict on it has changed.

    Invariants, liveness and gates are judged while a run happens; `foreshock replay` judges them again.
    """
    import checkers
    from harness.archive.find import find, read_history
    from harness.errors import BadInput
    from harness.plans.classify import classify

    stored = find(run, results)
    if stored.folder is None or stored.document is None:
        raise BadInput("a plan file", "a stored run, which has a history", run)
    began = time.perf_counter()
    limits = stored.plan.check
    with malformed_is_bad_input():
        history = checkers.History.from_jsonl(read_history(stored.folder), source=str(stored.folder / "history.jsonl"))
        verdict = checkers.check(history, limits.model, step_limit=limits.step_limit, state_limit=limits.state_limit)
    document = verdict_document(verdict, time.perf_counter() - began)
    plan_class = classify(stored.plan)
    for anomaly in document["anomalies"]:
        anomaly["allowed"] = plan_class.allows(anomaly["signature"])
    before = sorted(a["signature"] for a in stored.document["anomalies"] if a["checker"] == verdict.checker)
    now = sorted(anomaly["signature"] for anomaly in document["anomalies"])
    document = {"run": stored.run, "before": before, "changed": before != now, **document}
    if as_json:
        print_json(document)
    else:
        print_verdict(document)
        click.echo(
            f"before    {', '.join(before) or coloured('valid')} ({'changed' if before != now else 'unchanged'})"
        )
    return EXITS[verdict.validity]
