"""Why a cycle is one: data first, sentences second.

Each step of a cycle says that one transaction must come before the next. The analysis that made the edge finds its
evidence again (`Analysis.why`: the key, what was read, what was written) and puts it into words (`Analysis.say`).
Process and real-time order are explained here, from the lines of the history alone.

The graph only holds edges between neighbours in the order of versions, so a cycle may walk through dozens of writers
of one object. `shorten` replaces such walks by what they say together: "T3 read x and did not see what T9 appended
later".
"""

from __future__ import annotations

from typing import Any, Final

from checkers.values import show
from checkers.verdict import Anomaly

from .analysis import Analysis
from .graph import DEMAND, DEPENDENCIES, KINDS, PROCESS, REALTIME, RW, WR, WW, Cycle, Step, classify
from .nodes import brief, micro
from .read_atomic import Atomicity, Demand


def cycle_anomaly(checker: str, name: str, cycle: Cycle, count: int, analysis: Analysis[Any]) -> Anomaly:
    """Make the anomaly of a cycle, with its transactions and the reason of each of its steps."""
    transactions = analysis.transactions
    cycle = _turned(shorten(cycle, analysis))
    steps = [_step(kind, source, target, analysis) for source, kind, target in cycle.edges()]
    return Anomaly(
        checker=checker,
        kind=name,
        index=transactions.certain_at(cycle.transactions),
        message=_sentences(name, cycle, steps, analysis),
        evidence={
            "cycle": [transactions.name(transaction) for transaction in cycle.transactions],
            "transactions": [transactions.describe(transaction) for transaction in cycle.transactions],
            "steps": steps,
            "components": count,
        },
    )


def fractured_read(found: Atomicity, analysis: Analysis[Any]) -> Anomaly:
    """Make the anomaly of a transaction that saw a part of another, from what forbids every order (`read_atomic`)."""
    transactions = analysis.transactions
    if found.broken is not None:
        step = _demand(found.broken, analysis)
        who, steps, name = [found.broken.reader, found.broken.first], [step], "fractured-read"
        lines = [f"{name}: {step['because']}."]
    else:
        assert found.circle is not None, "there is an order, or something forbids it"
        edges = list(found.circle.edges())
        demands = [found.demands[source, target] for source, kind, target in edges if kind == DEMAND]
        if not demands:
            return cycle_anomaly(analysis.CHECKER, analysis.name(classify(found.circle)), found.circle, 1, analysis)
        who = list(dict.fromkeys([demands[0].reader, *found.circle.transactions, *(one.reader for one in demands)]))
        steps = [
            _demand(found.demands[source, target], analysis)
            if kind == DEMAND
            else _step(kind, source, target, analysis)
            for source, kind, target in edges
        ]
        name = "fractured-read"
        first = next(step for step in steps if step["type"] == KINDS[DEMAND])
        lines = [f"{name}: {first['because']}."]
        lines += _therefore(steps)
    lines[1:1] = [f"Let {transactions.name(one)} = {micro(transactions.done[one])}." for one in who]
    return Anomaly(
        checker=analysis.CHECKER,
        kind=name,
        index=transactions.certain_at(who),
        message="\n".join(lines),
        evidence={"transactions": [transactions.describe(one) for one in who], "steps": steps},
    )


def _demand(demand: Demand, analysis: Analysis[Any]) -> dict[str, Any]:
    """Say why the reader saw a part of `first`, if that did not come before `second`."""
    name = analysis.transactions.name
    key = list(analysis.keys.values())[demand.thing]
    done = analysis.transactions.done[demand.reader]
    read = next(value for f, thing, value in done if f == "r" and thing == key.name)
    seen = analysis.why(WR, demand.first, demand.reader)
    assert seen is not None, "the reader read from the one that it saw a part of"
    step = {
        "type": KINDS[DEMAND],
        "source": name(demand.first),
        "target": "the initial value" if demand.second < 0 else name(demand.second),
        "reader": name(demand.reader),
        "key": key.name,
        "read": read,
        "saw": {"key": seen["key"], "value": seen["value"]},
    }
    older = ", the initial value" if demand.second < 0 else f" of {step['target']}"
    step["because"] = (
        f"{step['reader']} saw {show(seen['key'])} {brief(seen['value'])} of {step['source']},"
        f" but {show(key.name)} = {brief(read)}{older}, though {step['source']} wrote {show(key.name)} too"
    )
    return step


