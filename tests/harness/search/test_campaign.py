"""What many runs amount to: exit codes, groups, baselines, suites and known failures."""

from __future__ import annotations

import datetime
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest

from checkers.verdict import Validity
from harness.archive import documents
from harness.archive.documents import run_record
from harness.archive.index import Campaign, IndexedRun
from harness.errors import BadInput, Exit
from harness.plans.profiles import PROFILES
from harness.record import ErrorRecord, Provenance, Record, RunRecord
from harness.run.drawing import Drawing
from harness.search import campaign as campaigns
from harness.search import exports, known, suites
from harness.search.budgets import Budget
from harness.search.campaign import Baseline, Changes, Settings, Tally
from harness.search.known import Known
from harness.search.suites import Suite
from harness.systems.binding import RecordedBinding
from tests.harness.outcomes import make_outcome
from workloads.catalog import BUILT_IN

SUITE = Suite(name="test", cells=(Drawing(workload="register"), Drawing(workload="counter")))
HERE = Provenance(harness="a", python="b", trio="c")
STALE, ELECTION, LIVENESS = (
    "linearizability/nonlinearizable/register/read",
    "raft/election-safety",
    "liveness/no-leader",
)


def document(seed: int, validity: Validity = "valid", *signatures: str, allowed: bool = False) -> RunRecord:
    return run_record(make_outcome(seed, validity, *signatures, allowed=allowed), made_by=HERE)


def error(seed: int) -> ErrorRecord:
    return ErrorRecord(
        seed=seed,
        workload="register",
        profile="swarm",
        error="Traceback\nboom",
        binding=RecordedBinding(codes={}),
        code_digest="",
        reproduce=f"foreshock run --seed {seed}",
    )


def tally(*records: Record, known: tuple[Known, ...] = ()) -> Tally:
    counted = Tally(SUITE, known)
    for one in records:
        counted.add(one)
    return counted


VALID = [document(seed) for seed in range(100, 199)]
KNOWN = (Known(signature=STALE, reason="issue 1"),)


@pytest.mark.parametrize(
    ("documents", "known", "max_unknown", "code"),
    [
        (VALID, (), 0.0, Exit.VALID),
        ([*VALID, document(1, "invalid", STALE)], (), 0.01, Exit.INVALID),
        ([*VALID, document(1, "invalid", STALE)], KNOWN, 0.01, Exit.VALID),
        ([*VALID, document(1, "invalid", STALE), document(2, "invalid", ELECTION)], KNOWN, 0.01, Exit.INVALID),
        ([*VALID, document(1, "invalid", STALE, allowed=True)], (), 0.01, Exit.VALID),
        ([*VALID, document(1, "unknown")], (), 0.01, Exit.VALID),
        ([*VALID, document(1, "unknown")], (), 0.0, Exit.UNKNOWN),
        ([*VALID, document(1, "unknown"), document(2, "unknown")], (), 0.01, Exit.UNKNOWN),
        ([*VALID, error(1)], (), 0.01, Exit.INTERNAL),
        ([*VALID, error(1), document(2, "unknown"), document(3, "unknown")], (), 0.01, Exit.INTERNAL),
        ([*VALID, error(1), document(2, "invalid", STALE)], (), 0.01, Exit.INVALID),
    ],
    ids=str,
)
def test_the_exit_code_follows_the_order_of_the_contract(
    documents: list[Record], known: tuple[Known, ...], max_unknown: float, code: Exit
) -> None:
    assert tally(*documents, known=known).exit_code(max_unknown) == code


def test_marks_are_counted_and_those_that_no_run_hit_are_listed() -> None:
    counted = Tally(SUITE, marks=("rare", "rarer", "rarest"))
    for hits in ({"rare": 2}, {"rare": 1, "rarer": 1}, {}):
        counted.add(msgspec.structs.replace(document(1), marks=hits))

    summary = counted.findings()

    assert summary.marks == {"rare": 3, "rarer": 1}
    assert summary.marks_never_hit == ("rarest",)


