"""Nobody gets out of the results folder, in without a token, or at anything but reading."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.archive.layout import PLAN, VERDICT, write_run
from harness.serve.access import COOKIE, Access
from harness.serve.application import application
from harness.serve.films import Films
from harness.serve.folders import folder_of
from tests.harness.outcomes import make_outcome

from .asking import ask

TOKEN = "t0ken-t0ken-t0ken"


@pytest.fixture
def guarded(results: Path) -> Any:
    """The application, as it listens elsewhere than on loopback."""
    return Access(application(results, Films()), TOKEN)


@pytest.mark.parametrize(
    "path",
    [
        "/report/../../etc/passwd",
        "/report/..%2f..%2fetc%2fpasswd",
        "/report/%2e%2e",
        "/report/.",
        "/report/..",
        "/report/foreshock.db",
        "/report/" + "a" * 5000,
        "/report/x%00y",
        "/assets/../application.py",
        "/assets/application.py",
        "/assets/..%2fapplication.py",
        "/walkthroughs/../../pyproject.toml",
        "/walkthroughs/..%2flibrary",
        "/campaigns/..",
        "/runs/-1",
        "/runs/1e9",
        "/runs/99999999999999999999",
        "//etc/passwd",
        "/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_results_folder(app: Any, path: str) -> None:
    answer = ask(app, path)

    assert answer.status == 404
    assert b"root:" not in answer.body
    assert b"Starlette" not in answer.body


def test_a_run_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    results, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    results.mkdir()
    elsewhere.mkdir()
    good = write_run(results, make_outcome(1)).run
    assert good is not None
    outside = write_run(elsewhere, make_outcome(2)).run
    assert outside is not None
    os.symlink(elsewhere / outside, results / outside)
    shutil.copytree(results / good, results / "copied")
    (results / "copied" / VERDICT).unlink()
    os.symlink(elsewhere / outside / VERDICT, results / "copied" / VERDICT)

    assert folder_of(results, good) == results / good
    assert folder_of(results, outside) is None
    assert folder_of(results, "copied") is None
    assert folder_of(results, "latest") is None
    assert folder_of(results, f"../elsewhere/{outside}") is None
    assert folder_of(results, str(elsewhere / outside)) is None
    assert (results / "latest" / PLAN).is_file()


def test_a_report_that_lies_in_a_folder_is_never_sent(app: Any, results: Path) -> None:
    run = next(path.name for path in results.iterdir() if path.is_dir() and not path.is_symlink())
    (results / run / "report.html").write_text("<script>alert('planted')</script>")

    assert "planted" not in ask(app, f"/report/{run}").text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading_is_possible(app: Any, method: str) -> None:
    answer = ask(app, "/runs", method=method)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8321", 200),
        ("localhost", 200),
        ("[::1]:8321", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
        ("localhost:evil", 421),
    ],
)
def test_on_loopback_a_request_names_this_machine(app: Any, host: str, status: int) -> None:
    """A page of another site cannot ask under a name that it lets resolve to this machine."""
    assert ask(app, "/", host=host).status == status


def test_elsewhere_a_token_is_needed(guarded: Any) -> None:
    refused = [
        ask(guarded, "/", host="any.example"),
        ask(guarded, "/?token=wrong", host="any.example"),
        ask(guarded, "/", authorization="Bearer wrong"),
        ask(guarded, "/", authorization="Bearer "),
        ask(guarded, "/", cookie=f"{COOKIE}=wrong"),
        ask(guarded, "/assets/browse.js"),
        ask(guarded, "/", cookie="\u00e9=1", authorization="Bearer \u00e9"),
    ]

    assert [answer.status for answer in refused] == [401] * len(refused)
    assert ask(guarded, "/", host="any.example", authorization=f"Bearer {TOKEN}").status == 200
    assert ask(guarded, "/", cookie=f"{COOKIE}={TOKEN}").status == 200


def test_a_token_in_the_address_becomes_a_cookie_and_leaves_the_address(guarded: Any) -> None:
    answer = ask(guarded, f"/runs?verdict=invalid&token={TOKEN}", host="any.example")
    elsewhere = ask(guarded, f"//evil.example/?token={TOKEN}", host="any.example")

    assert (answer.status, answer.headers["location"]) == (303, "/runs?verdict=invalid")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert elsewhere.headers["location"].startswith("/")
    assert not elsewhere.headers["location"].startswith("//")


def test_every_answer_forbids_what_it_does_not_need(app: Any) -> None:
    for path in ("/", "/runs", "/failures", "/no-such", "/api/runs", "/assets/browse.js"):
        headers = ask(app, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
    policy = ask(app, "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
