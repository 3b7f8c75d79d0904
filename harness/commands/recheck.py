"""`foreshock recheck`: the history of a stored run under today's checkers."""

from __future__ import annotations

import time
from pathlib import Path

import click

from harness.errors import BadInput, Exit

from .arguments import json_option, results_option
from .check import Report, malformed_is_bad_input, report
from .printing import coloured, print_json, say
from .verdicts import print_verdict


class Recheck(Report, frozen=True, kw_only=True):
    """A verdict on the history of a stored run, beside the signatures that were found when it ran."""

    run: str | None
    before: tuple[str, ...]
    changed: bool


@click.command("recheck")
@click.argument("run", metavar="RUN")
@results_option
@json_option
def command(run: str, results: Path, as_json: bool) -> int:
    """Check the history of a stored run again, and say whether the verdict on it has changed.

    Invariants, liveness and gates are judged while a run happens; `foreshock replay` judges them again.

    Example: foreshock recheck latest. Exit 0 valid, 1 invalid, 2 unknown.
    """
    import checkers
    from harness.archive.find import find, read_history
    from harness.maelstrom.drawing import PROFILE as LIVE
    from harness.maelstrom.judging import judge as judge_live
    from harness.plans.classify import classify

    stored = find(run, results)
    if stored.folder is None or stored.record is None:
        raise BadInput("a plan file", "a stored run, which has a history", run)
    began = time.perf_counter()
    limits = stored.plan.check
    with malformed_is_bad_input():
        history = checkers.History.from_jsonl(read_history(stored.folder), source=str(stored.folder / "history.jsonl"))
        if stored.plan.drawn.profile == LIVE:
            verdict = judge_live(stored.plan, history)
        else:
            verdict = checkers.check(
                history, limits.model, step_limit=limits.step_limit, state_limit=limits.state_limit
            )
    plan_class = classify(stored.plan)
    found = report(verdict, time.perf_counter() - began, plan_class.allows)
    before = sorted(anomaly.signature for anomaly in stored.record.anomalies if anomaly.checker == verdict.checker)
    changed = before != sorted(anomaly.signature for anomaly in found.anomalies)
    if as_json:
        values = {name: getattr(found, name) for name in Report.__struct_fields__}
        print_json(Recheck(run=stored.run, before=tuple(before), changed=changed, **values))
    else:
        print_verdict(found)
        say("before", f"{', '.join(before) or coloured('valid')} ({'changed' if changed else 'unchanged'})")
    return Exit.of(verdict.validity)
