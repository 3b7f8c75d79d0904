"""The page of a stored run: one HTML file with its own styles, its own script and the run's data, and nothing else.

What a history holds may have been written to attack whoever looks at it; `document` says how pages withstand that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from checkers.op import Op
from checkers.trace import Row
from harness.judged import JudgedAnomaly
from harness.plans import describe
from harness.plans.plan import Plan
from harness.record import RunRecord

from . import figures, messages, selection, timeline
from .clocks import clock_tracks
from .document import Markup, as_script_data, environment, policy
from .packing import packed, packed_steps
from .texts import PageData, Texts, plain, value_text

_HERE: Final = Path(__file__).parent
_ANOMALIES_MAX: Final = 20
_MESSAGE_MAX: Final = 6_000
_STATES_MAX: Final = 12


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is made of. `rows` is None where the trace was not kept.

    `commands` are labels with command lines: how to have the run again, and what to do next.
    """

    plan: Plan
    record: RunRecord
    history: Sequence[Op]
    rows: Sequence[Row] | None
    commands: tuple[tuple[str, str], ...]
    sandbox: str = ""
    """Where a server lets a person act from a moment of this run; empty in a file, which has no server."""


def render(subject: Subject) -> str:
    """Make the page of a run."""
    script, style = (_HERE / "page.js").read_text(encoding="utf-8"), (_HERE / "page.css").read_text(encoding="utf-8")
    templates = environment(_HERE)
    templates.filters["plain"] = lambda text, length=_MESSAGE_MAX: plain(str(text), length)
    data = _data(subject)
    record = subject.record
    ordered = _ordered(record)
    page: str = templates.get_template("page.html.jinja").render(
        policy=policy(script, style),
        script=Markup(script),
        style=Markup(style),
        data=Markup(as_script_data(_packed(data))),
        record=record,
        title=plain(record.run or f"seed {record.seed}"),
        sentence=_sentence(record, ordered),
        anomalies=[_anomaly(one) for one in ordered[:_ANOMALIES_MAX]],
        more_anomalies=max(0, len(ordered) - _ANOMALIES_MAX),
        commands=subject.commands,
        sandbox=subject.sandbox,
        facts=_facts(subject),
        settings="\n".join(plain(line, _MESSAGE_MAX) for line in describe.settings(subject.plan)),
        faults=data["faults"],
        resolved=[(name, value_text(value)) for name, value in record.resolved_options.items()],
        has_trace=subject.rows is not None,
        has_replicas=bool(data["tracks"]),
        has_clocks=bool(data["clocks"]),
    )
    return page


def _ordered(record: RunRecord) -> list[JudgedAnomaly]:
    """The anomalies, the one under which the run is grouped first."""
    return sorted(record.anomalies, key=lambda one: one.signature != record.failure_signature)


def _sentence(record: RunRecord, ordered: Sequence[JudgedAnomaly]) -> str:
    """The sentence that explains the verdict."""
    if ordered:
        first = ordered[0].message.splitlines()[0] if ordered[0].message else ordered[0].signature
        return plain(first, 600)
    if record.reason:
        return plain(record.reason, 600)
    return "Every operation fits into one order, and every rule of the protocol was kept."


def _anomaly(anomaly: JudgedAnomaly) -> PageData:
    evidence = selection.evidence_of(anomaly)
    whole = anomaly.evidence if isinstance(anomaly.evidence, dict) else {}
    shown = figures.intervals(evidence) if evidence.get("completing") is not None else None
    cycle = figures.circle(evidence) if shown is None else None
    pairs = [] if shown or cycle else [(name, value_text(value, 600)) for name, value in whole.items()]
    blocked = evidence.get("blocked") or evidence.get("completing") or {}
    states = []
    for one in (evidence.get("states") or ())[:_STATES_MAX] if shown else ():
        order = ", then ".join(plain(str(text)) for text in one["order"][-_STATES_MAX:])
        states.append((plain(str(one["state"])), order or "nothing has happened"))
    return {
        "signature": plain(anomaly.signature),
        "index": anomaly.index,
        "allowed": anomaly.allowed,
        "message": plain(anomaly.message, _MESSAGE_MAX),
        "intervals": shown,
        "circle": cycle,
        "pairs": pairs,
        "states": states,
        "starts": [plain(str(one)) for one in evidence.get("starts") or ()] if shown else [],
        "since": evidence.get("since") if shown else None,
        "impossible": plain(str(blocked.get("text", ""))) if shown else "",
    }


