"""The plan: what to run, as plain data without code or world.

A run is a pure function of (plan, binding). Everything that chance decides before the run stands here as a value; what
chance decides during the run is a keyed draw from `schedule.seed`, so that removing one element of the plan leaves the
rest of the run as it was as far as causality allows.

Programs are drawn, not generated while running: per thread a list of ops with due times. A value may be symbolic:
`{"last-read": "x"}` stands for what this thread's latest successful read of x returned (null before the first).

`FORMAT` is the version of this shape; plans of older formats are rewritten when they are read (see migrations).
`DRAW_VERSION` is the version of the way from a seed to a plan: a seed means a plan only together with its draw version,
and a test fails when drawn plans change without a new one.
Canonical JSON (sorted keys, no spaces) is what `plan_sha256` covers.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from checkers.json_lines import UNREADABLE
from harness.errors import BadInput
from harness.faults.catalog import AnyFault
from harness.options import OptionValues

from .migrations import migrate

FORMAT: Final = 2
DRAW_VERSION: Final = 5


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Drawn(_Value, frozen=True, kw_only=True):
    """Where the plan came from. `explicit` are the options that were given instead of drawn.

    `varied` has the seeds of the plans that it was made of; absent: it was drawn. `upgraded`: a rolling upgrade
    was drawn into it (`upgrades`).
    """

    seed: int
    profile: str
    workload: str
    variant: str
    draw_version: int = DRAW_VERSION
    explicit: OptionValues = {}
    varied: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    upgraded: bool | msgspec.UnsetType = msgspec.UNSET


class Group(_Value, frozen=True, kw_only=True):
    """One Raft group: its replicated machine and its initial members."""

    machine: str
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()


class Actor(_Value, frozen=True, kw_only=True):
    """A process: addressable, with its own environment and lifetime. `code` is a label that the binding resolves.

    A node is a server of the system; it holds a node of every group that it is a member of.
    A client has a home server and a routing: `leader` follows redirects, `home` sticks to its home and follows
    redirects for writes only, `any` draws a server for each op.
    """

    kind: Literal["node", "client"]
    code: str = "default"
    groups: tuple[str, ...] = ("g0",)
    home: str | None = None
    routing: Literal["leader", "home", "any"] = "leader"


class PlannedOp(_Value, frozen=True, kw_only=True, gc=False):
    """One operation of a program. `id` is unique in the plan and survives shrinking.

    An hour at 50 ops/s has 180,000 of them, so the texts of one that was read are shared with all others.
    """

    id: int
    due_ns: int
    f: str
    key: str | None = None
    value: Any = None

    def __post_init__(self) -> None:
        share = msgspec.structs.force_setattr
        share(self, "f", sys.intern(self.f))
        if self.key is not None:
            share(self, "key", sys.intern(self.key))


class Program(_Value, frozen=True, kw_only=True):
    """What one thread does, through one client actor.

    `ops` begin at max(due, end of the previous one). `recovery` is the fresh op of the recovery phase, repeated until
    one is ok; `final` are the reads of the last phase, each repeated until ok.
    """

    thread: int
    client: str
    ops: tuple[PlannedOp, ...]
    recovery: PlannedOp | None = None
    final: tuple[PlannedOp, ...] = ()


class Phases(_Value, frozen=True, kw_only=True):
    """Durations in order: warm-up, faults, recovery (after the heal), quiet, final reads.

    In the quiet time nobody asks for anything; a plan that has one also has its leadership and membership changed once
    after the heal (`harness.run.recovery`).

    The heal is total, or heals only `healed`: actors holding a majority of every configuration that may be in force,
    plus the clients that shall reach them. The faults of the others then become permanent.
    """

    warmup_ns: int
    faults_ns: int
    recovery_ns: int
    quiet_ns: int = 0
    final_ns: int
    heal: Literal["total", "partial"] = "total"
    healed: tuple[str, ...] = ()

    @property
    def heal_ns(self) -> int:
        """When the heal happens."""
        return self.warmup_ns + self.faults_ns

    @property
    def horizon_ns(self) -> int:
        """When the run ends at the latest."""
        return self.heal_ns + self.recovery_ns + self.quiet_ns + self.final_ns


class LinkSpec(_Value, frozen=True, kw_only=True):
    """How a healthy link behaves: one-way delay, loss and duplication."""

    delay_min_ns: int
    delay_max_ns: int
    shape: Literal["uniform", "exponential"] = "uniform"
    loss_ppm: int = 0
    duplicate_ppm: int = 0


class Links(_Value, frozen=True, kw_only=True):
    """Links between nodes, and between clients and nodes."""

    node: LinkSpec
    client: LinkSpec


class ClockSpec(_Value, frozen=True, kw_only=True):
    """An actor's clocks at the start: their rate, and how far the wall clock is off."""

    rate_ppm: int = 1_000_000
    wall_offset_ns: int = 0


