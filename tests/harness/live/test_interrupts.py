"""SIGTERM ends a run as Ctrl-C does, and never in the midst of Trio's own work."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import trio

from harness.live.interrupts import interrupt_when_terminated, terminated_as_interrupted


def test_what_trio_protects_from_interrupts_is_not_broken_off() -> None:
    whole: list[bool] = []

    @trio.lowlevel.enable_ki_protection
    def as_trio_itself() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        whole.append(True)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(interrupt_when_terminated)
            as_trio_itself()
            await trio.sleep(5)

    with terminated_as_interrupted(), pytest.raises(BaseExceptionGroup) as ended:
        trio.run(run)

    assert whole == [True]
    assert ended.group_contains(KeyboardInterrupt, match="terminated")


def test_outside_of_a_run_a_handler_interrupts_and_the_one_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with terminated_as_interrupted(), pytest.raises(KeyboardInterrupt, match="terminated"):
        os.kill(os.getpid(), signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) == before


def test_in_another_thread_nothing_is_waited_for() -> None:
    ended: list[bool] = []

    def run() -> None:
        with terminated_as_interrupted():
            trio.run(interrupt_when_terminated)
        ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)

    assert ended == [True]
