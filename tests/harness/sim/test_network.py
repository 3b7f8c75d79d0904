"""The network: what links do to messages, when, and how it is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from harness.faults.pauses import SlowNode
from harness.faults.world import Effect
from harness.plans.plan import LinkSpec, Override, Schedule
from harness.sim.network import Network
from tests.harness.sim.scripted_world import ScriptedWorld, receiver, sender
from tests.harness.sim.toy import MS

EXACT: dict[str, Any] = {"links": LinkSpec(delay_min_ns=10 * MS, delay_max_ns=10 * MS)}
"""Every message takes 10 ms."""

TO_N1 = (("n2", "n1"),)


def scripted_of(
    *times_ms: float, plan: dict[str, Any] = EXACT, **more: Any
) -> tuple[ScriptedWorld, list[tuple[Any, ...]]]:
    """n2 sends to n1 at these times."""
    seen: list[tuple[Any, ...]] = []
    return ScriptedWorld(n1=receiver(seen), n2=sender(*times_ms), plan=plan, **more), seen


def network_of(scripted: ScriptedWorld) -> Network:
    return scripted.world.network


# -- cuts -----------------------------------------------------------------------------------------------------------


def test_a_cut_swallows_what_is_sent_and_what_is_in_flight() -> None:
    scripted, seen = scripted_of(80, 95, 120, 195, 200)
    scripted.at(100, lambda: network_of(scripted).cut("f1", TO_N1))
    scripted.at(200, lambda: network_of(scripted).mend("f1"))
    scripted.play(until_ms=500)

    assert seen == [(90, "n2", b"gossip 0"), (210, "n2", b"gossip 4")]
    assert scripted.rows_of("drop", "n1") == [(105, 2, "cut"), (120, 3, "cut"), (195, 4, "cut")]
    assert network_of(scripted).hits == {"f1": 3}


def test_a_cut_is_of_one_direction() -> None:
    back: list[tuple[Any, ...]] = []
    seen: list[tuple[Any, ...]] = []

    async def echo(env: Any) -> None:
        while True:
            source, data = await env.recv(None)
            seen.append((source, data))
            env.network.send(source, data)

    async def ask(env: Any) -> None:
        env.network.send("n1", b"gossip 0")
        back.append(await env.recv(env.clock.monotonic_ns() + 100 * MS))

    scripted = ScriptedWorld(n1=echo, n2=ask, plan=EXACT)
    scripted.at(0, lambda: network_of(scripted).cut("f1", (("n1", "n2"),)))
    scripted.play(until_ms=500)

    assert seen == [("n2", b"gossip 0")]
    assert back == [None]


def test_overlapping_cuts_end_with_the_last_one() -> None:
    scripted, seen = scripted_of(50, 150, 250)
    scripted.at(0, lambda: network_of(scripted).cut("f1", TO_N1))
    scripted.at(0, lambda: network_of(scripted).cut("f2", TO_N1))
    scripted.at(100, lambda: network_of(scripted).mend("f1"))
    scripted.at(200, lambda: network_of(scripted).mend("f2"))
    scripted.play(until_ms=500)

    assert seen == [(260, "n2", b"gossip 2")]
    assert network_of(scripted).hits == {"f1": 1, "f2": 2}


def test_a_fault_that_cuts_twice_is_mended_whole() -> None:
    scripted, seen = scripted_of(50, 150)
    scripted.at(0, lambda: network_of(scripted).cut("f1", TO_N1))
    scripted.at(0, lambda: network_of(scripted).cut("f1", (("n1", "n2"),)))
    scripted.at(100, lambda: network_of(scripted).mend("f1"))
    scripted.play(until_ms=500)

    assert seen == [(160, "n2", b"gossip 1")]
    assert all(link.plain for links in network_of(scripted).links.values() for link in links.values())


# -- clogs and bandwidth --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["fifo", "random", "pct"])
def test_a_clog_holds_messages_and_releases_them_in_order(policy: Any) -> None:
    schedule = Schedule(seed=2, policy=policy, quantum_ns=MS)
    scripted, seen = scripted_of(80, 95, 120, 130, 200, plan={**EXACT, "schedule": schedule})
    scripted.at(100, lambda: network_of(scripted).clog("f1", TO_N1))
    scripted.at(180, lambda: network_of(scripted).mend("f1"))
    scripted.play(until_ms=500)

    assert seen == [
        (90, "n2", b"gossip 0"),
        (180, "n2", b"gossip 1"),
        (180, "n2", b"gossip 2"),
        (180, "n2", b"gossip 3"),
        (210, "n2", b"gossip 4"),
    ]
    assert scripted.rows_of("drop", "n1") == []


def test_what_a_clog_held_meets_the_fate_of_its_release() -> None:
    scripted, seen = scripted_of(80)
    scripted.at(50, lambda: network_of(scripted).clog("f1", TO_N1))
    scripted.at(150, lambda: network_of(scripted).cut("f2", TO_N1))
    scripted.at(180, lambda: network_of(scripted).mend("f1"))
    scripted.play(until_ms=500)

    assert seen == []
    assert scripted.rows_of("drop", "n1") == [(180, 1, "cut")]


def test_bandwidth_makes_messages_wait_their_turn() -> None:
    scripted, seen = scripted_of(100, 100, 100, 300)
    scripted.at(0, lambda: network_of(scripted).limit("f1", 200, TO_N1))  # 8 bytes take 40 ms
    scripted.play(until_ms=500)

    assert [time_ms for time_ms, *_ in seen] == [150, 190, 230, 350]
    assert network_of(scripted).hits == {"f1": 4}


# -- effects --------------------------------------------------------------------------------------------------------


def effect(what: Any, **rest: Any) -> Effect:
    return Effect(id="f1", what=what, **rest)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (effect("loss"), []),
        (effect("delay", base_ns=5 * MS), [(115, b"gossip 0")]),
        (effect("duplicate"), [(110, b"gossip 0"), (110, b"gossip 0")]),
        (effect("loss", ppm=0), [(110, b"gossip 0")]),
    ],
)
def test_an_effect_changes_what_arrives_while_it_is_on(what: Effect, expected: list[tuple[float, bytes]]) -> None:
    scripted, seen = scripted_of(100, 300)
    scripted.at(50, lambda: network_of(scripted).affect("f1", what, TO_N1))
    scripted.at(200, lambda: network_of(scripted).mend("f1"))
    scripted.play(until_ms=500)

    assert [(time_ms, data) for time_ms, _, data in seen] == [*expected, (310, b"gossip 1")]


def test_the_draws_of_an_effect_that_is_over_are_forgotten_and_the_same_when_it_returns() -> None:
    lossy = effect("loss", ppm=500_000)

    def arrivals(*, mends: bool) -> list[bytes]:
        scripted, seen = scripted_of(*range(100, 500, 5))
        scripted.at(50, lambda: network_of(scripted).affect("f1", lossy, TO_N1))
        if mends:
            scripted.at(299, lambda: network_of(scripted).mend("f1"))
            scripted.at(299.5, lambda: network_of(scripted).affect("f1", lossy, TO_N1))
        scripted.at(600, lambda: network_of(scripted).mend("f1"))
        scripted.play(until_ms=700)
        (channel,) = network_of(scripted).links["n2"]["n1"].channels.values()
        assert not channel._streams
        return [data for _, _, data in seen]

    assert arrivals(mends=True) == arrivals(mends=False)
    assert 10 < len(arrivals(mends=False)) < 70


def test_corruption_damages_a_copy_by_one_bit_and_not_the_message() -> None:
    scripted, seen = scripted_of(100)
    scripted.at(50, lambda: network_of(scripted).affect("f1", effect("corrupt"), TO_N1))
    scripted.play(until_ms=500)

    ((_, _, data),) = seen
    changed = int.from_bytes(data, "big") ^ int.from_bytes(b"gossip 0", "big")
    assert changed.bit_count() == 1


def test_every_message_has_an_id_and_its_end_is_recorded() -> None:
    lossy = {"links": LinkSpec(delay_min_ns=MS, delay_max_ns=9 * MS, loss_ppm=200_000, duplicate_ppm=200_000)}
    scripted, seen = scripted_of(*range(10, 310, 3), plan=lossy)
    scripted.at(150, lambda: network_of(scripted).cut("f1", TO_N1))
    scripted.at(200, lambda: network_of(scripted).mend("f1"))
    scripted.play(until_ms=900)

    sent = [row[1] for row in scripted.rows_of("send", "n2")]
    copies = [row[2] for row in scripted.rows_of("duplicate", "n2")]
    delivered = [row[1] for row in scripted.rows_of("deliver", "n1")]
    dropped = [row[1] for row in scripted.rows_of("drop", "n1")]
    assert len(sent) == 100
    assert copies
    assert {row[2] for row in scripted.rows_of("drop", "n1")} == {"loss", "cut"}
    assert sorted(sent + copies) == sorted(delivered + dropped)  # each exactly once
    assert len(set(sent + copies)) == len(sent + copies)
    assert len(seen) == len(delivered) == network_of(scripted).delivered
    assert network_of(scripted).messages == len(sent) + len(copies)


def test_the_fate_of_a_message_hangs_on_its_ordinal_on_its_link_and_not_on_other_messages() -> None:
    """Removing an op must leave the fates of heartbeats and votes as they were."""
    lossy = {"links": LinkSpec(delay_min_ns=MS, delay_max_ns=9 * MS, loss_ppm=300_000)}

    def delays(*, chatter: bool) -> list[tuple[int, float]]:
        async def entrypoint(env: Any) -> None:
            for number in range(60):
                await env.until((100 + 20 * number) * MS)
                env.network.send("n1", b"gossip %d" % number)
                for _ in range(number % 3 if chatter else 0):
                    env.network.send("n1", b"get 0")
                    env.network.send("c1", b"gossip 0")

        seen: list[tuple[Any, ...]] = []
        ScriptedWorld(n1=receiver(seen), n2=entrypoint, plan=lossy).play(until_ms=1_500)
        return [(data, time_ms) for time_ms, _, data in seen if data.startswith(b"gossip")]

    quiet = delays(chatter=False)

    assert 20 < len(quiet) < 60
    assert delays(chatter=True) == quiet


# -- overrides ------------------------------------------------------------------------------------------------------


def override(ordinal: int, fate: Any, delay_ns: int = 0) -> Override:
    return Override(source="n2", target="n1", message="gossip", ordinal=ordinal, fate=fate, delay_ns=delay_ns)


def test_overrides_decide_about_single_messages() -> None:
    decisions = (override(0, "drop"), override(1, "duplicate"), override(2, "deliver", 55 * MS))
    scripted, seen = scripted_of(100, 200, 300, 400, overrides=decisions)
    scripted.play(until_ms=900)

    assert [(time_ms, data) for time_ms, _, data in seen] == [
        (210, b"gossip 1"),
        (210, b"gossip 1"),
        (355, b"gossip 2"),
        (410, b"gossip 3"),
    ]
    assert scripted.rows_of("drop", "n1") == [(100, 1, "override")]


@pytest.mark.parametrize(("what", "base"), [("loss", True), ("loss", False), ("delay", False), ("corrupt", False)])
def test_overrides_beat_the_draws(what: Any, base: bool) -> None:
    links = LinkSpec(delay_min_ns=10 * MS, delay_max_ns=10 * MS, loss_ppm=1_000_000 if base else 0)
    scripted, seen = scripted_of(100, plan={"links": links}, overrides=(override(0, "deliver"),))
    if not base:
        scripted.at(50, lambda: network_of(scripted).affect("f1", effect(what, base_ns=MS), TO_N1))
    scripted.play(until_ms=900)

    assert seen == [(110, "n2", b"gossip 0")]


def test_overrides_do_not_open_a_cut_link() -> None:
    scripted, seen = scripted_of(100, overrides=(override(0, "deliver"),))
    scripted.at(50, lambda: network_of(scripted).cut("f1", TO_N1))
    scripted.play(until_ms=900)

    assert seen == []


# -- who is there ---------------------------------------------------------------------------------------------------


def test_a_message_to_an_unknown_actor_is_noted_and_goes_nowhere() -> None:
    scripted = ScriptedWorld(n1=sender(100, target="n7"))
    scripted.play(until_ms=200)

    assert scripted.rows_of("note", "n1") == [(100, "", "sent to an unknown actor")]
    assert scripted.rows_of("send", "n1") == []


def test_clients_reach_replicas_and_not_each_other() -> None:
    scripted = ScriptedWorld(c1=sender(100, target="c2"), plan={"threads": 2, **EXACT})
    scripted.play(until_ms=200)

    assert scripted.rows_of("note", "c1") == [(100, "", "sent to an unknown actor")]


def test_a_slow_node_handles_what_arrived_later_and_in_the_life_it_arrived_in() -> None:
    slow = SlowNode(id="f1", begin_ns=50 * MS, end_ns=400 * MS, targets=("n1",), processing_ns=30 * MS)
    scripted, seen = scripted_of(100, 200, plan={**EXACT, "faults": (slow,)})
    scripted.at(220, lambda: scripted.world.crash("n1", power=False, reason="kill"))
    scripted.at(220, lambda: scripted.world.start("n1"))
    scripted.play(until_ms=900)

    assert seen == [(140, "n2", b"gossip 0")]  # the other one had been delivered to the ended incarnation
    assert scripted.world.nemesis.finish() == {"f1": "effective"}


# -- manual links ---------------------------------------------------------------------------------------------------


def test_on_manual_links_nothing_moves_unless_a_script_says_so() -> None:
    scripted, seen = scripted_of(100, 110, 120, manual=True)
    network = network_of(scripted)
    done: list[Any] = []
    scripted.at(200, lambda: done.append(network.deliver_now(3)))
    scripted.at(210, lambda: done.append(network.deliver_now(1, again=True)))
    scripted.at(220, lambda: done.append(network.deliver_now(1)))
    scripted.at(230, lambda: done.append(network.drop_now(2)))
    scripted.at(240, lambda: done.extend([network.deliver_now(1), network.drop_now(2)]))
    scripted.play(until_ms=300)

    assert seen == [(200, "n2", b"gossip 2"), (210, "n2", b"gossip 0"), (220, "n2", b"gossip 0")]
    assert done == [True, True, True, True, False, False]
    assert scripted.rows_of("drop", "n1") == [(230, 2, "script")]
    assert network.waiting == {}


def test_links_of_clients_are_never_manual() -> None:
    seen: list[tuple[Any, ...]] = []
    scripted = ScriptedWorld(n1=receiver(seen), c1=sender(100), plan=EXACT, manual=True)
    scripted.play(until_ms=300)

    assert seen == [(110, "c1", b"gossip 0")]


# -- delays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["uniform", "exponential"])
def test_delays_have_the_shape_of_their_link(shape: Any) -> None:
    links = LinkSpec(delay_min_ns=10 * MS, delay_max_ns=30 * MS, shape=shape)
    scripted, seen = scripted_of(*range(100, 2_100, 2), plan={"links": links})
    scripted.play(until_ms=9_000)

    sent = {row[1]: row[0] for row in scripted.rows_of("send", "n2")}
    delays = sorted(row[0] - sent[row[1]] for row in scripted.rows_of("deliver", "n1"))
    assert len(delays) == len(seen) == 1_000
    assert delays[0] >= 10
    assert delays[0] < 10.5
    assert 18.5 < sum(delays) / 1_000 < 21.5 if shape == "uniform" else 28 < sum(delays) / 1_000 < 32
    assert delays[-1] <= 30 if shape == "uniform" else delays[-1] > 100


# -- who wants to know that a message arrived -------------------------------------------------------------------------


def test_who_awaits_a_message_is_told_when_it_and_its_copy_arrive() -> None:
    scripted, _ = scripted_of(100, 200, overrides=(override(0, "duplicate"),))
    told: list[tuple[float, bool]] = []
    network = network_of(scripted)
    network.awaited[1] = b"gossip 0", lambda is_late: told.append((scripted.now_ms, is_late))
    scripted.play(until_ms=900)

    assert told == [(110, False), (110, False)]
    assert network.awaited == {}


def test_a_message_that_is_dropped_is_not_awaited_any_more() -> None:
    scripted, seen = scripted_of(100, overrides=(override(0, "drop"),))
    network = network_of(scripted)
    network.awaited[1] = b"gossip 0", lambda is_late: None
    scripted.play(until_ms=900)

    assert (seen, network.awaited) == ([], {})


def test_a_damaged_message_has_not_arrived() -> None:
    scripted, seen = scripted_of(100)
    told: list[bool] = []
    network = network_of(scripted)
    network.awaited[1] = b"gossip 1", told.append  # as if a bit of what was sent had been flipped
    scripted.play(until_ms=900)

    assert (len(seen), told) == (1, [])
