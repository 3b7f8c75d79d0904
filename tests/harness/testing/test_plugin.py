"""The pytest plugin, used as a stranger uses it: a folder with a test file and nothing else."""

from __future__ import annotations

import re

import pytest

from tests.pages import ROOT

pytest_plugins = ["pytester"]

EXAMPLE = ROOT / "docs" / "examples" / "systems" / "primary_backup.py"

TEST = """
    import pytest

    @pytest.mark.foreshock({words})
    def test_it(foreshock):
        {body}
"""


def a_test(pytester: pytest.Pytester, words: str = "", body: str = "pass") -> None:
    pytester.makepyfile(test_it=TEST.format(words=words, body=body))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:randomly", *arguments)


def seeds_of(result: pytest.RunResult) -> list[int]:
    return [int(seed) for seed in re.findall(r"test_it\[seed(\d+)\] (?:PASSED|FAILED|SKIPPED)", result.stdout.str())]


def test_a_marked_test_runs_once_for_each_seed_and_passes_on_a_correct_system(pytester: pytest.Pytester) -> None:
    a_test(pytester, 'workload="counter", seeds=3', "assert foreshock.run().ops.ok > 0")

    result = run(pytester, "-v")

    result.assert_outcomes(passed=3)
    assert seeds_of(result) == [1, 2, 3]


def test_a_failing_seed_shows_verdict_history_and_the_line_that_reproduces_it(pytester: pytest.Pytester) -> None:
    a_test(pytester, f'system="{EXAMPLE}:PrimaryBackup", seeds=[1]')

    result = run(pytester)

    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    assert "invalid (tolerable plan)" in shown
    assert re.search(r"process \d+ +read -> ", shown)
    assert f"foreshock run --seed 1 --workload register --profile swarm --system {EXAMPLE}:PrimaryBackup" in shown
    assert "session.py" not in shown


def test_a_class_in_the_test_file_is_a_system(pytester: pytest.Pytester) -> None:
    a_test(pytester, "system=PrimaryBackup, seeds=[1]")
    file = pytester.path / "test_it.py"
    head, _, body = file.read_text().partition("import pytest\n")
    file.write_text(EXAMPLE.read_text() + "\nimport pytest\n" + head + body)

    run(pytester).assert_outcomes(failed=1)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_seeds_that_failed_come_first_the_next_time_and_are_forgotten_when_they_pass(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    body = "foreshock.has_run = True; assert foreshock.seed not in (3, 5)"
    a_test(pytester, "seeds=6", body)
    run(pytester, *workers).assert_outcomes(passed=4, failed=2)

    again = run(pytester, "-v", "--foreshock-seeds", "2")
    only = run(pytester, "-v", "--foreshock-seeds", "0")
    a_test(pytester, "seeds=6", "foreshock.has_run = True")
    mended = run(pytester, "-v", "--foreshock-seeds", "0")
    after = run(pytester, "-v")

    assert seeds_of(again) == [3, 5, 1, 2]
    assert seeds_of(only) == [3, 5]
    assert seeds_of(mended) == [3, 5]
    assert seeds_of(after) == [1, 2, 3, 4, 5, 6]


def test_a_run_that_says_nothing_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    (pytester.path / "mute.py").write_text(
        "from harness.systems.adapter import Adapter, Client, Server\n"
        "from harness.systems.system import Completion\n"
        "class Node(Server):\n"
        "    def process(self, messages): return False\n"
        "class Session(Client):\n"
        "    async def invoke(self, f, key, value): return Completion('fail', error='unsupported')\n"
        "class Mute(Adapter):\n"
        "    name, workloads, server_class, client_class = 'mute', ('register',), Node, Session\n"
    )
    a_test(pytester, 'system="mute.py:Mute", seeds=[1], profile="calm"')

    result = run(pytester, "-rs")

    assert result.parseoutcomes().get("passed") is None
    assert "unknown" in result.stdout.str() or "no-progress" in result.stdout.str()


def test_a_stored_plan_is_run_by_a_test_without_the_marker(pytester: pytest.Pytester) -> None:
    plans = sorted((ROOT / "tests" / "regressions").glob("*.json"))
    pytester.makepyfile(f"def test_it(foreshock):\n    assert foreshock.run({str(plans[0])!r}).ops.ok > 0\n")

    run(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("words", "body", "found"),
    [
        ("sedes=3", "pass", "found sedes; expected names among system, workload"),
        ('"register"', "pass", "found 'register'; expected names among"),
        ('workload="registre"', "pass", "workload 'registre'"),
        ('system="nowhere.py:X"', "pass", "no file nowhere.py"),
        ('duration="soon"', "pass", "soon"),
    ],
)
def test_a_marker_that_cannot_be_used_says_what_was_found(
    pytester: pytest.Pytester, words: str, body: str, found: str
) -> None:
    a_test(pytester, f"{words}, seeds=[1]" if "=" in words else words, body)

    result = run(pytester)

    assert result.ret != 0
    assert found in result.stdout.str() + result.stderr.str()


def test_a_marked_test_without_the_fixture_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.foreshock(seeds=1)\ndef test_it():\n    pass\n")

    result = run(pytester)

    assert result.ret != 0
    assert "takes no fixture `foreshock`" in result.stdout.str() + result.stderr.str()
