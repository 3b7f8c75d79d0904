"""Compare pages: what was kept and what campaigns recorded, its pairs a page at a time, and what cannot be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import cli
from harness.archive.index import Index
from harness.archive.layout import write_run
from harness.errors import BadInput, Exit
from harness.search import comparisons
from harness.search.campaign_pairs import RecordedCampaign, compare_campaigns
from harness.search.sequential import Looked
from harness.serve.access import Access
from harness.serve.application import application
from harness.serve.films import Films
from tests.harness.outcomes import make_outcome, make_rows

from . import ledger
from .asking import ask
from .compared import BASE, BRANCH, campaign, kept, two_campaigns
from .conftest import STALE, VOTES
from .serving import Served, served_over


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two campaigns, a kept comparison of three pages, and two pages of planted bugs."""
    folder = tmp_path_factory.mktemp("compared")
    two_campaigns(folder)
    kept(folder, 250)
    ledger.write(folder, {f"bug-{number}": (None,) for number in range(130)})
    return folder


@pytest.fixture
def asked(compared: Path) -> Any:
    return Access(application(compared, Films()), None)


def seeds_of(page: str) -> list[int]:
    return [int(seed) for seed in re.findall(r'<th scope="row" class="figure">(\d+)</th>', page)]


def test_campaigns_are_compared_by_the_plans_that_both_ran(asked: Any) -> None:
    page = ask(asked, "/compare?a=base&b=branch").text

    assert "B: worse" in page
    assert "<dt>pairs</dt><dd>35</dd>" in page
    assert "5 seeds only A ran." in page
    assert "10 seeds only B ran." in page
    assert f"{STALE} is seen in B alone, first at seed 20." in page
    assert "latency p50, ms is worse by 50.0%, where 10.0% is allowed, in 35 of 35 pairs" in page
    assert "foreshock run --seed 20" in page
    assert f"--system {BRANCH}" in page
    assert "/runs?campaign=branch&amp;seed=20" in page


def test_the_chosen_pairs_are_those_that_are_asked_for(asked: Any) -> None:
    def seeds(words: str) -> list[int]:
        return seeds_of(ask(asked, f"/compare?a=base&b=branch&{words}").text)

    assert seeds("show=verdicts") == [20, 30]
    assert seeds("verdicts=invalid/invalid") == [10]
    assert seeds(f"signature={VOTES}") == [10]
    assert len(seeds("show=all")) == 35
    assert seeds("verdicts=valid/unknown") == seeds("signature=none") == []


def test_campaigns_are_chosen_on_a_page(asked: Any) -> None:
    page = ask(asked, "/compare?a=base").text

    assert f'<option value="base" selected>{BASE}' in page
    assert f'<option value="branch">{BRANCH}' in page
    assert ask(asked, "/compare?a=base&b=no-such").status == 404
    assert ask(asked, "/compare?a=base&b=base").status == 200, "a campaign beside itself is no choice"


def test_what_compare_found_has_an_address(tmp_path: Path) -> None:
    stored = kept(tmp_path, 250, BRANCH, "raft_impl@other")
    app = Access(application(tmp_path, Films()), None)

    listed = ask(app, "/compare").text
    page = ask(app, f"/compare/{stored.id}").text
    second = ask(app, f"/compare/{stored.id}?version=1").text
    told = ask(app, f"/api/compare/{stored.id}").json

    assert comparisons.read(tmp_path, stored.id) == stored
    assert f'href="/compare/{stored.id}?version=1"' in listed
    assert "Only B failed in 25 pairs, only A in 0 (p = 5.96e-08, exact McNemar)." in page
    assert f"<code>{BRANCH}</code>" in page
    assert "<code>raft_impl@other</code>" in second
    assert [one["b"]["spec"] for one in told["comparisons"]] == [BRANCH, "raft_impl@other"]


def judged(results: Path, **changes: Any) -> str:
    """The page of 40 pairs, in which B is slower in every one and alone fails in four, found otherwise by `changes`."""
    summary = kept(results, 40).comparisons[0]
    slower = msgspec.structs.replace(
        summary.metrics["latency_p50_ms"], worse_by=1.0, worse=40, pairs=40, p_corrected=1e-9, regressed=True
    )
    found = msgspec.structs.replace(
        summary,
        **{
            "metrics": {**summary.metrics, "latency_p50_ms": slower},
            "regressed": ("latency_p50_ms",),
            "new_signatures": (),
            **changes,
        },
    )
    stored = comparisons.keep(
        results, [found], seeds=range(1, 41), workloads=("register",), profile="swarm", exit=found.exit
    )
    page = ask(Access(application(results, Films()), None), f"/compare/{stored.id}").text
    return page.replace("&#39;", "'")


