"""UDP of Trio programs: datagrams over the links of the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.faults.fault import Fault
from harness.faults.packets import Duplicate, Loss
from tests.harness.sim.programs.running import S, errors, run_with, written

ECHO = """
async def node(name, peers, data_dir):
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind((name, 53))
        while True:
            data, source = await sock.recvfrom(2000)
            await sock.sendto(data.upper(), source)

class client(client):
    async def invoke(self, f, key, value):
        came = []
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
            ADDRESS
            with trio.move_on_after(0.2):
                while True:
                    came.append((await sock.recvfrom(100))[0].decode())
        return Completion("fail", error=" ".join(came))
"""
SENDS = 'await sock.sendto(b"one", (self.server, 53))'
CONNECTS = 'await sock.connect((self.server, 53)); await sock.send(b"one")'


@pytest.mark.parametrize("address", [SENDS, CONNECTS], ids=["sendto", "connect"])
def test_a_datagram_goes_there_and_back(tmp_path: Path, address: str) -> None:
    assert set(errors(run_with(written(tmp_path, ECHO.replace("ADDRESS", address))))) == {"ONE"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Loss(id="f1", begin_ns=0, end_ns=3 * S, loss_ppm=1_000_000), ""),
        (Duplicate(id="f1", begin_ns=0, end_ns=3 * S, duplicate_ppm=1_000_000, spread_ns=S // 100), "ONE ONE"),
    ],
    ids=["loss", "duplicate"],
)
def test_links_lose_and_double_datagrams(tmp_path: Path, fault: Fault, expected: str) -> None:
    told = errors(run_with(written(tmp_path, ECHO.replace("ADDRESS", SENDS)), fault))

    assert any(answer.startswith(expected) and len(answer) >= len(expected) for answer in told)
    assert expected or "" in told


def test_what_is_too_large_or_for_nobody_is_as_on_a_machine(tmp_path: Path) -> None:
    address = """
            try:
                await sock.sendto(bytes(70_000), (self.server, 53))
            except OSError as error:
                came.append(error.strerror.replace(" ", "-"))
            await sock.sendto(b"x", (self.server, 54))
    """.strip()

    assert set(errors(run_with(written(tmp_path, ECHO.replace("ADDRESS", address))))) == {"Message-too-long"}
