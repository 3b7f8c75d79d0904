"""A person acts in a stored run: from its page, at a moment of it, and saves what was done."""

from __future__ import annotations

import gzip
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import cli
from harness.archive.documents import encode, read_record, run_record
from harness.archive.find import find
from harness.archive.index import Index
from harness.archive.layout import PLAN, TRACE, TRACE_COMPRESSED, VERDICT, read_trace
from harness.errors import BadInput
from harness.plans.profiles import SECOND
from harness.record import ErrorRecord, RecordedBinding, RunRecord
from harness.reports.written import write_report
from harness.run.drawing import Drawing
from harness.serve import beginnings, sandbox
from harness.serve.access import Access
from harness.serve.addresses import BadAddress
from harness.serve.application import application
from harness.serve.beginnings import Asked, beginning_of, make_run_file, make_run_sandbox
from harness.serve.films import Films
from harness.serve.questions import Questions
from harness.serve.sandbox import Attempt, TooLong, make_sandbox
from tests.harness.outcomes import make_outcome

from .asking import Answer, ask
from .conftest import settings
from .serving import Served, served_over


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a folder, and a suite of two that were valid and kept none."""
    folder = tmp_path_factory.mktemp("runs")
    common = ["--profile", "calm", "--duration", "1s", "--workload", "register", "--results", str(folder)]
    assert cli.run(["run", "--seed", "5", *common]) == 0
    assert cli.run(["suite", "--seeds", "3..4", *common]) == 0
    return folder


@pytest.fixture(scope="module")
def acting(runs: Path) -> Iterator[Any]:
    films = Films()
    yield Access(application(runs, films), None)
    films.close()


def name_of(runs: Path) -> str:
    return next(path.parent.name for path in runs.glob(f"*-s5-*/{PLAN}"))


def test_a_stored_run_is_replayed_to_a_moment(acting: Any, runs: Path) -> None:
    page = ask(acting, f"/sandbox/run/{name_of(runs)}?ms=700.5").text

    assert "Up to this moment it is, event by event, the stored run." in page
    assert "700.5 ms, " in page
    assert f'href="/report/{name_of(runs)}"' in page
    assert 'name="ms" value="700.5"' in page


def test_a_run_without_a_folder_is_drawn_again(acting: Any, runs: Path) -> None:
    with Index(runs) as index:
        row = next(row for row in index.runs() if row.seed == 4)

    listed, page = ask(acting, f"/runs/{row.number}").text, ask(acting, f"/sandbox/run/{row.number}").text

    assert f'href="/sandbox/run/{row.number}"' in listed
    assert "no trace was kept to compare it with" in page


def row_drawn_by(results: Path, drawing: Drawing) -> int:
    """The number of a row without a folder, whose campaign says that this has drawn its plan."""
    told = settings()
    suite = msgspec.structs.replace(told.suite, cells=(drawing,))
    record = msgspec.structs.replace(run_record(make_outcome(3)), workload=drawing.workload, profile=drawing.profile)
    with Index(results) as index:
        index.begin_campaign("night", "default", msgspec.structs.replace(told, suite=suite))
        index.add(record, campaign="night", cell=0)
        (row,) = index.runs()
    return row.number


@pytest.mark.parametrize(
    "drawing",
    [Drawing(duration_ns=24 * 3600 * SECOND, rate=1_000.0), Drawing(nodes=10**6), Drawing(concurrency=10**6)],
)
def test_there_is_an_end_to_what_is_drawn_for_one_address(
    tmp_path: Path, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS_MAX", 0.2)
    number = row_drawn_by(tmp_path, drawing)

    for make in (make_run_sandbox, make_run_file):
        with pytest.raises(BadInput, match=r"more than 0\.2 s of work"):
            make(Asked(results=tmp_path, run=str(number), ms="", commands=()))

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_one_time_is_for_what_is_drawn_and_what_is_done_together() -> None:
    with sandbox.limited():
        whole, _ = signal.getitimer(signal.ITIMER_REAL)
        with sandbox.limited():
            inner, _ = signal.getitimer(signal.ITIMER_REAL)
        left, _ = signal.getitimer(signal.ITIMER_REAL)

    assert sandbox.SECONDS_MAX >= whole >= inner >= left > sandbox.SECONDS_MAX - 10
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_nothing_is_drawn_or_read_in_the_process_of_the_server(
    acting: Any, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*_: object) -> None:
        raise AssertionError("in the process of the server")

    monkeypatch.setattr(beginnings, "read_record", here)
    monkeypatch.setattr(beginnings, "find", here)
    with Index(runs) as index:
        row = next(row for row in index.runs() if row.seed == 4)

    pages = [ask(acting, f"/sandbox/run/{run}") for run in (name_of(runs), row.number)]

    assert [page.status for page in pages] == [200, 200]


def test_time_that_is_over_while_a_history_is_read_is_not_taken_for_damage(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(_folder: Path) -> bytes:
        raise TooLong("more than 40 s of work", "a shorter run", "the sandbox")

    name = next(path.parent.name for path in results.glob(f"*-s8-*/{PLAN}"))
    folder = results / name
    record = read_record((folder / VERDICT).read_bytes(), VERDICT)
    assert isinstance(record, RunRecord)
    assert any(one.index is not None for one in record.anomalies)
    monkeypatch.setattr(beginnings, "read_history", too_long)

    with pytest.raises(TooLong):
        beginning_of(results, Questions(results), name, "")


def test_a_row_of_which_no_plan_can_be_drawn_is_told(tmp_path: Path) -> None:
    number = row_drawn_by(tmp_path, Drawing(rate=1e-300))
    films = Films()

    page = ask(Access(application(tmp_path, films), None), f"/sandbox/run/{number}")
    films.close()

    assert page.status == 503
    assert "Found a run of which no plan can be drawn (ValueError" in page.text


def test_every_page_of_a_run_leads_to_the_sandbox(acting: Any, runs: Path) -> None:
    name = name_of(runs)

    assert f'href="/sandbox/run/{name}"' in ask(acting, "/sandbox").text
    report = ask(acting, f"/report/{name}").text
    assert f'href="/sandbox/run/{name}"' in report
    assert 'id="act-here"' in report
    alone = write_report(find(name, runs), output=runs / "alone.html").read_text()
    assert "/sandbox/" not in alone, "a file has no server"


@pytest.mark.parametrize("ms", ["x", "-1", "1e99", "NaN", "Infinity", "999999999", "1_0x", "<script>"])
def test_moments_that_are_none_are_told(acting: Any, runs: Path, ms: str) -> None:
    answer = ask(acting, f"/sandbox/run/{name_of(runs)}?ms={ms}")

    assert answer.status == 400
    assert re.search(r"<p>Found (the moment|a run that is over at \d+ ms).*; expected .*\.</p>", answer.text)
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("run", ["no-such", "999", "..%2f..%2fetc", "%00", "0", "9" * 40, "-1"])
def test_runs_that_are_not_there_are_missing(acting: Any, run: str) -> None:
    assert ask(acting, f"/sandbox/run/{run}").status == 404
    assert ask(acting, f"/sandbox/run/{run}/file").status == 404


def test_a_run_that_is_over_before_a_moment_that_no_address_named_is_no_fault_of_it(runs: Path) -> None:
    beginning = beginning_of(runs, Questions(runs), name_of(runs), "999999")
    assert beginning is not None

    for one, fault in ((beginning, BadAddress), (msgspec.structs.replace(beginning, is_named=False), BadInput)):
        with pytest.raises(BadInput, match=r"^found a run that is over at") as raised:
            make_sandbox(Attempt("", None, (), one))
        assert raised.type is fault


def test_a_row_of_an_internal_error_is_no_beginning(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        index.add(
            ErrorRecord(
                seed=3, workload="register", profile="swarm", error="boom", binding=RecordedBinding(codes={}),
                code_digest="", reproduce="foreshock run --seed 3",
            )
        )  # fmt: skip
        (row,) = index.runs()
    films = Films()

    page = ask(Access(application(tmp_path, films), None), f"/sandbox/run/{row.number}")
    films.close()

    assert page.status == 400
    assert "Found a run that ended in an internal error; expected one with a verdict." in page.text


def test_a_damaged_plan_and_one_of_other_code_are_told(runs: Path, tmp_path: Path) -> None:
    name = name_of(runs)
    for copy in ("broken", "other"):
        shutil.copytree(runs / name, tmp_path / copy)
    (tmp_path / "broken" / PLAN).write_text("{}")
    record = msgspec.json.decode((tmp_path / "other" / VERDICT).read_bytes())
    record["binding"]["codes"]["default"]["spec"] = "path:/evil<b>\u202e"
    (tmp_path / "other" / VERDICT).write_bytes(encode(record))
    films = Films()
    app = Access(application(tmp_path, films), None)

    broken, other = ask(app, "/sandbox/run/broken"), ask(app, "/sandbox/run/other")
    films.close()

    assert broken.status == 503
    assert other.status == 200
    assert "The run was made by path:/evil&lt;b&gt;\\u{202e}, this by the code installed here." in other.text


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (slice(0, 40), "Until event 40 it is the stored run, whose trace ends there, before this moment."),
        (slice(40, None), "Until event 40 it is the stored run, and then another one."),
        (slice(0, 0), "Until event 0 it is the stored run, whose trace ends there"),
    ],
)
def test_a_stored_trace_that_is_another_is_told(acting: Any, runs: Path, lines: slice, told: str) -> None:
    answer = with_trace(acting, runs, b"".join(trace_of(runs)[lines]))

    assert answer.status == 200
    assert told in answer.text


@pytest.mark.parametrize("damaged", [b"{", b"{}\n", b"[]\n", b"\xff\n", b'{"index":', b"7\n"])
def test_a_damaged_trace_is_told(acting: Any, runs: Path, damaged: bytes) -> None:
    answer = with_trace(acting, runs, b"".join(trace_of(runs)[:5]) + damaged)

    assert answer.status == 503
    assert "a damaged trace" in answer.text


def test_a_damaged_compressed_trace_is_told(acting: Any, runs: Path) -> None:
    packed = bytearray(gzip.compress(b"".join(trace_of(runs))))
    packed[40] ^= 0xFF

    answer = with_trace(acting, runs, bytes(packed), TRACE_COMPRESSED)

    assert answer.status == 503
    assert "a damaged trace (Error -3" in answer.text


def test_time_that_is_over_while_the_trace_is_compared_is_no_damage(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as what it is, and nothing is tried again without the last command."""
    compared: list[str] = []

    def too_long(stream: str, *_: object) -> None:
        compared.append(stream)
        raise sandbox.TooLong("more than 40 s of work", "a shorter run", "the sandbox")

    monkeypatch.setattr(sandbox, "first_difference", too_long)
    beginning = beginning_of(runs, Questions(runs), name_of(runs), "500")
    assert beginning is not None

    with pytest.raises(BadInput, match=r"^found more than 40 s of work"):
        make_sandbox(Attempt("", None, ("timer n1",), beginning))

    assert compared == ["trace"]


