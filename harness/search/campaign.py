"""A campaign: one execution of a suite, and what it found.

`Tally` takes the documents of runs one by one, in any order, and says at any time what they amount to: failures grouped
by signature, each with a line that reproduces it; how many runs are unknown, and why; what a baseline saw. It holds no
run in memory beyond those lines, so that a campaign may have a hundred thousand of them.

Seed i runs in cell i modulo the number of cells, so that a seed means the same run however many there are. One seed in
`PROVES_EVERY` is run twice, and its fingerprints must agree.
"""

from __future__ import annotations

import datetime
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.archive.index import Campaign, Index
from harness.errors import BadInput, Exit
from harness.run.drawing import Drawing
from harness.sim.world import MARKS
from harness.systems.binding import Binding
from harness.systems.versions import systems

from .executors import Pool
from .jobs import PROVES_EVERY, Job, failure_signature, is_allowed, perform
from .known import Known
from .suites import Suite

_SEEDS_SHOWN: Final = 10
"""Seeds listed in a group: enough to choose from; the index has them all."""
_FLUSH_SECONDS: Final = 1.0
_FLUSH_RUNS: Final = 50


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign runs, complete enough to be resumed. `last` None: until the time budget is spent."""

    suite: Suite
    system: str
    code_digest: str
    first: int
    last: int | None
    time_budget_ns: int | None = None
    stop_at_first: bool = False

    def seeds(self) -> Iterator[int]:
        """The seeds, in order."""
        return iter(count(self.first) if self.last is None else range(self.first, self.last + 1))

    @property
    def total(self) -> int | None:
        """How many seeds there are, when that is fixed."""
        return None if self.last is None else self.last - self.first + 1


class _Group(msgspec.Struct):
    """Failures of one signature."""

    signature: str
    runs: int = 0
    allowed: bool = True
    known: str | None = None
    seeds: list[int] = []
    example: dict[str, Any] = {}


class Tally:
    """What the runs of a campaign amount to."""

    def __init__(self, suite: Suite, known: Sequence[Known] = (), marks: Iterable[str] = ()) -> None:
        """`marks` are all those that a run could hit."""
        self._suite = suite
        self._possible_marks = frozenset(marks)
        self._known = known
        self._groups: dict[str, _Group] = {}
        self._unknown: dict[str, list[dict[str, Any]]] = {}
        self._errors: list[dict[str, Any]] = []
        self._marks: Counter[str] = Counter()
        self._fault_kinds: Counter[str] = Counter()
        self.verdicts = {"valid": 0, "invalid": 0, "unknown": 0, "error": 0}
        self.allowed = 0
        self.simulated_seconds = 0.0
        self.run_seconds = 0.0
        self.messages = 0

    def add(self, document: dict[str, Any]) -> None:
        """Count one run by its document."""
        verdict = document["verdict"]
        self.verdicts[verdict] += 1
        if verdict == "error":
            self._errors.append(
                {"seed": document["seed"], "error": document["error"], "reproduce": document["reproduce"]}
            )
            return
        self.simulated_seconds += document["simulated_seconds"]
        self.run_seconds += document["wall_seconds"]
        self.messages += document["messages"]
        self._marks.update(document["marks"])
        if verdict == "invalid":
            self._add_failure(document)
        elif verdict == "unknown":
            # Reasons that differ in their numbers only are one reason.
            self._unknown.setdefault(re.sub(r"\d+", "N", document["reason"].split(";")[0]), []).append(document)

    @property
    def total(self) -> int:
        """Runs counted."""
        return sum(self.verdicts.values())

    @property
    def unexplained(self) -> int:
        """Runs whose failure is neither allowed nor known."""
        return sum(group.runs for group in self._groups.values() if not group.allowed and group.known is None)

    def exit_code(self, max_unknown: float) -> Exit:
        """Decide in the order that the contract fixes: violations, our own bugs, too little said."""
        if self.unexplained:
            return Exit.INVALID
        if self.verdicts["error"]:
            return Exit.INTERNAL
        if self.verdicts["unknown"] > max_unknown * self.total:
            return Exit.UNKNOWN
        return Exit.VALID

    def summary(self) -> dict[str, Any]:
        """Describe the runs so far, as `suite --json` prints it."""
        return {
            "runs": dict(self.verdicts),
            "allowed": self.allowed,
            "failures": [self._failure(group) for group in self._ordered()],
            "unknown": [
                self._unclear(sorted(documents, key=lambda document: int(document["seed"])))
                for _, documents in sorted(self._unknown.items(), key=lambda entry: (-len(entry[1]), entry[0]))
            ],
            "errors": self._errors,
            "simulated_seconds": round(self.simulated_seconds, 3),
            "run_seconds": round(self.run_seconds, 3),
            "messages": self.messages,
            "marks": dict(sorted(self._marks.items())),
            "marks_never_hit": sorted(self._possible_marks - set(self._marks)),
        }

    def _add_failure(self, document: dict[str, Any]) -> None:
        signature = failure_signature(document) or "unnamed"
        allowed = is_allowed(document)
        self.allowed += allowed
        group = self._groups.setdefault(signature, _Group(signature=signature, seeds=[]))
        group.runs += 1
        group.allowed = group.allowed and allowed
        known = [
            entry.reason for entry in self._known if entry.covers(signature, document["workload"], document["profile"])
        ]
        # One run that no entry covers makes the whole group news.
        group.known = (known[0] if known else None) if group.runs == 1 or group.known is not None else None
        group.seeds.append(document["seed"])
        if not group.example or document["seed"] < group.example["seed"]:
            group.example = document

    def _ordered(self) -> list[_Group]:
        return sorted(
            self._groups.values(), key=lambda group: (group.allowed, group.known is not None, group.signature)
        )

    def _failure(self, group: _Group) -> dict[str, Any]:
        example = group.example
        anomalies = [anomaly for anomaly in example["anomalies"] if anomaly["signature"] == group.signature]
        return {
            "signature": group.signature,
            "runs": group.runs,
            "allowed": group.allowed,
            "known": group.known,
            "seed": example["seed"],
            "seeds": sorted(group.seeds)[:_SEEDS_SHOWN],
            "workload": example["workload"],
            "profile": example["profile"],
            "message": anomalies[0]["message"] if anomalies else "",
            "run": example["run"],
            "reproduce": self._command(example),
        }

    def _unclear(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "reason": documents[0]["reason"],
            "runs": len(documents),
            "seeds": [document["seed"] for document in documents][:_SEEDS_SHOWN],
            "run": documents[0]["run"],
            "reproduce": self._command(documents[0]),
        }

    def _command(self, document: dict[str, Any]) -> str:
        return self._suite.cells[self._suite.cell_of(document["seed"])].command(document["seed"])


class Execution:
    """A campaign in progress: hands seeds to workers, and keeps what they answer."""

    def __init__(
        self,
        campaign: str,
        settings: Settings,
        binding: Binding,
        index: Index,
        results: Path,
        *,
        known: Sequence[Known] = (),
        jobs: int | None = None,
    ) -> None:
        self.campaign = campaign
        self.settings = settings
        possible = [mark for system in systems(binding).values() for mark in system.marks]
        self.tally = Tally(settings.suite, known, [*MARKS, *possible])
        self._binding = binding
        self._index = index
        self._results = results
        self._jobs = jobs
        self._done: set[int] = set()
        self._fingerprints: dict[int, str] = {}  # of seeds that are run twice, until the other one answers
        self._waiting: list[tuple[dict[str, Any], int]] = []
        self._flushed = time.monotonic()

    def resume(self) -> None:
        """Take over what the index already has of this campaign."""
        for run in self._index.runs(campaign=self.campaign):
            self._done.add(run.seed)
            self.tally.add(run.document)

    def run(self, advance: Callable[[str], None]) -> None:
        """Run all seeds; call `advance` with a word on the state after each."""
        try:
            with Pool(perform, jobs=self._jobs) as pool:
                for done in pool.map(self._items()):
                    if done.item.purpose == "prove":
                        self._prove(done.item, done.result, done.error)
                        continue
                    document = done.result if done.result is not None else self._error(done.item, done.error)
                    self.tally.add(document)
                    self._keep(document, done.item.cell)
                    if done.result is not None and done.item.seed % PROVES_EVERY == 0:
                        self._prove(done.item, done.result, "")
                    advance(self._state())
        finally:
            self._flush()

    def _items(self) -> Iterator[Job]:
        settings, began = self.settings, time.monotonic()
        for seed in settings.seeds():
            if settings.time_budget_ns is not None and (time.monotonic() - began) * 1e9 > settings.time_budget_ns:
                return
            if seed in self._done:
                continue
            cell = settings.suite.cell_of(seed)
            job = Job(
                seed=seed,
                cell=cell,
                drawing=settings.suite.cells[cell],
                binding=self._binding,
                results=str(self._results),
                stop_at_first=settings.stop_at_first,
            )
            yield job
            if seed % PROVES_EVERY == 0:
                yield msgspec.structs.replace(job, purpose="prove")

    def _prove(self, job: Job, document: dict[str, Any] | None, error: str) -> None:
        """Compare the two fingerprints of a seed as soon as both are there."""
        if document is not None:
            first = self._fingerprints.setdefault(job.seed, document["fingerprint"])
            if first == document["fingerprint"]:
                return
            error = f"not deterministic: two runs have the fingerprints {first} and {document['fingerprint']}"
        failed = self._error(job, error)
        self.tally.add(failed)
        self._keep(failed, job.cell)

    def _error(self, job: Job, error: str) -> dict[str, Any]:
        """Describe a run that ended in an internal error, in the terms of a run's document."""
        code = {label: {"spec": code.spec, "digest": code.digest} for label, code in self._binding.codes.items()}
        return {
            "run": None,
            "path": None,
            "seed": job.seed,
            "workload": job.drawing.workload,
            "profile": job.drawing.profile,
            "verdict": "error",
            "class": "",
            "primary": None,
            "anomalies": [],
            "error": error,
            "binding": {"world": self._binding.world, "codes": code},
            "code_digest": self._binding.code_digest,
            "reproduce": job.drawing.command(job.seed),
        }

    def _state(self) -> str:
        words = {word: number for word, number in self.tally.verdicts.items() if number and word != "valid"}
        return ", ".join(f"{number} {word}" for word, number in words.items())

    def _keep(self, document: dict[str, Any], cell: int) -> None:
        self._waiting.append((document, cell))
        if len(self._waiting) >= _FLUSH_RUNS or time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            with self._index.batch():
                for document, cell in waiting:
                    self._index.record(document, campaign=self.campaign, cell=cell)
        self._flushed = time.monotonic()


