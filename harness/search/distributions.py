"""Stored distributions: what runs of a suite usually look like, against which a campaign is tested.

A bug that only makes things slower stays within every bound of a single run. Over a campaign it shows: its runs recover
later, hold more elections, serve fewer operations or send more messages than runs did when the distribution was
recorded.

Seeds are drawn independently, so the runs of one cell are a sample. Of each cell and measure the file keeps the sorted
sample, thinned to at most `SKETCH_MAX` values. A campaign is compared measure by measure under each profile: each run
has a rank among the stored ones of *its own* cell, and the mean of these ranks is the chance that a run of now is
slower than one of then (1/2 when nothing has changed; ties count half). That is the test of Mann and Whitney, with the
cells as strata (van Elteren); the normal approximation without correction for ties overstates the variance, so that
the test errs on the careful side.

Something is named when it is both significant and relevant. Significant: one-sided, below `SIGNIFICANT` with Holm's
correction for all measures and profiles of the campaign. Relevant: the chance is at least `RELEVANT`.

A distribution holds for one `DRAW_VERSION` and for one list of options of the system, since the plans of the seeds
follow from these. Where either has changed since, nothing is compared, and that is said.

References: Mann and Whitney 1947; van Elteren 1960; Vargha and Delaney 2000 (the chance as a measure of effect);
Holm 1979.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from checkers.json_lines import UNREADABLE
from harness.errors import BadInput
from harness.options import OptionSpec, OptionValues
from harness.plans.plan import DRAW_VERSION
from harness.record import Record, RunRecord
from harness.run.drawing import Drawing

from .statistics import holm, median
from .suites import Suite

FORMAT: Final = 1
SKETCH_MAX: Final = 101
SIGNIFICANT: Final = 0.001
RELEVANT: Final = 0.57
"""The chance that a run of now is slower than one of then. 0.5 is none, 0.56 is called small, 0.64 medium."""
RUNS_MIN: Final = 20
"""Fewer runs under a profile are not compared."""
CHECKER: Final = "statistics"
STOCK: Final = Path(str(resources.files("harness") / "suites" / "distributions" / "raft_impl.json"))
"""The one that comes with the harness."""

MEASURES: Final = {
    "recovery": "from the heal to the first ok op, in longest election timeouts",
    "convergence": "from the heal to one state everywhere, in longest election timeouts",
    "elections": "elections that were won",
    "leaderless": "time without a leader, up to the latest one, in longest election timeouts",
    "messages": "messages for each ok op",
    "latency": "median latency of ok ops, in ms",
    "tail": "the latency that one ok op in a hundred exceeds, in ms",
    "unserved": "the share of ops that were not ok, be it an answer of the object or none",
}
"""Every measure by its name; more is slower."""


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """A sorted sample of `count` values, thinned."""

    count: int
    values: tuple[float, ...]

    def rank(self, value: float) -> float:
        """Which share of the sample is smaller, and half of what is equal."""
        return (bisect_left(self.values, value) + bisect_right(self.values, value)) / 2 / len(self.values)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured under one drawing; `drawing` is its canonical JSON without the system."""

    drawing: str
    profile: str
    measures: dict[str, Sketch]


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The file. `options` are the names and defaults of the system's options; `first` and `last` the seeds."""

    format: int = FORMAT
    draw_version: int
    suite: str
    system: str
    options: OptionValues
    first: int
    last: int
    cells: tuple[Cell, ...]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One measure under one profile: now against then."""

    measure: str
    profile: str
    runs: int
    stored_runs: int
    median: float
    stored_median: float
    chance: float
    p_corrected: float

    @property
    def is_slower(self) -> bool:
        """Whether it is named."""
        return self.p_corrected < SIGNIFICANT and self.chance >= RELEVANT

    @property
    def signature(self) -> str:
        """The name of the finding."""
        return f"{CHECKER}/{self.measure}"

    @property
    def message(self) -> str:
        """The finding in words."""
        return (
            f"{self.measure} under profile {self.profile}: a run of now is above one of then with chance "
            f"{self.chance:.2f} (p {self.p_corrected:.1g}; {self.runs} runs against {self.stored_runs}); median "
            f"{self.median:.4g}, then {self.stored_median:.4g} ({MEASURES[self.measure]})"
        )


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign against a distribution; `reason` says why nothing was compared."""

    file: str
    reason: str = ""
    compared: tuple[Compared, ...] = ()

    @property
    def slower(self) -> tuple[Compared, ...]:
        """What is named."""
        return tuple(entry for entry in self.compared if entry.is_slower)


