"""What a live run means: the history under the checker of its workload, what nodes did wrong, and whether it says much.

The same function judges a run that has just ended and one that is stored (`foreshock recheck`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from checkers.history import History
from checkers.malformed import MalformedHistory
from checkers.verdict import Anomaly, Verdict
from harness.errors import BadInput
from harness.plans.plan import Plan

from .workloads import WORKLOADS, LiveWorkload


def judge(plan: Plan, history: History) -> Verdict:
    """Have the history judged by the checker of its workload. Raises BadInput for a workload of another version.

    Values that no checker can read (a read answered with a text where there are lists) are a verdict on the nodes.
    """
    name = plan.drawn.workload
    if name not in WORKLOADS:
        raise BadInput(f"workload {name!r}", f"one of {', '.join(WORKLOADS)}", "the plan of the run")
    expect = str(plan.options.get("expect", "")).split()
    try:
        return WORKLOADS[name].judge(history, expect, plan.check)
    except MalformedHistory as error:
        what = f"an answer that is none of workload {name}: found {error.found}; expected {error.expected}"
        anomaly = Anomaly(checker="node", kind="malformed-answer", message=f"{what} ({error.where})")
        return Verdict(validity="invalid", checker="node", anomalies=(anomaly,))


def answered_everything(workload: LiveWorkload, history: History, unread: Sequence[str]) -> Verdict:
    """Valid if each function that was asked for was ok at least once, and no node was left unread; unknown otherwise.

    `unread` are nodes that answered no final read: whether they have what the others have was not seen.
    """
    asked, ok = Counter[str](), Counter[str]()
    for op in history:
        asked[op.f] += op.type == "invoke"
        ok[op.f] += op.type == "ok"
    silent = [f"{asked[f]} {workload.rpcs[f].type}, none ok" for f in workload.rpcs if asked[f] and not ok[f]]
    if unread:
        silent.append(f"no final read was answered by {', '.join(sorted(unread))}")
    return Verdict(validity="unknown" if silent else "valid", checker="answers", reason="; ".join(silent))


def about_nodes(anomalies: Iterable[Anomaly]) -> Verdict:
    """What nodes did against the protocol, as a verdict."""
    found = tuple(anomalies)
    return Verdict(validity="invalid" if found else "valid", checker="node", anomalies=found)