class Clocks(_Value, frozen=True, kw_only=True):
    """The wall clock's date at virtual time 0, and each actor's deviation (absent: none)."""

    wall_start_ns: int = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
    actors: dict[str, ClockSpec] = {}


class DiskSpec(_Value, frozen=True, kw_only=True):
    """How long an fsync takes. After a power loss a torn tail keeps whole sectors of `sector_bytes` or parts of one."""

    fsync_min_ns: int
    fsync_max_ns: int
    sector_bytes: int = 512


class Disks(_Value, frozen=True, kw_only=True):
    """Each node's disk; `actors` holds those that differ from the default."""

    default: DiskSpec
    actors: dict[str, DiskSpec] = {}


class Redraw(_Value, frozen=True, kw_only=True):
    """From this instant on, everything that chance decides is drawn anew, under this salt."""

    at_ns: int
    salt: int

    @property
    def key(self) -> str:
        """What goes into every draw from then on."""
        return f"{self.at_ns}/{self.salt}"


class Schedule(_Value, frozen=True, kw_only=True):
    """Chance while running. `seed` keys every draw.

    `policy` breaks ties between events of one instant: fifo, random (keyed draws), or pct (priorities of actors with
    `depth` change points). `quantum_ns` rounds event times up so that ties happen at all (0: not). `processing_*_ns`
    bounds each node's drawn delay between arrival and processing, and between disk completion and its notice.
    """

    seed: int
    policy: Literal["fifo", "random", "pct"] = "random"
    depth: int = 3
    quantum_ns: int = 0
    processing_min_ns: int = 0
    processing_max_ns: int = 0
    redraws: tuple[Redraw, ...] | msgspec.UnsetType = msgspec.UNSET
    """No part of a drawn plan, and left out of its JSON: what `foreshock explain` adds."""


class Override(_Value, frozen=True, kw_only=True):
    """An explicit decision that beats the keyed draws: the fate of the n-th message of a kind on a link."""

    source: str
    target: str
    message: str
    ordinal: int
    fate: Literal["drop", "deliver", "duplicate"]
    delay_ns: int = 0


class Gates(_Value, frozen=True, kw_only=True):
    """What a run must have done to count: ok ops before, during (where a quorum was reachable) and after the faults."""

    ok_before: int = 0
    ok_during: int = 0
    ok_after: int = 0
    fault_kinds: bool = True


class Check(_Value, frozen=True, kw_only=True):
    """How the history is judged. Limits are in the checkers' own steps and states, equal on every machine.

    `bound_timeouts` is the liveness bound in units of the largest election timeout.
    """

    model: str
    step_limit: int = 20_000_000
    state_limit: int = 2_000_000
    invariants: bool = True
    liveness: bool = True
    bound_timeouts: int = 40


