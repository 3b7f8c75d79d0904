"""Execution: the runner with its errors sorted into the caller's and ours.

A plan may come from a file that was edited by hand, and from code of another version; what the code under test does not
understand in it is bad input. What goes wrong after that is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkers.malformed import MalformedHistory
from harness.errors import BadInput, HarnessError, InternalError
from harness.outcome import Outcome
from harness.plans.plan import Plan
from harness.sim.recorder import Sink
from harness.systems.binding import Binding
from harness.systems.catalog import alias_of, load_systems
from harness.systems.loader import first_line_of

from .runner import WHOLE, RunOptions, run


def execute(
    plan: Plan, binding: Binding, options: RunOptions = WHOLE, *, where: str = "the plan", sink: Sink | None = None
) -> Outcome:
    """Run a plan. Raises BadInput for a plan that this code cannot run, InternalError for a bug of ours.

    The `sink` is given the history and the whole trace while the run goes on.
    """
    require_runnable(plan, binding, where)
    with errors_sorted(binding):
        return run(plan, binding, options, sink)


def require_runnable(plan: Plan, binding: Binding, where: str = "the plan") -> None:
    """Raise BadInput for a plan with labels or options that this code does not know."""
    bound = load_systems(binding)
    unbound = sorted({actor.code for actor in plan.actors.values()} - set(bound))
    if unbound:
        raise BadInput(f"code label {unbound[0]!r}", f"labels that are bound: {', '.join(bound)}", where)
    for label, system in bound.items():
        try:
            system.resolve(plan.options)
        except ValueError as error:
            code = binding.codes[label].spec
            raise BadInput(" ".join(str(error).split()), f"options that {code} understands", where) from error


@contextmanager
def errors_sorted(binding: Binding) -> Iterator[None]:
    """Raise what a run raises as BadInput where code under test, or what it was given, is to blame."""
    try:
        yield
    except MalformedHistory as error:
        raise InternalError(f"the recorder wrote a malformed history: {error}") from error
    except HarnessError:
        raise
    except Exception as error:
        place = _place_in(binding, error)
        if place is None:
            raise
        raise BadInput(first_line_of(error), "a client that answers each op with a Completion", place) from error


def _place_in(binding: Binding, error: Exception) -> str | None:
    """Where the code under test raised: a client's exception is its own fault, and no finding about its servers."""
    folders = [code.path for code in binding.codes.values()]
    aliases = {alias_of(code.digest) for code in binding.codes.values()}  # frames of compiled code name a copy
    place, traceback = None, error.__traceback__
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if any(file.is_relative_to(folder) for folder in folders) or aliases & set(file.parts):
            place = f"{file.name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
