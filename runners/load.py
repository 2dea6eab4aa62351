"""Load for a test: who sends when, and one exact line for every request.

A closed loop keeps a number of requests in flight: the next one goes when an answer is there. An open loop sends at times that are
fixed beforehand on the absolute clock, whatever comes back: a late client or a stalled server shows in the latency from the
scheduled time, it never hides.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from providers.errors import Empty, InstanceGone, ProviderError, Refused, Rejected, Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, RateLimitHint, Timing, Usage
from providers.provider import Sender

from .calls.budget import LimitReached

FAILURES_TO_COLLECT = 5_000
"""The tracebacks of so many failed requests are some 50 MB."""

How = Literal["ok", "empty", "rejected", "throttled", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is loaded: instances in turn, and what each is asked."""

    instances: Sequence[Instance]
    senders: Mapping[str, Sender]
    """By the provider's name."""
    ask: Callable[[int], ChatRequest]
    """The request of a number; pure."""
    attempt_s: float = 300.0

    def instance(self, number: int) -> Instance:
        return self.instances[number % len(self.instances)]


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """So many requests in flight; the next one waits for an answer."""

    concurrency: int


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Arrivals at a mean rate, independent of what comes back."""

    rate_per_s: float
    burstiness: float = 1.0
    """Shape of the gamma-distributed gaps: 1 is Poisson, less is burstier, `inf` is a constant rate."""
    max_concurrency: int | None = None
    """Arrivals beyond it wait for a place; the wait counts in their scheduled latency."""


@dataclass(frozen=True, slots=True)
class Volume:
    """How much: at most `requests`, started within `duration_s`; one of them at least."""

    requests: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """A request on its way; instants in loop seconds."""

    number: int
    instance: str
    scheduled_at: float
    dispatched_at: float
    waited_for: Literal["arrival", "place"]
    """What ended the wait before the send: its time came, or another request gave its place."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """One request that has ended."""

    scheduled: ScheduledRequest
    ended_at: float
    how: How
    error_class: str | None = None
    message: str = ""
    status: int | None = None
    finish_reason: str | None = None
    timing: Timing | None = None
    usage: Usage | None = None
    hint: RateLimitHint | None = None

    @property
    def latency_s(self) -> float | None:
        """Send to last content; None without an answer."""
        return (self.timing.ttft_s or 0.0) + self.timing.generation_s if self.timing else None

    @property
    def scheduled_latency_s(self) -> float | None:
        """Scheduled arrival to last content."""
        latency_s = self.latency_s
        if latency_s is None or self.timing is None:
            return None
        return self.scheduled.dispatched_at - self.scheduled.scheduled_at + self.timing.connect_s + latency_s


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What came of a load."""

    load: ClosedLoop | OpenLoop
    results: Sequence[RequestResult]
    """In the order in which they ended."""
    began_at: float
    ended_at: float
    lags_s: Sequence[float]
    """How late the event loop was, every 50 ms."""
    cpu_share: float
    """Of one core, over the run."""
    gone: str = ""
    """Why no more was sent, where the instance is out for good."""


@dataclass(slots=True)
class LoadGenerator:
    """Sends `target`'s requests one by one and keeps a line of each. `on_shot` sees them as they end."""

    target: Target
    label: str
    """Goes into the request ids: they are unique over the rungs of a test."""
    on_result: Callable[[RequestResult], None] = lambda _shot: None
    in_flight: int = 0
    results: list[RequestResult] = field(default_factory=list)
    gone: str = ""
    _failed: int = 0

    async def send(self, number: int, scheduled_at: float, waited_for: Literal["arrival", "place"]) -> None:
        loop, instance = asyncio.get_running_loop(), self.target.instance(number)
        scheduled = ScheduledRequest(number, instance.name, scheduled_at, loop.time(), waited_for)
        self.in_flight += 1
        try:
            response = await self.target.senders[instance.provider].complete(
                instance,
                self.target.ask(number),
                request_id=f"{self.label}-{number}/1/1",
                deadline=scheduled.dispatched_at + self.target.attempt_s,
            )
        except LimitReached as error:
            self.gone = str(error)  # it was not sent: no line is kept of it
        except ProviderError as error:
            self._keep(_failed(scheduled, loop.time(), error))
            if isinstance(error, InstanceGone):
                self.gone = str(error)
        else:
            self._keep(_answered(scheduled, loop.time(), response))
        finally:
            self.in_flight -= 1

    def _keep(self, result: RequestResult) -> None:
        self.results.append(result)
        self._failed += result.how != "ok"
        if self._failed == FAILURES_TO_COLLECT:
            self._failed = 0
            gc.collect()
        self.on_result(result)


