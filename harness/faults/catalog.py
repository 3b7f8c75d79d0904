"""The catalog: every kind of fault, by its word.

The kinds of this package stand in `BUILT_IN`. A package beside Foreshock adds its own by an entry point of the group
`foreshock.faults`, one for each class; a plan in which such a fault stands can be read where that package is installed.
No profile draws a kind because it is installed: what a seed means does not depend on what is installed.

The module of such a class imports what it builds on (`fault`, `nodes`, `links`, `commands`, `world`), never this one,
which imports it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, Union

from .clocks import ClockRate, ClockStep, ClockStrobe
from .crashes import Crash
from .disk_damage import BitRot, LostWrite, MisdirectedWrite
from .disk_errors import DiskFull, FsyncError, LyingFsync, ReadError, SlowDisk, WriteError
from .fault import Fault
from .leadership import ForcedElection, Transfer
from .lies import LyingNode
from .membership import Membership
from .packets import Bandwidth, Clog, Corrupt, Delay, Duplicate, Loss, Reorder
from .partitions import Partition
from .pauses import Pause, SlowBackground, SlowNode
from .power import PowerCut
from .snapshots import Compact
from .upgrades import RollBack, Upgrade
from .wipes import WipedDisk

BUILT_IN: Final[tuple[type[Fault], ...]] = (
    Partition,
    Loss,
    Duplicate,
    Delay,
    Reorder,
    Corrupt,
    Clog,
    SlowNode,
    SlowBackground,
    Bandwidth,
    Crash,
    PowerCut,
    Pause,
    WriteError,
    ReadError,
    FsyncError,
    DiskFull,
    SlowDisk,
    LyingFsync,
    BitRot,
    MisdirectedWrite,
    LostWrite,
    WipedDisk,
    ClockRate,
    ClockStep,
    ClockStrobe,
    Transfer,
    ForcedElection,
    Compact,
    Membership,
    LyingNode,
    Upgrade,
    RollBack,
)
"""The kinds of this package, in the order in which the reference lists them."""

ENTRY_POINTS: Final = "foreshock.faults"


def _plugged_in() -> Iterable[type[Fault]]:
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        kind = entry.load()
        if not (isinstance(kind, type) and issubclass(kind, Fault)):
            raise TypeError(f"entry point {entry.name!r} of {ENTRY_POINTS} is {entry.value}, which is no Fault")
        yield kind


def _by_word(kinds: Iterable[type[Fault]]) -> dict[str, type[Fault]]:
    found: dict[str, type[Fault]] = {}
    for kind in kinds:
        word = str(kind.__struct_config__.tag)
        if word in found:
            raise TypeError(f"two kinds of fault are called {word!r}: {found[word].__module__} and {kind.__module__}")
        found[word] = kind
    return found


KINDS: Final[dict[str, type[Fault]]] = _by_word((*BUILT_IN, *_plugged_in()))
"""Every kind of fault by its word."""

if TYPE_CHECKING:
    AnyFault = Fault
else:
    AnyFault = Union[tuple(KINDS.values())]  # noqa: UP007  # the decoder needs the closed set, known only now
"""Any kind of fault: what stands in a plan."""


def kinds_for(capabilities: Collection[str]) -> tuple[str, ...]:
    """The kinds that can do something to a system with these capabilities."""
    return tuple(word for word, kind in KINDS.items() if not kind.capability or kind.capability in capabilities)
