"""What people type about time, size, share and seeds is read exactly, or refused with one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import quantities


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (quantities.duration, "30s", 30 * 10**9),
        (quantities.duration, "30", 30 * 10**9),
        (quantities.duration, "500ms", 5 * 10**8),
        (quantities.duration, "1.5s", 15 * 10**8),
        (quantities.duration, "0.1us", 100),
        (quantities.duration, "2m", 120 * 10**9),
        (quantities.duration, "1h", 3600 * 10**9),
        (quantities.duration, "7d", 604_800 * 10**9),
        (quantities.size, "4GiB", 4 << 30),
        (quantities.size, "512", 512),
        (quantities.share, "1%", 0.01),
        (quantities.share, "0.25", 0.25),
        (quantities.share, "0", 0.0),
        (quantities.seeds, "1..500", range(1, 501)),
        (quantities.seeds, "7", range(7, 8)),
        (quantities.seeds, "3..3", range(3, 4)),
    ],
)
def test_a_quantity_is_read_exactly(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (quantities.duration, "soon"),
        (quantities.duration, "-1s"),
        (quantities.duration, "1 week"),
        (quantities.size, "4GB"),
        (quantities.share, "101%"),
        (quantities.share, "many"),
        (quantities.seeds, "5..1"),
        (quantities.seeds, "-1..3"),
        (quantities.seeds, f"0..{2**63}"),
    ],
)
def test_what_is_no_quantity_is_refused_with_one_line(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match="is no") as caught:
        read(text)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("duration_ns", [0, 1, 10**6, 15 * 10**8, 30 * 10**9])
def test_a_duration_is_written_as_it_is_read(duration_ns: int) -> None:
    text = quantities.duration_text(duration_ns)

    assert quantities.duration(text) == duration_ns
