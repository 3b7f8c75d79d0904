"""Linearizability of a history: divide it into objects, have each decided, say what was found.

Each independent object is given to the fast engine for its model, if there is one. That looks for its preconditions
while it reads the operations, and says where they do not hold; the general engine decides any.
The verdict says which ones ran and why others did not. An engine that stops at a limit, or crashes, makes the verdict
`unknown` with the reason; a violation of another object still makes it `invalid`.

The signature of a violation is `linearizability/nonlinearizable/MODEL/F`: F is the function of the operation at whose
completion the violation became certain. Both words come from closed lists (`models.MODELS`, `Model.functions`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from checkers.admission import NOTHING_JUDGED, Admission, Mismatched, admit, mismatch
from checkers.conventions import Conventions
from checkers.history import History
from checkers.linearizability.partition import Part, split
from checkers.linearizability.result import CHECKER, Limits, LinearizabilityResult
from checkers.models import Model, maps
from checkers.verdict import Anomaly, Validity, Verdict

from .engines import GENERAL, REFERENCE, decide, time_left

CROSS_CHECK_STEPS: Final = 2_000_000
"""What the reference engine may spend on each object where it only confirms: some seconds."""

FAILED_CAS: Final = {
    "by-error": "a failed cas constrains where its error is an answer of the object",
    "constraint": "a failed cas says that the state was not the expected one",
    "nothing": "a failed cas says nothing",
}
NIL_READ: Final = {"absent": "a read of null saw nothing there", "anything": "a read of null says nothing"}

FailedCas = Literal["auto", "constraint", "nothing"]
NilRead = Literal["auto", "absent", "anything"]


class EnginesDisagree(Exception):
    """Two exact engines gave opposite answers: one of them is wrong, and no verdict can be trusted."""

    def __init__(self, first: LinearizabilityResult, second: LinearizabilityResult, part: str) -> None:
        self.first = first
        self.second = second
        where = f" on key {part}" if part else ""
        super().__init__(f"engine {first.engine} says {first.validity}, {second.engine} says {second.validity}{where}")


def check_linearizable(
    history: History,
    model: Model,
    *,
    algorithm: str = "auto",
    initial: Any = None,
    failed_cas: FailedCas = "auto",
    nil_read: NilRead = "auto",
    step_limit: int | None = None,
    state_limit: int | None = None,
    time_limit_s: float | None = None,
    memory_limit_bytes: int | None = None,
    cross_check: bool = False,
    explain: bool = True,
    explain_limit_s: float | None = None,
    on_decided: Callable[[Validity], None] | None = None,
    witness: bool = False,
    mismatched: Mismatched = "refuse",
) -> Verdict:
    """Decide whether a history is linearizable.

    `algorithm` names an engine of `ENGINES`, or leaves the choice to the checker. `initial` is the state at the start
    where it is not the model's own. `failed_cas` and `nil_read` are those of `Conventions`; "auto" takes the history's
    own. Limits in steps and states give the same verdict on every machine. `witness` asks for an order in which the
    operations of each object could have taken effect. `mismatched` says what becomes of completions that do not answer
    their invoke (see `checkers.admission`).

    Once all is decided, `on_decided` is told the verdict. Then violations are explained, under one budget: the steps of
    `explain.budget`, at most `explain_limit_s`, and with a time limit what is left of it, or a second. Without
    `explain` it is only told when they became certain.

    Raises `MalformedHistory` for operations that are none of this model's, and `EnginesDisagree` under `cross_check`.
    """
    limits = Limits(steps=step_limit, states=state_limit, seconds=time_limit_s, bytes=memory_limit_bytes)
    conventions = chosen_conventions(history, failed_cas=failed_cas, nil_read=nil_read)
    model = model if initial is None else model.starting_at_json(initial)
    operations = history.operations(with_void=True)
    model = model.adapt(model, operations)
    if initial is not None and model.restrict is maps.restrict:
        touched = (key for operation in operations for key in model.keys(operation) or ())
        maps.require_keys_of_their_type(model.init, touched)
    admission = admit(operations, model, conventions, history.where_index, mismatched=mismatched)
    checked = _Check(history, model, admission, conventions, limits, algorithm)
    checked.decide_all(cross_check=cross_check, witness=witness)
    if on_decided is not None:
        on_decided(checked.validity())
    return checked.verdict(checked.anomalies(explained=explain, seconds=explain_limit_s), witness)


def chosen_conventions(history: History, *, failed_cas: FailedCas = "auto", nil_read: NilRead = "auto") -> Conventions:
    """Return what the source means, or what the caller says that it means."""
    chosen = history.conventions
    if failed_cas != "auto":
        chosen = msgspec.structs.replace(chosen, failed_cas=failed_cas)
    if nil_read != "auto":
        chosen = msgspec.structs.replace(chosen, nil_read=nil_read)
    return chosen


def verdict_of_columns(
    model: Model,
    admission: Admission,
    conventions: Conventions,
    results: Sequence[LinearizabilityResult],
    *,
    ops: int,
    began: float,
) -> Verdict:
    """Make the verdict on a valid file that was read into columns (`checkers.columns`), one result for each object.

    `admission` has one operation of each object, in the order of the results.
    """
    check = _Check(History([]), model, admission, conventions, Limits(), "auto")
    check.results = list(zip(check.parts, results, strict=True))
    check.steps = sum(result.steps for result in results)
    return msgspec.structs.replace(check.verdict((), witness=False), ops=ops, seconds=time.monotonic() - began)


class _Check:
    """One call of `check`: what was given, and what has been spent."""

    def __init__(
        self,
        history: History,
        model: Model,
        admission: Admission,
        conventions: Conventions,
        limits: Limits,
        algorithm: str,
    ) -> None:
        self.started = time.monotonic()
        self.history = history
        self.conventions = conventions
        self.limits = limits
        self.algorithm = algorithm
        self.model = model
        self.admission = admission
        self.notes = admission.notes
        self.parts = split(admission.operations, model)
        self.results: list[tuple[Part, LinearizabilityResult]] = []
        self.passed: dict[str, int] = {}
        self.steps = 0

    def decide_all(self, *, cross_check: bool, witness: bool) -> None:
        """Have each object decided."""
        for part in self.parts:
            result, passed = decide(part.operations, self.model_of(part), self.remaining(), self.algorithm)
            if cross_check:
                self.confirm(part, result)
            if witness and result.validity == "valid" and result.order is None:
                result = self.with_witness(part, result)
            self.steps += result.steps
            self.results.append((part, result))
            for why in passed:
                self.passed[why] = self.passed.get(why, 0) + 1

    def validity(self) -> Validity:
        """What all of it comes to."""
        found = {result.validity for _, result in self.results}
        if "invalid" in found or self.admission.mismatched:
            return "invalid"
        return "valid" if "unknown" not in found and self.admission.judges_something else "unknown"

    def model_of(self, part: Part) -> Model:
        return self.model if part.has_all_keys else self.model.within(part.keys)

    def remaining(self) -> Limits:
        steps = None if self.limits.steps is None else max(1, self.limits.steps - self.steps)
        return msgspec.structs.replace(time_left(self.limits, self.started), steps=steps)

    def confirm(self, part: Part, result: LinearizabilityResult) -> None:
        """Ask a second engine, and raise where it says the opposite."""
        other = GENERAL if result.engine == REFERENCE else REFERENCE
        limits = msgspec.structs.replace(self.remaining(), steps=CROSS_CHECK_STEPS)
        second, _ = decide(part.operations, self.model_of(part), limits, other)
        if {result.validity, second.validity} == {"valid", "invalid"}:
            raise EnginesDisagree(result, second, part.name)
        if second.validity == "unknown":
            self.notes.append(f"cross-check by {other} did not finish{_of(part)}: {second.reason}")

    def with_witness(self, part: Part, result: LinearizabilityResult) -> LinearizabilityResult:
        """Ask the general engine for an order, where the engine that decided does not make one."""
        from checkers.linearizability.search import jit

        found = jit.check_operations(part.operations, self.model_of(part), self.remaining(), witness=True)
        if found.order is None:
            self.notes.append(f"no witness order{_of(part)}: {found.reason}")
            return result
        return msgspec.structs.replace(result, order=found.order)

    def anomalies(self, *, explained: bool, seconds: float | None) -> tuple[Anomaly, ...]:
        """Describe the violations: first, for all, when they became certain; then why, for the first few."""
        anomalies = [mismatch(operation, self.model, CHECKER) for operation in self.admission.mismatched]
        violated = [
            (part, self.model_of(part), result) for part, result in self.results if result.validity == "invalid"
        ]
        if violated:
            from .violations import describe

            left = time_left(self.limits, self.started)
            anomalies += describe(violated, self.model.name, left, explained=explained, seconds=seconds)
        return tuple(sorted(anomalies, key=lambda anomaly: (anomaly.index or 0, anomaly.message)))

    def verdict(self, anomalies: tuple[Anomaly, ...], witness: bool) -> Verdict:
        unknown = [(part, result) for part, result in self.results if result.validity == "unknown"]
        validity = self.validity()
        engines: dict[str, int] = {}
        for _, result in self.results:
            engines[result.engine] = engines.get(result.engine, 0) + 1
        return Verdict(
            validity=validity,
            checker=CHECKER,
            engine="+".join(engines),
            model=self.model.name,
            ops=len(self.history.operations(with_void=True)),
            anomalies=anomalies,
            reason=self.reason(unknown) if validity == "unknown" else "",
            steps=self.steps,
            seconds=time.monotonic() - self.started,
            machine_dependent=validity == "unknown" and any(result.machine_dependent for _, result in unknown),
            notes=(*self.meaning(), self.conventions_note(), *self.engine_notes(engines), *self.notes),
            details=self.details(engines, witness),
        )

    def reason(self, unknown: list[tuple[Part, LinearizabilityResult]]) -> str:
        if not unknown:
            return NOTHING_JUDGED
        part, result = unknown[0]
        decided = len(self.results) - len(unknown)
        return f"{result.reason}{_of(part)}; {decided} of {len(self.results)} objects decided"

    def meaning(self) -> list[str]:
        """Say once what every violation is."""
        if not any(result.validity == "invalid" for _, result in self.results):
            return []
        return [
            "not linearizable: there is no order in which each operation takes effect once, between its call and its "
            "return, that gives the answers"
        ]

    def conventions_note(self) -> str:
        """Say how the source was read: what differs between tools, and changes verdicts."""
        failed_cas, nil_read = FAILED_CAS[self.conventions.failed_cas], NIL_READ[self.conventions.nil_read]
        initial = self.model.describe_state(self.model.init)
        return f"read as {self.conventions.source}: {failed_cas}; {nil_read}; the initial state is {initial}"

    def engine_notes(self, engines: dict[str, int]) -> list[str]:
        """Say which engines decided how many objects, and why the fast one did not where it did not."""
        counts = ", ".join(f"{name} decided {count}" for name, count in engines.items())
        objects = "object" if len(self.parts) == 1 else "objects"
        notes = [f"of {len(self.parts)} {objects} {counts}"] if engines else []
        return notes + [f"passed over {why} ({count} x)" for why, count in self.passed.items()]

    def details(self, engines: dict[str, int], witness: bool) -> dict[str, Any]:
        details: dict[str, Any] = {
            "conventions": {
                "source": self.conventions.source,
                "failed_cas": self.conventions.failed_cas,
                "nil_read": self.conventions.nil_read,
                "initial": self.model.describe_state(self.model.init),
            },
            "objects": len(self.parts),
            "engines": engines,
            "passed_over": self.passed,
            "states": max((result.states for _, result in self.results), default=0),
        }
        if witness:
            details["witness"] = {
                part.name: [operation.call for operation in result.order]
                for part, result in self.results
                if result.order is not None
            }
        return details


def _of(part: Part) -> str:
    return f" (key {part.name})" if part.name else ""
