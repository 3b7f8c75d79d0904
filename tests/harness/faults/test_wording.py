"""Faults and their numbers in words."""

from __future__ import annotations

import pytest

from harness.faults.clocks import ClockRate
from harness.faults.crashes import Crash
from harness.faults.fault import FOREVER, Fault
from harness.faults.membership import Membership
from harness.faults.packets import Loss
from harness.faults.partitions import Partition
from harness.faults.pauses import Pause
from harness.faults.wording import span

WHEN = {"id": "f1", "begin_ns": 0, "end_ns": FOREVER}


@pytest.mark.parametrize(
    ("length_ns", "expected"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_500, "1.5 us"),
        (30_000_000, "30 ms"),
        (1_234_567_890, "1.234 s"),
        (-2_050_000_000, "-2.05 s"),
        (3_600_000_000_000, "3600 s"),
    ],
)
def test_lengths_in_the_unit_that_suits(length_ns: int, expected: str) -> None:
    assert expected == span(length_ns)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Partition(**WHEN, shape="one", order=("n1", "n2"), clients=("c1",)), "one n1,n2 (beside: c1)"),
        (Partition(**WHEN, shape="bridge", order=("n1",), clients=None), "bridge n1 (client links untouched)"),
        (Partition(**WHEN, shape="one", order=("n1",)), "one n1 (all clients with the rest)"),
        (Loss(**WHEN, loss_ppm=12_500), "all loss=1.25%"),
        (Crash(**WHEN, targets=("n1",), aim="write"), "n1 aim=write"),
        (Crash(**WHEN, targets=("n1",), power=False), "n1 no-power"),
        (Pause(**WHEN, targets=("n1", "n2"), clock="stops"), "n1,n2 clock=stops"),
        (ClockRate(**WHEN, targets=("@leader",), rate_ppm=950_000), "@leader rate=0.95"),
        (Membership(**WHEN, voters=("n1", "n2")), "voters=n1,n2"),
    ],
)
def test_what_a_fault_says(fault: Fault, expected: str) -> None:
    assert expected == " ".join(fault.particulars())
