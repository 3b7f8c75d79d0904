"""What addresses show, without a browser: filters, pages, numbers, and what is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.archive.documents import run_record
from harness.archive.index import FILE, Index
from harness.outcome import Outcome
from harness.quantities import SEED_MAX
from harness.record import ErrorRecord
from harness.run.drawing import Drawing
from harness.scenarios import library
from harness.serve.access import Access
from harness.serve.application import application
from harness.serve.films import Films
from harness.serve.questions import PAGE_ROWS, Filter, Questions
from harness.systems.binding import RecordedBinding, RecordedCode
from tests.harness.outcomes import make_outcome

from .asking import ask
from .conftest import STALE, VOTES, add_runs, settings


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 72),
        ("verdict=invalid", 8),
        ("verdict=invalid&campaign=night-2", 3),
        (f"signature={STALE}", 5),
        ("signature=raft", 3),
        ("signature=raf", 0),
        ("seed=7", 2),
        ("seed=x", 0),
        ("seed=9999999999999999999999", 0),
        ("seed=9223372036854775808", 0),
        ("text=ELECTION", 3),
        ("text=%25", 0),
        ("workload=register&profile=calm&verdict=unknown", 9),
        ("workload=' OR 1=1 --", 0),
        ("unheard-of=word", 72),
    ],
)
def test_a_filter_finds_what_fits_all_its_words(app: Any, query: str, count: int) -> None:
    page, told = ask(app, f"/runs?{query}"), ask(app, f"/api/runs?{query}")

    assert (page.status, told.status) == (200, 200)
    assert told.json["total"] == count
    assert f"<b>{count}</b> run" in page.text
    assert len(told.json["rows"]) == len(re.findall(r"<tr data-number", page.text)) == min(count, PAGE_ROWS)


def test_pages_of_runs_lead_from_one_to_the_next_and_back(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        add_runs(index, 2 * PAGE_ROWS + 5)
    questions = Questions(tmp_path)

    first = questions.runs(Filter())
    second = questions.runs(Filter(), below=first.older)
    third = questions.runs(Filter(), below=second.older)
    back = questions.runs(Filter(), above=third.newer)

    seeds = [row["seed"] for page in (first, second, third) for row in page.rows]
    assert seeds == list(range(2 * PAGE_ROWS + 5, 0, -1))
    assert (first.newer, third.older) == (None, None)
    assert [page.first for page in (first, second, third)] == [1, PAGE_ROWS + 1, 2 * PAGE_ROWS + 1]
    assert back.rows == second.rows


def test_the_largest_seed_is_found(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        add_runs(index, 1, first=SEED_MAX)

    assert Questions(tmp_path).runs(Filter(seed=str(SEED_MAX))).total == 1


def test_campaigns_say_how_far_they_are(app: Any) -> None:
    page = ask(app, "/").text
    finished, running = (ask(app, f"/api/campaigns/night-{night}").json for night in (1, 2))

    assert page.index("night-2") < page.index("night-1"), "the newest is first"
    assert (finished["state"], running["state"]) == ("finished", "running")
    assert [finished[word] for word in ("runs", "valid", "invalid", "unknown", "error", "total")] == [
        40,
        31,
        4,
        5,
        0,
        40,
    ]
    assert (running["runs"], running["total"]) == (30, 400)
    assert [one["signature"] for one in running["signatures"]] == [STALE, VOTES]
    assert "settings" not in running


def test_failures_have_their_trend_over_campaigns(app: Any, results: Path) -> None:
    campaigns, trends = Questions(results).trends()

    page = ask(app, "/failures").text

    assert [row["id"] for row in campaigns] == ["night-1", "night-2"]
    assert trends == {VOTES: [2, 1], STALE: [2, 2]}
    assert "2 in default of" in page
    assert f'href="/runs?signature={STALE.replace("/", "%2F")}&amp;campaign=night-2"' in page


def test_a_run_leads_to_its_report_or_says_how_to_have_it_again(app: Any, results: Path) -> None:
    rows = {(row["seed"], row["run"] is not None): row for row in ask(app, "/api/runs").json["rows"]}
    kept, lost = rows[8, True], rows[10, False]

    report = ask(app, f"/report/{kept['run']}")
    page = ask(app, f"/runs/{lost['number']}")

    assert report.status == 200
    assert "Content-Security-Policy" in report.text
    assert STALE in report.text
    assert not (results / kept["run"] / "report.html").exists(), "nothing is written"
    assert page.status == 200
    assert "The same seed makes the run again." in page.text


def test_walkthroughs_are_made_when_they_are_asked_for(app: Any) -> None:
    listed = ask(app, "/walkthroughs").text
    page = ask(app, "/walkthroughs/i_single_node")

    assert listed.index("walkthrough_0_single_node") < listed.index("demo_election_2")
    assert page.status == 200
    assert "A group of one" in page.text
    assert ask(app, "/walkthroughs/no_such").status == 404


@pytest.mark.parametrize("address", ["/nowhere", "/runs/1/2", "/<script>alert(1)</script>", "/api", "/%00"])
def test_an_address_that_leads_nowhere_has_a_page_that_leads_on(app: Any, address: str) -> None:
    page = ask(app, address)

    assert page.status == 404
    assert 'href="/runs"' in page.text
    assert "<script>alert" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_an_empty_folder_and_a_damaged_index_are_told(tmp_path: Path) -> None:
    app = Access(application(tmp_path, Films()), None)

    assert "No campaign yet" in ask(app, "/").text
    empty = ask(app, "/runs")
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    damaged = ask(app, "/runs")

    assert (empty.status, damaged.status) == (503, 503)
    assert "no index of runs" in empty.text
    assert "an index that cannot be read" in damaged.text
    assert (tmp_path / FILE).read_bytes().startswith(b"this is no"), "it was left alone"


@pytest.mark.parametrize("damage", ["[", '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}"])
def test_damaged_settings_and_documents_are_shown_as_far_as_they_go(tmp_path: Path, damage: str) -> None:
    with Index(tmp_path) as index:
        add_runs(index, 1)
        index._db.execute(
            "INSERT INTO campaigns (id, started, suite, settings, summary) VALUES ('c', 'x', 's', ?, '7')", (damage,)
        )
        index._db.execute("UPDATE runs SET document = ?, campaign = 'c', recorded = 'never'", (damage,))
    app = Access(application(tmp_path, Films()), None)

    assert [ask(app, path).status for path in ("/", "/campaigns/c", "/runs", "/runs/1", "/failures")] == [200] * 5


def test_nothing_in_a_row_is_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>'\"&\u202e"
    outcome = make_outcome(1, "invalid", f"raft/{hostile}")
    with Index(tmp_path) as index:
        index._db.execute(
            "INSERT INTO campaigns (id, started, suite, settings, summary) VALUES (?, ?, ?, ?, ?)",
            (hostile, hostile, hostile, '{"system": "<b>"}', '{"failures": [{"signature": "<i>", "message": "<u>"}]}'),
        )
        index.add(run_record(outcome), campaign=hostile)
    app = Access(application(tmp_path, Films()), None)

    campaign = Questions(tmp_path).campaigns()[0]["id"]
    assert campaign == hostile
    for path in (
        "/",
        f"/campaigns/{hostile}",
        "/runs",
        "/runs/1",
        "/failures",
        f"/runs?text={hostile}",
        f"/runs?verdict={hostile}",
    ):
        page = ask(app, path.replace("&", "%26").replace("#", "%23"))
        assert page.status == 200, path
        assert not re.search(r"<(script>|b>|i>|u>(?!</))", re.sub(r"<b>[\d,]+</b>", "", page.text)), path
        assert "\u202e" not in page.text


def test_pages_that_are_served_lead_back(app: Any) -> None:
    walkthrough, sandbox = ask(app, "/walkthroughs/i_single_node").text, ask(app, "/sandbox/i_single_node").text

    assert 'href="/walkthroughs">all walk-throughs' in walkthrough
    assert 'href="/sandbox/i_single_node">act in it' in walkthrough
    assert 'href="/sandbox">other beginnings' in sandbox


def test_every_scenario_is_listed_once_under_a_heading(app: Any) -> None:
    for part in ("/walkthroughs", "/sandbox"):
        page = ask(app, part).text
        listed = re.findall(rf'href="{part}/(\w+)"', page)
        assert sorted(listed) == sorted(library.names())
        assert "Others" not in page, "each has a heading that says something"


def test_a_run_without_a_folder_has_the_line_that_makes_it_again(app: Any, results: Path) -> None:
    row = next(row for row in ask(app, "/api/runs?campaign=night-1").json["rows"] if row["seed"] == 7)

    page = ask(app, f"/runs/{row['number']}").text

    assert "foreshock run --seed 7 --workload register --profile calm" in page


def line_of(results: Path, outcome: Outcome, cell: Drawing, system: str, **changes: Any) -> str:
    """The page of the one run of a campaign with one cell."""
    told = settings()
    suite = msgspec.structs.replace(told.suite, cells=(cell,))
    with Index(results) as index:
        index.begin_campaign("night", "default", msgspec.structs.replace(told, suite=suite, system=system))
        index.add(msgspec.structs.replace(run_record(outcome), **changes), campaign="night", cell=0)
    return ask(Access(application(results, Films()), None), "/runs/1").text


def bound(**specs: str) -> RecordedBinding:
    return RecordedBinding(codes={label: RecordedCode(spec=spec, digest="d" * 64) for label, spec in specs.items()})


def test_the_line_of_a_run_names_what_its_campaign_was_told(tmp_path: Path) -> None:
    """And not the code behind each label of its plan, which nobody can type as one system."""
    outcome = make_outcome(3, binding=bound(default="raft_impl@v2", older="raft_impl@v1"))
    cell = Drawing(workload="register", profile="calm", nodes=5, upgrade_from="v1")

    page = line_of(tmp_path, outcome, cell, "raft_impl@v2")

    line = (
        "foreshock run --seed 3 --workload register --profile calm --system raft_impl@v2 --upgrade-from v1 --nodes 5<"
    )
    assert line in page


def test_the_line_of_a_live_run_is_one_that_the_command_line_takes(tmp_path: Path) -> None:
    cell = Drawing(world="live", system="etcd", workload="register", profile="calm")

    page = line_of(tmp_path, make_outcome(3, binding=bound(default="live:etcd")), cell, "etcd")

    assert "foreshock run --world live --seed 3 --workload register --profile calm --system etcd<" in page


def test_no_seed_makes_a_varied_run_again(tmp_path: Path) -> None:
    page = line_of(tmp_path, make_outcome(3), Drawing(profile="calm"), "raft_impl", varied=(1, 2))

    assert "No folder was kept." in page
    assert "makes the run again" not in page
    assert "foreshock run" not in page


def test_a_run_that_ended_in_an_error_has_its_own_line(tmp_path: Path) -> None:
    line = "foreshock run results/plans/3.json"
    error = ErrorRecord(
        seed=3,
        workload="register",
        profile="calm",
        error="Traceback",
        binding=bound(default="raft_impl"),
        code_digest="d" * 64,
        reproduce=line,
    )
    with Index(tmp_path) as index:
        index.add(error)

    assert f">{line}<" in ask(Access(application(tmp_path, Films()), None), "/runs/1").text