def test_the_latest_of_all_runs_is_no_sum() -> None:
    counted = Tally(SUITE)
    for late_ms in (20, 70, 30):
        counted.add(msgspec.structs.replace(document(1), marks={"ms late at most": late_ms, "resets": late_ms}))

    assert counted.findings().marks == {"ms late at most": 70, "resets": 120}


def test_failures_are_grouped_by_signature_with_the_smallest_seed_as_the_example() -> None:
    summary = tally(
        document(9, "invalid", STALE), document(4, "invalid", STALE), document(7, "invalid", ELECTION), *VALID
    ).findings()

    assert [(group.signature, group.runs, group.seed, group.seeds) for group in summary.failures] == [
        (STALE, 2, 4, (4, 9)),
        (ELECTION, 1, 7, (7,)),
    ]
    assert summary.failures[0].reproduce == "foreshock run --seed 4 --workload register --profile swarm"
    assert summary.failures[1].reproduce == "foreshock run --seed 7 --workload counter --profile swarm"
    assert summary.runs == {"valid": 99, "invalid": 3, "unknown": 0, "error": 0}


def test_the_order_in_which_workers_answer_changes_nothing() -> None:
    documents = [document(9, "invalid", STALE), document(4, "invalid", STALE), document(3, "unknown"), *VALID[:3]]

    assert tally(*documents).findings() == tally(*reversed(documents)).findings()


def test_an_allowed_failure_is_counted_apart() -> None:
    counted = tally(document(1, "invalid", STALE, allowed=True), *VALID)

    assert counted.unexplained == 0
    assert counted.findings().allowed == 1
    assert counted.findings().failures[0].allowed is True


def test_an_unexplained_anomaly_does_not_hide_behind_an_allowed_one() -> None:
    one = document(1, "invalid", STALE, ELECTION)
    explained = msgspec.structs.replace(one.anomalies[0], allowed=True)
    one = msgspec.structs.replace(one, anomalies=(explained, *one.anomalies[1:]))

    assert one.primary == STALE
    assert one.failure_signature == ELECTION
    assert not one.is_allowed


def test_a_known_failure_covers_only_where_it_says() -> None:
    entry = (Known(signature=STALE, reason="issue 1", workload="counter"),)

    assert tally(document(1, "invalid", STALE), known=entry).unexplained == 1


def test_one_uncovered_run_makes_the_whole_group_news() -> None:
    entry = (Known(signature=STALE, reason="issue 1", workload="register"),)
    other = msgspec.structs.replace(document(2, "invalid", STALE), workload="counter")

    for order in ((document(1, "invalid", STALE), other), (other, document(1, "invalid", STALE))):
        assert tally(*order, known=entry).findings().failures[0].known is None


def settings(suite: Suite = SUITE, draw_version: int = 2) -> Settings:
    return Settings(suite=suite, system="raft_impl", code_digest="", first=1, last=9, draw_version=draw_version)


def changes_since(before: Settings, now: Settings, *records: Record) -> Changes:
    """What a campaign of these runs says after one that saw a stale read at seed 1 and no leader at 2 and 4."""
    failing = [document(1, "invalid", STALE), document(2, "invalid", LIVENESS), document(4, "invalid", LIVENESS)]
    found = documents.encode(tally(*failing).findings()).decode()
    stored = Campaign(
        id="old", started="", finished="", suite="test", settings=documents.encode(before).decode(), summary=found
    )
    baseline = Baseline(stored)
    counted = Tally(now.suite, asked=baseline.seeds)
    for record in records:
        counted.add(record)
    return baseline.changes(counted.findings(), now, counted.judged)


STILL_AND_NEW = [document(1, "invalid", STALE), document(3, "invalid", ELECTION)]
LEASES = Suite(name="test", cells=(Drawing(workload="register", explicit={"reads": "lease"}), *SUITE.cells[1:]))
OTHER_CODE = Suite(name="test", cells=tuple(msgspec.structs.replace(cell, system="path:x") for cell in SUITE.cells))


