"""A newcomer adds a fault: one file, in a package beside Foreshock. This is the example of CONTRIBUTING.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.plans.draw import draw
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts

ROOT = Path(__file__).parents[3]
(FILE,) = re.findall(r"```python\n# flapping\.py\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
FLAP = {
    "kind": "flap",
    "id": "f1",
    "begin_ns": 2_000_000_000,
    "end_ns": 3_000_000_000,
    "targets": ["n1"],
    "period_ns": 100_000_000,
}


def package(folder: Path, source: str = FILE, entry: str = "flap = flapping:Flap") -> Path:
    """Write a package as an installer would leave it."""
    folder.mkdir()
    (folder / "flapping.py").write_text(source)
    about = folder / "flapping-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: flapping\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[foreshock.faults]\n{entry}\n")
    return folder


def plan_with(fault: dict[str, Any], file: Path) -> Path:
    """A calm plan in which this fault happens."""
    with Checkouts() as checkouts:
        options = load_systems(bind("raft_impl", checkouts))["default"].options
    plan = json.loads(draw(seed=1, profile="calm", workload="register", options=options, duration_ns=10**10).to_json())
    plan["faults"] = [fault]
    file.write_text(json.dumps(plan))
    return file


def foreshock(*words: object, beside: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(place) for place in (ROOT, beside) if place is not None)
    return subprocess.run(
        [sys.executable, "-c", "from harness.cli import main; main()", *map(str, words)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fault_of_another_package_runs_from_a_plan_and_is_accounted_for(tmp_path: Path) -> None:
    plan = plan_with(FLAP, tmp_path / "plan.json")

    ran = foreshock("run", "--plan", plan, "--results", tmp_path, "--json", beside=package(tmp_path / "beside"))

    assert ran.stderr == ""
    document = json.loads(ran.stdout)
    assert (document["verdict"], document["faults"]["effective"]) == ("valid", 1)


def test_the_plan_of_a_fault_from_another_package_can_be_read_by_people(tmp_path: Path) -> None:
    plan = plan_with(FLAP, tmp_path / "plan.json")
    script = (
        "import sys, pathlib; from harness.plans import describe, plan\n"
        "print(*describe.lines(plan.load(pathlib.Path(sys.argv[1]))), sep='\\n')"
    )

    described = subprocess.run(
        [sys.executable, "-c", script, plan],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(package(tmp_path / "beside"))))},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "f1  2.000 s  +1 s  flap  n1 period=100ms" in described.stdout


def test_without_its_package_the_plan_is_bad_input(tmp_path: Path) -> None:
    plan = plan_with(FLAP, tmp_path / "plan.json")

    ran = foreshock("run", "--plan", plan, "--results", tmp_path)

    assert ran.returncode == 254
    assert "Invalid value 'flap' - at `$.faults[0].kind`" in ran.stderr


@pytest.mark.parametrize(
    ("source", "entry", "error"),
    [
        (FILE.replace('tag="flap"', 'tag="clog"'), "flap = flapping:Flap", "two kinds of fault are called 'clog'"),
        (FILE, "flap = flapping:ClassVar", "which is no Fault"),
    ],
)
def test_a_package_that_offers_no_new_fault_is_named(tmp_path: Path, source: str, entry: str, error: str) -> None:
    beside = package(tmp_path / "beside", source, entry)

    imported = subprocess.run(
        [sys.executable, "-c", "import harness.faults.catalog"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(beside)))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert error in imported.stderr
    assert imported.returncode == 1