def trace_of(runs: Path) -> list[bytes]:
    events = read_trace(runs / name_of(runs))
    assert events is not None
    return [msgspec.json.encode(event) + b"\n" for event in events]


def with_trace(acting: Any, runs: Path, trace: bytes, stored_as: str = TRACE) -> Answer:
    """The page of the run with another trace, at a moment late in it."""
    folder = runs / "with-trace"
    shutil.copytree(runs / name_of(runs), folder)
    for name in (TRACE, TRACE_COMPRESSED):
        (folder / name).unlink(missing_ok=True)
    (folder / stored_as).write_bytes(trace)
    try:
        return ask(acting, "/sandbox/run/with-trace?ms=700")
    finally:
        shutil.rmtree(folder)


def test_a_plan_that_the_code_does_not_take_is_told(acting: Any, runs: Path) -> None:
    folder = runs / "with-options"
    shutil.copytree(runs / name_of(runs), folder)
    plan = msgspec.json.decode((folder / PLAN).read_bytes())
    plan["options"]["max_inflight"] = "valid"
    (folder / PLAN).write_bytes(encode(plan))

    answer = ask(acting, "/sandbox/run/with-options")
    shutil.rmtree(folder)

    assert answer.status == 503
    assert "a plan that the code here does not take (ValueError: option max_inflight" in answer.text