def looked(*accuses: str) -> Looked:
    return Looked(pairs=40, of=90, needed=160.0, capital={"verdicts": 1.0}, accuses=accuses)


def test_what_looked_after_every_pair_decides_alone(tmp_path: Path) -> None:
    failing = judged(tmp_path, exit=Exit.INVALID, sequential=looked("verdicts"))
    slow = judged(tmp_path, exit=Exit.INVALID, sequential=looked("latency_p50_ms"))
    innocent = judged(tmp_path, exit=Exit.VALID, sequential=looked(), worse=0)

    assert "Only B failed in 4 pairs, only A in 0 (mixture SPRT: worse)." in failing
    assert "latency p50, ms is worse by" not in failing
    assert 'class="regressed"' not in failing
    assert "latency p50, ms is worse by 100.0%, where 10.0% is allowed, in 40 of 40 pairs (mixture SPRT)." in slow
    assert "only A in 0 (mixture SPRT: no accusation)." in slow
    assert slow.count('class="regressed"') == 1
    assert "Its tests looked after each of 40 of 90 pairs." in slow
    assert "No failure is new" not in failing + slow
    assert "No failure is new, and no test accuses B." in innocent
    assert "ms is worse by" not in innocent


def test_why_nothing_is_decided_is_said(tmp_path: Path) -> None:
    chance = judged(tmp_path, exit=Exit.UNKNOWN, regressed=())
    verdicts = kept(tmp_path, 40).comparisons[0].verdicts
    few = judged(
        tmp_path,
        exit=Exit.UNKNOWN,
        regressed=(),
        verdicts=msgspec.structs.replace(verdicts, pairs={"unknown/valid": 33, "valid/valid": 7}),
    )

    assert "B alone failed more often than A alone, but not so often that chance can be ruled out." in chance
    assert "Only 7 of 40 plans have a verdict on both sides: the others decide nothing." in few
    assert "No failure is new" not in chance + few


def test_each_metric_has_its_own_pairs_and_several_versions_a_smaller_p(tmp_path: Path) -> None:
    summary = kept(tmp_path, 40).comparisons[0]
    fewer = msgspec.structs.replace(summary.metrics["recovery_ms"], pairs=3)
    page = judged(tmp_path, metrics={**summary.metrics, "recovery_ms": fewer}, regressed=())
    several = ask(Access(application(tmp_path, Films()), None), f"/compare/{kept(tmp_path, 40, 'x', 'y').id}").text

    pairs = re.findall(r'<th scope="row">([^<]*)</th>.*?</svg></td>\n<td class="figure">(\d+)</td>', page, re.DOTALL)
    assert dict(pairs)["recovery, ms"] == "3"
    assert dict(pairs)["availability"] == "40"
    assert "p is below 0.05." in page
    assert "p is below 0.025, which is 0.05 divided by the 2 versions." in several


def test_a_file_is_decoded_once_while_it_stays_as_it_is(tmp_path: Path) -> None:
    stored = kept(tmp_path, 40, BRANCH, "raft_impl@other")
    path = tmp_path / comparisons.FOLDER / f"{stored.id}.json"

    first, again = (comparisons.read(tmp_path, stored.id) for _ in range(2))
    listed = comparisons.read_listed(tmp_path, stored.id)
    rewrite(tmp_path, stored.id, stored_document(tmp_path, stored.id)["comparisons"][0]["pairs"][:3])
    other = comparisons.read(tmp_path, stored.id)

    assert first is again
    assert first == stored
    assert listed is not None
    assert [len(one.pairs) for one in listed.comparisons] == [40, 40]
    assert other is not None
    assert len(other.comparisons[0].pairs) == 3
    path.unlink()
    assert comparisons.read(tmp_path, stored.id) is None


@pytest.mark.parametrize("begin", ["-1", "x", "999999999999999999999", "9223372036854775807", "٣", "1e3", ""])
def test_a_part_that_is_none_leads_back(compared: Path, asked: Any, begin: str) -> None:
    page = ask(asked, f"/compare?a=base&b=branch&show=all&begin={begin}")

    assert page.status == 200
    assert len(seeds_of(page.text)) == (0 if begin.startswith("922") else 35)
    assert ('rel="prev"' in page.text) == begin.startswith("922")


