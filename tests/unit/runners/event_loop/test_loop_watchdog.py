"""A loop that stands still is noticed while it does, and the line that holds it is named."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Mapping
from types import FrameType

import pytest

from providers.messages import JSON
from runners.event_loop.loop_watchdog import LoopWatchdog


async def test_code_that_blocks_the_loop_is_named_while_it_blocks() -> None:
    told: list[Mapping[str, JSON]] = []
    heard = threading.Event()

    def tell(found: Mapping[str, JSON]) -> None:
        told.append(found)
        heard.set()

    async def block() -> bool:
        return heard.wait(timeout=60)  # holds the loop as time.sleep does, but no longer than it takes to be seen

    with LoopWatchdog(tell, after_s=0.05):
        assert await asyncio.create_task(block(), name="task gsm-731")
    (found,) = told
    assert found["by"] == "task gsm-731"
    assert str(found["at_line"]).partition(":")[0] == __file__  # and not the line of threading.py that waits


async def test_a_loop_that_moves_is_left_alone() -> None:
    told: list[Mapping[str, JSON]] = []
    with LoopWatchdog(told.append, after_s=30.0):
        await asyncio.sleep(0)
    assert told == []


class Interrupted(Exception):
    """Ends what the test has started."""


async def test_a_pattern_without_end_that_lets_no_thread_run_is_named_by_the_timer_of_cpu_time() -> None:
    told: list[Mapping[str, JSON]] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    def tell(found: Mapping[str, JSON]) -> None:
        told.append(found)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with LoopWatchdog(tell, after_s=0.1), pytest.raises(Interrupted):
            re.search(r"(a|a)+b", "a" * 30)  # minutes, in which no other thread gets to run
    finally:
        signal.signal(signal.SIGUSR1, before)
    (found,) = told
    assert str(found["at_line"]).partition(":")[0] == __file__
