"""The runner: commands that make no sense are refused with their line, and the rest do what the table says."""

from __future__ import annotations

import re

import pytest

import harness.scenarios
from harness.errors import BadInput
from harness.scenarios.commands import COMMANDS
from tests.harness.scenarios.conftest import Play

PAIR = "> nodes A B pre_vote=false\n"
LED = PAIR + "> quietly timer A\n> quietly settle\n"

BAD = [
    ("jump A", "command 'jump'"),
    ("timer X", "actor 'X'"),
    ("timer", "`timer`"),
    ("advance A soon", "duration 'soon'"),
    ("deliver A", "'A'"),
    ("deliver A>B vote 2 3", "vote 2 3"),
    ("cut A B", "cut"),
    ("cut A | X", "actor 'X'"),
    ("crash X", "actor 'X'"),
    ("flip A nowhere 3", "file 'nowhere'"),
    ("change A followers=B", "'followers=B'"),
    ("transfer A X", "actor 'X'"),
    ("c1 write x one", "'one'"),
    ("c1 write x 1 at X", "home 'X'"),
    ("c1", "no op"),
    ("expect", "no signature"),
    ("quietly", "quietly"),
    ("quietly preset A log=1", "quietly"),
    ("quietly quietly show", "quietly"),
    ("preset A log=2,1", "log '2,1'"),
    ("preset X log=1", "actor 'X'"),
]


@pytest.mark.parametrize(("command", "found"), BAD, ids=lambda text: str(text)[:20])
def test_bad_commands_name_their_line(play: Play, command: str, found: str) -> None:
    with pytest.raises(BadInput) as raised:
        play(PAIR + f"# a comment\n> {command}\n")

    assert found in f"{raised.value.found} {raised.value.expected}"
    assert raised.value.where == "test.txt:3"


@pytest.mark.parametrize(
    "first", ["nodes A machine=abacus", "nodes A reads=psychic", "nodes A A", "nodes", "nodes A a=1"]
)
def test_bad_plans_are_refused(play: Play, first: str) -> None:
    with pytest.raises(BadInput) as raised:
        play(f"> {first}\n")

    assert raised.value.where == "test.txt:1"


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    rows = [line for line in (harness.scenarios.__doc__ or "").splitlines() if line.startswith("| `")]
    usages = [usage for row in rows for usage in re.findall("`([^`]+)`", row.removesuffix(" |").rsplit(" | ", 1)[0])]
    documented = {usage.split()[0] for usage in usages}

    assert documented - {"c1", "quietly"} == set(COMMANDS)


def test_nothing_moves_by_itself(play: Play) -> None:
    result = play(PAIR + "> timer A\n> show\n> show\n")

    assert result.transcripts[2] == result.transcripts[3]
    assert "A>B vote t1 last=(0, t0)" in result.transcripts[1]


def test_a_message_that_is_delivered_again_can_still_be_delivered(play: Play) -> None:
    result = play(PAIR + "> timer A\n> again A>B\n> deliver A>B vote 1\n")

    assert result.transcripts[2] == ["B enters t1", "B votes for A in t1", "B>A vote-reply t1 granted"]
    assert result.transcripts[3] == ["B>A vote-reply t1 granted"]


def test_a_count_takes_the_oldest_messages(play: Play) -> None:
    result = play(LED + "> c1 write x 1 at A\n> c2 write x 2 at A\n> deliver A>B append 1\n> waiting\n")

    assert result.transcripts[5] == ["B appends 2 [1]", "B commits 1", "B>A append-reply t1 match=2"]
    assert [line.split()[:2] for line in result.transcripts[6]] == [["A>B", "append"], ["B>A", "append-reply"]]


def test_settling_some_nodes_leaves_the_others_alone(play: Play) -> None:
    result = play("> nodes A B C pre_vote=false\n> timer A\n> settle A B\n> waiting\n")

    assert "A leader t1" in result.transcripts[2]
    assert result.transcripts[3][0] == "A>C vote t1 last=(0, t0)"


def test_a_message_lost_in_a_cut_is_printed(play: Play) -> None:
    result = play(PAIR + "> timer A\n> cut A > B\n> deliver all\n> mend\n> timer A\n> deliver A>B\n")

    assert result.transcripts[3] == ["A>B vote is lost (cut)"]
    assert "B votes for A in t2" in result.transcripts[6]


def test_a_power_loss_keeps_the_first_bytes_only(play: Play) -> None:
    script = (
        LED
        + "> hold-disk B\n> c1 write x 1 at A\n> deliver A>B append\n> crash B power {}\n> free-disk B\n> restart B\n"
    )

    nothing, all_of_it = play(script.format(0)), play(script.format(1000))

    assert nothing.transcripts[-1] == ["B starts again: t1, vote A, log [1]"]
    assert all_of_it.transcripts[-1] == ["B starts again: t1, vote A, log [1,1]"]


def test_an_fsync_at_a_time_is_freed(play: Play) -> None:
    """With asynchronous storage the next fsync begins when one ends, and is held again."""
    result = play(
        "> nodes A B pre_vote=false storage=async\n> quietly timer A\n> quietly settle\n> hold-disk B\n"
        "> c1 write x 1 at A\n> quietly deliver A>B append\n> c2 write x 2 at A\n> quietly deliver A>B append\n"
        "> free-disk B once\n> free-disk B once\n"
    )

    assert result.transcripts[-2:] == [["B>A append-reply t1 match=2"], ["B>A append-reply t1 match=3"]]


def test_a_quiet_command_has_no_transcript(play: Play) -> None:
    result = play(LED + "> show\n")

    assert result.transcripts[1:3] == [[], []]
    assert result.transcripts[3][1].split() == ["A", "leader", "1", "A", "[1]", "1", "1"]


def test_a_client_that_waits_too_long_goes_on_as_another_process(play: Play) -> None:
    result = play(
        LED + "> c1 write x 1 at A\n> drop all\n> advance c1 2s\n> c1 read x\n> timer A\n> settle\n> settle\n"
    )

    assert result.transcripts[5] == ["c1 write x 1 -> info (timeout)"]
    assert "c1 read x -> nothing" in result.transcripts[-2]
    assert result.is_judged_as_expected


def test_a_violation_that_is_not_expected_is_a_failure(play: Play) -> None:
    stale = (
        "> nodes A B C reads=local check_quorum=false pre_vote=false\n> timer A\n> settle\n> cut A | B C\n> timer B\n"
        "> settle B C\n> c1 write x 1 at B\n> settle B C\n> c2 read x at A\n"
    )
    signature = "linearizability/nonlinearizable/cas-register/read"

    silent, open_about_it = play(stale), play(stale + f"> expect {signature}\n")

    assert not silent.is_judged_as_expected
    assert silent.violations == (signature,)
    assert open_about_it.is_judged_as_expected
    assert open_about_it.transcripts[-1] == [
        f'{signature}: key "x": process 1 read null after process 0 had overwritten it with 1'
    ]


def test_an_expected_violation_that_does_not_show_is_a_failure(play: Play) -> None:
    result = play(LED + "> expect raft/log-matching\n")

    assert result.verdict.validity == "valid"
    assert not result.is_judged_as_expected


def test_an_exchange_that_does_not_end_is_stopped(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.scenarios.runner._ROUNDS_MAX", 3)

    result = play(PAIR + "> timer A\n> settle\n")

    assert result.transcripts[2][-1] == "no end after 3 messages"
