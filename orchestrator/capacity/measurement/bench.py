"""Measure one rung: send the load, respect Retry-After, read the server's metrics, and wait before the next rung."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from providers.errors import Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse
from providers.provider import Sender
from runners.calls.budget import Budget
from runners.load.instance_balance import InstanceBalance
from runners.load.request_result import RequestResult
from runners.load.run_load import ClosedLoop, LoadGenerator, LoadRun, OpenLoop, Target, Volume, run_load

from .admissions import count_admissions, worker_pause
from .measures import MINUTE_S, SteadyWindow, measure
from .rung import (
    LadderStep,
    Rung,
    count_let_in,
    count_throttles,
    find_bursts,
    find_quota_variation,
    limits_from_headers,
    requested_wait_s,
)
from .sampling import MOST, RungSampling, first_look
from .server_metrics import ServerWatch
from .throughput import little_throughput

CLEAN_REQUESTS = 73
"""So many requests without a failure show a success rate of at least 95 %: Wilson's lower bound at 95 % is n / (n + 3.84)."""
UNSAID_WAIT = 1 / 30
"""Share of a quota window to wait after a refusal without a hint."""


@dataclass(frozen=True, slots=True)
class RungDuration:
    """How long a rung lasts, and the length of the minute in which its rates are stated.

    Without a duration or a window it lasts until enough is known (`sampling.py`); the number of requests is that of its first look.
    """

    prompts_per_slot: int = 3
    min_requests: int = CLEAN_REQUESTS
    duration_s: float | None = None
    window_s: float | None = None
    """Length of the endpoint's quota window.

    With it, a rung first spends the credit of one window and is then measured over at least two whole windows.
    """
    minute_s: float = MINUTE_S
    """60, except on a simulator with scaled time."""

    def volume(self, concurrency: int) -> Volume:
        """Return the number of requests or the duration of a rung."""
        if self.window_s is not None:
            windows = max(2, round((self.duration_s or 0.0) / self.window_s))
            return Volume(duration_s=(1 + windows) * self.window_s)
        if self.duration_s is not None:
            return Volume(duration_s=self.duration_s)
        return Volume(requests=max(MOST, self.first_look(concurrency)))

    def first_look(self, concurrency: int) -> int:
        """Return the fewest requests of a rung without failures."""
        return first_look(concurrency, self.prompts_per_slot, self.min_requests)

    @property
    def is_sampled(self) -> bool:
        """Whether a rung lasts until enough is known."""
        return self.duration_s is None and self.window_s is None

    def window(self, run: LoadRun) -> SteadyWindow | None:
        """Return the whole quota windows after the first, which may contain stored credit; None where there are fewer than two windows."""
        if self.window_s is None:
            return None
        windows = int((run.ended_at - run.began_at) / self.window_s + 1e-6)
        if windows < 2:
            return None
        begin = run.began_at + self.window_s
        return SteadyWindow(begin, run.began_at + windows * self.window_s)


