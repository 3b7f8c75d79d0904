"""A newcomer adds a workload and a model, a file each, in a package beside Foreshock: the examples of
CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
WORKLOAD, MODEL = (
    re.search(rf"```python\n# {name}\.py\n(.*?)```", PAGE, re.DOTALL)[1]  # type: ignore[index]  # on the page
    for name in ("claims", "claim")
)
ENTRY_POINTS = """[foreshock.workloads]
claims = claims:CLAIMS
[foreshock.models]
claim = claim:CLAIM
"""


def package(folder: Path, workload: str = WORKLOAD, model: str = MODEL, entry_points: str = ENTRY_POINTS) -> Path:
    """Write a package as an installer would leave it."""
    about = folder / "claims-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "claims.py").write_text(workload)
    (folder / "claim.py").write_text(model)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: claims\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)
    return folder


def python(script: str, *words: object, beside: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(beside)))},
        capture_output=True,
        text=True,
        check=False,
    )


def foreshock(*words: object, beside: Path) -> subprocess.CompletedProcess[str]:
    return python("from harness.cli import main; main()", *words, beside=beside)


def history(*lines: tuple[int, str, str, Any, str | None], file: Path) -> Path:
    """Lines of (process, type, function, value, error), all of one key."""
    rows = [
        {"process": process, "type": type_, "f": f, "key": "x", "value": value, **({"error": error} if error else {})}
        for process, type_, f, value, error in lines
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def test_a_workload_of_another_package_is_drawn_run_and_judged_by_its_model(tmp_path: Path) -> None:
    beside = package(tmp_path / "beside")
    words = ("--workload", "claims", "--profile", "partitions", "--duration", "3s", "--json")

    ran = foreshock("run", "--seed", 1, *words, "--results", tmp_path, beside=beside)

    assert ran.stderr == ""
    document = json.loads(ran.stdout)
    assert (document["workload"], document["verdict"]) == ("claims", "valid")


def test_a_workload_of_another_package_runs_in_the_processes_of_a_suite(tmp_path: Path) -> None:
    beside = package(tmp_path / "beside")
    words = ("--workload", "claims", "--profile", "calm", "--duration", "8s", "--seeds", "1..2", "--jobs", 2)

    ran = foreshock("suite", *words, "--json", "--results", tmp_path, beside=beside)

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["runs"]["valid"] == 2


FIRST = ((0, "invoke", "put-if-absent", 1, None), (0, "ok", "put-if-absent", 1, None))
REFUSED = ((1, "invoke", "put-if-absent", 2, None), (1, "fail", "put-if-absent", 2, "exists"))


@pytest.mark.parametrize(
    ("lines", "validity"),
    [
        ((*FIRST, *REFUSED, (1, "invoke", "read", None, None), (1, "ok", "read", 1, None)), "valid"),
        ((*FIRST, (1, "invoke", "put-if-absent", 2, None), (1, "ok", "put-if-absent", 2, None)), "invalid"),
        (REFUSED, "invalid"),
        ((*FIRST, (1, "invoke", "read", None, None), (1, "ok", "read", 2, None)), "invalid"),
    ],
)
def test_a_model_of_another_package_judges_histories(tmp_path: Path, lines: Any, validity: str) -> None:
    file = history(*lines, file=tmp_path / "history.jsonl")

    checked = foreshock("check", file, "--model", "claim", "--json", beside=package(tmp_path / "beside"))

    assert checked.returncode == {"valid": 0, "invalid": 1}[validity], checked.stderr
    assert json.loads(checked.stdout)["verdict"] == validity


def test_without_the_package_its_names_are_bad_input(tmp_path: Path) -> None:
    file = history(*FIRST, file=tmp_path / "history.jsonl")

    ran = foreshock("run", "--workload", "claims", "--results", tmp_path, beside=tmp_path)
    checked = foreshock("check", file, "--model", "claim", beside=tmp_path)

    assert (ran.returncode, checked.returncode) == (254, 254)
    assert "workload 'claims'" in ran.stderr
    assert "model 'claim'" in checked.stderr


IMPORT_WORKLOADS = "import workloads.catalog"
LIST_MODELS = "from checkers.models import names; names()"


@pytest.mark.parametrize(
    ("script", "change", "error"),
    [
        (IMPORT_WORKLOADS, {"workload": WORKLOAD.replace('"claims"', '"map"')}, "two workloads are called 'map'"),
        (IMPORT_WORKLOADS, {"entry_points": "[foreshock.workloads]\nc = claims:Call\n"}, "which is no Workload"),
        (LIST_MODELS, {"model": MODEL.replace('name="claim"', 'name="map"')}, "two models are called 'map'"),
        (LIST_MODELS, {"entry_points": "[foreshock.models]\nc = claim:step\n"}, "which is no Model"),
    ],
)
def test_a_package_that_offers_something_else_is_named(
    tmp_path: Path, script: str, change: dict[str, str], error: str
) -> None:
    imported = python(script, beside=package(tmp_path / "beside", **change))

    assert imported.returncode == 1
    assert error in imported.stderr


def test_a_package_may_be_imported_before_the_catalogs_that_load_it(tmp_path: Path) -> None:
    script = "import claims, claim; from checkers.models import named; assert named('claim') is claim.CLAIM"

    assert python(script, beside=package(tmp_path / "beside")).returncode == 0
