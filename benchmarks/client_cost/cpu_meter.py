"""Reads the CPU clock of a client's process at two counts of its requests, from the side of the server.

Start-up and end of the client are outside of what it measures, and it works for any client: the client only tells its process id.
`clients.py` and `peers.py` call `watched`; `lean_server.py` owns the `CpuMeter`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import orjson

METER = "meter"
"""First part of the paths that are for the meter: `/meter/PID/FIRST/LAST` starts it, `/meter` reads it."""
_CPUCLOCK_SCHED = 2
"""Of a clock id on Linux: the time that the scheduler counted, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The clocks when a certain request arrived."""

    client_cpu_s: float
    """User and system time of the client's process with its threads and living children."""
    server_cpu_s: float
    at_s: float


class CpuMeter:
    """The server's count of requests, and what its readings are."""

    def __init__(self) -> None:
        self._pid = 0
        self._due: list[int] = []
        """Counts of requests at which the clocks are still to be read."""
        self._requests = 0
        self.readings: list[Reading] = []

    def answer(self, path: str) -> bytes:
        """Answer a request to the meter; return the body."""
        if numbers := [int(part) for part in path.split("/")[2:]]:
            self._pid, *self._due = numbers
            self._requests, self.readings = 0, []
        return orjson.dumps(self.readings)

    def count(self) -> None:
        """Count a request that has arrived."""
        self._requests += 1
        if self._due and self._requests == self._due[0]:
            del self._due[0]
            self.readings.append(Reading(cpu_s(self._pid), time.process_time(), time.perf_counter()))


def cpu_s(pid: int) -> float:
    """Read the CPU time of another process and its living children."""
    return sum(time.clock_gettime((~member << 3) | _CPUCLOCK_SCHED) for member in _family(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield from _family(child)


@contextmanager
def watched(url: str, first: int, last: int) -> Iterator[Callable[[], list[Reading]]]:
    """Have the server read the clocks of this process at two of its requests. Yields a function that gets the readings."""
    wire = HTTPConnection(urlsplit(url).netloc)

    def ask(path: str) -> list[Reading]:
        wire.request("GET", path)
        readings = [Reading(**reading) for reading in orjson.loads(wire.getresponse().read())]
        wire.close()
        return readings

    ask(f"/{METER}/{os.getpid()}/{first}/{last}")
    yield lambda: ask(f"/{METER}")