def new_id(suite: str) -> str:
    """Name a campaign so that names sort by age."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{suite}-{secrets.token_hex(2)}"


def settings_of(campaign: Campaign, binding: Binding) -> Settings:
    """Read the settings of a stored campaign that shall be resumed. Raises BadInput when the code has changed since."""
    if campaign.finished is not None:
        raise BadInput(f"campaign {campaign.id}, which is finished", "one that was interrupted", "--resume")
    settings = msgspec.convert(campaign.settings, Settings)
    if settings.code_digest != binding.code_digest:
        raise BadInput("code that changed since", "the code that the campaign began with", f"--resume {campaign.id}")
    return settings


def against_baseline(summary: dict[str, Any], baseline: Campaign) -> dict[str, Any]:
    """Sort the failures into new, still there, and no longer seen since a finished campaign."""
    before = _signatures((baseline.summary or {}).get("failures", ()))
    now = _signatures(summary["failures"])
    return {
        "campaign": baseline.id,
        "new": [signature for signature in now if signature not in before],
        "still": [signature for signature in now if signature in before],
        "fixed": [signature for signature in before if signature not in now],
    }


def _signatures(failures: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(failure["signature"] for failure in failures if not failure["allowed"])


def override(suite: Suite, drawing: Drawing, typed: Sequence[str]) -> Suite:
    """Replace in every cell what was typed on the command line; cells that become equal are merged."""
    values = msgspec.structs.asdict(drawing)
    cells = []
    for cell in suite.cells:
        changed = {name: values[name] for name in typed if name != "explicit"}
        cells.append(
            msgspec.structs.replace(
                cell, **changed, system=drawing.system, explicit={**cell.explicit, **drawing.explicit}
            )
        )
    merged = [cell for position, cell in enumerate(cells) if cell not in cells[:position]]
    return msgspec.structs.replace(suite, cells=tuple(merged))