def test_a_baseline_tells_new_still_and_fixed() -> None:
    changes = changes_since(settings(), settings(OTHER_CODE), *STILL_AND_NEW, document(2), document(4))

    assert changes == Changes(campaign="old", new=(ELECTION,), still=(STALE,), fixed=(LIVENESS,))


@pytest.mark.parametrize(
    ("now", "runs"),
    [
        (settings(), [document(2)]),
        (settings(), [document(2), document(4, "unknown")]),
        (settings(), [document(2), error(4)]),
        (settings(LEASES), [document(2), document(4)]),
        (settings(draw_version=3), [document(2), document(4)]),
        (msgspec.structs.replace(settings(), world="live"), [document(2), document(4)]),
    ],
    ids=["a seed was not run", "unknown", "an error", "another cell", "other plans", "live runs"],
)
def test_nothing_is_called_fixed_that_was_not_run_again(now: Settings, runs: list[Record]) -> None:
    changes = changes_since(settings(), now, *STILL_AND_NEW, *runs)

    assert (changes.fixed, changes.not_run) == ((), (LIVENESS,))
    assert changes.still == (STALE,)


def test_a_campaign_that_found_nothing_yet_is_no_baseline() -> None:
    with pytest.raises(BadInput, match="found nothing yet"):
        Baseline(Campaign(id="old", started="", finished=None, suite="test", settings="{}", summary=None))


@pytest.mark.parametrize("summary", ["{", '{"failures": 3}', '{"zz": ' + "[" * 5_000 + "]" * 5_000 + "}"])
def test_a_campaign_whose_summary_is_damaged_is_no_baseline(summary: str) -> None:
    with pytest.raises(BadInput, match=r"a summary that cannot be read .*--baseline old"):
        Baseline(Campaign(id="old", started="", finished="", suite="test", settings="{}", summary=summary))


def test_no_runs_are_no_success() -> None:
    assert tally().exit_code(0.01) == Exit.UNKNOWN


def test_all_seeds_of_a_failure_are_in_the_summary() -> None:
    summary = tally(*(document(seed, "invalid", STALE) for seed in range(30, 0, -1))).findings()

    assert summary.failures[0].seeds == tuple(range(1, 31))


def indexed(record: Record) -> IndexedRun:
    return IndexedRun(
        number=record.seed,
        run=None,
        path=None,
        recorded="",
        campaign=None,
        cell=0,
        seed=record.seed,
        workload=record.workload,
        profile=record.profile,
        system="raft_impl",
        verdict=record.verdict,
        signature=None,
        allowed=False,
        document=documents.encode(record).decode(),
    )


def test_what_does_not_fail_the_suite_is_no_failure_in_junit() -> None:
    """Known failures are skipped and say why, so that a report is red when the exit code is."""
    runs = [document(1, "invalid", STALE), document(2, "invalid", ELECTION), document(3, "unknown"), document(4)]

    report = ElementTree.fromstring(exports.junit("test", map(indexed, runs), KNOWN))

    cases = {case.get("name"): [(child.tag, child.get("message")) for child in case] for case in report[0]}
    assert cases == {
        "seed 1": [("skipped", f"known: {STALE}: issue 1")],
        "seed 2": [("failure", ELECTION)],
        "seed 3": [("skipped", "unknown: too long")],
        "seed 4": [],
    }


@pytest.mark.parametrize("name", suites.named())
def test_every_suite_that_comes_with_the_harness_can_be_read(name: str) -> None:
    suite = suites.load(name)

    assert suite.name == name
    assert suite.cells


def test_the_default_suite_is_every_workload_under_swarm() -> None:
    suite = suites.load(suites.DEFAULT)

    assert sorted(cell.workload for cell in suite.cells) == sorted(workload.name for workload in BUILT_IN)
    assert {cell.profile for cell in suite.cells} == {"swarm"}
    assert (suite.count, suite.max_unknown) == (500, 0.01)
    assert suite.budget == Budget()