class Plan(_Value, frozen=True, kw_only=True):
    """One run, as data.

    `atlas` has the nodes whose disks may ever be damaged, for each region of a disk; where it is absent, none.
    """

    format: int = FORMAT
    drawn: Drawn
    groups: dict[str, Group]
    actors: dict[str, Actor]
    options: OptionValues
    programs: tuple[Program, ...]
    faults: tuple[AnyFault, ...] = ()
    phases: Phases
    links: Links
    clocks: Clocks
    disks: Disks
    schedule: Schedule
    overrides: tuple[Override, ...] = ()
    atlas: dict[str, tuple[str, ...]] | msgspec.UnsetType = msgspec.UNSET
    gates: Gates = Gates()
    check: Check

    def __repr__(self) -> str:
        ops = sum(len(program.ops) for program in self.programs)
        origin = f"seed {self.drawn.seed}, profile {self.drawn.profile}, workload {self.drawn.workload}"
        return f"<Plan of {origin}: {len(self.faults)} faults, {ops} ops, {self.sha256[:12]}>"

    def to_json(self) -> bytes:
        """Canonical JSON: what is stored, and what the hash covers."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON, program by program: that of an hour's operations takes 13 MB as a whole."""
        empty = b'"programs":[]'  # in a string its quotes would be escaped
        before, _, after = msgspec.structs.replace(self, programs=()).to_json().partition(empty)
        digest = hashlib.sha256(before + empty[:-1])
        for number, program in enumerate(self.programs):
            digest.update((b"," if number else b"") + msgspec.json.encode(program, order="sorted"))
        digest.update(b"]" + after)
        return digest.hexdigest()

    @property
    def damageable(self) -> dict[str, tuple[str, ...]]:
        """The atlas: which nodes may be damaged, by region of the disk."""
        return {} if self.atlas is msgspec.UNSET else self.atlas

    @property
    def codes(self) -> frozenset[str]:
        """The code labels that it names."""
        of_faults = (code for fault in self.faults for code in fault.codes)
        return frozenset((*(actor.code for actor in self.actors.values()), *of_faults))

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes, sorted: the order of an object's keys means nothing in JSON."""
        return tuple(name for name, actor in sorted(self.actors.items()) if actor.kind == "node")

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the clients, sorted."""
        return tuple(name for name, actor in sorted(self.actors.items()) if actor.kind == "client")


def with_redraw(plan: Plan, redraw: Redraw) -> Plan:
    """The same plan with everything drawn anew from a moment on; later redraws that it had are no part of it."""
    earlier = () if plan.schedule.redraws is msgspec.UNSET else plan.schedule.redraws
    redraws = (*(one for one in earlier if one.at_ns < redraw.at_ns), redraw)
    return msgspec.structs.replace(plan, schedule=msgspec.structs.replace(plan.schedule, redraws=redraws))


def decode(data: bytes, where: str) -> Plan:
    """Read a plan. Raises BadInput with one line for anything that cannot be run."""
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.ValidationError:
        raise BadInput("no integer field `format`", f"a plan of format {FORMAT}", where) from None
    except UNREADABLE as error:
        raise BadInput(f"not JSON ({error})", "a plan as `foreshock run` stores it", where) from None
    try:  # the head passed over what is read now
        if head.format != FORMAT:
            data = _migrated(data, where)
        plan = msgspec.json.decode(data, type=Plan)
    except msgspec.ValidationError as error:
        raise BadInput(str(error), f"a plan of format {FORMAT}", where) from None
    except UNREADABLE as error:
        raise BadInput(f"not JSON ({error})", "a plan as `foreshock run` stores it", where) from None
    if plan.drawn.draw_version > DRAW_VERSION:
        raise BadInput(
            f"draw_version {plan.drawn.draw_version}", f"at most {DRAW_VERSION}", f"{where}: $.drawn.draw_version"
        )
    return plan


class _Head(msgspec.Struct, frozen=True):
    format: int


def _migrated(data: bytes, where: str) -> bytes:
    """The JSON of a plan of an older format as it is in this one. Raises BadInput for a format that nobody knows."""
    document = msgspec.json.decode(data)
    migrate(document, FORMAT)
    if document["format"] != FORMAT:
        raise BadInput(f"format {document['format']}", f"a format from 1 to {FORMAT}", f"{where}: $.format")
    return msgspec.json.encode(document)


def load(path: Path) -> Plan:
    """Read a plan file. Raises BadInput; OSError when the file cannot be read."""
    return decode(path.read_bytes(), str(path))