def test_pairs_are_shown_a_page_at_a_time(tmp_path: Path) -> None:
    stored = kept(tmp_path, 250)
    app = Access(application(tmp_path, Films()), None)
    pages = [ask(app, f"/compare/{stored.id}?show=all&begin={begin}").text for begin in (0, 100, 200)]

    assert [len(seeds_of(page)) for page in pages] == [100, 100, 50]
    assert sorted(seed for page in pages for seed in seeds_of(page)) == list(range(1, 251))
    assert seeds_of(pages[0])[:26] == [*range(10, 251, 10), 7], "those that differ most come first"
    assert "101 to 200 of 250" in pages[1]
    assert 'rel="next"' not in pages[2]


def test_a_pair_leads_to_the_runs_that_were_kept(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        record = write_run(tmp_path, make_outcome(10, "invalid", STALE, rows=make_rows(50)))
        index.add(record)
    stored = kept(tmp_path, 20)
    pairs = [dict(pair) for pair in stored_document(tmp_path, stored.id)["comparisons"][0]["pairs"]]
    pairs[9]["runs"] = {"b": record.run, "a": "no-such-run"}
    rewrite(tmp_path, stored.id, pairs)
    app = Access(application(tmp_path, Films()), None)

    page = ask(app, f"/compare/{stored.id}").text

    assert re.findall(r'href="(/report/[^"]*)"', page) == [f"/report/{record.run}"]
    assert ask(app, f"/report/{record.run}").status == 200


def test_campaigns_without_a_plan_in_common_are_told(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        campaign(index, "a", BASE, failing={}, seeds=range(1, 4), latency_ms=1.0)
        campaign(index, "b", BASE, failing={}, seeds=range(7, 9), latency_ms=1.0)
    app = Access(application(tmp_path, Films()), None)

    found = ask(app, "/compare?a=a&b=b")

    assert found.status == 400
    assert "Found no plan that both a and b ran; expected campaigns of one suite with seeds in common" in found.text
    with pytest.raises(BadInput):
        compare_campaigns(RecordedCampaign.of("a", "{", []), RecordedCampaign.of("b", "{", []))


@pytest.mark.parametrize(
    "id", ["..%2fforeshock", "20261128T000000Z-ffff", "x" * 999, "%00", "..", "20261128T000000Z-ffff.json"]
)
def test_no_other_file_is_a_comparison(compared: Path, asked: Any, id: str) -> None:
    assert ask(asked, f"/compare/{id}").status == 404
    assert ask(asked, f"/api/compare/{id}").status == 404


def test_damaged_and_linked_files_are_no_comparisons(tmp_path: Path) -> None:
    stored = kept(tmp_path, 3)
    folder = tmp_path / comparisons.FOLDER
    (folder / "20990101T000000Z-0000.json").symlink_to(folder / f"{stored.id}.json")
    (folder / "20000101T000000Z-0000.json").write_text("{")
    (folder / "20000102T000000Z-0000.json").write_bytes(b'{"zz": "\xff"}')
    (folder / "20000103T000000Z-0000.json").write_text('{"zz": ' + "[" * 5_000 + "]" * 5_000 + "}")
    nothing = stored_document(tmp_path, stored.id) | {"comparisons": []}
    (folder / "19990101T000000Z-0000.json").write_bytes(msgspec.json.encode(nothing))
    app = Access(application(tmp_path, Films()), None)

    listed = ask(app, "/compare")

    ids = ["20000103T000000Z-0000", "20000102T000000Z-0000", "20000101T000000Z-0000", "19990101T000000Z-0000"]
    assert comparisons.ids(tmp_path) == [stored.id, *ids]
    assert ask(app, "/compare/19990101T000000Z-0000").status == 503
    assert listed.status == 200
    assert listed.text.count("a file that cannot be read") == len(ids)
    assert ask(app, "/compare/20990101T000000Z-0000").status == 404
    assert [ask(app, f"/compare/{id}").status for id in ids] == [503] * len(ids)


def test_nothing_in_a_comparison_is_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>'\"&\u202e"
    stored = kept(tmp_path, 40, hostile, failure=f"raft/{hostile}", text=hostile * 200)
    app = Access(application(tmp_path, Films()), None)
    with Index(tmp_path) as index:
        campaign(index, hostile, hostile, failing={3: f"raft/{hostile}"}, seeds=range(1, 9), latency_ms=1.0)
        campaign(index, "b", BASE, failing={}, seeds=range(1, 9), latency_ms=1.0)
    name = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%27%22%26%E2%80%AE"

    for path in (
        "/compare",
        f"/compare/{stored.id}",
        f"/compare/{stored.id}?verdicts={name}&version={name}&begin={name}&show={name}",
        f"/compare?a={name}&b=b",
        f"/compare?a=b&b={name}&signature={name}",
    ):
        page = ask(app, path)
        assert page.status == 200, path
        assert "alert(1)" in page.text, path
        assert "<script>alert" not in page.text, path
        assert "\u202e" not in page.text, path
        assert "script-src 'self'" in page.headers["content-security-policy"]


def test_an_effect_on_a_value_of_0_is_infinite(tmp_path: Path) -> None:
    """Campaigns are compared in memory, where no JSON makes null of what has no share."""
    with Index(tmp_path) as index:
        campaign(index, "base", BASE, failing={}, seeds=range(1, 41), latency_ms=4.0, elections=0)
        campaign(index, "branch", BRANCH, failing={}, seeds=range(1, 41), latency_ms=inf, elections=3)
    app = Access(application(tmp_path, Films()), None)

    page = ask(app, "/compare?a=base&b=branch").text

    (row,) = re.findall(r'<tr class="regressed"><th scope="row">elections</th>.*?</tr>', page, re.DOTALL)
    assert "<b>infinite worse</b>" in row
    assert '<td class="figure">infinite to infinite</td>' in row
    assert "elections is worse by infinite, where" in page
    assert not re.search(r"\binf\b", page)


def test_compare_keeps_what_it_found(tmp_path: Path, hasty_copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.run(
        ["compare", ".", str(hasty_copy), "--seeds", "1..2", "--profile", "calm", "--workload", "register",
         "--duration", "1s", "--results", str(tmp_path)]
    )  # fmt: skip

    (id,) = comparisons.ids(tmp_path)
    stored = comparisons.read(tmp_path, id)
    assert f"page        /compare/{id} of foreshock serve" in capfd.readouterr().out
    assert stored is not None
    assert stored.exit == code
    assert [pair.seed for pair in stored.comparisons[0].pairs] == [1, 2]
    assert "first_divergence" in stored_document(tmp_path, id)["comparisons"][0]["pairs"][0]
    assert set(stored.comparisons[0].pairs[0].measures["b"]) == set(stored.comparisons[0].metrics)


@pytest.fixture
def served(compared: Path) -> Iterator[Served]:
    with served_over(compared) as one:
        yield one


def test_two_refs_are_compared_in_a_browser(page: Any, served: Served) -> None:
    page.goto(f"{served.address}/")
    page.keyboard.press("4")
    page.wait_for_url("**/compare")
    page.select_option("[name=a]", "base")
    page.select_option("[name=b] >> nth=0", "branch")
    page.click("button.primary")
    page.wait_for_url("**/compare?a=base&b=branch")
    assert BRANCH in page.text_content("h1")
    assert "worse" in page.text_content("#verdict-head")
    assert page.locator("#metrics tr.regressed").count() == 1

    page.click(f"#signatures a:has-text('{STALE}')")
    page.wait_for_url("**signature=*")
    assert page.locator("#pairs tbody tr").count() == 2
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 1
    page.click("#pairs a[aria-label='B of seed 20: invalid']")
    page.wait_for_url("**/runs?campaign=branch&seed=20")
    assert page.text_content("#found").startswith("1 run")
    page.go_back()

    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


def test_keys_turn_the_pages_of_pairs_and_of_planted_bugs(page: Any, served: Served, compared: Path) -> None:
    def turn(key: str, begin: int) -> None:
        page.keyboard.press(key)
        page.wait_for_url(lambda url: f"begin={begin}" in url if begin else "begin=" not in url)
        page.wait_for_load_state()

    (id,) = comparisons.ids(compared)
    page.goto(f"{served.address}/compare/{id}?show=all")
    for key, begin, count in (("n", 100, 100), ("n", 200, 50), ("n", 200, 50), ("p", 100, 100), ("p", 0, 100)):
        turn(key, begin)
        assert page.locator("#pairs tbody tr").count() == count
    page.goto(f"{served.address}/mutants")
    for key, begin, count in (("n", 100, 30), ("p", 0, 100)):
        turn(key, begin)
        assert page.locator("#mutants tbody tr").count() == count


def stored_document(results: Path, id: str) -> Any:
    return msgspec.json.decode((results / comparisons.FOLDER / f"{id}.json").read_bytes())


def rewrite(results: Path, id: str, pairs: list[Any]) -> None:
    document = stored_document(results, id)
    document["comparisons"][0]["pairs"] = pairs
    (results / comparisons.FOLDER / f"{id}.json").write_bytes(msgspec.json.encode(document))
