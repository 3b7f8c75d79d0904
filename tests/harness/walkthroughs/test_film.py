"""Films: every frame is what the nodes were at that moment, and messages come from somewhere and go somewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.scenarios import library
from harness.scenarios.language import QUIETLY
from harness.scenarios.runner import Result
from harness.walkthroughs.page import film_data, frames_of_steps

Filmed = Callable[[str], Result]

QUICK = (
    "walkthrough_3",
    "walkthrough_4",
    "walkthrough_6",
    "f05_figure_8_e",
    "f11_snapshot_in",
    "f13_retry_a",
    "i_swap",
)
"""Scenarios of each kind: crashes, cuts, snapshots, retries, changes of members. All others are for the night."""

EVERY_SCENARIO = pytest.mark.parametrize(
    "name",
    [name if name.startswith(QUICK) else pytest.param(name, marks=pytest.mark.slow) for name in library.names()],
)


@EVERY_SCENARIO
def test_the_frame_after_each_step_is_the_state_after_it(name: str, filmed: Filmed) -> None:
    """`states` is what `show` prints, taken apart from the film."""
    result = filmed(name)

    frames = [result.frames[place] for place in frames_of_steps(result.frames, len(result.script.steps))]

    assert [[node.state for node in frame.nodes] for frame in frames] == [state.nodes for state in result.states]
    assert [len(frame.waiting) for frame in frames] == [len(state.waiting) for state in result.states]


@EVERY_SCENARIO
def test_a_filmed_scenario_reads_as_ever_and_its_frames_tell_all_of_it(name: str, filmed: Filmed) -> None:
    result = filmed(name)

    assert result.reads_as_expected
    for place, step in enumerate(result.script.steps):
        told = [line for frame in result.frames if frame.step == place for line in frame.lines]
        if told and step.words[0] != QUIETLY:
            assert told == result.transcripts[place]
    untold = {
        step.words[0]
        for place, step in enumerate(result.script.steps)
        if place not in {frame.step for frame in result.frames}
    }
    assert untold <= {"show", "progress", "waiting", "files", "spare", "preset"}


@EVERY_SCENARIO
def test_messages_neither_appear_nor_vanish(name: str, filmed: Filmed) -> None:
    """What waits is what waited, without what arrived or was lost, and with what left. `again` keeps what arrives."""
    result = filmed(name)

    before: set[int] = set()
    for frame in result.frames:
        step = result.script.steps[frame.step]
        moved = {fate: {m.flight.message for m in frame.motions if m.fate == fate} for fate in ("leaves", "arrives")}
        lost = {m.flight.message for m in frame.motions if m.fate == "lost"}
        now = {flight.message for flight in frame.waiting}
        if step.words[0] not in (QUIETLY, "again"):
            assert now == (before | moved["leaves"]) - moved["arrives"] - lost
        before = now


@EVERY_SCENARIO
def test_what_follows_from_something_comes_after_it(name: str, filmed: Filmed) -> None:
    """A node that was given a message in a beat sends, and changes, in a later slot than that in which it arrived."""
    result = filmed(name)

    for frame in result.frames:
        reached: dict[str, int] = {}
        for motion in frame.motions:
            if motion.fate == "arrives":
                reached[motion.flight.target] = motion.slot + 1
        for motion in frame.motions:
            if motion.fate == "leaves" and motion.flight.source in reached:
                assert motion.slot >= reached[motion.flight.source]
        for node in frame.nodes:
            assert node.slot >= reached.get(node.state.node, 0)


def test_entries_values_votes_and_timers_are_the_nodes_own(filmed: Filmed) -> None:
    frames = filmed("walkthrough_3_replication").frames
    last = frames[-1].nodes[0]
    candidate = filmed("walkthrough_2_split_vote").frames[3].nodes[0]

    assert (last.entries, last.machine) == (("no-op", "set n 5", "add-and-get n 2"), ("n = 7",))
    assert [frame.clients[0].answer for frame in frames if frame.clients[0].outcome == "ok"][-1] == "7"
    assert (candidate.state.role, candidate.granted) == ("candidate", ("A",))
    for frame in (*filmed("walkthrough_1_election").frames, *filmed("demo_election_3").frames):
        for node in frame.nodes:
            if node.left_ns is not None:
                assert 0 <= node.left_ns <= 300_000_000


def test_clocks_that_run_drain_the_timers_of_all(filmed: Filmed) -> None:
    """`advance * 100ms` takes 100 ms from each; a heartbeat gives a follower its time back."""
    first, second, third, *rest = filmed("walkthrough_5_heartbeats").frames

    for before, after in ((first, second), (second, third)):
        for then, now in zip(before.nodes, after.nodes, strict=True):
            assert then.left_ns is not None
            assert (now.left_ns, now.moved_ns) == (then.left_ns - 100_000_000, 100_000_000)
    beats = [
        frame
        for frame in rest
        if any(motion.flight.kind == "heartbeat" and motion.fate == "arrives" for motion in frame.motions)
    ]
    assert beats
    assert all(
        node.left_ns is not None and node.left_ns > 149_000_000
        for frame in beats
        for node in frame.nodes
        if node.slot and node.state.role == "follower"
    )


def test_cut_links_and_crashes_are_in_the_frames(filmed: Filmed) -> None:
    partition = filmed("walkthrough_4_partition").frames
    one_way = filmed("f16_one_way_partition").frames

    assert {len(frame.cut) for frame in partition} == {0, 12}
    cut = next(frame.cut for frame in one_way if frame.cut)
    assert all((b, a) not in cut for a, b in cut)


def test_equal_states_are_stored_once(filmed: Filmed) -> None:
    result = filmed("f05_figure_8")

    data = film_data(result, {})

    assert len(data["states"]) < len(result.frames) * len(data["nodes"]) / 4
    assert len({str(state) for state in data["states"]}) == len(data["states"])


def test_a_node_that_is_down_shows_what_stands_on_its_disk(filmed: Filmed) -> None:
    frames = filmed("walkthrough_6_two_of_three_down").frames
    up = next(frame.nodes[1] for frame in reversed(frames[:10]) if frame.nodes[1].state.role == "follower")
    down = next(frame.nodes[1] for frame in frames if frame.nodes[1].state.role == "down")

    assert down.entries == up.entries == ("no-op", "write x 1")
