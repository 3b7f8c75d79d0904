"""Which code each actor of a simulated world runs, and whether one that refuses to run is right to do so.

A plan with one code label has one version. With several, one is the newest: that of the label "default" where there is
one. What the network, the disks and the invariants must read is read with the newest code.

**Refusals.** A node whose code is too old for what its group has agreed on must refuse to run. That it says so is not
believed: older code is right only once a leader has proposed to raise the feature level (which is seen in the trace),
and the newest never is, for it must read whatever the older has written. Nodes whose disks a fault may have damaged are
left out. Everything else is the anomaly `upgrade/refused`; in a plan with one version it is `node/refused`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from checkers.verdict import Anomaly
from harness import options
from harness.options import OptionValues
from harness.plans.classify import classify, lost_nodes
from harness.plans.labels import DEFAULT_LABEL
from harness.plans.plan import Plan
from harness.systems.system import System

from .host import SimHost

PROPOSED: Final = "membership: feature level proposed"
"""The mark of a leader that proposes to raise the level."""


class Versions:
    """The code of every actor of one run."""

    def __init__(
        self, plan: Plan, systems: Mapping[str, System], marks: Mapping[str, int], hosts: Mapping[str, SimHost]
    ) -> None:
        """`marks` counts those that were hit so far in this run; `hosts` are the actors' machines."""
        self.systems = systems
        self.is_mixed = len(systems) > 1
        self.newest = DEFAULT_LABEL if DEFAULT_LABEL in systems else plan.actors[min(plan.actors)].code
        self.outdated: set[str] = set()
        """Nodes that are down because they rightly refused to run with older code."""
        self.wrong: list[Anomaly] = []
        """Where a version refused to run and should not have."""
        self._codes = {name: actor.code for name, actor in plan.actors.items()}
        self._options = options.for_each({label: system.options for label, system in systems.items()}, plan.options)
        self._marks, self._hosts = marks, hosts
        self._excused: Collection[str] = plan.nodes
        if classify(plan).plan_class != "breaking":
            self._excused = lost_nodes(plan)

    @property
    def reference(self) -> System:
        """The system whose code reads what all versions write and send."""
        return self.systems[self.newest]

    def code(self, name: str) -> str:
        """The label of the code that an actor runs, or would run."""
        return self._codes[name]

    def system(self, name: str) -> System:
        """The system of which an actor is."""
        return self.systems[self._codes[name]]

    def options(self, name: str) -> OptionValues:
        """The options that an actor is started with: those of the plan that its code knows."""
        return self._options[self._codes[name]]

    def resolved(self) -> OptionValues:
        """All options of the newest code, with their defaults. Raises ValueError for one that it does not know."""
        return self.reference.resolve(self._options[self.newest])

    def install(self, name: str, code: str) -> None:
        """Let an actor that is down run other code from its next start on; one that was outdated may start again."""
        if name in self.outdated and code != self._codes[name]:
            self.outdated.discard(name)
            self._hosts[name].refused = ""
        self._codes[name] = code

    def renew(self, name: str) -> None:
        """Install the newest code where older code refused to run."""
        if name in self.outdated:
            self.install(name, self.newest)

    def stops_rightly(self, name: str, error: Exception) -> bool:
        """Whether a server that runs stops with an error that says that its code is too old."""
        is_outdated = getattr(self.system(name), "is_outdated", None)  # systems of other people need not know
        return is_outdated is not None and self._codes[name] != self.newest and is_outdated(error)

    def note_refusal(self, name: str, reason: str, index: int) -> None:
        """A node refuses to run, at this index of the trace."""
        code = self._codes[name]
        is_older = code != self.newest
        if is_older and self._marks.get(PROPOSED):
            self.outdated.add(name)
            return
        if name in self._excused:
            return
        if not self.is_mixed:
            message = f"{name}: refused the data of its node ({reason}), which no fault has damaged"
            self.wrong.append(Anomaly(checker="node", kind="refused", detail=reason, index=index, message=message))
            return
        why = "before any leader had proposed a higher feature level" if is_older else "though it is the newest"
        message = f"{name}: code {code!r} refused the data of its node ({reason}), {why}"
        self.wrong.append(Anomaly(checker="upgrade", kind="refused", detail=reason, index=index, message=message))
