"""The sandbox: a person acts, the real code answers, and what was done is a scenario like any other."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from harness import cli
from harness.errors import BadInput
from harness.plans.profiles import SECOND
from harness.run.drawing import Drawing, abilities_of
from harness.scenarios import library
from harness.scenarios.language import parse
from harness.scenarios.runner import Result, perform
from harness.serve import films as films_module
from harness.serve import sandbox
from harness.serve.access import Access
from harness.serve.application import application
from harness.serve.films import Films
from harness.serve.sandbox import COMMANDS_MAX, Attempt, Beginning, TooLong, make_file, make_sandbox, script_of
from harness.systems.catalog import bind, load_systems
from harness.systems.checkouts import Checkouts
from harness.systems.system import System

from .asking import ask
from .serving import Served, served_over

PARTITION = "walkthrough_4_partition"


@pytest.mark.parametrize(
    "command",
    [
        "nodes A B", "preset A log=1*100000000", "spare Z", "expect raft/x", "quietly timer A", "jump A", "# comment",
        "timer A\n> preset A log=1", "timer <A>", "c1;ls", "x" * 101, "timer A\u202e",
    ],
)  # fmt: skip
def test_what_nobody_may_do_is_refused(command: str) -> None:
    with pytest.raises(BadInput):
        script_of(Attempt(PARTITION, None, (command,)))


def test_there_is_an_end_to_what_one_address_does() -> None:
    with pytest.raises(BadInput, match=f"at most {COMMANDS_MAX}"):
        script_of(Attempt(PARTITION, None, ("timer A",) * (COMMANDS_MAX + 1)))


@pytest.mark.parametrize("at", [None, 0, 1, 7, 10**6])
@pytest.mark.parametrize("name", [PARTITION, "f05_figure_8"])
def test_a_sandbox_begins_at_any_command_of_a_scenario(name: str, at: int | None) -> None:
    whole = library.read(library.find(name))

    kept = script_of(Attempt(name, at, ())).steps

    assert [step.words for step in kept] == [step.words for step in whole.steps[: len(kept)]]
    assert kept[0].words[0] == "nodes"
    assert {step.words for step in whole.steps if step.words[0] == "preset"} <= {step.words for step in kept}
    assert len(kept) == len(whole.steps) or at is not None


def test_what_was_done_is_a_scenario_that_reads_as_its_file() -> None:
    commands = ("timer D", "settle", "c9 write x 77 at D", "settle")
    text = make_file(Attempt(PARTITION, 17, commands)).decode()

    script = parse(text, "saved.txt")
    result = perform(script, load_systems(bind("raft_impl", Checkouts()))["default"])

    assert [step.text for step in script.steps[-4:]] == list(commands)
    assert result.reads_as_expected
    assert result.verdict.validity == "valid"
    assert "c9 write x 77 -> ok" in text


def test_a_command_without_sense_is_told_and_left_out() -> None:
    page = make_sandbox(Attempt("i_single_node", None, ("show", "timer Z"))).decode()

    assert "actor &#39;Z&#39;" in page
    assert 'name="do" value="show"' in page
    assert 'type="hidden" name="do" value="timer Z"' not in page


# The alarm may ring in the midst of what Trio does, and then nobody closes its nursery, which complains.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function Nursery.__del__")
def test_the_time_is_for_all_that_is_tried_of_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes too long is no command without sense: it is not tried again, without the last command."""
    drawn = Drawing(workload="register", profile="calm", duration_ns=600 * SECOND)
    with Checkouts() as checkouts:
        plan = drawn.plan(1, abilities_of(load_systems(bind("raft_impl", checkouts)).values()))
    heavy = Beginning(run="heavy", plan=plan.to_json(), at_ns=500 * SECOND)
    begun: list[Attempt] = []
    performed = sandbox._performed

    def noted(attempt: Attempt, system: System) -> tuple[Result, str]:
        begun.append(attempt)
        return performed(attempt, system)

    monkeypatch.setattr(sandbox, "_performed", noted)
    monkeypatch.setattr(sandbox, "SECONDS_MAX", 0.2)

    with pytest.raises(BadInput, match=r"more than 0\.2 s of work"):
        make_sandbox(Attempt("", None, ("timer n1",), heavy))

    assert len(begun) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_time_is_over_also_where_a_node_takes_it_for_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS_MAX", 0.05)
    monkeypatch.setattr(sandbox, "_AGAIN_SECONDS", 0.05)
    swallowed: list[ValueError] = []

    def performed(_attempt: Attempt, _system: System) -> None:
        for _ in range(2):
            end = time.monotonic() + 5
            try:
                while time.monotonic() < end:
                    pass
            except ValueError as error:
                if swallowed:
                    raise
                swallowed.append(error)

    monkeypatch.setattr(sandbox, "_performed", performed)

    with pytest.raises(BadInput, match="of work"):
        make_sandbox(Attempt("i_single_node", None, ()))

    assert len(swallowed) == 1


def in_a_nursery(work: Callable[[], None]) -> None:
    async def main() -> None:
        async with trio.open_nursery():
            work()

    trio.run(main)


def in_a_decoder(work: Callable[[], None]) -> None:
    try:
        work()
    except ValueError as error:
        raise BadInput(str(error), "a plan of format 2", "the plan") from None


