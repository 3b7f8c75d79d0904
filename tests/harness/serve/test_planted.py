"""Pages of planted bugs: names, how often they acted and were judged, and nothing that a ledger could smuggle in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.search.detection import FOUND, LEDGER, NEVER_REACHED, NOT_JUDGED
from harness.search.searched import NOT_COMPARED, read
from harness.serve.access import Access
from harness.serve.application import application
from harness.serve.films import Films

from . import ledger
from .asking import ask

BUGS: dict[str, tuple[str | None, ...]] = {
    "never-fires": (None, None, None),
    "nobody-sees": (None, "acted", "acted"),
    "votes-twice": (None, "acted", "raft/election-safety"),
    "stalls": ("liveness/no-progress",),
}


@pytest.fixture
def searched(tmp_path: Path) -> Any:
    ledger.write(tmp_path, BUGS)
    return Access(application(tmp_path, Films()), None)


def test_each_bug_says_how_far_it_came(tmp_path: Path) -> None:
    ledger.write(tmp_path, BUGS)

    found = {one.name.name: one for one in read(tmp_path / LEDGER)}

    assert {name: (one.state, len(one.runs), one.acted, one.wrong) for name, one in found.items()} == {
        "never-fires": (NEVER_REACHED, 3, 0, 0),
        "nobody-sees": (NOT_JUDGED, 3, 2, 0),
        "votes-twice": (FOUND, 3, 2, 1),
        "stalls": (FOUND, 1, 1, 1),
    }
    votes = found["votes-twice"]
    assert (votes.oracle, votes.is_as_expected, found["stalls"].is_as_expected) == ("raft", True, False)
    assert (round(votes.low, 3), round(votes.high, 3)) == (0.061, 0.792)
    assert votes.first is not None
    assert votes.first.command.startswith("foreshock run --seed 3 --workload register")
    assert votes.first.command.endswith("2.patch")


def test_only_the_latest_search_of_a_bug_counts(tmp_path: Path) -> None:
    ledger.write(tmp_path, BUGS)
    older = (tmp_path / LEDGER).read_bytes().replace(b'"code":"', b'"code":"0')
    newer = (tmp_path / LEDGER).read_bytes()

    (tmp_path / LEDGER).write_bytes(older.replace(b"raft/election-safety", b"raft/other") + newer)
    found = read(tmp_path / LEDGER)

    assert len(found) == 4
    assert [one.signatures for one in found if one.name.name == "votes-twice"] == [{"raft/election-safety": 1}]


def test_a_ledger_without_names_or_without_the_plain_runs_says_less(tmp_path: Path) -> None:
    ledger.write(tmp_path, {"nobody-sees": ("acted",)}, names=False, plain=False)

    (one,) = read(tmp_path / LEDGER)

    assert re.fullmatch("[0-9a-f]{16}", one.name.name)
    assert (one.state, one.compared) == (NOT_COMPARED, 0)


def test_planted_bugs_are_listed_and_filtered(searched: Any) -> None:
    def names(words: str) -> list[str]:
        return re.findall(r'<th scope="row"><a href="/mutants/([^"]*)"', ask(searched, f"/mutants{words}").text)

    assert names("") == ["stalls", "votes-twice", "nobody-sees", "never-fires"]
    assert names("?state=found") == ["stalls", "votes-twice"]
    assert names("?state=found&oracle=raft") == ["votes-twice"]
    assert names("?text=NO-PROGRESS") == ["stalls"]
    assert names("?text=none-such&begin=7") == []
    assert "6 to 79%" in ask(searched, "/mutants").text


def test_a_planted_bug_shows_its_patch_and_its_runs(searched: Any) -> None:
    page = ask(searched, "/mutants/votes-twice").text

    assert '<span class="added">+wrong' in page
    assert '<span class="removed">-right' in page
    assert len(re.findall(r'<th scope="row" class="figure">\d+</th>', page)) == 3
    assert 'href="/runs?signature=raft%2Felection-safety"' in page
    assert ask(searched, "/mutants/no-such").status == 404
    assert ask(searched, "/mutants/..%2f..%2fetc").status == 404


def test_a_thousand_planted_bugs_come_a_page_at_a_time(tmp_path: Path) -> None:
    ledger.write(tmp_path, {f"bug-{number}": (None,) for number in range(1000)})
    app = Access(application(tmp_path, Films()), None)

    page = ask(app, "/mutants?begin=900").text

    assert len(re.findall(r"<tr><th", page)) == 1 + 100
    assert "901 to 1,000" in page
    assert 'rel="next"' not in page


def test_nothing_in_a_ledger_is_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>'\"&\u202e"
    ledger.write(tmp_path, {hostile: (f"raft/{hostile}",)}, source=hostile, expect=hostile)
    ledger.add_line(tmp_path, b"no json\n\xff\xfe\n[]\n")
    ledger.add_line(tmp_path, {"code": 1})
    bug = dict.fromkeys(("id", "name", "family", "difficulty", "behaviour", "source"), hostile)
    line = {"code": "x", "name": "known", "system": hostile, "patch": hostile * 900, "harmless": hostile}
    ledger.write(tmp_path, {"known": ("raft/x",)})
    code = read(tmp_path / LEDGER)[-1].name.code
    for url in ("javascript:alert(1)", 'https://example.com/"onload'):
        ledger.add_line(tmp_path, {**line, "code": code, "bug": {**bug, "url": url}})
        app = Access(application(tmp_path, Films()), None)
        for path in ("/mutants", "/mutants/known", f"/mutants?text={hostile}".replace("&", "%26")):
            page = ask(app, path)
            assert page.status == 200, path
            assert "alert(1)" in page.text
            assert "<script>alert" not in page.text, path
            assert "\u202e" not in page.text, path
            assert 'href="javascript' not in page.text, path


def test_a_linked_ledger_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    ledger.write(tmp_path / "elsewhere", BUGS)
    (tmp_path / LEDGER).symlink_to(tmp_path / "elsewhere" / LEDGER)

    assert "No search was kept here" in ask(Access(application(tmp_path, Films()), None), "/mutants").text
