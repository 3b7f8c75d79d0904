"""A fault: one frozen record that stands in the plan and says all that there is to know about one kind of fault.

A record holds what breaks, from when to when, and for whom. Its class says how the fault begins and is undone, what it
waits for, what a system must offer (`capability`), which assumptions of a plan it breaks, and how it reads in a plan
that is printed. The nemesis keeps the timetable and knows no kind of fault by name; the catalog lists the kinds.

A fault has a begin **and** an end; no entry of the timetable heals another, so removing one leaves the rest
meaningful. Times are virtual nanoseconds since the start of the run. `FOREVER` as an end means that only the heal
ends it, and, where the heal is partial and the target is not healed, nothing does.

Targets are actors by name, or a role that is resolved when the fault begins: `@leader` (the newest leader known to the
observer), `@voter` (a node that granted its vote in the last election), `@follower` (any other node), `@majority` (as
many other nodes as are a majority without the leader). The nemesis waits for a role that no node holds at that moment,
until half of the fault's time is over. A pause, a slow node or another clock rate waits for a node that is down until
the heal, and keeps half of its time.

Each fault ends with one of three outcomes:

| outcome | meaning |
| --- | --- |
| `effective` | it changed something: the page says for each kind what counts |
| `no-effect` | it was in force, and nothing met it |
| `no-target` | what it was aimed at did not exist while it could have begun |

Parts are given in parts per million (`*_ppm`), so that a plan holds integers only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Final, Literal

import msgspec

from . import wording
from .world import FaultWorld

FOREVER: Final = 2**62
ROLES: Final = ("@leader", "@voter", "@follower", "@majority")

Outcome = Literal["effective", "no-target", "no-effect"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("effective", "no-target", "no-effect")

RETRY_NS: Final = 20_000_000
"""How often a fault whose target does not exist, or whose command was refused, is tried again."""

_COMMON_FIELDS: Final = ("id", "begin_ns", "end_ns")


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan's options assume of its world, for faults that may break it.

    `clock_bound` is the b of clock rates within [1/b, b] on which lease reads rest; None where reads rest on no clock.
    """

    nodes: tuple[str, ...]
    clock_bound: Fraction | None


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """What all faults have in common."""

    id: str
    begin_ns: int
    end_ns: int

    capability: ClassVar[str] = ""
    """What a system must offer so that the fault can do anything to it; empty: nothing in particular."""

    effective_when: ClassVar[str] = ""
    """What counts as a hit, as the end of a sentence that begins with "effective when"."""

    deed: ClassVar[str] = ""
    """What a hit is, where that reads otherwise than what counts as one: what the fault did, in the past."""

    allowed: ClassVar[tuple[str, ...]] = ("linearizability/", "reads/")
    """Prefixes of the signatures that an assumption broken by it explains; for most kinds what stale reads show."""

    counts_with: ClassVar[str] = ""
    """Kinds with the same word here are one when it is asked whether a run's faults had any effect: where one of them
    acted, the others often cannot. Empty: it counts alone."""

    is_instant: ClassVar[bool] = False
    """Whether it is over once it has begun: then its end is only when it is judged."""

    @property
    def kind(self) -> str:
        """The word under which this fault is drawn, counted and reported."""
        return str(self.__struct_config__.tag)

    # -- what it waits for ----------------------------------------------------------------------------------------

    @property
    def aimed_at(self) -> tuple[str, ...]:
        """The names and roles that are resolved when the fault begins."""
        return ()

    @property
    def targets_role(self) -> bool:
        """Whether a role stands among what it is aimed at."""
        return any(name in ROLES for name in self.aimed_at)

    def with_named_target(self, nodes: Sequence[str]) -> Fault:
        """The same fault, aimed by name: at the first of these nodes, with the others behind it where order counts."""
        return self

    @property
    def needs_leader_of(self) -> str | None:
        """The group without whose leader it has no target, if that is known beforehand."""
        return "g0" if self.aimed_at == ("@leader",) else None

    @property
    def waits_until_heal(self) -> bool:
        """Whether its begin may be put off until the heal, and not only until half of its time is over."""
        return False

    # -- what it does ---------------------------------------------------------------------------------------------

    def begin(self, world: FaultWorld, state: FaultState) -> bool:
        """Bring it about. False when its target does not exist; then nothing was done and it is tried again."""
        raise NotImplementedError(self.kind)

    def undo(self, world: FaultWorld, state: FaultState, within: Collection[str] | None) -> None:
        """End it for the actors in `within`, for all when that is None. What is instant has nothing to undo."""

    def is_undone(self, state: FaultState, within: Collection[str]) -> bool:
        """Whether nothing is left of it after it was undone within a part of the actors."""
        return all(target in within for target in state.targets)

    def must_go_on(self, state: FaultState) -> bool:
        """Whether its end is put off, if the heal allows it, because it has not come about yet."""
        return False

    # -- what it means for a plan ---------------------------------------------------------------------------------

    def broken_assumptions(self, assumptions: Assumptions) -> Iterable[str]:
        """Which assumptions it breaks, in words. A claim about this fault, whatever else the plan holds."""
        return ()

    def cut_off(self, actors: Sequence[str]) -> Sequence[str]:
        """Who may be out of reach as long as it lasts: its targets, or all of `actors` where that is open."""
        named = self.aimed_at
        return actors if not named or any(name in ROLES for name in named) else named

    @property
    def configurations(self) -> tuple[tuple[str, ...], ...]:
        """The sets of voters that it may bring into force."""
        return ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The code labels that it names."""
        return ()

    def lost_nodes(self, atlas: Mapping[str, Collection[str]]) -> Collection[str]:
        """Nodes that may never start again because of it; `atlas` has those that may be damaged, by region."""
        return ()

    # -- how it reads ---------------------------------------------------------------------------------------------

    def particulars(self) -> tuple[str, ...]:
        """What it says beyond id, kind and time, as `name=value`; fields at their default are left out."""
        said = (
            self.in_words(field.name, getattr(self, field.name), field.default)
            for field in msgspec.structs.fields(self)
            if field.name not in _COMMON_FIELDS
        )
        return tuple(text for text in said if text)

    def in_words(self, name: str, value: Any, default: Any) -> str:
        """One field in words, or nothing if it goes without saying."""
        return wording.field(name, value) if value != default or name == "targets" else ""


class FaultState:
    """What has become of one fault so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.until_ns = fault.end_ns
        self.targets: tuple[str, ...] = ()  # its targets by name, since it began
        self.hits = 0
        self.has_target = False  # it began
        self.ended = False
        self.permanent = False  # a partial heal left it in force
        self.undone_for: Collection[str] = ()  # actors for which a partial heal undid it
        self.crashed: list[str] = []  # whom it crashed
        self.damaged: list[str] = []  # whose disks it damaged
        self.tried_ns = 0  # when it was tried last, while it waits for a leader
        self.waits_for_idle = False  # its command waits for a node that is busy with its disk
        self.taken_late = False  # its command was taken by a node that it waited for

    @property
    def outcome(self) -> Outcome:
        """The outcome, if it were judged now."""
        if not self.has_target:
            return "no-target"
        return "effective" if self.hits else "no-effect"
