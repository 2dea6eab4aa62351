"""Signals of `run` and `resume`: SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal is closed). All three have the same effect.

Before the event loop runs, a signal ends the command; nothing has been sent. While it runs, the first signal drains the run, the second
cancels the requests in flight, and the third exits at once, also where a person's code blocks the loop. The run can be resumed after each
of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from types import FrameType
from typing import NoReturn

from runners.event_loop.shutdown import Shutdown

from ..execution.history.outcome import INTERRUPTED, ExitCode
from ..ui.terminal import printable, say

LAST = 3
"""The signal that ends the process, whatever it is doing."""


@contextmanager
def interruptible(message: str = "interrupted; nothing was sent") -> Iterator[None]:
    """Turn every signal into KeyboardInterrupt, and exit with code 130 where the block does not handle it."""
    counted = count(1)

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _leave_closed_terminal(number)
        if next(counted) >= LAST:  # what ran here has caught two KeyboardInterrupts
            _exit_at_once(message)
        raise KeyboardInterrupt

    with _handling(interrupt):
        try:
            yield
        except KeyboardInterrupt:
            say(message, err=True)
            sys.exit(ExitCode.INTERRUPTED)


@contextmanager
def stopping(shutdown: Shutdown, grace_s: float, to_go_on: str) -> Iterator[None]:
    """Stop the run in three steps, one per signal. Must be entered inside the running event loop.

    The last step does not need the loop: code that blocks it is ended, too.
    """
    loop, counted = asyncio.get_running_loop(), count(1)
    messages = iter([
        f"stopping: requests in flight may finish within {grace_s:g} s; press Ctrl-C again to stop at once",
        "stopping now: finished samples are being written; press Ctrl-C again to exit without waiting for that",
    ])  # fmt: skip

    def step() -> None:
        shutdown.request(INTERRUPTED)
        say(next(messages), err=True)

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _leave_closed_terminal(number)
        if next(counted) >= LAST:
            _exit_at_once(to_go_on)
        loop.call_soon_threadsafe(step)

    with _handling(interrupt):
        yield


def _exit_at_once(message: str) -> NoReturn:
    """End the process from a signal handler, which may have interrupted a print."""
    with suppress(OSError):
        os.write(2, f"{printable(message)}\n".encode())
    os._exit(ExitCode.INTERRUPTED)


@contextmanager
def stopping_early(pull: Callable[[str], None]) -> Iterator[None]:
    """Stop a load test: the first signal calls `pull`, the second cancels the task. Must be entered inside the running event loop."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    steps = iter(["stopping: requests in flight may finish; press Ctrl-C again to exit without a result"])

    def step() -> None:
        message = next(steps, None)
        if message is not None:
            pull(INTERRUPTED)
            say(message, err=True)
        elif task is not None:
            task.cancel()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _leave_closed_terminal(number)
        loop.call_soon_threadsafe(step)

    with _handling(interrupt):
        yield


@contextmanager
def _handling(interrupt: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `interrupt` for every handled signal, between any two instructions of the main thread."""
    with ExitStack() as stack:
        for number in _handled_signals():
            stack.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, interrupt)
        yield


def _handled_signals() -> list[signal.Signals]:
    """Return the handled signals, without SIGHUP where `nohup` has set it to be ignored."""
    has_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if has_nohup else [signal.SIGHUP])]


def _leave_closed_terminal(number: int) -> None:
    """Redirect output from a closed terminal to the null device, as writing to it would fail and end the run.

    Output to a file or a pipe is kept.
    """
    if number != signal.SIGHUP:
        return
    null_device = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
            os.dup2(null_device, descriptor)
    os.close(null_device)
