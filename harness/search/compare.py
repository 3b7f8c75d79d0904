"""Comparison: the same plans on two versions of an implementation, and whether the second is worse.

Each side has worker processes of its own, with a time limit and without network; only `raft_impl` comes from a ref, the
harness is the caller's. Plans are drawn once, here, from what both sides can be asked. A pair counts when both sides
could run the plan as it stands: a side that lacks an option may run it only if the plan has the option's neutral value;
otherwise the pair is `incomparable`, counted and shown, never run with the option dropped.

B is worse when it shows a signature that A never shows, or when significantly more of the disagreeing pairs went wrong
on B than on A (exact McNemar test, p below `SIGNIFICANT`). Metrics are reported with exact sign tests and decide
nothing: with equal plans on both sides even a harmless change moves every run a little in one direction.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from harness.archive.document import run_document
from harness.archive.layout import encode_trace, write_run
from harness.archive.provenance import provenance
from harness.errors import Exit
from harness.options import OptionSpec
from harness.plans.plan import Plan, decode
from harness.run.drawing import Abilities, Drawing, abilities_of
from harness.run.execution import execute
from harness.systems.binding import Binding
from harness.systems.versions import systems

from .executors import Pool, default_jobs
from .jobs import failure_signature, is_allowed
from .measures import changes, measure
from .statistics import binomial_p

SIGNIFICANT: Final = 0.05
COMPARABLE_MIN: Final = 0.5
"""When fewer of the pairs count, the rest decides nothing."""
DIVERGENCES: Final = 10
"""Pairs whose first different event is looked up, which costs two more runs each."""

Side = Literal["a", "b"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is asked: its side's abilities, or a run of a plan, perhaps with its trace in a file."""

    binding: Binding
    seed: int = 0
    plan: bytes = b""
    results: str | None = None
    trace: str | None = None


class Pair(msgspec.Struct, kw_only=True):
    """One plan on both sides. `a` and `b` are verdicts, or `error` when the side gave none."""

    seed: int
    drawing: Drawing
    plan: Plan
    documents: dict[str, dict[str, Any]] = {}
    first_divergence: dict[str, Any] | None = None

    def verdict(self, side: Side) -> str:
        """What a side's run came to."""
        word: str = self.documents[side]["verdict"]
        return word

    @property
    def identical(self) -> bool:
        """Whether everything happened alike on both sides."""
        a, b = self.documents["a"], self.documents["b"]
        if "fingerprint" not in a or "fingerprint" not in b:
            return False
        # The fingerprint covers the plan, and a side that lacks an option ran the plan without its neutral value.
        same = "fingerprint" if a["plan_sha256"] == b["plan_sha256"] else "history_sha256"
        return bool(a[same] == b[same])


def perform(task: Task) -> dict[str, Any]:
    """Do a task in a worker of one side."""
    if not task.plan:
        return {"abilities": msgspec.json.encode(abilities_of(systems(task.binding).values()))}
    plan = decode(task.plan, f"the plan of seed {task.seed}")
    outcome = execute(plan, task.binding, keep_rows=task.trace is not None)
    if task.trace is not None:
        Path(task.trace).write_bytes(encode_trace(outcome.rows or ()))
    if task.results is not None and outcome.verdict.validity != "valid":
        document = write_run(Path(task.results), execute(plan, task.binding, keep_rows=True), provenance())
    else:
        document = run_document(outcome, run=None, path=None, provenance=provenance())
    return {**document, "measures": measure(outcome)}


