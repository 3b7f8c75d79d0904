"""The options of a cluster, by name: what may be set, to what, and which value means "as before this option existed".

Values are what JSON holds: whole numbers, words, truth values, and decimals of at most six places. Text is taken for
any of them, as a command line gives it. The same options go to every server and every client of a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from ..machines.features import FIRST_LEVEL, LEVEL
from ..protocol.config import PPM, Config

MILLISECOND_NS: Final = 1_000_000


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option. `neutral` is the value under which code that lacks the option behaves."""

    name: str
    type: Literal["int", "word", "bool", "decimal"]
    default: Any
    neutral: Any
    words: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    help: str = ""


def _number(name: str, default: int, minimum: int, maximum: int, unit: str, help: str) -> Option:
    return Option(
        name=name,
        type="int",
        default=default,
        neutral=default,
        minimum=minimum,
        maximum=maximum,
        unit=unit,
        help=help,
    )


def _flag(name: str, help: str) -> Option:
    return Option(name=name, type="bool", default=True, neutral=True, help=help)


def _choice(name: str, words: tuple[str, ...], help: str) -> Option:
    return Option(name=name, type="word", default=words[0], neutral=words[0], words=words, help=help)


_HOUR_MS: Final = 3_600_000
_GIBIBYTE: Final = 1 << 30

OPTIONS: Final[tuple[Option, ...]] = (
    _number(
        "election_timeout_ms", 150, 2, _HOUR_MS, "ms", "T: election timeouts are drawn from [T, 2T); the lease's length"
    ),
    _number("heartbeat_ms", 50, 1, _HOUR_MS, "ms", "how often a leader sends heartbeats; less than T"),
    _flag("pre_vote", "ask whether an election could be won before raising the term"),
    _flag("check_quorum", "a leader that hears from no quorum for T steps down; voters in contact ignore candidates"),
    _choice(
        "reads", ("quorum", "lease", "local"), "confirm by a heartbeat round, by clocks, or not at all (dirty reads)"
    ),
    Option(
        name="lease_drift_bound",
        type="decimal",
        default=1.05,
        neutral=1.05,
        minimum=1.0,
        maximum=10.0,
        help="b: leases assume that each clock's rate lies in [1/b, b] of true time",
    ),
    _choice("sessions", ("on", "off"), "off: no command is protected from taking effect twice, none is repeated"),
    _number("max_entries_per_append", 64, 1, 100_000, "entries", "most entries in one append"),
    _number("max_inflight", 64, 1, 100_000, "messages", "appends under way to one follower"),
    _number("max_append_bytes", 256 * 1024, 1, _GIBIBYTE, "bytes", "payload of one append; one entry always goes"),
    _number(
        "max_uncommitted_bytes", 4 * 1024 * 1024, 1, _GIBIBYTE, "bytes", "payload that may wait for commit; then: busy"
    ),
    _number("snapshot_threshold", 0, 0, 1 << 40, "entries", "applied since the last snapshot until the next; 0: never"),
    _number("trailing_entries", 64, 0, 1 << 40, "entries", "kept behind a snapshot for slow followers"),
    _number("snapshot_chunk_bytes", 64 * 1024, 1, _GIBIBYTE, "bytes", "payload of one chunk of a snapshot"),
    _number("client_timeout_ms", 2000, 1, _HOUR_MS, "ms", "how long a client works on one operation"),
    _number("client_attempt_timeout_ms", 400, 1, _HOUR_MS, "ms", "how long it waits for one server"),
    Option(
        name="session_ttl_ms",
        type="int",
        default=600_000,
        neutral=0,
        minimum=0,
        maximum=1 << 40,
        unit="ms",
        help="log time after which an idle session expires; 0: never",
    ),
    _choice("storage", ("sync", "async"), "whether messages wait for an fsync under way, or are handled during it"),
    _number("segment_bytes", 1 << 20, 256, _GIBIBYTE, "bytes", "size at which a new segment of the log begins"),
    _number(
        "feature_level",
        FIRST_LEVEL,
        FIRST_LEVEL,
        LEVEL,
        "",
        "to which a leader raises the group once all members know it; then nobody can go back to older code",
    ),
)

