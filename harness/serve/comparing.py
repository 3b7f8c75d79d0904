"""Compare pages: what `foreshock compare` kept, and campaigns of the index that ran the same plans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from harness.archive.documents import read_record
from harness.archive.index import FILE
from harness.errors import BadInput, Exit
from harness.search import comparisons
from harness.search.campaign_pairs import ComparedCampaigns, RecordedCampaign, compare_campaigns
from harness.search.compare import COMPARABLE_MIN, ComparedPair, Side, Summary
from harness.search.compare_page import WORDS, share_text
from harness.search.measures import SIGNIFICANT, Change
from harness.search.sequential import VERDICTS

from .addresses import BadAddress
from .folders import folder_of
from .questions import COMPARED_MAX, PAGE_ROWS, Questions, Row, part_of, system_of
from .rendering import Rendering, address

_COLOURS: Final = {Exit.VALID: "valid", Exit.INVALID: "invalid", Exit.UNKNOWN: "unknown"}
STATES: Final = {code: (colour, WORDS[code]) for code, colour in _COLOURS.items()}
"""Of each exit code the class in the style sheet, and what is said."""
_VERSIONS_MAX: Final = 8
_LISTED_MAX: Final = 50
_SCALE_MIN: Final = 0.1
_SCALE_MAX: Final = 2.0
"""Shares to which the axis of effects reaches, at least and at most; what is beyond is drawn at its end."""
_NAMES: Final = {
    "availability": "availability",
    "latency_p50_ms": "latency p50, ms",
    "latency_p99_ms": "latency p99, ms",
    "recovery_ms": "recovery, ms",
    "throughput": "throughput, ops a second",
    "elections": "elections",
    "messages_per_op": "messages an op",
    "fsyncs_per_op": "fsyncs an op",
}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One version beside A, as the page shows it. `here` is its address, without which part of the pairs is shown."""

    summary: Summary
    here: str
    words: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()