@pytest.mark.parametrize("within", [in_a_nursery, in_a_decoder])
def test_time_that_is_over_is_told_wherever_the_code_was(
    monkeypatch: pytest.MonkeyPatch, within: Callable[[Callable[[], None]], None]
) -> None:
    begun: list[Attempt] = []

    def work() -> None:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pass

    def performed(attempt: Attempt, _system: System) -> None:
        begun.append(attempt)
        within(work)

    monkeypatch.setattr(sandbox, "SECONDS_MAX", 0.05)
    monkeypatch.setattr(sandbox, "_performed", performed)

    with pytest.raises(TooLong, match=r"^found more than 0\.05 s of work; expected a shorter run"):
        make_sandbox(Attempt("i_single_node", None, ("timer A",)))

    assert len(begun) == 1


def test_the_end_of_the_process_that_makes_pages_is_told_and_another_begins(results: Path) -> None:
    films = Films()
    app = Access(application(results, films), None)

    assert ask(app, "/walkthroughs/i_single_node").status == 200
    assert films._pool is not None
    for process in list(films._pool._processes.values()):
        process.kill()
        process.join()
    ended = ask(app, "/sandbox/i_single_node")
    again = ask(app, "/sandbox/i_single_node")
    films.close()

    assert (ended.status, again.status) == (503, 200)
    assert "a page whose process was ended" in ended.text


def test_a_page_that_takes_too_long_is_told(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films_module, "_SECONDS_MAX", 0.01)
    films = Films()
    app = Access(application(results, films), None)

    page = ask(app, "/walkthroughs/i_single_node")
    films.close()

    assert page.status == 503
    assert "a page that takes more than 0.01 s" in page.text


@pytest.mark.parametrize(
    "name",
    [
        name
        if name.startswith(("walkthrough_3", "walkthrough_6", "f12_flipped"))
        else pytest.param(name, marks=pytest.mark.slow)
        for name in library.names()
    ],
)
def test_every_button_gives_a_command_that_can_be_carried_out(name: str) -> None:
    """The last frame of a scenario offers what a sandbox allows, in words that its parser takes."""
    page = make_sandbox(Attempt(name, None, ())).decode()
    offered = [part.split('"', 1)[0].replace("&gt;", ">") for part in page.split('button name="do" value="')[1:]]

    assert len(offered) > 5
    assert len(script_of(Attempt(name, None, tuple(offered))).steps) > len(offered)


def test_strange_addresses_are_answered(app: Any) -> None:
    assert ask(app, "/sandbox").status == 200
    assert ask(app, "/sandbox/no_such").status == 404
    assert ask(app, "/sandbox/..%2f..%2fetc%2fpasswd").status == 404
    assert ask(app, "/sandbox/i_single_node?at=x&do=&do=+").status == 200
    hostile = ask(app, "/sandbox/i_single_node?do=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in hostile.text
    assert "form-action &#39;self&#39;" in hostile.text


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("do=jump+A", "command &#39;jump A&#39;"),
        ("do=jump+A&do=timer+A", "command &#39;jump A&#39;"),
        ("do=timer+Z&do=timer+A", "actor &#39;Z&#39;"),
        ("do=timer+A&" * (COMMANDS_MAX + 2), f"{COMMANDS_MAX + 1} commands"),
    ],
)
def test_commands_that_an_address_names_in_vain_are_its_fault(app: Any, asked: str, found: str) -> None:
    """One behind all others is left out, and told on the page of those before it."""
    answer = ask(app, f"/sandbox/i_single_node?{asked}")
    file = ask(app, f"/sandbox/i_single_node/file?{asked}")

    alone = "&" not in asked
    assert (answer.status, file.status) == ((200, 200) if alone else (400, 400))
    assert f"{'f' if alone else 'F'}ound {found}" in answer.text
    assert "expected" in answer.text


def test_another_site_cannot_make_it_work(app: Any) -> None:
    assert (
        ask(app, "/sandbox/i_single_node?do=timer+A", sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status
        == 403
    )
    assert ask(app, "/runs", sec_fetch_site="cross-site", sec_fetch_mode="navigate").status == 200


@pytest.fixture
def served(results: Path) -> Iterator[Served]:
    with served_over(results) as one:
        yield one


def test_a_person_acts_and_the_real_code_answers(
    page: Any, served: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def role(node: str) -> str:
        return str(page.text_content(f"#state tr[data-node={node}] td.role"))

    def press(name: str) -> None:
        before = page.url
        page.get_by_role("button", name=name, exact=True).first.click()
        page.wait_for_url(lambda url: url.partition("#")[0] != before.partition("#")[0])
        page.wait_for_selector("html[data-ready]")

    page.goto(f"{served.address}/sandbox/demo_election_2?at=1")
    page.wait_for_selector("html[data-ready]")
    press("A: timer fires")
    assert role("A") == "candidate"
    press("deliver until quiet")
    assert role("A") == "leader"
    press("B: crash")
    assert role("B") == "down"
    page.go_back()
    page.wait_for_selector("html[data-ready]")
    assert role("B") == "follower", "the way back takes a command back"
    page.get_by_role("button", name="A: write").click()
    page.wait_for_selector("html[data-ready]")
    press("deliver until quiet")
    assert "x = " in page.text_content("#state tr[data-node=A] td.machine")
    page.fill("#command", "cut A | B C")
    page.keyboard.press("Enter")
    page.wait_for_url("**cut*")
    page.wait_for_selector(".link.cut >> nth=0")

    with page.expect_download() as download:
        page.click("#save")
    saved = tmp_path / "mine.txt"
    download.value.save_as(saved)
    code = cli.run(["scenario", str(saved)])

    assert code == 0
    assert "reads       as expected" in capfd.readouterr().out
    assert saved.read_text().rstrip().endswith("> cut A | B C")
