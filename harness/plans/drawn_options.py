"""The options of the system: what is drawn of them, what is explicit, and what goes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.options import OptionSpec, OptionValues, find

from .draws import Draws
from .profiles import MILLISECOND
from .rng import MILLION

_ASSUMED_TIMEOUT_MS: Final = 150
"""The election timeout of a system that has no such option."""
_ASSUMED_CLIENT_TIMEOUT_MS: Final = 1_000
"""How long a client waits that has no such option."""
_ENTRY_BYTES: Final = 64
"""An append of at most this size carries one entry, whatever number of entries it may carry."""
_WINDOW: Final = 8
"""The window that replaces one of a single append where that would be too slow."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a plan, as drawn and as they are when the explicit ones have replaced their draws.

    Other draws look at `drawn` only, so that an explicit option changes no draw but its own.
    """

    drawn: OptionValues
    explicit: OptionValues
    known: tuple[str, ...]

    @property
    def effective(self) -> OptionValues:
        """What runs. A drawn heartbeat is shortened where it does not fit under an explicit election timeout."""
        values = {**self.drawn, **self.explicit}
        effective = {name: values[name] for name in self.known if name in values}
        timeout_ms = int(effective.get("election_timeout_ms", 0))
        if timeout_ms and "heartbeat_ms" in self.drawn and "heartbeat_ms" not in self.explicit:
            drawn_ms = self.drawn["heartbeat_ms"]
            effective["heartbeat_ms"] = drawn_ms if 2 * drawn_ms <= timeout_ms else max(1, timeout_ms // 3)
        return effective

    @property
    def drawn_timeout_ns(self) -> int:
        """The drawn election timeout: the scale of faults and links."""
        return int(self.drawn.get("election_timeout_ms", _ASSUMED_TIMEOUT_MS)) * MILLISECOND

    def consistent(self, *, partial_heal: bool, is_slow: bool) -> OptionValues:
        """The effective options, with draws undone that do not go with the others; explicit ones stay as they are.

        After a partial heal, a node outside that is heard but cannot hear leads without end unless there is
        check-quorum, and deposes every healed leader unless there are pre-votes. Leases rely on voters that ignore
        candidates, which check-quorum brings. One entry at a time over slow links or to slow disks (`is_slow`) carries
        less than clients send: then no bound on recovery would be fair.
        """
        mended = self.drawn | _corrections(self.drawn, partial_heal, is_slow)
        effective = msgspec.structs.replace(self, drawn=mended).effective
        corrections = _corrections(effective, partial_heal, is_slow)
        return effective | {name: value for name, value in corrections.items() if name not in self.explicit}


def draw_options(draws: Draws, specs: Sequence[OptionSpec], explicit: Mapping[str, Any]) -> Options:
    """Draw every option that both the profile and the system know. Raises BadInput for an explicit one that is
    unknown.
    """
    known = tuple(spec.name for spec in specs)
    for name, value in explicit.items():
        find(name, value, specs)
    table = draws.profile.options
    drawn: OptionValues = {}
    for spec in specs:
        if spec.name in table:
            possible = [(value, weight) for value, weight in table[spec.name].values if spec.accepts(value)]
            if possible:
                drawn[spec.name] = draws.streams(f"options/{spec.name}").weighted(possible)
        elif spec.name == "heartbeat_ms" and "election_timeout_ms" in table:
            timeout_ms = draws.choose("options/election_timeout_ms", table["election_timeout_ms"])
            drawn[spec.name] = timeout_ms // draws.choose("options/heartbeat_ms", draws.profile.heartbeats)
    return Options(drawn=drawn, explicit=dict(explicit), known=known)


def longest_election_timeout_ns(options: Mapping[str, Any]) -> int:
    """The longest election timeout that a node draws: twice the option."""
    return 2 * int(options.get("election_timeout_ms", _ASSUMED_TIMEOUT_MS)) * MILLISECOND


def client_timeout_ns(options: Mapping[str, Any]) -> int:
    """How long a client waits for an answer."""
    return int(options.get("client_timeout_ms", _ASSUMED_CLIENT_TIMEOUT_MS)) * MILLISECOND


def _corrections(options: OptionValues, partial_heal: bool, is_slow: bool) -> OptionValues:
    corrections: OptionValues = {}
    if partial_heal:
        corrections["pre_vote"] = True
    if partial_heal or options.get("reads") == "lease":
        corrections["check_quorum"] = True
    one_entry = options.get("max_entries_per_append") == 1 or options.get("max_append_bytes", MILLION) <= _ENTRY_BYTES
    if is_slow and options.get("max_inflight") == 1 and one_entry:
        corrections["max_inflight"] = _WINDOW
    return {name: value for name, value in corrections.items() if name in options}