def test_the_wide_suite_is_every_workload_under_every_profile_that_a_correct_system_survives() -> None:
    suite = suites.load("wide")
    profiles = [profile for profile in PROFILES if not profile.startswith("beyond-")]

    cells = [(cell.workload, cell.profile) for cell in suite.cells]

    assert sorted(cells) == sorted((workload.name, profile) for workload in BUILT_IN for profile in profiles)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name = 3\n", "malformed suite"),
        ('name = "x"\ncell = []\n', "malformed suite"),
        ('name = "x"\n[[cell]]\nworkload = "register"\nspeed = 3\n', "speed"),
        ('name = "x"\nmax_unknown = "lots"\n[[cell]]\nworkload = "register"\n', "no share"),
        ('name = "x"\nbudget = { disk = "5 GB" }\n[[cell]]\nworkload = "register"\n', "no size such as 512MiB"),
        ('name = "x"\nbudget = { money = "1" }\n[[cell]]\nworkload = "register"\n', "money"),
        ('name = "x"\n[[cell]]\nworkload = []\n', "an empty list of workload, of [[cell]] 1"),
        (
            'name = "x"\n[[cell]]\nworkload = "list"\n[[cell]]\nworkload = ["list", "register"]\nnodes = "three"\n',
            "at `$.nodes`, of [[cell]] 2",
        ),
        ('name = "x"\n[[cell]]\nworkload = ["register", 3]\n', "malformed suite"),
        ("name = \n", "malformed suite"),
    ],
)
def test_a_malformed_suite_is_one_line(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "suite.toml").write_text(text)

    with pytest.raises(BadInput) as caught:
        suites.load(str(tmp_path / "suite.toml"))

    assert found in caught.value.found
    assert "\n" not in str(caught.value)


