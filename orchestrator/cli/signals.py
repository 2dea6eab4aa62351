"""Signals of `run` and `resume`: Ctrl-C, SIGTERM, and the terminal that is closed. All three mean the same.

Before the loop runs they end the command: nothing has been sent. While it runs the first drains, the second cancels what is in flight,
the third does not wait for the disk either. A run can be resumed after each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType

from runners.shutdown import Shutdown

from ..execution.outcome import INTERRUPTED, ExitCode
from ..ui.terminal import say


@contextmanager
def interruptible() -> Iterator[None]:
    """Every signal is a Ctrl-C, and a Ctrl-C that nobody has caught in here came before the run did."""
    with ExitStack() as stack:
        for number in _heeded():
            stack.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, _interrupt)
        try:
            yield
        except KeyboardInterrupt:
            say("interrupted; nothing was sent", err=True)
            sys.exit(ExitCode.INTERRUPTED)


@contextmanager
def stopping(shutdown: Shutdown, grace_s: float, to_go_on: str) -> Iterator[None]:
    """Inside the running loop: stop the run by steps."""
    loop = asyncio.get_running_loop()
    steps = iter([
        f"stopping: what is in flight may finish for {grace_s:g} s at most; Ctrl-C again to stop at once",
        "stopping now: what is done is being written; Ctrl-C again to leave that to a resume",
    ])  # fmt: skip

    def step(number: int) -> None:
        _leave_closed_terminal(number)
        said = next(steps, None)
        if said is None:
            say(to_go_on, err=True)
            os._exit(ExitCode.INTERRUPTED)
        shutdown.request(INTERRUPTED)
        say(said, err=True)

    with _heeding(loop, step):
        yield


@contextmanager
def stopping_early(pull: Callable[[str], None]) -> Iterator[None]:
    """Inside the running loop of a load test: the first signal pulls the brake, the second cancels the task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    steps = iter(["stopping: what is in flight may finish; Ctrl-C again to leave without a result"])

    def step(number: int) -> None:
        _leave_closed_terminal(number)
        said = next(steps, None)
        if said is not None:
            pull(INTERRUPTED)
            say(said, err=True)
        elif task is not None:
            task.cancel()

    with _heeding(loop, step):
        yield


@contextmanager
def _heeding(loop: asyncio.AbstractEventLoop, step: Callable[[int], None]) -> Iterator[None]:
    with ExitStack() as stack:
        for number in _heeded():
            stack.callback(signal.signal, number, signal.getsignal(number))
            loop.add_signal_handler(number, partial(step, number))
            stack.callback(loop.remove_signal_handler, number)
        yield


def _heeded() -> list[signal.Signals]:
    """Not the hang-up that `nohup` has told the program to ignore."""
    has_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if has_nohup else [signal.SIGHUP])]


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _leave_closed_terminal(number)
    raise KeyboardInterrupt


def _leave_closed_terminal(number: int) -> None:
    """Nobody reads it any more, and writing to it would be the error that ends the run. A file or a pipe is read later."""
    if number != signal.SIGHUP:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)