REAL_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        # A real network and a real scheduler are late by tens of milliseconds every day, and by hundreds now and then.
        "election_timeout_ms": 1_000,
        "heartbeat_ms": 100,
        "client_timeout_ms": 10_000,
        "client_attempt_timeout_ms": 2_000,
        # A disk that is slow for a moment must not keep a node from being heard; other disks may be faster.
        "storage": "async",
        # A log that nothing ever shortens fills the disk, and is read from its beginning at each start.
        "snapshot_threshold": 10_000,
        "trailing_entries": 1_000,
        "segment_bytes": 16 << 20,
        "max_uncommitted_bytes": 64 << 20,
        "snapshot_chunk_bytes": 1 << 20,
        # What nobody switches on is never used; who wants to be able to go back sets the level of before.
        "feature_level": LEVEL,
    }
)
"""Defaults outside simulation, where they differ."""

_TRUTH: Final[Mapping[str, bool]] = MappingProxyType({"true": True, "on": True, "false": False, "off": False})


class Resolved(dict[str, Any]):
    """Options that were checked, with the defaults of those that were not given."""


def resolve(options: Mapping[str, Any]) -> Resolved:
    """Check the given options and add the defaults of the others. Raises ValueError with one line for people."""
    if isinstance(options, Resolved):
        return options
    known = {option.name: option for option in OPTIONS}
    for name in options:
        if name not in known:
            raise ValueError(f"option {name!r} is unknown; expected one of {', '.join(sorted(known))}")
    resolved = Resolved(
        (option.name, _checked(option, options[option.name]) if option.name in options else option.default)
        for option in OPTIONS
    )
    try:
        core_config(resolved)
    except ValueError as error:
        raise ValueError(f"options do not fit together: {error}") from None
    return resolved


def resolve_real(options: Mapping[str, Any]) -> Resolved:
    """The same with the defaults of real nodes and their clients. Heartbeats follow a short election timeout."""
    if isinstance(options, Resolved):
        return options
    given = dict(options)
    timeout_ms = _as_int(given.get("election_timeout_ms"))
    if timeout_ms is not None and timeout_ms > 1 and "heartbeat_ms" not in given:
        given["heartbeat_ms"] = max(1, min(REAL_DEFAULTS["heartbeat_ms"], timeout_ms // 3))
    return resolve({**REAL_DEFAULTS, **given})


def core_config(options: Mapping[str, Any]) -> Config:
    """The options of the protocol."""
    return Config(
        election_timeout_min_ns=options["election_timeout_ms"] * MILLISECOND_NS,
        heartbeat_ns=options["heartbeat_ms"] * MILLISECOND_NS,
        pre_vote=options["pre_vote"],
        check_quorum=options["check_quorum"],
        reads=options["reads"],
        lease_drift_bound_ppm=round(options["lease_drift_bound"] * PPM),
        max_entries_per_append=options["max_entries_per_append"],
        max_bytes_per_append=options["max_append_bytes"],
        max_inflight=options["max_inflight"],
        max_uncommitted_bytes=options["max_uncommitted_bytes"],
        snapshot_chunk_bytes=options["snapshot_chunk_bytes"],
    )


def _checked(option: Option, value: Any) -> Any:
    found = _parsed(option, value)
    if found is None:
        raise ValueError(f"option {option.name} is {value!r}; expected {_expected(option)}")
    return found


def _parsed(option: Option, value: Any) -> Any:
    """The value in the option's type and range, or None."""
    match option.type:
        case "word":
            return value if value in option.words else None
        case "bool":
            return value if isinstance(value, bool) else _TRUTH.get(str(value).lower())
        case "int":
            number: Any = _as_int(value)
        case "decimal":
            number = _as_decimal(value)
    in_range = number is not None and (
        (option.minimum is None or number >= option.minimum) and (option.maximum is None or number <= option.maximum)
    )
    return number if in_range else None


def _as_int(value: Any) -> int | None:
    if isinstance(value, str):
        text = value.removeprefix("-")
        return int(value) if text.isascii() and text.isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_decimal(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if not isinstance(value, bool) and number == round(number, 6) else None


def _expected(option: Option) -> str:
    if option.type == "word":
        return " or ".join(option.words)
    if option.type == "bool":
        return "true or false"
    kind = "a whole number" if option.type == "int" else "a number of at most six decimal places"
    unit = f" {option.unit}" if option.unit else ""
    return f"{kind} from {option.minimum:g} to {option.maximum:g}{unit}"
