"""Run folders are whole or absent; the index answers for every run; stored runs are found again."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from pathlib import Path
from typing import BinaryIO

import pytest

from checkers.op import encode_op
from harness.archive import documents, find, layout, migrations
from harness.archive.index import FILE, Index
from harness.archive.provenance import provenance
from harness.archive.store import Archive, NotKept
from harness.archive.verify import damage_of
from harness.errors import BadInput
from harness.record import ErrorRecord, Provenance, RunRecord
from harness.search.known import Known
from harness.systems.binding import RecordedBinding
from tests.harness.outcomes import make_history, make_outcome, make_plan, make_rows

HERE = Provenance(harness="a", python="CPython 3.11", trio="0.35")


TRACE = layout.encode_trace(make_rows(20))
PACKED = gzip.compress(TRACE, mtime=0)


def with_byte_inverted(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 0xFF
    return bytes(changed)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_folder_holds_plan_history_trace_and_verdict(tmp_path: Path) -> None:
    outcome = make_outcome(7, "invalid", "linearizability/nonlinearizable", rows=make_rows(2))

    record = layout.write_run(tmp_path, outcome)

    folder = Path(record.path or "")
    assert names(folder) == ["history.jsonl", "plan.json", "trace.jsonl", "verdict.json"]
    assert (folder / "plan.json").read_bytes() == outcome.plan.to_json()
    assert [json.loads(line)["actor"] for line in (folder / "trace.jsonl").read_text().splitlines()] == ["n1", "n1"]
    assert json.loads((folder / "history.jsonl").read_text().splitlines()[1])["node"] == "n1"
    stored = json.loads((folder / "verdict.json").read_text())
    assert stored["anomalies"][0]["evidence"] == {"prefix": 4}
    printed = json.loads(documents.encode(record))
    assert "evidence" not in printed["anomalies"][0]
    assert {key: stored[key] for key in printed if key != "anomalies"} == {
        key: value for key, value in printed.items() if key != "anomalies"
    }


def test_the_document_has_the_keys_that_scripts_depend_on(tmp_path: Path) -> None:
    document = json.loads(
        documents.encode(layout.write_run(tmp_path, make_outcome(1, "invalid", "liveness/no-leader")))
    )

    promised = (
        "run path seed plan_sha256 fingerprint history_sha256 verdict class anomalies ops faults messages "
        "simulated_seconds wall_seconds recovery_ms resolved_options"
    )
    assert set(promised.split()) <= set(document)
    assert set(document["anomalies"][0]) >= {"kind", "signature", "checker", "index", "allowed"}
    assert document["simulated_seconds"] == 5.0


def test_a_large_trace_is_compressed_and_reads_back_alike(tmp_path: Path) -> None:
    rows = make_rows(20_000)

    folder = Path(layout.write_run(tmp_path, make_outcome(rows=rows)).path or "")

    assert "trace.jsonl.gz" in names(folder)
    assert gzip.decompress((folder / "trace.jsonl.gz").read_bytes()) == layout.encode_trace(rows)
    events = layout.read_trace(folder)
    assert events is not None
    assert sum(1 for _ in events) == 20_000


@pytest.mark.parametrize("count", [50, 20_000])
@pytest.mark.parametrize("step", [1, 999, 4_096])
def test_a_run_that_is_written_while_it_goes_on_leaves_the_same_files(tmp_path: Path, count: int, step: int) -> None:
    rows, outcome = make_rows(count), make_outcome()
    for folder in ("whole", "streamed"):
        layout.prepare(tmp_path / folder)
    whole = Path(layout.write_run(tmp_path / "whole", make_outcome(rows=rows)).path or "")

    with layout.RunWriter(tmp_path / "streamed", outcome.plan) as writer:
        for begin in range(0, len(rows), step):
            writer.rows(begin, rows[begin : begin + step])
        for op in outcome.history:
            writer.lines(encode_op(op) + b"\n")
        streamed = Path(writer.place(outcome).path or "")

    assert names(streamed) == names(whole)
    for name in names(whole):
        if name != "verdict.json":  # which has the name of its folder
            assert (streamed / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    "damaged",
    [
        gzip.compress(b"{", mtime=0)[:-4],
        PACKED[:-9],
        with_byte_inverted(PACKED, 40),
        with_byte_inverted(PACKED, 0),
        with_byte_inverted(PACKED, -5),
        gzip.compress(TRACE + b"[" * 100_000, mtime=0),
        gzip.compress(TRACE.replace(b"n1", b"\xff"), mtime=0),
        gzip.compress(b"{}\n", mtime=0),
        gzip.compress(b'{"index":true,"time":0}\n', mtime=0),
    ],
)
def test_a_damaged_trace_is_refused_by_who_reads_it_and_told_by_who_looks_for_it(
    tmp_path: Path, damaged: bytes
) -> None:
    folder = Path(layout.write_run(tmp_path, make_outcome(rows=make_rows(2))).path or "")
    (folder / "trace.jsonl").unlink()
    (folder / "trace.jsonl.gz").write_bytes(damaged)

    events = layout.read_trace(folder)
    assert events is not None
    with pytest.raises(BadInput, match=r"found a damaged trace \(.*trace\.jsonl\.gz"):
        list(events)

    *_, told = damage_of(folder)
    assert told.startswith("trace.jsonl.gz cannot be read: a damaged trace (")


def test_what_ends_the_reading_of_a_trace_from_outside_is_not_taken_for_damage(tmp_path: Path) -> None:
    """A sandbox raises its own error wherever the code happens to be when its time is over."""
    folder = Path(layout.write_run(tmp_path, make_outcome(rows=make_rows(2))).path or "")
    over = BadInput("more than 40 s of work", "a shorter run", "the sandbox")

    def too_long(_path: Path, _mode: str) -> BinaryIO:
        raise over

    with pytest.raises(BadInput) as raised:
        list(layout._events(folder / "trace.jsonl", too_long))

    assert raised.value is over


def test_what_a_killed_process_leaves_reads_up_to_where_it_was_written(tmp_path: Path) -> None:
    rows, read = make_rows(60_000), list[int]()

    with layout.RunWriter(tmp_path, make_outcome().plan) as writer:
        for begin in range(0, len(rows), 2_048):
            writer.rows(begin, rows[begin : begin + 2_048])
        (folder,) = tmp_path.glob(".tmp-*")
        events = layout.read_trace(folder)
        assert events is not None
        with pytest.raises(BadInput, match="a damaged trace"):
            read.extend(event["index"] for event in events)
        assert find.find(str(folder / "plan.json"), tmp_path).plan == make_outcome().plan

    assert len(read) > 50_000
    assert read == list(range(len(read)))
    assert names(tmp_path) == []


def test_the_folder_of_a_run_that_goes_on_for_hours_is_left_alone(tmp_path: Path) -> None:
    with layout.RunWriter(tmp_path, make_outcome().plan) as writer:
        writer.rows(0, make_rows(10))
        (folder,) = tmp_path.glob(".tmp-*")
        os.utime(folder, (0, 0))

        layout.prepare(tmp_path)
        assert folder.is_dir()

        for path in folder.iterdir():
            os.utime(path, (0, 0))
        layout.prepare(tmp_path)
        assert not folder.exists()


def test_a_trace_that_was_not_kept_is_absent(tmp_path: Path) -> None:
    folder = Path(layout.write_run(tmp_path, make_outcome()).path or "")

    assert layout.read_trace(folder) is None


def test_runs_of_one_plan_within_a_second_get_different_names(tmp_path: Path) -> None:
    runs = {layout.write_run(tmp_path, make_outcome(3)).run for _ in range(4)}

    assert len(runs) == 4
    assert all("-register-s3-" in run for run in runs)


def test_latest_links_the_newest_run(tmp_path: Path) -> None:
    layout.write_run(tmp_path, make_outcome(1))

    newest = layout.write_run(tmp_path, make_outcome(2))

    assert os.readlink(tmp_path / "latest") == newest.run
    assert find.find("latest", tmp_path).run == newest.run


def test_a_failure_while_writing_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout, "encode_trace", full)

    with pytest.raises(BadInput, match="No space left on device"):
        layout.write_run(tmp_path, make_outcome(rows=make_rows()))
    assert names(tmp_path) == []


def test_the_tracebacks_of_nodes_lie_in_the_run_folder_and_not_in_the_record(tmp_path: Path) -> None:
    outcome = make_outcome(1, "invalid", "node/exception/KeyError", tracebacks=("Traceback: one\n", "Traceback: two\n"))

    folder = Path(layout.write_run(tmp_path, outcome).path or "")

    assert (folder / "tracebacks.txt").read_text() == "Traceback: one\n\nTraceback: two\n"
    assert "Traceback" not in (folder / "verdict.json").read_text()


@pytest.mark.parametrize("broken", ["encode_trace", "point_latest"])
def test_a_results_folder_that_fails_after_the_run_does_not_take_the_verdict_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with Archive(tmp_path) as archive:
        monkeypatch.setattr(layout, broken, full)
        with pytest.raises(NotKept, match="No space left on device") as caught:
            archive.keep(make_outcome(1, "invalid", "liveness/no-leader", rows=make_rows()))

    assert caught.value.record.verdict == "invalid"
    assert caught.value.record.primary == "liveness/no-leader"


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_results_folder_that_cannot_be_written_is_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    results = tmp_path / "file" / below

    with pytest.raises(BadInput) as caught:
        layout.prepare(results)

    assert "\n" not in str(caught.value)
    assert str(results) in str(caught.value)


def test_what_a_killed_process_left_is_cleared_away_later(tmp_path: Path) -> None:
    (tmp_path / ".tmp-old").mkdir()
    (tmp_path / ".tmp-new").mkdir()
    os.utime(tmp_path / ".tmp-old", (0, 0))

    layout.prepare(tmp_path)

    assert names(tmp_path) == [".tmp-new"]


def test_the_index_lists_runs_newest_first_and_filters(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        for seed in (1, 2):
            index.add(layout.write_run(tmp_path, make_outcome(seed)))
        failing = layout.write_run(tmp_path, make_outcome(3, "invalid", "raft/log-matching/leader"))
        index.add(failing)

    with Index(tmp_path) as index:
        assert [run.seed for run in index.runs()] == [3, 2, 1]
        assert [run.seed for run in index.runs(verdict="valid", limit=1)] == [2]
        assert [run.seed for run in index.runs(signature="raft")] == [3]
        assert [run.seed for run in index.runs(signature="raft/log")] == []
        assert index.runs(seed=3)[0].record() == failing
        index.delete(index.runs(seed=1))
        assert [run.seed for run in index.runs()] == [3, 2]


def test_a_batch_that_fails_records_nothing(tmp_path: Path) -> None:
    record = layout.write_run(tmp_path, make_outcome(1))

    def record_two(index: Index) -> None:
        with index.batch():
            index.add(record)
            index.add(record)

    with Index(tmp_path) as index:
        with pytest.raises(BadInput, match="UNIQUE"):
            record_two(index)

        assert index.runs() == []


def test_a_campaign_is_found_by_id_and_as_latest_when_it_has_ended(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        for name in ("one", "two", "three"):
            index.begin_campaign(name, "default", Known(signature=name, reason="settings"))
        index.end_campaign("one", Known(signature="one", reason="summary"), is_finished=True)
        index.end_campaign("two", Known(signature="two", reason="summary"), is_finished=False)

        assert index.campaign("three").finished is None
        assert index.campaign("two").finished is None
        assert json.loads(index.campaign("latest").summary or "")["signature"] == "two"
        assert index.latest(suite="default", but="two") == index.campaign("one")
        assert index.latest(suite="nightly") is None
        with pytest.raises(BadInput, match="found no campaign 'four'; expected one of three, two, one"):
            index.campaign("four")


def test_an_index_of_the_future_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    connection.close()

    with pytest.raises(BadInput, match="found index version"):
        Index(tmp_path)


def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("not a database, but long enough to be read as one" * 20)

    with pytest.raises(BadInput, match="found an index that cannot be used"):
        Index(tmp_path)


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Index(tmp_path):
        pass
    broken = (*migrations.MIGRATIONS, ("CREATE TABLE extra (x)", "no SQL at all"))
    monkeypatch.setattr(migrations, "MIGRATIONS", broken)

    with pytest.raises(BadInput):
        Index(tmp_path)

    connection = sqlite3.connect(tmp_path / FILE)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    assert "extra" not in tables
    assert version == len(broken) - 1


@pytest.mark.parametrize("form", ["id", "beginning", "folder"])
def test_a_stored_run_is_found_by(tmp_path: Path, form: str) -> None:
    record = layout.write_run(tmp_path, make_outcome(5))
    text = {"id": record.run, "beginning": (record.run or "")[:-2], "folder": record.path}[form] or ""

    stored = find.find(text, tmp_path)

    assert stored.plan == make_plan(5)
    assert stored.record is not None
    assert stored.record.fingerprint == record.fingerprint
    assert stored.folder is not None
    assert find.read_history(stored.folder).count(b"\n") == len(make_history())


def test_a_plan_file_is_a_run_that_never_ran(tmp_path: Path) -> None:
    (tmp_path / "my.json").write_bytes(make_plan(9).to_json())

    stored = find.find(str(tmp_path / "my.json"), tmp_path)

    assert (stored.plan.drawn.seed, stored.run, stored.record) == (9, None, None)


def test_a_name_that_fits_no_run_or_several_is_bad_input(tmp_path: Path) -> None:
    for seed in (1, 2):
        layout.write_run(tmp_path, make_outcome(seed))

    with pytest.raises(BadInput, match="no run or plan file 'nothing'"):
        find.find("nothing", tmp_path)
    with pytest.raises(BadInput, match="found 2 runs that begin with '2'"):
        find.find("2", tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b'{"format": 99}',
        b'{"format": 1}',
        b'{"zz": "\xff", "format": 99}',
        b'{"zz": ' + b"[" * 5_000 + b"]" * 5_000 + b', "format": 99}',
        make_plan().to_json().replace(b'"profile":"', b'"profile":"\xff'),
        make_plan().to_json().replace(b'"profile":"', b'"profile":"\xff').replace(b'"format":2', b'"format":1'),
    ],
)
def test_a_damaged_plan_is_one_line(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(damage)

    with pytest.raises(BadInput) as caught:
        find.find(str(tmp_path / "plan.json"), tmp_path)

    assert "\n" not in str(caught.value)


def test_provenance_tells_what_differs() -> None:
    here = provenance()

    assert here.differences(here) == []
    assert HERE.differences(Provenance(harness="a", python="CPython 3.13", trio="0.35")) == ["python"]
    assert len(here.harness) == 64


def test_a_record_with_its_evidence_reads_back_as_it_was_written() -> None:
    outcome = make_outcome(7, "invalid", "linearizability/nonlinearizable")
    record = documents.with_evidence(documents.run_record(outcome), outcome)

    assert documents.read_record(documents.encode(record), "here") == record


def test_the_record_of_an_internal_error_reads_back_as_it_was_written() -> None:
    record = ErrorRecord(
        seed=1,
        workload="register",
        profile="swarm",
        error="boom",
        binding=RecordedBinding(codes={}),
        code_digest="",
        reproduce="foreshock run --seed 1",
    )

    assert documents.read_record(documents.encode(record), "here") == record


def test_a_document_of_version_1_is_read_in_todays_words() -> None:
    old = json.loads(documents.encode(documents.run_record(make_outcome(7))))
    old["document"] = 1
    del old["marks"]
    old["probes"] = {"torn-tail": 2}
    old["flavour"] = old.pop("variant")
    old["fault_outcomes"] = {"f1": "moot", "f2": "effective"}
    old["faults"] = {"planned": 3, "effective": 1, "moot": 2, "idle": 0}

    record = documents.read_record(json.dumps(old), "here")

    assert isinstance(record, RunRecord)
    assert record.variant == "unique"
    assert record.fault_outcomes == {"f1": "no-target", "f2": "effective"}
    assert record.marks == {"torn-tail": 2}
    assert (record.faults.effective, record.faults.no_target) == (1, 2)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ('{"document": 99}', "document version 99"),
        ("[]", "a damaged document"),
        ("", "a damaged document"),
        ('{"document": 2}', "a damaged document"),
        ('{"document": "two"}', "document version two"),
        ('{"document": 1.0}', "document version 1.0"),
        ('{"document": 1, "faults": 3}', "a damaged document"),
        ('{"document": 1, "faults": {}, "fault_outcomes": {"f1": []}}', "a damaged document"),
        (b'{"zz": "\xff"}', "a damaged document"),
        ('{"zz": ' + "[" * 5_000 + "]" * 5_000 + "}", "a damaged document"),
    ],
)
def test_a_document_that_cannot_be_read_is_one_line(data: str | bytes, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        documents.read_record(data, "here")

    assert caught.value.found.startswith(found)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seconds", ["1e308", "-1.0", "9" * 400, "NaN", "9" * 5_000])
def test_a_time_that_no_run_lasts_is_damage(seconds: str) -> None:
    """A page is drawn by it."""
    record = json.loads(documents.encode(documents.run_record(make_outcome(7))))
    text = json.dumps({**record, "simulated_seconds": "here"}).replace('"here"', seconds)

    with pytest.raises(BadInput, match="a damaged document"):
        documents.read_record(text, "here")