def test_a_cell_with_lists_is_a_cell_for_each_combination(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(
        'name = "x"\n[[cell]]\nsystem = ["raft_impl", "raft_impl@old"]\nworkload = ["register", "counter"]\n'
        'options = [{}, { reads = "lease" }]\n[[cell]]\nworkload = "list"\nnodes = [3, 5]\n'
    )

    suite = suites.load(str(tmp_path / "suite.toml"))

    assert [(cell.system, cell.workload, cell.nodes, dict(cell.explicit)) for cell in suite.cells] == [
        ("raft_impl", "register", None, {}),
        ("raft_impl", "register", None, {"reads": "lease"}),
        ("raft_impl", "counter", None, {}),
        ("raft_impl", "counter", None, {"reads": "lease"}),
        ("raft_impl@old", "register", None, {}),
        ("raft_impl@old", "register", None, {"reads": "lease"}),
        ("raft_impl@old", "counter", None, {}),
        ("raft_impl@old", "counter", None, {"reads": "lease"}),
        ("raft_impl", "list", 3, {}),
        ("raft_impl", "list", 5, {}),
    ]
    assert suite.systems == ("raft_impl", "raft_impl@old")


def test_a_system_that_is_typed_takes_the_place_of_all_and_another_default_of_none() -> None:
    cells = (Drawing(system="path:x", workload="register"), Drawing(workload="register"))
    suite = Suite(name="x", cells=cells)

    typed = campaigns.override(suite, Drawing(system="path:y"), ["system"])
    live = campaigns.override(suite, Drawing(system="node", world="live"), [])

    assert typed.systems == ("path:y",)
    assert live.systems == ("path:x", "node")


def test_what_is_said_beside_a_suite_replaces_its_budget_one_by_one(tmp_path: Path) -> None:
    text = 'name = "x"\n{}[budget]\ntime = "6h"\ndisk = "2TiB"\nmemory = "1GiB"\n[[cell]]\nworkload = "register"\n'
    (tmp_path / "open.toml").write_text(text.format(""))
    (tmp_path / "counted.toml").write_text(text.format("count = 7\n"))

    suite = suites.load(str(tmp_path / "open.toml"))

    assert suite.count is None
    assert suites.load(str(tmp_path / "counted.toml")).count == 7
    assert suite.budget == Budget(time_ns=6 * 3600 * 10**9, disk_bytes=2 << 40, memory_bytes=1 << 30)
    assert Budget(disk_bytes=5).over(suite.budget) == msgspec.structs.replace(suite.budget, disk_bytes=5)


def test_a_nightly_suite_begins_with_the_seed_of_the_date(tmp_path: Path) -> None:
    text = 'name = "x"\ncount = {}\nseeds = "nightly"\n[[cell]]\nworkload = "register"\n'
    (tmp_path / "suite.toml").write_text(text.format(2000))
    (tmp_path / "long.toml").write_text(text.format(1_000_000))

    suite = suites.load(str(tmp_path / "suite.toml"))

    assert suite.first_seed(datetime.date(2026, 11, 28)) == 20261128000001
    assert SUITE.first_seed(datetime.date(2026, 11, 28)) == 1
    with pytest.raises(BadInput, match="a night has less than 1000000 seeds"):
        suites.load(str(tmp_path / "long.toml"))


def test_each_night_searches_the_next_canaries_and_all_have_their_turn() -> None:
    suite = Suite(name="x", cells=SUITE.cells, canary="always", canaries=("a", "b", "c", "d", "e"), canaries_a_night=2)
    days = [datetime.date(2026, 11, 1) + datetime.timedelta(days=number) for number in range(5)]

    nights = [suite.canaries_of(day) for day in days]

    assert all(night[0] == "always" and len(night) == 3 for night in nights)
    turns = [name for night in nights for name in night[1:]]
    assert sorted(turns) == sorted("abcde" * 2)
    assert len(set(nights)) == 5
    assert msgspec.structs.replace(suite, canaries_a_night=0).canaries_of(days[0])[0] == "always"
    assert len(msgspec.structs.replace(suite, canaries_a_night=0).canaries_of(days[0])) == 6
    assert SUITE.canaries_of(days[0]) == ()


def test_more_canaries_a_night_than_there_are_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text('name = "x"\ncanaries_a_night = 1\n[[cell]]\nworkload = "register"\n')

    with pytest.raises(BadInput, match="canaries_a_night is 1; there are 0 canaries"):
        suites.load(str(tmp_path / "suite.toml"))


def test_a_known_failure_is_news_again_after_its_day(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text(
        f'[[known]]\nsignature = "{STALE}"\nreason = "a transfer"\nissue = "#12"\nexpires = 2026-11-28\n'
    )
    (entry,) = known.load(tmp_path / "known.toml")

    last_day, over = known.in_force([entry], datetime.date(2026, 11, 28))
    day_after, over_then = known.in_force([entry], datetime.date(2026, 11, 29))

    assert (last_day, over) == ([entry], [])
    assert (day_after, over_then) == ([], [entry])
    assert known.reason_of(document(1, "invalid", STALE), last_day) == "#12: a transfer"


def test_what_is_typed_replaces_what_every_cell_says_and_equal_cells_are_merged() -> None:
    typed = Drawing(workload="counter", profile="calm", explicit={"reads": "lease"})

    suite = campaigns.override(SUITE, typed, ["workload"])

    assert suite.cells == (Drawing(workload="counter", profile="swarm", explicit={"reads": "lease"}),)


def test_known_failures_are_read_and_refused_when_malformed(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(f'[[known]]\nsignature = "{STALE}"\nreason = "issue 1"\n')
    (tmp_path / "bad.toml").write_text("[[known]]\nsignature = 3\n")

    assert known.load(tmp_path / "good.toml") == [Known(signature=STALE, reason="issue 1")]
    assert known.load(tmp_path / "absent.toml") == []
    with pytest.raises(BadInput):
        known.load(tmp_path / "bad.toml")


def test_markdown_names_failures_unknowns_and_errors() -> None:
    counted = tally(document(1, "invalid", STALE), document(2, "unknown"), error(3), *VALID)
    summary = campaigns.summary(counted.findings(), campaign="id", suite="test", exit=1, wall_seconds=1.0)

    text = exports.markdown(summary)

    assert f"| `{STALE}` | 1 | **failure** | `foreshock run --seed 1" in text
    assert "- too long: `foreshock run --seed 2" in text
    assert "- boom: `foreshock run --seed 3`" in text