def _turned(cycle: Cycle) -> Cycle:
    """Turn a cycle with one rw step so that this comes last: what was not seen is told after what was."""
    places = [place for place, step in enumerate(cycle.steps) if step.kind == RW]
    if len(places) != 1:
        return cycle
    return Cycle((*cycle.steps[places[0] + 1 :], *cycle.steps[: places[0] + 1]))


def shorten(cycle: Cycle, analysis: Analysis[Any]) -> Cycle:
    """Replace walks over neighbouring versions by single steps, as long as the cycle keeps its name."""
    steps = list(cycle.steps)
    position = 0
    while position < len(steps):
        _jump(steps, position, analysis)
        position += 1
    shorter = Cycle(tuple(steps))
    return shorter if classify(shorter) == classify(cycle) else cycle


def _jump(steps: list[Step], position: int, analysis: Analysis[Any]) -> None:
    """Join as many steps from `position` on as one dependency says together."""
    source, first = steps[position]
    end = position + 1
    while end < len(steps) and steps[end].kind & DEPENDENCIES:
        end += 1
    if not first & (DEPENDENCIES | RW):
        return
    # An rw step must not come to stand right before another one: that would be a graver class.
    if first == RW and steps[end % len(steps)].kind == RW:
        end -= 1
    for stop in range(end, position + 1, -1):
        target = steps[stop % len(steps)].source
        for kind in (RW,) if first == RW else (WR, WW):
            if target != source and analysis.why(kind, source, target) is not None:
                steps[position:stop] = [Step(source, kind)]
                return


def _step(kind: int, source: int, target: int, analysis: Analysis[Any]) -> dict[str, Any]:
    transactions = analysis.transactions
    before, after = transactions.operations[source], transactions.operations[target]
    step: dict[str, Any] = {
        "type": KINDS[kind],
        "source": transactions.name(source),
        "target": transactions.name(target),
    }
    if kind == PROCESS:
        step["process"] = before.process
        step["because"] = f"process {before.process} ran {step['source']} before {step['target']}"
    elif kind == REALTIME:
        step |= {"return": before.ret, "call": after.call}
        step["because"] = (
            f"{step['source']} completed (index {before.ret}) before {step['target']} was invoked (index {after.call})"
        )
    else:
        evidence = analysis.why(kind, source, target)
        assert evidence is not None, "an edge of the graph has evidence"
        step |= evidence
        step["because"] = analysis.say(step)
    return step


def _therefore(steps: list[dict[str, Any]]) -> list[str]:
    return [
        f"{'Then' if position < len(steps) - 1 else 'But then'} {step['source']} < {step['target']},"
        f" {'or else ' if step['type'] == KINDS[DEMAND] else 'because '}{step['because']}."
        for position, step in enumerate(steps)
    ]


def _sentences(name: str, cycle: Cycle, steps: list[dict[str, Any]], analysis: Analysis[Any]) -> str:
    transactions = analysis.transactions
    lines = [f"{name}: {_contradiction(steps, analysis)}."]
    lines += [f"Let {transactions.name(who)} = {micro(transactions.done[who])}." for who in cycle.transactions]
    return "\n".join([*lines, *_therefore(steps)])


def _contradiction(steps: list[dict[str, Any]], analysis: Analysis[Any]) -> str:
    """Say in one sentence what cannot be."""
    last = steps[-1]
    if len(steps) <= STEPS_TOLD_MAX:
        told = [_claim(step, analysis) for step in steps]
        joint = "and" if last["type"] == steps[-2]["type"] or len(steps) > 2 else "but"
        return f"{', '.join(told[:-1])}, {joint} {told[-1]}"
    if [step["type"] for step in steps].count(KINDS[RW]) == 1:
        return f"{analysis.claim(last)}, though {last['target']} came before it, by way of {_names(steps[1:-1])}"
    return f"{len(steps)} transactions each of which must come before the next, in a circle"


def _claim(step: dict[str, Any], analysis: Analysis[Any]) -> str:
    if step["type"] == KINDS[REALTIME]:
        return f"{step['source']} completed before {step['target']} was invoked"
    return str(step["because"]) if step["type"] == KINDS[PROCESS] else analysis.claim(step)


def _names(steps: list[dict[str, Any]]) -> str:
    names = [step["source"] for step in steps]
    if len(names) > STEPS_TOLD_MAX:
        return f"{len(names)} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


STEPS_TOLD_MAX: Final = 4
"""Steps of a cycle that fit into its first sentence."""
