"""The fate of a message: pure, and each effect draws for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faults.world import MILLION, Effect
from harness.sim.kernel.draws import Chance, Draws
from harness.sim.links import Arrival, Fate, fate, flip_bit

WHATS = ("loss", "duplicate", "delay", "reorder", "corrupt")
EFFECTS = st.lists(
    st.builds(
        Effect,
        id=st.sampled_from(["f1", "f2", "f3", "f4"]),
        what=st.sampled_from(WHATS),
        ppm=st.integers(0, MILLION),
        base_ns=st.integers(0, 1_000),
        span_ns=st.integers(0, 1_000),
    ),
    max_size=4,
    unique_by=lambda effect: effect.id,
)
few = settings(max_examples=50)


def keyed(seed: int) -> Callable[[Effect, int], int]:
    """Draws keyed by the effect alone, as the network keys them by link, kind and ordinal as well."""
    return lambda effect, which: Draws(Chance(seed), effect.id).at(which)


def halfway(_: Effect, which: int) -> int:
    """The first draw, whether it happens, says yes; the second, how much of it, says half."""
    return 2**63 if which else 0


@few
@given(EFFECTS, st.integers(0, 2**32), st.integers(0, 10**9))
def test_fate_is_a_function_of_its_arguments(effects: list[Effect], seed: int, delay_ns: int) -> None:
    assert fate(delay_ns, effects, keyed(seed)) == fate(delay_ns, effects, keyed(seed))


@few
@given(EFFECTS, st.integers(0, 2**32), st.data())
def test_removing_one_effect_leaves_what_the_others_do(effects: list[Effect], seed: int, choice: st.DataObject) -> None:
    lossless = [effect for effect in effects if effect.what != "loss"]
    removed = choice.draw(st.sampled_from([None, *lossless]))
    rest = [effect for effect in lossless if effect is not removed]

    whole, part = fate(0, lossless, keyed(seed)), fate(0, rest, keyed(seed))

    assert set(part.hit) == set(whole.hit) - {removed.id if removed else ""}
    if removed is None or removed.what != "duplicate":
        assert len(part.arrivals) == len(whole.arrivals)
    if removed is None or removed.what == "corrupt":
        assert [arrival.delay_ns for arrival in part.arrivals] == [arrival.delay_ns for arrival in whole.arrivals]


@few
@given(EFFECTS, st.integers(0, 2**32))
def test_a_healthy_link_does_nothing_and_effects_only_add(effects: list[Effect], seed: int) -> None:
    decided = fate(500, effects, keyed(seed))

    assert fate(500, [], keyed(seed)).arrivals[0].delay_ns == 500
    assert all(arrival.delay_ns >= 500 for arrival in decided.arrivals)
    assert not any(arrival.is_copy for arrival in decided.arrivals[:1])
    assert all(arrival.is_copy for arrival in decided.arrivals[1:])
    assert decided.hit or decided == Fate((Arrival(500),), ())


@pytest.mark.parametrize("what", ["loss", "duplicate", "reorder", "corrupt"])
@pytest.mark.parametrize("ppm", [0, 1, 250_000, 999_999, MILLION])
def test_an_effect_happens_to_its_part_of_the_messages(what: str, ppm: int) -> None:
    effect = Effect(id="f1", what=what, ppm=ppm, span_ns=10)  # type: ignore[arg-type]
    stream = Draws(Chance(3), what)

    hits = sum(
        bool(fate(0, [effect], lambda _, which, n=n: stream.at(2 * n + which)).hit)  # type: ignore[misc]
        for n in range(4_000)
    )

    assert abs(hits - 4_000 * ppm / MILLION) < 110  # four standard deviations


@pytest.mark.parametrize(
    ("effects", "delays"),
    [
        ([Effect(id="f1", what="loss"), Effect(id="f2", what="duplicate")], []),
        ([Effect(id="f1", what="duplicate"), Effect(id="f2", what="loss")], []),
        ([Effect(id="f1", what="delay", base_ns=40)], [140]),
        ([Effect(id="f1", what="delay", base_ns=40, span_ns=20)], [150]),
        ([Effect(id="f1", what="duplicate", span_ns=30)], [100, 115]),
        ([Effect(id="f1", what="duplicate", span_ns=30), Effect(id="f2", what="delay", base_ns=7)], [107, 122]),
        ([Effect(id="f1", what="reorder", span_ns=30), Effect(id="f2", what="duplicate", span_ns=2)], [115, 116]),
    ],
)
def test_effects_combine(effects: Sequence[Effect], delays: list[int]) -> None:
    """Loss wins over everything; a copy takes the original's delays and then its own lateness."""
    decided = fate(100, effects, halfway)

    assert [arrival.delay_ns for arrival in decided.arrivals] == delays


@given(st.binary(min_size=1, max_size=40), st.integers(0, 2**64 - 1))
def test_corruption_flips_one_bit(data: bytes, number: int) -> None:
    damaged = flip_bit(data, number)

    difference = int.from_bytes(data, "big") ^ int.from_bytes(damaged, "big")
    assert len(damaged) == len(data)
    assert difference.bit_count() == 1


def test_nothing_can_be_flipped_in_an_empty_message() -> None:
    assert flip_bit(b"", 5) == b""


def test_every_bit_can_be_the_one() -> None:
    assert len({flip_bit(b"abc", number) for number in range(24)}) == 24
