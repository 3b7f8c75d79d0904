"""Execution: the runner with its errors sorted into the caller's and ours.

A plan may come from a file that was edited by hand, and from code of another version; what the code under test does not
understand in it is bad input. What goes wrong after that is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from checkers.malformed import MalformedHistory
from harness.errors import BadInput, ForbiddenInSimulation, HarnessError, InternalError, exit_in
from harness.options import for_each as options_for_each
from harness.outcome import Outcome
from harness.plans.labels import OLDER_LABEL
from harness.plans.plan import Plan
from harness.sim.recorder import Sink
from harness.systems.binding import Binding
from harness.systems.catalog import alias_of, load_systems
from harness.systems.loader import first_line_of
from harness.systems.system import System

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
    require_labels(plan, binding, where)
    bound = load_systems(binding)
    _require_one_wire(bound, binding)
    given = options_for_each({label: system.options for label, system in bound.items()}, plan.options)
    for label, system in bound.items():
        try:
            system.resolve(given[label])
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
    except ForbiddenInSimulation as error:
        if not any(code.is_foreign for code in binding.codes.values()):
            raise
        expected = "what env gives: clock, network, disk, randomness"
        where = _place_in(binding, error) or "the code of the system"
        raise BadInput(f"{error.used}, which is not a function of the plan", expected, where) from error
    except HarnessError:
        raise
    except BaseException as error:
        ending = exit_in(error)
        if ending is None and not isinstance(error, Exception):
            raise
        place = _place_in(binding, ending or error)
        if place is None:
            raise
        found = f"sys.exit({ending.code!r})" if ending is not None else first_line_of(error)
        raise BadInput(found, "a client that answers each op with a Completion", place) from error


def require_labels(plan: Plan, binding: Binding, where: str) -> None:
    """Raise BadInput for a plan that names code which is not bound."""
    unbound = sorted(plan.codes.difference(binding.codes))
    if unbound == [OLDER_LABEL]:
        raise BadInput("a plan that upgrades nodes", "--upgrade-from REF, the version that they begin with", where)
    if unbound:
        raise BadInput(f"code label {unbound[0]!r}", f"labels that are bound: {', '.join(binding.codes)}", where)


def _require_one_wire(bound: Mapping[str, System], binding: Binding) -> None:
    """Raise BadInput for versions that cannot speak with each other: nothing would be tested but silence."""
    versions = {label: getattr(system, "format_version", None) for label, system in bound.items()}
    if len(set(versions.values())) > 1:
        said = ", ".join(f"{version} in {binding.codes[label].spec}" for label, version in versions.items())
        raise BadInput(f"versions of the wire and the log that differ ({said})", "versions that speak", "the binding")


def _place_in(binding: Binding, error: BaseException) -> str | None:
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