class Comparing:
    """Answers what is asked of comparisons."""

    def __init__(self, results: Path, questions: Questions, rendering: Rendering) -> None:
        self._results, self._questions, self._rendering = results, questions, rendering
        self._compared = lru_cache(maxsize=8)(self._compare)

    def campaigns(self, request: Request) -> Response:
        """Campaigns compared with the first; or, when fewer than two are named, what can be compared."""
        first = request.query_params.get("a", "")
        others = [id for id in dict.fromkeys(request.query_params.getlist("b")) if id and id != first][:_VERSIONS_MAX]
        if not first or not others:
            return self._choice(first, others)
        known = {id: self._known(id) for id in (first, *others)}
        for id, row in known.items():
            if row is None:
                return self._rendering.missing("campaign", id)
        shown = []
        words = {"a": first, "b": others}
        for place, id in enumerate(others):
            a, b = known[first], known[id]
            assert a is not None
            assert b is not None
            found = self._compared((first, a["runs"], a["latest"]), (id, b["runs"], b["latest"]), len(others))
            shown.append(
                Shown(
                    summary=found.summary,
                    here="/compare",
                    words={**words, "version": place or None},
                    notes=_notes(found),
                    campaigns=(first, id),
                )
            )
        about = "Runs of campaigns, as they were recorded; latency counts from the invoke."
        return self._page(request, shown, about=about)

    def stored(self, request: Request) -> Response:
        """A comparison that `foreshock compare` kept."""
        id = request.path_params["id"]
        found = comparisons.read(self._results, id)
        if found is None:
            return self._rendering.missing("comparison", id)
        shown = [
            Shown(summary=summary, here=f"/compare/{id}", words={"version": place or None})
            for place, summary in enumerate(found.comparisons)
        ]
        about = (
            f"foreshock compare, {found.finished[:16].replace('T', ' ')}: seeds {found.seeds}, "
            f"{', '.join(found.workloads)}, profile {found.profile}. Latency counts from when an op was due."
        )
        return self._page(request, shown, about=about)

    def api(self, request: Request) -> Response:
        """The same as JSON."""
        found = comparisons.read(self._results, request.path_params["id"])
        if found is None:
            return JSONResponse({"error": "no such comparison"}, 404)
        return Response(msgspec.json.encode(found), media_type="application/json")

    # What can be compared.

    def _choice(self, first: str, others: Sequence[str]) -> Response:
        rows = self._questions.campaigns() if self._questions.is_there else []
        campaigns = [{**row, "system": system_of(row["settings"])} for row in rows if row["runs"]]
        ids = comparisons.ids(self._results)
        stored = []
        for id in ids[:_LISTED_MAX]:
            try:
                found = comparisons.read_listed(self._results, id)
            except BadInput as error:
                stored.append({"id": id, "error": error})
            else:
                stored.append({"id": id, "found": found})
        return self._rendering.page(
            "comparisons",
            campaigns=campaigns,
            first=first,
            others=others,
            stored=stored,
            more=max(0, len(ids) - _LISTED_MAX),
            verdicts=STATES,
        )

    def _known(self, id: str) -> Row | None:
        found = self._questions.campaigns(id)
        return found[0] if found else None

    def _compare(self, a: tuple[str, int, str], b: tuple[str, int, str], versions: int) -> ComparedCampaigns:
        """Compare two campaigns as they stand: each is its id, how many runs it has, and when the last was."""
        first, other = self._campaign(a[0]), self._campaign(b[0])
        try:
            return compare_campaigns(first, other, versions=versions)
        except BadInput as error:  # no plan that both ran: two others have to be named
            raise BadAddress(error.found, error.expected, error.where) from None

    def _campaign(self, id: str) -> RecordedCampaign:
        row = self._known(id)
        documents = self._questions.records(id)
        if row is None or len(documents) > COMPARED_MAX:
            raise BadAddress(f"campaign {id} of more than {COMPARED_MAX:,} runs", "a smaller one", "compare")
        records = [read_record(document, f"a row of {FILE}") for document in documents]
        return RecordedCampaign.of(id, row["settings"], records)

    # One page.

    def _page(self, request: Request, shown: Sequence[Shown], *, about: str) -> Response:
        query = request.query_params
        place = int(query["version"]) if query.get("version", "") in map(str, range(len(shown))) else 0
        one = shown[place]
        chosen = {name: query.get(name, "")[:200] for name in ("show", "signature", "verdicts")}
        pairs = _chosen(one.summary.pairs, chosen)
        part = part_of(query, len(pairs))
        rows = pairs[part.begin : part.begin + PAGE_ROWS]
        significant = SIGNIFICANT / len(shown)
        here = lambda **words: address(one.here, **{**one.words, **words})  # noqa: E731
        return self._rendering.page(
            "compare",
            about=about,
            shown=shown,
            one=one,
            summary=one.summary,
            place=place,
            verdicts=STATES,
            here=here,
            chosen=chosen,
            reasons=_reasons(one.summary),
            matrix=_matrix(one.summary),
            counts=_counts(one.summary.pairs),
            metrics=[_metric(name, one.summary, significant) for name in one.summary.metrics],
            significant=significant,
            accuses=", ".join(_NAMES.get(name, name) for name in one.summary.accused),
            is_sequential=one.summary.sequential is not msgspec.UNSET,
            scale=_scale(one.summary.metrics.values()),
            signatures=_signatures(one.summary),
            rows=[(pair, self._link(one, pair, "a"), self._link(one, pair, "b")) for pair in rows],
            total=len(pairs),
            part=part,
        )

    def _link(self, one: Shown, pair: ComparedPair, side: Side) -> str | None:
        """Where the run of a side is shown; None where nothing was kept of it."""
        run = pair.runs.get(side)
        if run is not None and folder_of(self._results, run) is not None:
            return f"/report/{run}"
        if one.campaigns:
            return f"/runs?{urlencode({'campaign': one.campaigns[side == 'b'], 'seed': pair.seed})}"
        return None


def _notes(found: ComparedCampaigns) -> tuple[str, ...]:
    """Which seeds made no pair."""
    left = (
        (found.only_a, "only A ran"),
        (found.only_b, "only B ran"),
        (found.other_plans, "both ran, with plans that differ"),
    )
    return tuple(f"{len(seeds):,} seed{'s'[: len(seeds) != 1]} {why}" for seeds, why in left if seeds)


def _reasons(summary: Summary) -> list[str]:
    """Why the verdict is what it is, a sentence each."""
    tests = summary.sequential
    reasons = [f"{one.signature} is seen in B alone, first at seed {one.seed}." for one in summary.new_signatures]
    for name, change in ((name, summary.metrics.get(name)) for name in summary.accused):
        if change is None:  # an accusation of the failures, which are counted below
            continue
        how = f"p = {change.p_corrected:.2g}, corrected" if tests is msgspec.UNSET else tests.test
        reasons.append(
            f"{_NAMES.get(name, name)} is worse by {_share(change.worse_by)}, where {_share(change.max_regression)} "
            f"is allowed, in {change.worse} of {change.pairs} pairs ({how})."
        )
    if summary.worse or summary.better:
        how = f"p = {summary.p_value:.3g}, exact McNemar"
        if tests is not msgspec.UNSET:
            how = f"{tests.test}: {'worse' if VERDICTS in tests.accuses else 'no accusation'}"
        reasons.append(f"Only B failed in {summary.worse} pairs, only A in {summary.better} ({how}).")
    if tests is not msgspec.UNSET:
        reasons.append(f"Its tests looked after each of {tests.pairs} of {tests.of} pairs.")
    is_identical = bool(summary.pairs) and summary.identical == len(summary.pairs)
    if is_identical:
        reasons.append("Every run of B is event by event the run of A.")
    if summary.exit == Exit.UNKNOWN:
        reasons.append(_undecided(summary))
    elif summary.exit == Exit.VALID and not is_identical:
        accused = "metric is both significantly and relevantly worse" if tests is msgspec.UNSET else "test accuses B"
        reasons.append(f"No failure is new, and no {accused}.")
    return reasons


