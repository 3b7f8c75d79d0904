"""What is wrong with a history of transactions, in the field's names, and which isolation levels it rules out.

Cycles (see `graph`; Adya, "Weak Consistency", MIT 1999, chapter 4; Adya, Liskov, O'Neil, ICDE 2000)

    G0              ww edges only: writes interleaved
    G1c             ww and wr edges: information flows in a circle
    G-single        exactly one rw edge: read skew
    G-nonadjacent   several rw edges, no two in a row: long fork
    G2-item         rw edges of which two are in a row: write skew

each also with edges of the order of processes or of real time: `G1c-process`, `G-single-realtime`. A name with a suffix
is the weaker finding: it blames the order of sessions or of time, not the data alone.

Others

    G1a                  read what an aborted transaction wrote
    G1b                  read what a transaction wrote and then wrote over
    internal             a transaction contradicts its own reads and writes
    future-read          read what the transaction itself wrote only later
    duplicate-elements   a list holds an element twice that was appended once
    incompatible-order   two reads of one list, neither a prefix of the other
    cyclic-versions      what is known of the versions of an object has no order (also -process, -realtime)
    garbage-read         read what was never written
    lost-update          two transactions read one version of an object, wrote it, and both committed
    dirty-update         a committed transaction wrote on top of an aborted one's write
    fractured-read       a transaction saw a part of what another wrote (see `read_atomic`)

Models
------
`WEAKER` and `FORBIDS` follow Adya for read uncommitted to serializable (with only item reads, PL-2.99 and PL-3 forbid
the same cycles, so repeatable read and serializable differ in what else they imply), Adya's PL-2+ for consistent view,
Cerone, Bernardi and Gotsman (CONCUR 2015) for read atomic and for snapshot isolation as "every cycle has two rw edges
in a row", and Daudjee and Salem (VLDB 2006) for the strong-session and strong forms. Strict serializability is strong
serializability. Where sources disagree the choice is stated at the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from checkers.verdict import Anomaly, Validity, Verdict

SUFFIXES: Final = ("", "-process", "-realtime")
CYCLES: Final = tuple(
    name + suffix for name in ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item") for suffix in SUFFIXES
)
OTHERS: Final = (
    "G1a",
    "G1b",
    "internal",
    "future-read",
    "duplicate-elements",
    "incompatible-order",
    "cyclic-versions",
    "cyclic-versions-process",
    "cyclic-versions-realtime",
    "garbage-read",
    "lost-update",
    "dirty-update",
    "fractured-read",
)
ANOMALIES: Final = (*CYCLES, *OTHERS)

IMPLIES: Final[Mapping[str, tuple[str, ...]]] = {
    "G0": ("G0-process", "G1c"),
    "G0-process": ("G0-realtime", "G1c-process"),
    "G0-realtime": ("G1c-realtime",),
    "G1c": ("G1c-process",),
    "G1c-process": ("G1c-realtime",),
    "G-single": ("G-single-process", "G2-item"),
    "G-single-process": ("G-single-realtime", "G2-item-process"),
    "G-single-realtime": ("G2-item-realtime",),
    "G-nonadjacent": ("G-nonadjacent-process", "G2-item"),
    "G-nonadjacent-process": ("G-nonadjacent-realtime", "G2-item-process"),
    "G-nonadjacent-realtime": ("G2-item-realtime",),
    "G2-item": ("G2-item-process",),
    "G2-item-process": ("G2-item-realtime",),
    "cyclic-versions": ("cyclic-versions-process",),
    "cyclic-versions-process": ("cyclic-versions-realtime",),
    # It depends on itself: a circle of information of one transaction.
    "future-read": ("G1c", "internal"),
    # Committed states of one list are prefixes of each other, so one of the two reads saw what did not commit.
    "incompatible-order": ("G1a",),
    # Both read version v; the one whose write came second has an rw edge to the first, and a ww edge from it.
    "lost-update": ("G-single",),
    # The reader saw W and a version before W's: an rw edge leads to W or to one between, ww edges on to W, wr back. If
    # that is not so in some order of versions, G1c is in it, and rules out more: `read_atomic`.
    "fractured-read": ("G-single",),
}
"""What each anomaly is also an instance of."""

WEAKER: Final[Mapping[str, tuple[str, ...]]] = {
    "strict-serializable": ("strong-session-serializable", "strong-snapshot-isolation"),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "serializable": ("repeatable-read", "snapshot-isolation"),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation",),
    "strong-session-snapshot-isolation": ("snapshot-isolation",),
    "snapshot-isolation": ("consistent-view",),
    "repeatable-read": ("read-atomic",),
    "consistent-view": ("read-atomic",),
    "read-atomic": ("read-committed",),
    "read-committed": ("read-uncommitted",),
    "read-uncommitted": (),
}
"""What each model guarantees with it."""

FORBIDS: Final[Mapping[str, tuple[str, ...]]] = {
    "strict-serializable": ("G2-item-realtime",),
    "strong-session-serializable": ("G2-item-process",),
    "serializable": ("G2-item",),
    "strong-snapshot-isolation": (
        "G1c-realtime",
        "G-single-realtime",
        "G-nonadjacent-realtime",
        "cyclic-versions-realtime",
    ),
    "strong-session-snapshot-isolation": (
        "G1c-process",
        "G-single-process",
        "G-nonadjacent-process",
        "cyclic-versions-process",
    ),
    "snapshot-isolation": ("G-nonadjacent",),
    # Adya's histories agree with themselves by definition; to Cerone et al. it is the axiom INT of read atomic. Below
    # that, two reads of one key may see two committed versions, and the store need not show a transaction its own.
    "repeatable-read": ("G2-item",),
    "consistent-view": ("G-single",),
    "read-atomic": ("fractured-read", "internal"),
    # An update on top of an aborted one is no read, but what it installs contains an aborted write.
    # Where versions go in a circle because transactions wrote what follows from what they read, G1c is certain.
    "read-committed": ("G1a", "G1b", "G1c", "dirty-update", "cyclic-versions"),
    "read-uncommitted": ("G0", "duplicate-elements", "garbage-read"),
}
"""What each model rules out beyond what its weaker ones do."""

MODELS: Final = tuple(WEAKER)


def require_models(names: Sequence[str]) -> None:
    """Refuse what is no list of models."""
    strangers = [repr(name) for name in names if name not in MODELS]
    if strangers or not names:
        raise ValueError(f"model {strangers[0] if strangers else 'none'}: expected one of {', '.join(MODELS)}")


def consequences(found: Iterable[str]) -> tuple[str, ...]:
    """List the anomalies found and all that they are instances of, in the order of `ANOMALIES`."""
    return _closure(found, IMPLIES, ANOMALIES)


def guarantees(model: str) -> tuple[str, ...]:
    """List a model and all weaker ones, strongest first."""
    return _closure([model], WEAKER, MODELS)


def forbidden(models: Iterable[str]) -> tuple[str, ...]:
    """List the anomalies that may not appear under all of these models."""
    names = {anomaly for model in models for weaker in guarantees(model) for anomaly in FORBIDS[weaker]}
    return tuple(anomaly for anomaly in ANOMALIES if not names.isdisjoint(consequences([anomaly])))


def ruled_out(found: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the weakest models that these anomalies rule out, and the stronger ones that fall with them."""
    names = frozenset(consequences(found))
    broken = [model for model in MODELS if any(not names.isdisjoint(FORBIDS[weaker]) for weaker in guarantees(model))]
    weakest = tuple(model for model in broken if not set(guarantees(model)[1:]) & set(broken))
    return weakest, tuple(model for model in broken if model not in weakest)