@pytest.mark.parametrize("damage", [b'"simulated_seconds":1e300', b'"simulated_seconds":-1e300'])
def test_numbers_that_no_run_has_are_told(acting: Any, runs: Path, damage: bytes) -> None:
    folder = runs / "with-numbers"
    shutil.copytree(runs / name_of(runs), folder)
    document = msgspec.json.decode((folder / VERDICT).read_bytes())
    seconds = document["simulated_seconds"]
    text = msgspec.json.encode(document).replace(f'"simulated_seconds":{seconds}'.encode(), damage)
    (folder / VERDICT).write_bytes(text)

    answer = ask(acting, "/report/with-numbers")
    shutil.rmtree(folder)

    assert answer.status == 503
    assert "Found a damaged document" in answer.text
    assert "$.simulated_seconds" in answer.text


def test_files_of_which_no_page_can_be_made_are_told(acting: Any, runs: Path) -> None:
    folder = runs / "with-ids"
    shutil.copytree(runs / name_of(runs), folder)
    (folder / TRACE_COMPRESSED).unlink(missing_ok=True)
    events = [msgspec.json.decode(line) for line in trace_of(runs)]
    sent = next(event for event in events if "id" in event and "target" in event)
    sent["id"] = [[]]
    (folder / TRACE).write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))

    answer = ask(acting, "/report/with-ids")
    shutil.rmtree(folder)

    assert answer.status == 503
    assert "files of which no page can be made (TypeError" in answer.text