def _undecided(summary: Summary) -> str:
    """Why nothing speaks clearly against B, nor for it."""
    decided = sum(
        count for words, count in summary.verdicts.pairs.items() if set(words.split("/")) <= {"valid", "invalid"}
    )
    plans = len(summary.pairs) + len(summary.incomparable)
    if decided < COMPARABLE_MIN * plans or not decided:
        return f"Only {decided} of {plans} plans have a verdict on both sides: the others decide nothing."
    return "B alone failed more often than A alone, but not so often that chance can be ruled out."


def _matrix(summary: Summary) -> tuple[list[str], list[tuple[str, list[tuple[str, int]]]]]:
    """B's verdicts, and for each of A's how many pairs had it with each of them."""
    order = ("valid", "invalid", "unknown", "error")
    across = [word for word in order if word in summary.verdicts.b]
    rows = [
        (word, [(f"{word}/{other}", summary.verdicts.pairs.get(f"{word}/{other}", 0)) for other in across])
        for word in order
        if word in summary.verdicts.a
    ]
    return across, rows


def _differs(pair: ComparedPair) -> bool:
    """Whether the sides came to something else, in verdict or signature."""
    return pair.a != pair.b or pair.signatures.get("a") != pair.signatures.get("b")


def _is_another_run(pair: ComparedPair) -> bool:
    return _differs(pair) or not pair.identical


def _counts(pairs: Sequence[ComparedPair]) -> dict[str, int]:
    return {
        "verdicts": sum(map(_differs, pairs)),
        "runs": sum(map(_is_another_run, pairs)),
        "all": len(pairs),
    }


def _chosen(pairs: Sequence[ComparedPair], chosen: Mapping[str, str]) -> list[ComparedPair]:
    """The pairs that are asked for, those first that differ most."""
    kept = list(pairs)
    if chosen["signature"]:
        kept = [pair for pair in kept if chosen["signature"] in pair.signatures.values()]
    elif chosen["verdicts"]:
        kept = [pair for pair in kept if f"{pair.a}/{pair.b}" == chosen["verdicts"]]
    elif chosen["show"] != "all":
        kept = [pair for pair in kept if (_differs if chosen["show"] == "verdicts" else _is_another_run)(pair)]
    return sorted(kept, key=lambda pair: (not _differs(pair), pair.identical, pair.seed))


def _signatures(summary: Summary) -> list[tuple[str, int, int, str]]:
    """Each signature with the pairs in which A and B showed it, and a word on it: new, gone, or seen by both."""
    seen: dict[Side, Counter[str]] = {"a": Counter(), "b": Counter()}
    for pair in summary.pairs:
        for side, signature in pair.signatures.items():
            seen[side][signature] += 1
    rows = []
    for signature in sorted({*seen["a"], *seen["b"]}):
        a, b = seen["a"][signature], seen["b"][signature]
        rows.append((signature, a, b, "both" if a and b else "gone" if a else "new"))
    return sorted(rows, key=lambda row: (("new", "both", "gone").index(row[3]), -row[2], row[0]))


# Effects, as shares of A's value: positive is worse.


def _share(share: float | None) -> str:
    return "no share that can be told" if share is None else share_text(share)


def _scale(changes: Iterable[Change]) -> float:
    """To where the axis reaches on either side."""
    ends = [
        abs(end)
        for change in changes
        for end in (change.worse_by, change.low, change.high, change.max_regression)
        if end is not None
    ]
    return min(_SCALE_MAX, max(_SCALE_MIN, *ends, 0.0) * 1.1)


def _metric(name: str, summary: Summary, significant: float) -> Row:
    """A row of the table of metrics."""
    change = summary.metrics[name]
    changed = "changed" if change.p_corrected < significant else "same"
    return {
        "label": _NAMES.get(name, name),
        "change": change,
        "values": [_value(value) for value in (change.a, change.b)],
        "interval": _interval(change),
        "state": "regressed" if name in summary.accused else changed,
        "effect": _effect(change),
    }


def _effect(change: Change) -> str:
    if change.worse_by is None:
        unknown = "no share can be told: A's value is 0, or too few ops were answered"
        return unknown if change.pairs else "not measured"
    if not change.worse_by:
        return "equal"
    return f"{share_text(abs(change.worse_by))} {'worse' if change.worse_by > 0 else 'better'}"


def _interval(change: Change) -> str:
    if change.low is None or change.high is None:
        return "-"
    return " to ".join(f"{end:+.1%}" if isfinite(end) else share_text(end) for end in (change.low, change.high))


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if isfinite(value) else "infinite"