def record(suite: Suite, records: Iterable[Record], *, system: str, options: Iterable[OptionSpec]) -> Distribution:
    """Make the distribution of a campaign's runs. Raises BadInput where none of them can be measured."""
    runs = [run for run in records if isinstance(run, RunRecord)]
    samples = _samples(suite, runs)
    if not samples:
        raise BadInput("no run that was judged tolerable", "runs to measure", "--record-distribution")
    cells = tuple(
        Cell(
            drawing=drawing,
            profile=profile,
            measures={name: _sketch(values) for name, values in sorted(measures.items())},
        )
        for (drawing, profile), measures in sorted(samples.items())
    )
    seeds = [run.seed for run in runs]
    return Distribution(
        draw_version=DRAW_VERSION,
        suite=suite.name,
        system=system,
        options=_defaults(options),
        first=min(seeds),
        last=max(seeds),
        cells=cells,
    )


def write(distribution: Distribution, path: Path) -> None:
    """Write the file: one cell a line, so that a change of one shows as one. Raises BadInput."""
    head = msgspec.to_builtins(distribution)
    cells = head.pop("cells")
    encode = msgspec.json.Encoder(order="sorted").encode
    lines = b",\n".join(encode(cell) for cell in cells)
    text = encode(head)[:-1] + b',"cells":[\n' + lines + b"\n]}\n"
    try:
        path.write_bytes(text)
    except OSError as error:
        raise BadInput(f"a file that cannot be written ({error.strerror})", "a file", str(path)) from None


