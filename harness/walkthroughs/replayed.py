"""A script that goes on from a run: the plan is replayed up to a moment, and from there a person acts.

    > replay until 3250ms
    > timer n2
    ...
    #plan eJztXQtz2zYS/iscTWcu...

The plan stands at the end of the file, so that the file alone is enough. Up to the moment everything happens as in the
run: the same plan, world and code, the same draws. Then it is handed over (`harness.sim.takeover`): clocks stand still,
messages between nodes wait, and what is cut or down stays so until a command changes it.

Nobody is a client of the run any more. `c1 write x 5` is a new process of the client that the plan calls c1, and the
whole history, before the moment and after it, is judged by the plan's model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from checkers.trace import Row
from harness.errors import BadInput
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import Plan, decode
from harness.run.runner import RunOptions, Simulation
from harness.scenarios.language import REPLAY, Script, Step, duration_ns
from harness.scenarios.plan import GROUP
from harness.scenarios.runner import FreshWorld, Result, ScriptedWorld, perform
from harness.sim.drivers import Entrypoint
from harness.sim.takeover import hand_over
from harness.systems.system import System

NS_A_MS: Final = 1_000_000


class ReplayedWorld:
    """The world of a run that was replayed up to a moment."""

    def __init__(self, script: Script, system: System) -> None:
        """Raises BadInput for a script without a plan, and for a plan that one script cannot go on from."""
        self._at_ns = moment_of(script)
        self.plan = plan_in(script)
        options = RunOptions(keep_rows=True, until_ns=self._at_ns)
        self._simulation = Simulation(self.plan, {DEFAULT_LABEL: system}, options)
        self.world, self.replies = self._simulation.world, self._simulation.replies
        self._count = 0  # events before the moment

    def run(self, begin: Callable[[Sequence[str]], None], entrypoints: dict[str, Entrypoint]) -> None:
        """Run it to its end. Raises BadInput when the run is over before the moment."""

        def take_over() -> None:
            self._count = self.world.log.index
            begin(self._said(hand_over(self.world, entrypoints)))

        self._simulation.run(take_over)
        if not self._count:
            end = f"{self.world.kernel.now / NS_A_MS:.0f} ms"
            raise BadInput(f"a run that is over at {end}", "a moment before its end", f"{REPLAY} until {self._at_ns}ns")

    def before(self) -> list[Row]:
        """What happened before the moment."""
        return self.world.log.since(0)[: self._count]

    def _said(self, faults: Sequence[str]) -> list[str]:
        """What is to be said of the moment."""
        world = self.world
        lines = [f"{self._at_ns / NS_A_MS:g} ms, {world.log.index} events: time stands still"]
        leader = world.observer.leader(GROUP)
        lines.append(f"{leader} leads" if leader is not None else "nobody leads")
        down = [name for name in self.plan.nodes if not world.hosts[name].is_up]
        return [*lines, *([f"down: {' '.join(down)}"] if down else []), *faults]


def moment_of(script: Script) -> int:
    """The moment at which a script goes on, in ns of the run. Raises BadInput."""
    words, where = script.steps[0].words, f"{script.name}:{script.steps[0].line}"
    if len(words) != 3 or words[1] != "until":
        raise BadInput(f"`{script.steps[0].text}`", f"`{REPLAY} until 3250ms`", where)
    return duration_ns(words[2], where)


def plan_in(script: Script) -> Plan:
    """The plan that a script goes on from. Raises BadInput."""
    if not script.plan:
        raise BadInput("no plan", "the lines `#plan ...` at the end of the file, as they were saved", script.name)
    plan = decode(script.plan, script.name)
    if tuple(plan.groups) != (GROUP,):
        raise BadInput(f"a plan of {len(plan.groups)} groups", f"one group, {GROUP}", script.name)
    if plan.codes != {DEFAULT_LABEL}:
        raise BadInput(f"a plan of the versions {', '.join(sorted(plan.codes))}", "one version for all", script.name)
    return plan


def script_from(plan: Plan, at_ns: int, *, name: str, title: str) -> Script:
    """The script that goes on from a moment of a plan, and does nothing yet."""
    unit = f"{at_ns // NS_A_MS}ms" if at_ns % NS_A_MS == 0 else f"{at_ns}ns"
    step = Step(line=1, words=(REPLAY, "until", unit), before=(f"# {title}",))
    return Script(name=name, steps=(step,), plan=plan.to_json())


def perform_any(script: Script, system: System, *, is_filmed: bool = False) -> Result:
    """Perform a script, whether it begins with nothing or goes on from a run. Raises BadInput."""
    scripted: ScriptedWorld = ReplayedWorld(script, system) if script.is_of_a_run else FreshWorld(script, system)
    return perform(script, system, is_filmed=is_filmed, within=scripted)
