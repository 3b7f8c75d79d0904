"""SIGTERM ends a run as Ctrl-C does, and never in the midst of Trio's own work."""

from __future__ import annotations

import os
import re
import signal
import threading
from functools import partial

import pytest
import trio

from harness.errors import BadInput
from harness.live.interrupts import run_in_trio, terminated_as_interrupted


def test_what_trio_protects_from_interrupts_is_not_broken_off() -> None:
    whole: list[bool] = []

    @trio.lowlevel.enable_ki_protection
    def as_trio_itself() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        whole.append(True)

    async def run() -> None:
        as_trio_itself()
        await trio.sleep(5)

    with terminated_as_interrupted(), pytest.raises(KeyboardInterrupt, match="terminated"):
        run_in_trio(run)

    assert whole == [True]


def test_outside_of_a_run_a_handler_interrupts_and_the_one_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with terminated_as_interrupted(), pytest.raises(KeyboardInterrupt, match="terminated"):
        os.kill(os.getpid(), signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) == before


def test_in_another_thread_nothing_is_waited_for() -> None:
    ended: list[bool] = []

    def run() -> None:
        with terminated_as_interrupted():
            run_in_trio(trio.lowlevel.checkpoint)
        ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)

    assert ended == [True]


async def in_a_nursery_of_its_own(error: BaseException) -> None:
    async def fail() -> None:
        raise error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        await trio.sleep(5)


@pytest.mark.parametrize("error", [KeyboardInterrupt("how"), BadInput("this", "that", "here")], ids=repr)
def test_what_people_are_told_comes_without_the_groups_of_nurseries(error: BaseException) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))):
        run_in_trio(partial(in_a_nursery_of_its_own, error))


def test_an_error_of_our_own_keeps_its_group() -> None:
    with pytest.raises(BaseExceptionGroup) as ended:
        run_in_trio(partial(in_a_nursery_of_its_own, ValueError("ours")))

    assert ended.group_contains(ValueError, match="ours")