def _closure(start: Iterable[str], edges: Mapping[str, tuple[str, ...]], order: Sequence[str]) -> tuple[str, ...]:
    reached: dict[str, None] = {}
    pending = list(start)
    while pending:
        name = pending.pop()
        if name not in reached:
            reached[name] = None
            pending.extend(edges.get(name, ()))
    return tuple(name for name in order if name in reached)


def judge(
    anomalies: Sequence[Anomaly],
    expected: Sequence[str],
    *,
    checker: str,
    ops: int,
    steps: int,
    incomplete: str = "",
    notes: Sequence[str] = (),
) -> Verdict:
    """Say whether what was found contradicts the expected models.

    Anomalies that these models allow are notes, not violations. `incomplete` says why the search may have missed some:
    then the absence of a violation is `unknown`.
    """
    unwanted = frozenset(forbidden(expected))
    violations = tuple(anomaly for anomaly in anomalies if anomaly.kind in unwanted)
    allowed = [anomaly.kind for anomaly in anomalies if anomaly.kind not in unwanted]
    weakest, others = ruled_out(anomaly.kind for anomaly in anomalies)
    validity: Validity = "invalid" if violations else "unknown" if incomplete else "valid"
    details: dict[str, Any] = {"expected": list(expected), "not": list(weakest), "also-not": list(others)}
    remarks = [f"found, and allowed by {' and '.join(expected)}: {', '.join(allowed)}"] if allowed else []
    return Verdict(
        validity=validity,
        checker=checker,
        engine="dependency-graph",
        model="+".join(expected),
        ops=ops,
        anomalies=violations,
        reason=incomplete if validity == "unknown" else "",
        steps=steps,
        notes=(*remarks, *notes),
        details=details,
    )
