"""What a team does with many nights: signatures, bundles, exports, retention, integrity."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tests.harness.cli.conftest import SHORT, Foreshock


@pytest.fixture
def stale(foreshock: Foreshock, stale_copy: Path) -> Path:
    """Two nights: one of code that reads anywhere, one of code that does not."""
    words = ("suite", "--seeds", "1..6", "--workload", "register", "--profile", "partitions", "--duration", "3s")
    foreshock(*words, "--system", f"path:{stale_copy}")
    foreshock(*words)
    return stale_copy


def test_nights_are_told_verified_exported_and_let_go(
    foreshock: Foreshock, stale: Path, results: Path, tmp_path: Path
) -> None:
    signatures = foreshock("signatures", "--json").json
    screen = foreshock("signatures")
    whole = foreshock("runs", "--verify")
    exported = foreshock("runs", "--export", tmp_path / "runs.csv")
    typed = foreshock("runs", "--export", tmp_path / "runs.parquet", "--json")
    gone = foreshock("runs", "--retain", "size=0,per-signature=0")
    after = foreshock("runs", "--verify", "--json").json

    assert signatures["nights"] == 2
    first = next(one for one in signatures["signatures"] if one["signature"].startswith("linearizability/"))
    assert (first["of"], first["trend"] in ("gone", "not seen")) == (12, True)
    assert 0 < first["rate_low"] < first["rate"] < first["rate_high"] < 1
    assert f"--system path:{stale}" in first["reproduce"]
    assert f"reproduce   {first['reproduce']}" in screen.out
    assert (whole.code, "0 damaged" in whole.out) == (0, True)
    assert exported.out == f"12 runs in {tmp_path / 'runs.csv'}\n"
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert sorted(row["seed"] for row in rows) == sorted("123456" * 2)
    assert {row["verdict"] for row in rows} >= {"valid", "invalid"}
    assert typed.json["exported"] == 12
    assert [as_csv(row) for row in parquet.read_table(tmp_path / "runs.parquet").to_pylist()] == rows
    assert gone.out.startswith("deleted ")
    assert (after["folders"], after["rows"], after["damage"]) == (0, 12, [])
    assert foreshock("signatures", "--json").json["signatures"] == signatures["signatures"]


def as_csv(row: dict[str, Any]) -> dict[str, str]:
    """A row of typed columns as CSV has it."""
    assert isinstance(row["recorded"], datetime)
    assert isinstance(row["seed"], int)
    assert isinstance(row["simulated_seconds"], float)
    told = {**row, "recorded": row["recorded"].isoformat(timespec="milliseconds"), "allowed": int(row["allowed"])}
    return {name: "" if value is None else str(value) for name, value in told.items()}


def test_runs_of_no_campaign_are_not_called_nights_without_a_failure(foreshock: Foreshock) -> None:
    foreshock("run", "--seed", "1", *SHORT)

    assert foreshock("signatures").out == "nights      0\nonly campaigns are counted; `foreshock runs` lists runs\n"


def test_without_pyarrow_parquet_is_refused_in_one_line(
    foreshock: Foreshock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreshock("run", "--seed", "1", *SHORT)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    ran = foreshock("runs", "--export", tmp_path / "runs.parquet")

    assert (ran.code, "pip install 'foreshock[parquet]'" in ran.err) == (254, True)
    assert not (tmp_path / "runs.parquet").exists()


def words(text: str) -> str:
    """What is said, whatever the width of the screen makes of it."""
    return " ".join(text.split())


def test_damage_is_named_and_exits_1(foreshock: Foreshock, results: Path) -> None:
    run = foreshock("run", "--seed", "1", *SHORT, "--json").json["run"]
    with (results / run / "history.jsonl").open("a") as history:
        history.write("{}\n")

    ran = foreshock("runs", "--verify")

    assert ran.code == 1
    assert f"damaged {run}: history.jsonl is not the history of its record" in words(ran.out)


def test_a_bundle_replays_elsewhere_with_the_code_that_it_ran(
    foreshock: Foreshock, tmp_path: Path, hasty_copy: Path
) -> None:
    """Elsewhere the code is not what is checked out; it came along."""
    foreshock("run", "--seed", "1", *SHORT, "--system", f"path:{hasty_copy}")
    bundle, there = tmp_path / "one.foreshock", ("--results", tmp_path / "there")
    written = foreshock("bundle", "latest", "--output", bundle)
    hasty_copy.rename(tmp_path / "gone")

    at_once = foreshock("replay", bundle, *there, "--json").json
    imported = foreshock("bundle", "--import", bundle, *there, "--json").json
    again = foreshock("bundle", "--import", bundle, *there)
    replayed = foreshock("replay", "latest", *there)
    without = foreshock("bundle", "latest", "--output", tmp_path / "without.foreshock")

    assert "with the code of default" in words(written.out)
    assert (at_once["identical"], at_once["differs"]) == (True, [])
    assert (imported["is_new"], imported["differs"]) == (True, [])
    assert "it was here already" in again.out
    assert (replayed.code, "identical   yes" in replayed.out) == (0, True)
    assert f"foreshock replay {imported['run']}" in replayed.out
    assert foreshock("runs", "--verify", *there).code == 0
    assert "not in it the code of default: no raft_impl package in" in words(without.out)


def test_code_that_changed_since_the_run_is_not_bundled_as_its_code(
    foreshock: Foreshock, tmp_path: Path, hasty_copy: Path
) -> None:
    foreshock("run", "--seed", "1", *SHORT, "--system", f"path:{hasty_copy}")
    with (hasty_copy / "raft_impl" / "errors.py").open("a") as changed:
        changed.write("\n# Changed.\n")

    ran = foreshock("bundle", "latest", "--output", tmp_path / "one.foreshock")

    assert f"not in it the code of default: path:{hasty_copy} has changed since the run" in words(ran.out)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("bundle",), "no run"),
        (("bundle", "latest", "--import", "x"), "both RUN and --import"),
        (("bundle", "--import", "nowhere.foreshock"), "a file that cannot be read"),
        (("runs", "--verify", "--seed", "1"), "--verify beside other options"),
        (("runs", "--retain", "age=1d", "--delete"), "--retain beside other options"),
        (("runs", "--retain", "everything"), "rule 'everything'"),
        (("runs", "--export", "x.csv", "--delete", "--seed", "1"), "--export beside --delete"),
    ],
)
def test_what_makes_no_sense_together_is_refused(foreshock: Foreshock, words: tuple[str, ...], found: str) -> None:
    foreshock("run", "--seed", "1", *SHORT)

    ran = foreshock(*words)

    assert ran.code == 254
    assert f"error: found {found}" in ran.err


def test_signatures_without_results_are_one_line(foreshock: Foreshock) -> None:
    ran = foreshock("signatures")

    assert ran.code == 254
    assert "found no index of runs" in ran.err