def _facts(subject: Subject) -> list[tuple[str, str]]:
    record, plan = subject.record, subject.plan
    codes = ", ".join(code.spec for code in record.binding.codes.values()) or "raft_impl"
    return [
        ("seed", str(record.seed)),
        ("workload", f"{record.workload} ({record.variant})"),
        ("profile", f"{record.profile}, {record.plan_class} plan"),
        ("system", plain(codes)),
        ("actors", f"{len(plan.nodes)} nodes, {len(plan.clients)} clients"),
        ("operations", f"{record.ops.ok} ok, {record.ops.fail} fail, {record.ops.info} info"),
        ("faults", f"{record.faults.planned} planned, {record.faults.effective} effective"),
        ("messages", f"{record.messages:,}"),
        ("time", f"{record.simulated_seconds:.2f} s simulated"),
    ]


def _data(subject: Subject) -> PageData:
    """What the script draws: see `timeline` and `messages` for the columns."""
    plan, record, rows = subject.plan, subject.record, subject.rows
    texts = Texts()
    threads = max(1, len(plan.programs))
    end_ns = int(record.simulated_seconds * 1e9)
    end_ns = max([end_ns, *(op.time for op in subject.history[-1:]), *(row[0] for row in (rows or ())[-1:])])
    times = {op.index: op.time for op in subject.history}

    def time_of(index: int) -> int | None:
        if rows is not None and 0 <= index < len(rows):
            return int(rows[index][0])
        return times.get(index)

    failures = []
    focus: list[messages.Window] = []
    for anomaly in _ordered(record)[:_ANOMALIES_MAX]:
        failed = None if anomaly.index is None else time_of(anomaly.index)
        if failed is not None:
            failures.append([anomaly.index, timeline.micro(failed), plain(anomaly.signature)])
            focus.append((failed - messages.BEFORE_NS, failed + messages.AROUND_NS))
        for call, ret in selection.calls(selection.evidence_of(anomaly)):
            begin, end = time_of(call), time_of(ret)
            if begin is not None and end is not None:
                focus.append((begin - messages.AROUND_NS, end + messages.AROUND_NS))
    if not focus:
        focus = [(0, end_ns)]
    lanes: list[str] = [""] * threads
    for program in plan.programs:
        if 0 <= program.thread < threads:
            lanes[program.thread] = program.client
    return {
        "end": timeline.micro(end_ns),
        "phases": [timeline.micro(plan.phases.warmup_ns), timeline.micro(plan.phases.heal_ns)],
        "lanes": lanes,
        "ops": timeline.operations(subject.history, threads, end_ns, texts),
        "faults": timeline.faults(plan, record, rows, end_ns),
        "tracks": timeline.tracks(rows or ()),
        "clocks": clock_tracks(plan, rows, end_ns) if rows is not None else [],
        "failures": failures,
        "excerpt": messages.excerpt(rows, plan, focus, texts) if rows else None,
        "texts": texts.table,
    }


def _packed(data: PageData) -> PageData:
    """The same, shorter; the script undoes it."""
    excerpt = data["excerpt"]
    if excerpt is not None:
        excerpt = {**excerpt, "messages": packed(excerpt["messages"]), "steps": packed_steps(excerpt["steps"])}
    return {**data, "ops": packed(data["ops"]), "excerpt": excerpt}
