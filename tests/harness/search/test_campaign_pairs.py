"""Which seeds of two campaigns make a pair: those of one plan, as far as the records tell."""

from __future__ import annotations

import msgspec
import pytest

from harness.archive.documents import run_record
from harness.plans.plan import DRAW_VERSION
from harness.record import ErrorRecord, Provenance, Record
from harness.run.drawing import Drawing
from harness.search.campaign import Settings
from harness.search.campaign_pairs import RecordedCampaign, compare_campaigns
from harness.search.guided import Way
from harness.search.suites import Suite
from tests.harness.outcomes import make_outcome

CELL = Drawing(workload="register", profile="calm")


def valid(seed: int) -> Record:
    return run_record(make_outcome(seed), made_by=Provenance(harness="a", python="b", trio="c"))


def error(seed: int) -> ErrorRecord:
    return ErrorRecord(
        seed=seed,
        workload=CELL.workload,
        profile=CELL.profile,
        error="killed",
        binding=make_outcome(seed).binding,
        code_digest="d" * 64,
        reproduce="foreshock run",
    )


def recorded(
    id: str, *records: Record, cell: Drawing = CELL, draw_version: int = DRAW_VERSION, search: Way = "random"
) -> RecordedCampaign:
    settings = Settings(
        suite=Suite(name="s", cells=(cell,), search=search),
        system="raft_impl",
        code_digest="d" * 64,
        first=1,
        last=9,
        draw_version=draw_version,
    )
    return RecordedCampaign.of(id, msgspec.json.encode(settings).decode(), records)


def test_an_error_makes_a_pair_where_both_drew_it_alike() -> None:
    found = compare_campaigns(recorded("a", valid(1), valid(2)), recorded("b", valid(1), error(2)))

    assert found.other_plans == ()
    assert [(pair.seed, pair.a, pair.b) for pair in found.summary.pairs] == [
        (1, "valid", "valid"),
        (2, "valid", "error"),
    ]


@pytest.mark.parametrize(
    ("cell", "draw_version"),
    [
        (msgspec.structs.replace(CELL, nodes=7), DRAW_VERSION),
        (msgspec.structs.replace(CELL, explicit={"reads": "lease"}), DRAW_VERSION),
        (CELL, DRAW_VERSION - 1),
    ],
)
def test_an_error_of_another_plan_makes_no_pair(cell: Drawing, draw_version: int) -> None:
    """Workload and profile are the same, and the plan of the seed is another one."""
    b = recorded("b", valid(1), error(2), cell=cell, draw_version=draw_version)

    found = compare_campaigns(recorded("a", valid(1), valid(2)), b)

    assert found.other_plans == (2,)
    assert [pair.seed for pair in found.summary.pairs] == [1]


def test_an_error_of_a_guided_search_makes_no_pair() -> None:
    """What a seed means there depends on what other runs reached."""
    a = recorded("a", valid(1), valid(2), search="guided")

    found = compare_campaigns(a, recorded("b", valid(1), error(2), search="guided"))

    assert found.other_plans == (2,)
    assert [pair.seed for pair in found.summary.pairs] == [1]


def test_where_settings_cannot_be_read_workload_and_profile_decide() -> None:
    b = RecordedCampaign.of("b", "{", [valid(1), error(2)])

    assert compare_campaigns(recorded("a", valid(1), valid(2)), b).other_plans == ()