@pytest.fixture
def marking(tmp_path: Path) -> Path:
    """A file that leaves a mark when it is run."""
    file = tmp_path / "marking.py"
    file.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'mark')!r}).touch()\n")
    return file


def test_no_file_is_run_that_a_plan_names_as_its_model(acting: Any, runs: Path, tmp_path: Path, marking: Path) -> None:
    folder = runs / "with-model"
    shutil.copytree(runs / name_of(runs), folder)
    plan = msgspec.json.decode((folder / PLAN).read_bytes())
    plan["check"]["model"] = f"{marking}:MODEL"
    (folder / PLAN).write_bytes(encode(plan))

    page, file = ask(acting, "/sandbox/run/with-model"), ask(acting, "/sandbox/run/with-model/file?do=timer+n1")
    shutil.rmtree(folder)

    assert not (tmp_path / "mark").exists()
    assert (page.status, file.status) == (503, 503)
    assert "marking.py:MODEL&#39;, a file that the results name" in page.text
    assert "expected a model that is installed here" in page.text


def test_no_file_is_run_that_a_row_names_as_its_workload(tmp_path: Path, marking: Path) -> None:
    record = run_record(make_outcome(3))
    with Index(tmp_path) as index:
        index.add(msgspec.structs.replace(record, workload=f"{marking}:WORKLOAD"))
        (row,) = index.runs()
    films = Films()
    app = Access(application(tmp_path, films), None)

    page = ask(app, f"/sandbox/run/{row.number}")
    films.close()

    assert not (tmp_path / "mark").exists()
    assert page.status == 503
    assert "marking.py:WORKLOAD&#39;, a file that the results name" in page.text


@pytest.fixture
def served(runs: Path) -> Iterator[Served]:
    with served_over(runs) as one:
        yield one


def test_a_person_opens_a_run_and_acts_from_a_moment_of_it(
    page: Any, served: Served, runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page.goto(f"{served.address}/report/{name_of(runs)}")
    page.wait_for_selector("html[data-ready]")
    for _ in range(3):
        page.click("#step-on")
    here = page.get_attribute("#act-here", "href")
    page.click("#act-here")
    page.wait_for_selector("#sandbox", timeout=30_000)
    assert re.search(r"\?ms=\d", page.url)
    assert page.url.endswith(here)
    assert "the stored run" in page.text_content("#sandbox")
    page.get_by_role("button", name="n1: crash", exact=True).click()
    page.wait_for_url("**do=crash*")
    page.wait_for_selector("html[data-ready]")
    assert page.text_content("#state tr[data-node=n1] td.role") == "down"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200

    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / "mine.txt"
    download.value.save_as(saved)
    code = cli.run(["scenario", str(saved)])

    assert code == 0
    told = capfd.readouterr().out
    assert "reads       as expected" in told
    assert "> crash n1\nn1 crashes (kill)" in told