@dataclass(slots=True)
class Bench:
    """The target and the settings that all rungs of a test share."""

    target: Target
    rung_duration: RungDuration
    budget: Budget = field(default_factory=Budget)
    """The budget that the target's senders spend from."""
    is_priced: bool = False
    metrics_address: str | None = None
    allowed_failures: float = 0.05
    """Share of the requests that may fail or be refused, for the test that ends a rung."""
    contrast: Callable[[int], ChatRequest] | None = None
    """Requests of other lengths, for the rung that identifies the unit of a quota."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """How many requests each of several instances carries, by name: its part of the load."""
    fired: int = 0
    """Requests so far. Every request of a test has its own number, so that no cache can answer it."""

    recent: list[RequestResult] = field(default_factory=list)
    """Requests of the last window: what they spent is missing from the quota of the next rung."""

    async def measure(self, step: LadderStep, load: ClosedLoop | OpenLoop | None = None) -> Rung:
        """Load the target as `step` requires and measure it. After a cancellation no request is in flight."""
        before, starved_s, began = self.budget.spent, _starved_s(), time.monotonic()
        server = ServerWatch(self.metrics_address)
        async with server.watching():
            run = await self._load(
                load or ClosedLoop(step.concurrency), self.rung_duration.volume(step.concurrency), step
            )
        rpm, tpm = limits_from_headers(run.results)
        window_s, window = self._window_s, self.rung_duration.window(run)
        measures = measure(run, minute_s=self.rung_duration.minute_s, window=window)
        let_in = count_let_in(self.recent, run.results, window_s, self.rung_duration.minute_s)
        self.recent = [
            result
            for result in (*self.recent, *run.results)
            if result.scheduled.dispatched_at > run.ended_at - window_s
        ]
        throughput = little_throughput(run) if self.rung_duration.is_sampled else None
        if throughput is not None:
            measures = measures.at_rate(throughput.per_s, self.rung_duration.minute_s)
        return Rung(
            step.concurrency,
            step.phase,
            measures if window is None else replace(measures, is_burst=False),  # whole windows, without their credit
            count_throttles(run.results),
            rpm,
            tpm,
            find_bursts(run, window_s),
            find_quota_variation(run, window_s),
            server.load(),
            run.gone,
            requested_wait_s(run),
            (self.budget.spent - before).cost_usd if self.is_priced else None,
            (_starved_s() - starved_s) / max(time.monotonic() - began, 1e-9),
            let_in,
            throughput,
            count_admissions(run.results, step.concurrency),
        )

    async def _load(self, load: ClosedLoop | OpenLoop, volume: Volume, step: LadderStep) -> LoadRun:
        began = self.fired
        ask = self.contrast if step.phase == "contrast" and self.contrast is not None else self.target.ask
        minute_s, senders = self.rung_duration.minute_s, self.target.senders
        if isinstance(load, OpenLoop):
            senders = {name: RetryAfterSender(sender, minute_s) for name, sender in senders.items()}
        target = Target(self.target.instances, senders, lambda number: ask(began + number), self.target.attempt_s)
        load_generator = LoadGenerator(
            target,
            f"ladder-{began}-{step.phase}-{step.concurrency}",
            pause_s=worker_pause(minute_s),
            balance=InstanceBalance(self.shares),
        )
        if self.rung_duration.is_sampled and isinstance(load, ClosedLoop):
            look = self.rung_duration.first_look(load.concurrency)
            sampling = RungSampling(load.concurrency, look, self.allowed_failures, load_generator)
            load_generator.on_result = sampling.take
        run = await run_load(load_generator, load, volume)
        self.fired += len(run.results)
        return run

    async def rest(self, rung: Rung) -> None:
        """Wait before the next rung: as long as the refusals ask for, and a whole window where they ask for nothing or a quota holds."""
        is_silent = bool(rung.throttles) and not rung.wait_s
        has_spent = is_silent or rung.is_held(self._window_s)
        await asyncio.sleep(max(rung.wait_s, self._window_s if has_spent else 0.0))

    @property
    def _window_s(self) -> float:
        return self.rung_duration.window_s or self.rung_duration.minute_s


def _starved_s() -> float:
    """Return the seconds for which this thread was ready to run but did not run, as Linux counts them; 0 on other systems."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


@dataclass(slots=True)
class RetryAfterSender:
    """A sender that sends nothing to an instance before the retry time of its last refusal."""

    sender: Sender
    minute_s: float
    opens_at: dict[str, float] = field(default_factory=dict)

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Wait for the retry time of the instance, then send. Raises what the wrapped sender raises."""
        loop = asyncio.get_running_loop()
        if (wait_s := min(self.opens_at.get(on.name, 0.0), deadline) - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        try:
            return await self.sender.complete(on, request, request_id=request_id, deadline=deadline)
        except Throttled as error:
            retry_after_s = error.retry_after_s
            wait_s = self.minute_s * UNSAID_WAIT if retry_after_s is None else retry_after_s
            self.opens_at[on.name] = max(self.opens_at.get(on.name, 0.0), loop.time() + wait_s)
            raise
