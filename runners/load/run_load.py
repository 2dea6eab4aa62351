"""The load of a load test: the send times, and the requests sent at them.

A closed loop keeps a fixed number of requests in flight: the next one is sent when an answer arrives. An open loop sends at times that are
fixed in advance, whatever the server does. So a late client or a stalled server always shows in the latency from the scheduled time.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from providers.errors import InstanceGone, ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest
from providers.provider import Sender

from ..calls.budget import LimitReached
from .client_watch import ClientWatch
from .instance_balance import InstanceBalance
from .request_result import RequestResult, ScheduledRequest, answered, failed

FAILURES_TO_COLLECT = 5_000
"""Failed requests after which the cycle collector runs; their tracebacks use about 50 MB."""


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a load test: instances, of which the least loaded gets a request, and the requests that they get."""

    instances: Sequence[Instance]
    senders: Mapping[str, Sender]
    """Senders by the provider's name."""
    ask: Callable[[int], ChatRequest]
    """Returns the request with a number; pure."""
    attempt_s: float
    """Seconds for one request."""


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A load with a fixed number of requests in flight; the next one waits for an answer."""

    concurrency: int


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """A load with arrivals at a mean rate, independent of the answers."""

    rate_per_s: float
    burstiness: float = 1.0
    """Shape parameter of the gamma-distributed gaps: 1 is Poisson, less is burstier, `inf` is a constant rate."""
    max_concurrency: int | None = None
    """Arrivals beyond it wait for a slot; the wait counts in their scheduled latency."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The size of a load: at most `requests`, started within `duration_s`; at least one of the two must be set."""

    requests: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class LoadRun:
    """The results of a load."""

    load: ClosedLoop | OpenLoop
    results: Sequence[RequestResult]
    """The results in the order in which the requests ended."""
    began_at: float
    ended_at: float
    lags_s: Sequence[float]
    """The lag of the event loop, every 50 ms."""
    cpu_share: float
    """Share of one core that this process used."""
    gone: str = ""
    """Why sending stopped, if the instance is out for good or a limit is reached."""


PauseSeconds = Callable[[RequestResult, int], float]


def _no_pause(_result: RequestResult, _refused: int) -> float:
    return 0.0


@dataclass(slots=True)
class LoadGenerator:
    """The sender of a target's requests. It keeps the result of each and passes it to `on_result`."""

    target: Target
    label: str
    """Prefix of the request ids: it makes them unique over the rungs of a test."""
    on_result: Callable[[RequestResult], None] = lambda _result: None
    pause_s: PauseSeconds = _no_pause
    """Seconds for which a worker of a closed loop sends nothing after its result; it gets the number of refusals in a row."""
    in_flight: int = 0
    results: list[RequestResult] = field(default_factory=list)
    gone: str = ""
    is_enough: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where no further request is wanted. It also ends the pauses of a closed loop."""
    balance: InstanceBalance = field(default_factory=InstanceBalance)
    _failed: int = 0

    async def send(
        self, number: int, scheduled_at: float, waited_for: Literal["arrival", "place"]
    ) -> RequestResult | None:
        """Send request `number`, keep its result and return it; None where it was not sent."""
        loop = asyncio.get_running_loop()
        instance = self.balance.choose(self.target.instances, number, loop.time())
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
            self.gone = str(error)
            return None
        except ProviderError as error:
            if isinstance(error, InstanceGone):
                self.gone = str(error)
            return self._keep(failed(scheduled, loop.time(), error))
        else:
            return self._keep(answered(scheduled, loop.time(), response))
        finally:
            self.in_flight -= 1
            self.balance.release(instance)

    def _keep(self, result: RequestResult) -> RequestResult:
        self.results.append(result)
        self._failed += result.how != "ok"
        if self._failed == FAILURES_TO_COLLECT:
            self._failed = 0
            gc.collect()
        self.balance.learn(result)
        self.on_result(result)
        return result


async def run_load(
    load_generator: LoadGenerator, load: ClosedLoop | OpenLoop, volume: Volume, *, seed: int = 0
) -> LoadRun:
    """Send until the volume or a limit is used up or the instance is gone, and wait for every answer.

    When it is cancelled, no request is left in flight. Raises ValueError for a volume without an end.
    """
    if volume.requests is None and volume.duration_s is None:
        raise ValueError("a load needs a number of requests or a duration")
    if volume.requests is None and isinstance(load, OpenLoop) and math.isinf(load.rate_per_s):
        raise ValueError("an infinite rate needs a number of requests")
    loop, watch = asyncio.get_running_loop(), ClientWatch()
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
    """Disable the cycle collector in the block: it would visit every kept result, which stops all sending for a tenth of a second.

    Only errors create cycles; the LoadGenerator collects them from time to time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def arrival_offsets(load: OpenLoop, seed: int) -> Iterator[float]:
    """Yield the arrival times in seconds from the start, without end; the first is 0."""
    if math.isinf(load.rate_per_s):
        while True:
            yield 0.0
    gap_s, at = 1 / load.rate_per_s, 0.0
    draws = random.Random(f"arrivals/{seed}")
    for number in count():
        if math.isinf(load.burstiness):
            yield number * gap_s  # rounding errors do not add up
        else:
            yield at
            at += draws.gammavariate(load.burstiness, gap_s / load.burstiness)


async def _closed(load_generator: LoadGenerator, load: ClosedLoop, volume: Volume, began_at: float) -> None:
    loop, numbers = asyncio.get_running_loop(), iter(_numbers(volume))
    end_at = math.inf if volume.duration_s is None else began_at + volume.duration_s

    async def keep_one_in_flight() -> None:
        refused = 0
        while not load_generator.is_enough.is_set() and not load_generator.gone and (now := loop.time()) < end_at:
            if (number := next(numbers, None)) is None:
                load_generator.is_enough.set()
                return
            result = await load_generator.send(number, now, "place")
            refused = refused + 1 if result is not None and result.how == "throttled" else 0
            if refused and result is not None:
                pause_s = min(load_generator.pause_s(result, refused), end_at - loop.time())
                await _pause(load_generator.is_enough, pause_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(load.concurrency):
            group.create_task(keep_one_in_flight())


async def _pause(is_enough: asyncio.Event, pause_s: float) -> None:
    """Wait for the pause, or until no further request is wanted."""
    if pause_s <= 0:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await is_enough.wait()


@dataclass(frozen=True, slots=True)
class _LoadClock:
    began_at: float
    seed: int


async def _open(load_generator: LoadGenerator, load: OpenLoop, volume: Volume, clock: _LoadClock) -> None:
    loop = asyncio.get_running_loop()
    slots = asyncio.Semaphore(load.max_concurrency or 2**31)

    async def send(number: int, at: float) -> None:
        waits = slots.locked()
        async with slots:
            if not load_generator.gone:
                await load_generator.send(number, at, "place" if waits else "arrival")

    async with asyncio.TaskGroup() as group:
        for number, offset_s in zip(_numbers(volume), arrival_offsets(load, clock.seed), strict=False):
            if load_generator.gone or (volume.duration_s is not None and offset_s >= volume.duration_s):
                return
            at = clock.began_at + offset_s
            await asyncio.sleep(max(0.0, at - loop.time()))  # also when late, so that answers are received
            group.create_task(send(number, at))


def _numbers(volume: Volume) -> Iterator[int]:
    return iter(count() if volume.requests is None else range(volume.requests))
