"""A run made twice: whether a system of other people is a function of its plan.

The Raft beside us is held to that by tests, and its code by a guard. Another system may reach for the real clock, for
entropy or for a thread where no guard sees it, and then a seed means nothing. So its first run is made again, once in
this process, which shows what an earlier run left behind, and once in another (`elsewhere`), which shows what differs
between processes. The first event that differs is shown at once.
"""

from __future__ import annotations

from typing import Final

import msgspec

from harness.errors import BadInput
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.systems.binding import Binding

from .elsewhere import run_elsewhere
from .execution import execute
from .replay import KEPT, Difference, first_difference, trace_events

_TRIES: Final = 3
"""Runs that are laid beside one another to find what differs, after two were seen to."""


def require_function_of_plan(plan: Plan, binding: Binding, outcome: Outcome | None = None) -> None:
    """Run a plan again where a system of other people takes part; `outcome` is the first run, if it was made.

    Raises BadInput that names the first event in which two runs differ.
    """
    foreign = [code.spec for code in binding.codes.values() if code.is_foreign]
    if not foreign:
        return
    first = execute(plan, binding) if outcome is None else outcome
    with run_elsewhere(plan, binding) as there:
        if first.fingerprint != execute(plan, binding).fingerprint:
            difference, which = _difference(plan, binding), ""
        elif first.fingerprint != there().fingerprint:
            difference, which = _difference_elsewhere(plan, binding), " in two processes"
        else:
            return
    raise BadInput(
        f"two runs of one plan{which} that differ {_place(difference)}",
        "a system that takes time, chance, files and messages from its environment only",
        f"--system {foreign[0]}",
    )


def _difference(plan: Plan, binding: Binding) -> Difference | None:
    """The first event in which two runs differ, of some more runs that are kept whole for that."""
    first = execute(plan, binding, KEPT)
    for _ in range(_TRIES):
        again = execute(plan, binding, KEPT)
        if again.fingerprint != first.fingerprint:
            return first_difference("trace", trace_events(first.rows or ()), trace_events(again.rows or ()))
    return None


def _difference_elsewhere(plan: Plan, binding: Binding) -> Difference | None:
    with run_elsewhere(plan, binding, with_events=True) as there:
        here = execute(plan, binding, KEPT)
        return first_difference("trace", trace_events(here.rows or ()), there().events or ())


def _place(difference: Difference | None) -> str:
    if difference is None:
        return "in something that more runs did not show again"
    before, now = ("the end" if event is None else _event(event) for event in (difference.before, difference.now))
    return f"at event {difference.index} ({difference.time_ns / 1e6:.3f} ms): {before}, then {now}"


def _event(event: dict[str, object]) -> str:
    shown = {name: value for name, value in event.items() if name != "index"}
    return msgspec.json.encode(shown).decode()
