"""`foreshock new-system`: what it writes runs as it is, and finds what is broken in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli

SYSTEM = "shop/system.py:System"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["new-system", "shop"]) == 0
    return tmp_path / "shop"


def test_its_system_workload_model_and_suite_run_as_they_are(shop: Path) -> None:
    workload = ["--workload", "shop/workload.py:WORKLOAD"]

    assert cli.run(["run", "--system", SYSTEM, "--nodes", "1", "--seed", "1", "--results", "r"]) == 0
    assert cli.run(["run", "--system", SYSTEM, "--nodes", "1", "--seed", "1", "--results", "r", *workload]) == 0
    assert cli.run(["replay", "latest", "--results", "r"]) == 0
    assert (
        cli.run(["suite", "shop/suite.toml", "--system", SYSTEM, "--count", "6", "--results", "r", "--jobs", "1"]) == 0
    )


def test_its_tests_pass(shop: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "shop"],
        cwd=shop.parent,
        capture_output=True,
        check=False,
    )

    assert b"10 passed" in done.stdout, done.stdout.decode()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('await self.env.disk.fsync("next")', "pass"),
        ("if number <= self.latest.get(session, 0):", "if False:"),
        ('"fail" if f == "read" else "info"', '"fail"'),
    ],
)
def test_what_is_broken_in_it_is_found_within_twenty_seeds(shop: Path, right: str, wrong: str) -> None:
    text = (shop / "system.py").read_text(encoding="utf-8")
    assert right in text
    (shop / "system.py").write_text(text.replace(right, wrong), encoding="utf-8")
    words = ["--count", "20", "--results", "r", "--jobs", "1", "--max-unknown", "100%"]

    assert cli.run(["suite", "shop/suite.toml", "--system", SYSTEM, *words]) == 1


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("nowhere.py:WORKLOAD", "no file nowhere.py"),
        ("shop/workload.py:NOTHING", "no name 'NOTHING'; expected WORKLOAD"),
        ("shop/workload.py:MODEL", "MODEL, which is no Workload; expected WORKLOAD"),
        ("shop/suite.toml:X", "workload 'shop/suite.toml:X'"),
    ],
)
def test_a_workload_that_is_not_there_is_refused_in_one_line(
    shop: Path, spec: str, found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["run", "--system", SYSTEM, "--workload", spec, "--seed", "1", "--results", "r"]) == 254
    assert found in capsys.readouterr().err


def test_a_history_is_checked_by_a_model_of_a_file(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        '{"process":0,"type":"invoke","f":"read","key":"x"}',
        '{"process":0,"type":"ok","f":"read","key":"x","value":7}',
    ]
    Path("history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    assert cli.run(["check", "history.jsonl", "--model", "shop/workload.py:MODEL"]) == 1
    assert cli.run(["check", "history.jsonl", "--model", "shop/workload.py:WORKLOAD"]) == 254
    assert "WORKLOAD, which is no Model; expected MODEL" in capsys.readouterr().err


def test_nothing_that_is_there_is_replaced_and_a_name_must_be_one(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["new-system", "shop"]) == 254
    assert "a file system.py; expected a folder without one" in capsys.readouterr().err
    assert cli.run(["new-system", "../Shop"]) == 254
