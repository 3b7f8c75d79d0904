"""Documents: the record of a run made from its outcome, and read again from a file or a row.

A document of an earlier version is brought to today's fields by the migrations below, in order; one of a later version
is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from checkers.json_lines import UNREADABLE
from checkers.values import thaw
from harness.errors import BadInput
from harness.outcome import Outcome, RunFacts
from harness.record import RECORD_VERSION, ErrorRecord, Provenance, Record, RunRecord

from .provenance import provenance

_Fields = dict[str, Any]


def run_record(
    outcome: Outcome, *, run: str | None = None, path: str | None = None, made_by: Provenance | None = None
) -> RunRecord:
    """Describe an outcome. `run` and `path` are None when the run has no folder; `made_by` None: this process."""
    drawn = outcome.plan.drawn
    facts = {name: getattr(outcome, name) for name in RunFacts.__struct_fields__}
    facts["anomalies"] = tuple(msgspec.structs.replace(one, evidence=msgspec.UNSET) for one in outcome.anomalies)
    return RunRecord(
        **facts,
        run=run,
        path=path,
        seed=drawn.seed,
        workload=drawn.workload,
        variant=drawn.variant,
        profile=drawn.profile,
        verdict=outcome.verdict.validity,
        reason=outcome.verdict.reason,
        simulated_seconds=outcome.simulated_ns / 1e9,
        provenance=made_by or provenance(),
        varied=drawn.varied,
    )


def with_evidence(record: RunRecord, outcome: Outcome) -> RunRecord:
    """Extend the record of a run by what its checkers found: the content of `verdict.json`."""
    return msgspec.structs.replace(record, anomalies=outcome.anomalies, verdict_details=outcome.verdict)


def encode(document: msgspec.Struct) -> bytes:
    """Write a document as JSON. Evidence may hold values that JSON has no form for: they are written as text."""
    return msgspec.json.encode(document, enc_hook=thaw)


def read_record(data: bytes | str, where: str) -> Record:
    """Read the record of a run, of this version or an earlier one. Raises BadInput."""
    try:
        fields = msgspec.json.decode(data, type=_Fields)
        version = fields.get("document", 1)
        if type(version) is not int or version not in range(1, RECORD_VERSION + 1):
            raise BadInput(f"document version {version}", f"at most {RECORD_VERSION}; update foreshock", where)
        for migrate in _MIGRATIONS[version - 1 :]:
            migrate(fields)
        fields["document"] = RECORD_VERSION
        if fields.get("verdict") == "error":
            return msgspec.convert(fields, ErrorRecord)
        return msgspec.convert(fields, RunRecord)
    except UNREADABLE as error:
        raise BadInput(f"a damaged document ({error})", "the record of a run", where) from None


def _from_1(fields: _Fields) -> None:
    """Version 2 took over the field's words: variants, coverage marks, and faults without a target or an effect."""
    fields["variant"] = fields.pop("flavour", "")
    fields["marks"] = fields.pop("probes", {})
    read = msgspec.convert(fields, _Faults)
    fields["faults"] = {_FAULT_WORDS.get(word, word): count for word, count in read.faults.items()}
    fields["fault_outcomes"] = {
        id: _FAULT_WORDS.get(word, word).replace("_", "-") for id, word in read.fault_outcomes.items()
    }


class _Faults(msgspec.Struct, frozen=True):
    """What version 1 says of faults, as far as its words have changed."""

    faults: dict[str, int] = {}
    fault_outcomes: dict[str, str] = {}


_FAULT_WORDS: Final = {"moot": "no_target", "idle": "no_effect"}
_MIGRATIONS: Final[tuple[Callable[[_Fields], None], ...]] = (_from_1,)