class Comparison:
    """Two versions under the same plans."""

    def __init__(self, a: Binding, b: Binding, *, results: Path | None = None, jobs: int | None = None) -> None:
        self._bindings: dict[Side, Binding] = {"a": a, "b": b}
        self._results = None if results is None else str(results)
        self._jobs = max(1, (jobs or default_jobs()) // 2)
        self.pairs: list[Pair] = []
        self.incomparable: list[dict[str, Any]] = []

    def run(self, cells: Sequence[Drawing], seeds: Sequence[int], advance: Callable[[str], None]) -> None:
        """Run all pairs; call `advance` once a pair."""
        with Pool(perform, jobs=self._jobs) as a, Pool(perform, jobs=self._jobs) as b:
            pools: dict[Side, Pool[Task, dict[str, Any]]] = {"a": a, "b": b}
            able = {side: self._abilities(side, pool) for side, pool in pools.items()}
            drawn = [self._draw(cells[seed % len(cells)], seed, able) for seed in seeds]
            self.pairs = [pair for pair in drawn if pair is not None]
            both = [pool.map(self._tasks(side, able)) for side, pool in pools.items()]
            self._gather(both, advance)
            self._diverge(pools, able)

    def summary(self) -> dict[str, Any]:
        """Describe the comparison, as `compare --json` prints it."""
        table = Counter((pair.verdict("a"), pair.verdict("b")) for pair in self.pairs)
        new = self._new_signatures()
        worse, better = self._disagreements()
        measured = [pair for pair in self.pairs if all("measures" in pair.documents[side] for side in ("a", "b"))]
        return {
            **{side: self._version(side) for side in ("a", "b")},
            "exit": int(self.exit_code()),
            "verdicts": {
                "a": dict(Counter(pair.verdict("a") for pair in self.pairs)),
                "b": dict(Counter(pair.verdict("b") for pair in self.pairs)),
                "pairs": {f"{a}/{b}": number for (a, b), number in sorted(table.items())},
            },
            "identical": sum(pair.identical for pair in self.pairs),
            "worse": worse,
            "better": better,
            "p_value": float(binomial_p(worse, better)),
            "new_signatures": new,
            "gone_signatures": sorted(set(self._signatures("a")) - set(self._signatures("b"))),
            "incomparable": self.incomparable,
            "metrics": changes(*([pair.documents[side]["measures"] for pair in measured] for side in ("a", "b"))),
            "pairs": [self._pair(pair) for pair in self.pairs],
        }

    def exit_code(self) -> Exit:
        """1: B is worse. 2: undecided, or too little to decide from. 0: nothing speaks against B."""
        worse, better = self._disagreements()
        if self._new_signatures() or (worse > better and binomial_p(worse, better) < SIGNIFICANT):
            return Exit.INVALID
        decided = sum(1 for pair in self.pairs if {pair.verdict("a"), pair.verdict("b")} <= {"valid", "invalid"})
        total = len(self.pairs) + len(self.incomparable)
        if worse > better or decided < COMPARABLE_MIN * total or not decided:
            return Exit.UNKNOWN
        return Exit.VALID

    # -- running ----------------------------------------------------------------------------------------------------

    def _abilities(self, side: Side, pool: Pool[Task, dict[str, Any]]) -> Abilities:
        (done,) = pool.map([Task(binding=self._bindings[side])])
        if done.result is None:
            raise RuntimeError(f"side {side} cannot be asked what it can do: {done.error}")
        return msgspec.json.decode(done.result["abilities"], type=Abilities)

    def _draw(self, drawing: Drawing, seed: int, able: dict[Side, Abilities]) -> Pair | None:
        """Draw the plan of a pair; None, and counted, when a side lacks an option that matters in it."""
        plan = drawing.plan(seed, _together(able))
        missing = {side: _missing(plan, able[side], _specs(able)) for side in able}
        for side, names in missing.items():
            if names:
                lacks = {"seed": seed, "side": side, "options": {name: plan.options[name] for name in names}}
                self.incomparable.append(lacks)
                return None
        return Pair(seed=seed, drawing=drawing, plan=plan, documents={})

    def _tasks(self, side: Side, able: dict[Side, Abilities]) -> Iterator[Task]:
        for pair in self.pairs:
            yield self._task(side, pair, able)

    def _task(self, side: Side, pair: Pair, able: dict[Side, Abilities], trace: str | None = None) -> Task:
        results = None if trace is not None else self._results
        plan = _without_absent(pair.plan, able, side).to_json()
        return Task(binding=self._bindings[side], seed=pair.seed, plan=plan, results=results, trace=trace)

    def _gather(self, both: Sequence[Iterator[Any]], advance: Callable[[str], None]) -> None:
        """Take the answers of both sides in turn, so that both keep working."""
        by_seed = {pair.seed: pair for pair in self.pairs}
        for answers in zip_longest(*both):
            for side, done in zip(("a", "b"), answers, strict=True):
                if done is None:
                    continue
                pair = by_seed[done.item.seed]
                pair.documents[side] = done.result or {"verdict": "error", "reason": done.error, "anomalies": []}
                if len(pair.documents) == 2:
                    advance(f"{pair.verdict('a')} / {pair.verdict('b')}")

    def _diverge(self, pools: dict[Side, Pool[Task, dict[str, Any]]], able: dict[Side, Abilities]) -> None:
        """Find the first different event of the pairs that differ most: in their verdicts, then in anything."""
        differing = [pair for pair in self.pairs if not pair.identical and "error" not in _verdicts(pair)]
        differing.sort(key=lambda pair: (pair.verdict("a") == pair.verdict("b"), pair.seed))
        for pair in differing[:DIVERGENCES]:
            with tempfile.TemporaryDirectory(prefix="foreshock-") as folder:
                paths: dict[Side, Path] = {side: Path(folder, side) for side in pools}
                for side, pool in pools.items():
                    list(pool.map([self._task(side, pair, able, trace=str(paths[side]))]))
                pair.first_divergence = _first_line_that_differs(paths["a"], paths["b"])

    # -- judging ----------------------------------------------------------------------------------------------------

    def _disagreements(self) -> tuple[int, int]:
        """Pairs of which only B, or only A, is invalid without an allowance."""
        wrong = [(_is_wrong(pair.documents["a"]), _is_wrong(pair.documents["b"])) for pair in self.pairs]
        return sum(1 for a, b in wrong if b and not a), sum(1 for a, b in wrong if a and not b)

    def _signatures(self, side: Side) -> dict[str, int]:
        """Signatures of a side's failures, each with its smallest seed."""
        seeds: dict[str, int] = {}
        for pair in sorted(self.pairs, key=lambda pair: pair.seed):
            document = pair.documents[side]
            if _is_wrong(document):
                seeds.setdefault(failure_signature(document) or "unnamed", pair.seed)
        return seeds

    def _new_signatures(self) -> list[dict[str, Any]]:
        before = self._signatures("a")
        by_seed = {pair.seed: pair for pair in self.pairs}
        new = []
        for signature, seed in sorted(self._signatures("b").items()):
            if signature not in before:
                pair = by_seed[seed]
                drawing = msgspec.structs.replace(pair.drawing, system=_spec(self._bindings["b"]))
                messages = [
                    anomaly["message"]
                    for anomaly in pair.documents["b"]["anomalies"]
                    if anomaly["signature"] == signature
                ]
                new.append(
                    {
                        "signature": signature,
                        "seed": seed,
                        "message": messages[0] if messages else "",
                        "reproduce": drawing.command(seed),
                    }
                )
        return new

    def _version(self, side: Side) -> dict[str, Any]:
        (code,) = self._bindings[side].codes.values()
        return {"spec": code.spec, "commit": code.commit, "digest": code.digest}

    def _pair(self, pair: Pair) -> dict[str, Any]:
        return {
            "seed": pair.seed,
            "workload": pair.drawing.workload,
            "a": pair.verdict("a"),
            "b": pair.verdict("b"),
            "signatures": {
                side: failure_signature(pair.documents[side]) for side in ("a", "b") if _is_wrong(pair.documents[side])
            },
            "reasons": {side: pair.documents[side]["reason"] for side in ("a", "b") if pair.documents[side]["reason"]},
            "identical": pair.identical,
            "first_divergence": pair.first_divergence,
        }


def _verdicts(pair: Pair) -> tuple[str, str]:
    return pair.verdict("a"), pair.verdict("b")


def _is_wrong(document: dict[str, Any]) -> bool:
    return document["verdict"] == "invalid" and not is_allowed(document)


def _spec(binding: Binding) -> str:
    (code,) = binding.codes.values()
    return code.spec


def _together(able: dict[Side, Abilities]) -> Abilities:
    a, b = able["a"], able["b"]
    return Abilities(
        workloads=tuple(name for name in a.workloads if name in b.workloads),
        fault_kinds=tuple(kind for kind in a.fault_kinds if kind in b.fault_kinds),
        options=tuple(_specs(able).values()),
    )


def _specs(able: dict[Side, Abilities]) -> dict[str, OptionSpec]:
    """Every option that a side has; where both have it, A's description."""
    return {option.name: option for side in ("b", "a") for option in able[side].options}


def _missing(plan: Plan, able: Abilities, specs: dict[str, OptionSpec]) -> list[str]:
    """Options of the plan that a side lacks and that do not have their neutral value."""
    known = {option.name for option in able.options}
    return [name for name, value in plan.options.items() if name not in known and specs[name].neutral != value]


def _without_absent(plan: Plan, able: dict[Side, Abilities], side: Side) -> Plan:
    """Leave out options that a side lacks (their value is neutral), for both sides where that changes nothing.

    When the other side's default is the neutral value too, the plan without the option means the same to both, and
    both run the very same plan, so that their fingerprints can be equal.
    """
    known = {name: {option.name for option in able[name].options} for name in able}
    specs = _specs(able)
    options = {
        name: value
        for name, value in plan.options.items()
        if name in known[side] and (all(name in names for names in known.values()) or specs[name].default != value)
    }
    return msgspec.structs.replace(plan, options=options) if options != plan.options else plan


def _first_line_that_differs(a: Path, b: Path) -> dict[str, Any] | None:
    decode_line = msgspec.json.Decoder(dict[str, Any]).decode
    with a.open("rb") as left, b.open("rb") as right:
        for line_a, line_b in zip_longest(left, right):
            if line_a != line_b:
                event_a, event_b = (None if line is None else decode_line(line) for line in (line_a, line_b))
                some = event_a or event_b or {}
                return {"index": some["index"], "time_ns": some["time"], "a": event_a, "b": event_b}
    return None
