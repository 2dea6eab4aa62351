"""The event loop of a program: uvloop. Inside a running loop (a notebook) it is not used."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from providers.errors import InputError

T = TypeVar("T")

COLLECT_AFTER = 20_000
"""New objects after which the cycle collector runs. With Python's 700 it visits the samples in flight a hundred times a second, which is a
seventh of the CPU time of a request, as `benchmarks/overhead.py` measures it."""


def run_loop(main: Coroutine[object, object, T]) -> T:
    """Run `main` to its end on a new event loop. Raises InputError inside a running loop."""
    if _is_running():
        main.close()
        raise InputError(
            "a loop is running here already, as in a notebook: use `await orch.run(...)` instead of run_sync"
        )
    with _rarer_collections():
        import uvloop  # a tenth of a second that nobody pays who has a loop already

        return uvloop.run(main)


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _rarer_collections() -> Iterator[None]:
    """Raise the collector's threshold in the block and restore the caller's threshold after it."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], COLLECT_AFTER) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
