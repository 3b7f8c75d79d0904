"""Two campaigns compared by what they recorded: no run is made.

A seed of both makes a pair when both ran the very same plan; of an internal error, which has no plan, it is enough that
both drew it alike. What is said of the pairs is what `compare` says of pairs that it ran, by the same rules. The
measures are those that records hold: latency counts from the invoke there, and not from when an op was due, and an
answer that was refused counts against availability.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from checkers.json_lines import UNREADABLE
from harness.errors import BadInput
from harness.record import ErrorRecord, Record, RunRecord
from harness.run.drawing import Drawing
from harness.systems.binding import Binding, Code, RecordedBinding

from .campaign import Settings, asks_alike
from .compare import SIDES, Answer, Comparison, Pair, Summary
from .measures import SIGNIFICANT, Measures


class RecordedCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with its records by seed. `settings` are None where they cannot be read any more."""

    id: str
    settings: Settings | None
    records: Mapping[int, Record]

    @classmethod
    def of(cls, id: str, settings: str, records: Iterable[Record]) -> RecordedCampaign:
        """Take what the index holds; of a seed with several records the first one counts."""
        by_seed: dict[int, Record] = {}
        for record in records:
            by_seed.setdefault(record.seed, record)
        try:
            read: Settings | None = msgspec.json.decode(settings, type=Settings)
        except UNREADABLE:
            read = None
        return cls(id=id, settings=read, records=by_seed)

    def drawing(self, record: Record) -> Drawing:
        """What drew the plan of a record."""
        system = record.binding.system if self.settings is None else self.settings.system
        if self.settings is not None and self.settings.suite.cells:
            cell = self.settings.suite.cells[self.settings.suite.cell_of(record.seed)]
            # In a suite of several systems each cell has its own; the settings name all of them.
            system = system if len(self.settings.suite.systems) == 1 else cell.system
            if (cell.workload, cell.profile) == (record.workload, record.profile):
                return msgspec.structs.replace(cell, system=system)
        return Drawing(system=system, workload=record.workload, profile=record.profile)


class ComparedCampaigns(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs say, and which seeds made none: only one side ran them, or both ran other plans."""

    a: str
    b: str
    summary: Summary
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]
    other_plans: tuple[int, ...]


def compare_campaigns(a: RecordedCampaign, b: RecordedCampaign, *, versions: int = 1) -> ComparedCampaigns:
    """Compare two campaigns; `versions` are how many are compared with A. Raises BadInput where no pair is."""
    both = sorted(a.records.keys() & b.records.keys())
    same = [seed for seed in both if _is_one_plan(a, b, seed)]
    if not same:
        raise BadInput(
            f"no plan that both {a.id} and {b.id} ran", "campaigns of one suite with seeds in common", "compare"
        )
    compared = Comparison(
        _binding(a.records[same[0]].binding), _binding(b.records[same[0]].binding), significant=SIGNIFICANT / versions
    )
    for seed in same:
        answers = {side: _answer(one.records[seed]) for side, one in zip(SIDES, (a, b), strict=True)}
        drawing = a.drawing(a.records[seed])
        compared.pairs.append(Pair(seed=seed, drawing=drawing, plan=None, answers=answers))
    return ComparedCampaigns(
        a=a.id,
        b=b.id,
        summary=compared.summary(),
        only_a=tuple(sorted(a.records.keys() - b.records.keys())),
        only_b=tuple(sorted(b.records.keys() - a.records.keys())),
        other_plans=tuple(sorted(set(both) - set(same))),
    )


def _is_one_plan(a: RecordedCampaign, b: RecordedCampaign, seed: int) -> bool:
    """Whether both ran the same plan; where one of them has no plan, as far as what drew it tells."""
    here, there = a.records[seed], b.records[seed]
    if isinstance(here, RunRecord) and isinstance(there, RunRecord):
        return here.plan_sha256 == there.plan_sha256
    if (here.workload, here.profile) != (there.workload, there.profile):
        return False
    if a.settings is None or b.settings is None:
        return True
    if 0 != a.settings.draw_version != b.settings.draw_version != 0:
        return False
    return asks_alike(seed, a.settings.suite, b.settings.suite)


def _binding(recorded: RecordedBinding) -> Binding:
    """The code that was tested, by its name alone: nothing is loaded."""
    codes = recorded.codes.values()
    spec, digest, commit = (" ".join(getattr(code, name) for code in codes) for name in ("spec", "digest", "commit"))
    return Binding(codes={"default": Code(spec=spec, directory="", digest=digest, commit=commit.strip())})


def _answer(record: Record) -> Answer:
    if isinstance(record, ErrorRecord):
        return Answer(error=record.error)
    return Answer(record=record, measures=_measures(record))


def _measures(record: RunRecord) -> Measures:
    ended = record.ops.ok + record.ops.fail + record.ops.info
    return {
        "availability": record.ops.ok / ended if ended else None,
        "latency_p50_ms": record.metrics.latency_p50_ms,
        "latency_p99_ms": record.metrics.latency_p99_ms,
        "recovery_ms": record.recovery_ms,
        "elections": float(record.metrics.elections),
        "messages_per_op": record.metrics.messages_per_op,
        "fsyncs_per_op": record.metrics.fsyncs / record.ops.ok if record.ops.ok and record.metrics.fsyncs else None,
    }