def load(path: Path) -> Distribution:
    """Read the file. Raises BadInput."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Distribution)
    except OSError as error:
        raise BadInput(f"a file that cannot be read ({error.strerror})", "a distribution", str(path)) from None
    except UNREADABLE as error:
        raise BadInput(f"a malformed file ({error})", "what --record-distribution writes", str(path)) from None
    if found.format != FORMAT:
        raise BadInput(f"format {found.format}", f"format {FORMAT}", str(path))
    try:  # a file may name fields that stand at their defaults
        cells = tuple(
            msgspec.structs.replace(cell, drawing=_key(msgspec.json.decode(cell.drawing, type=Drawing)))
            for cell in found.cells
        )
    except UNREADABLE as error:
        raise BadInput(f"a malformed drawing ({error})", "what --record-distribution writes", str(path)) from None
    return msgspec.structs.replace(found, cells=cells)


def compare(
    stored: Distribution,
    suite: Suite,
    records: Iterable[Record],
    *,
    file: str,
    options: Iterable[OptionSpec],
) -> Comparison:
    """Test the runs of a campaign against a distribution."""
    reason = _incomparable(stored, _defaults(options))
    if reason:
        return Comparison(file=file, reason=reason)
    samples = _samples(suite, [run for run in records if isinstance(run, RunRecord)])
    cells = {(cell.drawing, cell.profile): cell for cell in stored.cells}
    strata: dict[tuple[str, str], list[tuple[Sequence[float], Sketch]]] = defaultdict(list)
    for key, measures in samples.items():
        for name, values in measures.items():
            if key in cells and name in cells[key].measures:
                strata[key[1], name].append((values, cells[key].measures[name]))
    tested = []
    for (profile, name), pairs in sorted(strata.items()):
        if sum(len(values) for values, _ in pairs) >= RUNS_MIN:
            tested.append((profile, name, pairs, *_test(pairs)))
    if not tested:
        return Comparison(file=file, reason=f"fewer than {RUNS_MIN} runs of what it holds")
    corrected = holm([p_value for *_, p_value in tested])
    compared = tuple(
        Compared(
            measure=name,
            profile=profile,
            runs=sum(len(values) for values, _ in pairs),
            stored_runs=sum(sketch.count for _, sketch in pairs),
            median=_median([value for values, _ in pairs for value in values]),
            stored_median=_median([value for _, sketch in pairs for value in sketch.values]),
            chance=round(chance, 4),
            p_corrected=p_value,
        )
        for (profile, name, pairs, chance, _), p_value in zip(tested, corrected, strict=True)
    )
    return Comparison(file=file, compared=compared)


def _test(pairs: Sequence[tuple[Sequence[float], Sketch]]) -> tuple[float, float]:
    """The chance that a run of now is above one of then, and the one-sided p-value of that."""
    total = sum(len(values) for values, _ in pairs)
    chance = sum(sketch.rank(value) for values, sketch in pairs for value in values) / total
    variance = sum(
        (len(values) / total) ** 2 * (len(values) + sketch.count + 1) / (12 * len(values) * sketch.count)
        for values, sketch in pairs
    )
    return chance, math.erfc((chance - 0.5) / math.sqrt(2 * variance)) / 2


def _incomparable(stored: Distribution, options: OptionValues) -> str:
    if stored.draw_version != DRAW_VERSION:
        return f"it is of draw version {stored.draw_version}, and seeds mean the plans of {DRAW_VERSION} now"
    changed = sorted(name for name in {*stored.options, *options} if stored.options.get(name) != options.get(name))
    if changed:
        return f"options have changed since: {', '.join(changed)}"
    return ""


def _samples(suite: Suite, runs: Iterable[RunRecord]) -> dict[tuple[str, str], dict[str, list[float]]]:
    """The values of each measure by (drawing, profile), of runs of which recovery is owed."""
    samples: dict[tuple[str, str], dict[str, list[float]]] = {}
    for run in runs:
        if run.plan_class != "tolerable":
            continue
        drawing = suite.cells[suite.cell_of(run.seed)]
        measures = samples.setdefault((_key(drawing), drawing.profile), {})
        for name, value in measured(run).items():
            if value is not None:
                measures.setdefault(name, []).append(_rounded(value))
    return samples


def measured(run: RunRecord) -> dict[str, float | None]:
    """What `MEASURES` are of one run; None where there is nothing to measure."""
    timeout_ms = 2 * int(run.resolved_options.get("election_timeout_ms", 0)) or 1

    def timeouts(value_ms: float | None) -> float | None:
        return None if value_ms is None else value_ms / timeout_ms

    metrics, ops = run.metrics, run.ops
    asked = ops.ok + ops.fail + ops.info
    return {
        "recovery": timeouts(run.recovery_ms),
        "convergence": timeouts(metrics.converged_ms),
        "elections": float(metrics.elections),
        "leaderless": timeouts(metrics.leaderless_ms),
        "messages": metrics.messages_per_op,
        "latency": metrics.latency_p50_ms,
        "tail": metrics.latency_p99_ms,
        "unserved": 1 - ops.ok / asked if asked else None,
    }


def _key(drawing: Drawing) -> str:
    """A drawing without its system; what stands at its default is left out, so that a new field changes no key."""
    named = {name: value for name, value in msgspec.structs.asdict(drawing).items() if value != _USUAL[name]}
    return msgspec.json.encode({**named, "system": ""}, order="sorted").decode()


_USUAL: Final = msgspec.structs.asdict(Drawing())


def _defaults(options: Iterable[OptionSpec]) -> OptionValues:
    return {option.name: option.default for option in options}


def _sketch(values: Sequence[float]) -> Sketch:
    ordered = sorted(values)
    count = len(ordered)
    if count > SKETCH_MAX:
        ordered = [ordered[(2 * place + 1) * count // (2 * SKETCH_MAX)] for place in range(SKETCH_MAX)]
    return Sketch(count=count, values=tuple(ordered))


def _median(values: Sequence[float]) -> float:
    found = median(values)
    assert found is not None, "a stratum holds values"
    return _rounded(found)


def _rounded(value: float) -> float:
    """Four digits: the file's, so that what was equal stays equal."""
    return float(f"{value:.4g}")
