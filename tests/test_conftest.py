"""The ordinary test command leaves slow tests to the night, and whoever asks for them gets them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("arguments", "names"), [([], ["quick"]), (["-m", "slow"], ["slow"]), (["test_some.py::test_slow"], ["slow"])]
)
def test_slow_tests_run_when_they_are_asked_for(
    arguments: list[str], names: list[str], pytester: pytest.Pytester
) -> None:
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text())
    pytester.makeini("[pytest]\nmarkers =\n  slow: takes long\n")
    pytester.makepyfile(test_some="import pytest\ndef test_quick(): pass\n@pytest.mark.slow\ndef test_slow(): pass\n")

    result = pytester.runpytest_inprocess("-v", "-p", "no:xdist", *arguments)

    result.assert_outcomes(passed=1, deselected=1 if "-m" in arguments else 0)
    result.stdout.fnmatch_lines([f"*test_{names[0]} PASSED*"])