async def run_load(
    load_generator: LoadGenerator, load: ClosedLoop | OpenLoop, volume: Volume, *, seed: int = 0
) -> LoadRun:
    """Send until volume or limit are spent or the instance is gone, and wait for every answer. Cancelled, nothing is left in flight."""
    if volume.requests is None and volume.duration_s is None:
        raise ValueError("a load needs a number of requests or a duration")
    if volume.requests is None and isinstance(load, OpenLoop) and math.isinf(load.rate_per_s):
        raise ValueError("an infinite rate needs a number of requests")
    loop, watch = asyncio.get_running_loop(), _ClientWatch()
    began_at = loop.time()
    with _collecting_nothing(), watch.watching():
        if isinstance(load, ClosedLoop):
            await _closed(load_generator, load, volume, began_at)
        else:
            await _open(load_generator, load, volume, _LoadClock(began_at, seed))
    return LoadRun(
        load, load_generator.results, began_at, loop.time(), watch.lags_s, watch.cpu_share(), load_generator.gone
    )


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """The cycle collector walks over every line that is kept: a tenth of a second in which nothing is sent and nothing is heard.

    Only errors leave cycles behind; the Gunner clears them away now and then.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def arrival_offsets(load: OpenLoop, seed: int) -> Iterator[float]:
    """Seconds from the start at which requests arrive, without end; the first at once."""
    if math.isinf(load.rate_per_s):
        while True:
            yield 0.0
    gap_s, at = 1 / load.rate_per_s, 0.0
    draws = random.Random(f"arrivals/{seed}")
    for number in count():
        if math.isinf(load.burstiness):
            yield number * gap_s  # no sum of roundings
        else:
            yield at
            at += draws.gammavariate(load.burstiness, gap_s / load.burstiness)


async def _closed(load_generator: LoadGenerator, load: ClosedLoop, volume: Volume, began_at: float) -> None:
    loop, numbers = asyncio.get_running_loop(), iter(_numbers(volume))
    end_at = math.inf if volume.duration_s is None else began_at + volume.duration_s

    async def keep_one_in_flight() -> None:
        for number in numbers:
            now = loop.time()
            if now >= end_at or load_generator.gone:
                return
            await load_generator.send(number, now, "place")

    async with asyncio.TaskGroup() as group:
        for _ in range(load.concurrency):
            group.create_task(keep_one_in_flight())


@dataclass(frozen=True, slots=True)
class _LoadClock:
    began_at: float
    seed: int


async def _open(load_generator: LoadGenerator, load: OpenLoop, volume: Volume, clock: _LoadClock) -> None:
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(load.max_concurrency or 2**31)

    async def send(number: int, at: float) -> None:
        waits = places.locked()
        async with places:
            if not load_generator.gone:
                await load_generator.send(number, at, "place" if waits else "arrival")

    async with asyncio.TaskGroup() as group:
        for number, offset_s in zip(_numbers(volume), arrival_offsets(load, clock.seed), strict=False):
            if load_generator.gone or (volume.duration_s is not None and offset_s >= volume.duration_s):
                return
            at = clock.began_at + offset_s
            await asyncio.sleep(max(0.0, at - loop.time()))  # also when late: answers must be heard
            group.create_task(send(number, at))


def _numbers(volume: Volume) -> Iterator[int]:
    return iter(count() if volume.requests is None else range(volume.requests))


def _answered(scheduled: ScheduledRequest, ended_at: float, response: ChatResponse) -> RequestResult:
    return RequestResult(
        scheduled,
        ended_at,
        "ok",
        status=200,
        finish_reason=response.finish_reason,
        timing=response.timing,
        usage=response.usage,
        hint=response.hint,
    )


def _failed(scheduled: ScheduledRequest, ended_at: float, error: ProviderError) -> RequestResult:
    evidence = error.evidence
    return RequestResult(
        scheduled,
        ended_at,
        _how(error),
        error.error_class,
        str(error),
        evidence.status,
        usage=evidence.usage,
        hint=evidence.hint,
    )


def _how(error: ProviderError) -> How:
    kinds: tuple[tuple[type[ProviderError], How], ...] = (
        (Throttled, "throttled"),
        (Empty, "empty"),
        (Rejected, "rejected"),
        (Refused, "rejected"),
        (InstanceGone, "gone"),
    )
    return next((how for kind, how in kinds if isinstance(error, kind)), "failed")


WATCH_EVERY_S = 0.05


class _ClientWatch:
    """How late the event loop was, again and again, and how much of a core this process used."""

    def __init__(self) -> None:
        self.lags_s: list[float] = []
        self._began = (time.monotonic(), time.process_time())

    def cpu_share(self) -> float:
        return (time.process_time() - self._began[1]) / max(time.monotonic() - self._began[0], 1e-9)

    @contextmanager
    def watching(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle

        def look(due: float) -> None:
            nonlocal handle
            self.lags_s.append(max(0.0, loop.time() - due))
            handle = loop.call_at(loop.time() + WATCH_EVERY_S, look, loop.time() + WATCH_EVERY_S)

        handle = loop.call_at(loop.time() + WATCH_EVERY_S, look, loop.time() + WATCH_EVERY_S)
        try:
            yield
        finally:
            handle.cancel()
