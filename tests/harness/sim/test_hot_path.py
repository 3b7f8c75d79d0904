"""The short cuts of the hot path say what the long way says."""

from __future__ import annotations

import pytest

from harness.faults.world import Effect
from harness.plans.plan import LinkSpec
from harness.sim.channel import Channel
from harness.sim.kernel.draws import BLOCK_MASK, BLOCK_SHIFT, Chance, Counter, Draws
from harness.sim.links import happens

MS = 1_000_000
BLOCKS = 40


def channel(*base: Effect) -> Channel:
    """A channel whose healthy link does what `base` says."""
    spec = LinkSpec(delay_min_ns=MS, delay_max_ns=5 * MS)
    return Channel(Chance(7), ("n1", "n2", "append"), spec, (0, 0), base)


@pytest.mark.parametrize("ppm", [0, 1, 20_000, 333_333, 999_999, 1_000_000])
def test_a_block_is_judged_as_each_of_its_messages_would_be(ppm: int) -> None:
    # given a link that loses and duplicates
    loss = Effect(id="link", what="loss", ppm=ppm)
    duplicate = Effect(id="link", what="duplicate", ppm=ppm // 2, span_ns=MS)
    subject = channel(loss, duplicate)
    for block in range(BLOCKS):
        # when a block of messages is drawn at once
        subject.refill()
        # then it marks exactly those to which something happens by their own draws
        expected = {
            ordinal & BLOCK_MASK
            for ordinal in range(block << BLOCK_SHIFT, (block + 1) << BLOCK_SHIFT)
            for effect in (loss, duplicate)
            if happens(effect, subject.draw(effect, ordinal, 0))
        }
        assert {BLOCK_MASK - left for left in subject.affected} == expected


def test_the_draw_that_separates_happening_from_not_is_on_the_right_side() -> None:
    effect = Effect(id="link", what="loss", ppm=20_000)
    bound = -(-(effect.ppm << 64) // 1_000_000)
    assert happens(effect, bound - 1)
    assert not happens(effect, bound)


def test_a_counter_reads_its_stream_in_order_over_many_blocks() -> None:
    counter, stream = Counter(Chance(3), "purpose", "who"), Draws(Chance(3), "purpose", "who")
    assert [counter.take() for _ in range(100)] == [stream.at(ordinal) for ordinal in range(100)]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (-3, 3), (1, 10**12)])
def test_between_and_below_scale_the_same_draw(low: int, high: int) -> None:
    between, below = Counter(Chance(3), "scale"), Counter(Chance(3), "scale")
    for _ in range(50):
        assert between.between(low, high) == low + below.below(high - low + 1)
