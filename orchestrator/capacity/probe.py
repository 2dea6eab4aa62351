"""One rung, measured for real: the load, a client that heeds refusals, the server's own metrics, and the rest before the next one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from providers.errors import Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Usage
from runners.load import ClosedLoop, Gunner, LoadRun, OpenLoop, Shot, Target, Volume, run_load
from runners.station import Sender

from .measures import MINUTE_S, Window, measure
from .metrics_page import MetricsPage
from .rung import Rung, ServerLoad, count_throttles, find_bursts, find_flow, told_limits, wait_asked
from .search import Step

CLEAN_REQUESTS = 73
"""Without a failure they show a success rate of 95 % or more: Wilson's lower bound at 95 % is n / (n + 3.84)."""
UNSAID_WAIT = 1 / 30
"""Share of a quota window that a refusal without a hint is waited for."""
METRICS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a rung lasts, and in which minutes it is counted."""

    prompts_per_slot: int = 10
    min_requests: int = CLEAN_REQUESTS
    duration_s: float | None = None
    window_s: float | None = None
    """Of the endpoint's quota. Given, a rung spends the credit of one window and is measured over two whole ones, or more."""
    minute_s: float = MINUTE_S
    """60, but on a simulator with its time scaled."""

    def volume(self, concurrency: int) -> Volume:
        if self.window_s is not None:
            windows = max(2, round((self.duration_s or 0.0) / self.window_s))
            return Volume(duration_s=(1 + windows) * self.window_s)
        if self.duration_s is not None:
            return Volume(duration_s=self.duration_s)
        return Volume(requests=max(self.min_requests, self.prompts_per_slot * concurrency))

    def window(self, run: LoadRun) -> Window | None:
        """Whole quota windows, without the first one's credit."""
        if self.window_s is None:
            return None
        windows = int((run.ended_at - run.began_at) / self.window_s + 1e-6)
        if windows < 2:
            return None
        begin = run.began_at + self.window_s
        return Window(begin, run.began_at + windows * self.window_s)


@dataclass(slots=True)
class Spent:
    """What a test has cost so far, and where it must stop."""

    price_usd: Callable[[Usage], float | None] = lambda _usage: None
    limit_usd: float | None = None
    cost_usd: float = 0.0
    is_known: bool = True

    def count(self, shot: Shot) -> str:
        """Returns why no more may be sent, else nothing."""
        if shot.usage is not None:
            cost = self.price_usd(shot.usage)
            self.is_known = self.is_known and cost is not None
            self.cost_usd += cost or 0.0
        if self.limit_usd is not None and self.cost_usd >= self.limit_usd:
            return f"cost limit: {self.cost_usd:.4g} of {self.limit_usd:g} USD are spent"
        return ""


@dataclass(slots=True)
class Bench:
    """What every rung of a test shares."""

    target: Target
    pace: Pace
    spent: Spent = field(default_factory=Spent)
    metrics: MetricsPage | None = None
    fired: int = 0
    """Requests so far: every one of a test has a number of its own, so that no cache answers twice."""

    async def measure(self, step: Step, load: ClosedLoop | OpenLoop | None = None) -> Rung:
        """Load the target as `step` says. Cancelled, nothing is left in flight."""
        before_usd, starved_s, began = self.spent.cost_usd, _starved_s(), time.monotonic()
        async with self._watched() as server:
            run = await self._load(load or ClosedLoop(step.concurrency), self.pace.volume(step.concurrency), step)
        rpm, tpm = told_limits(run.shots)
        window_s = self.pace.window_s or self.pace.minute_s
        return Rung(
            step.concurrency,
            step.phase,
            measure(run, minute_s=self.pace.minute_s, window=self.pace.window(run)),
            count_throttles(run.shots),
            rpm,
            tpm,
            find_bursts(run, window_s),
            find_flow(run, window_s),
            server(),
            run.gone,
            wait_asked(run),
            self.spent.cost_usd - before_usd if self.spent.is_known else None,
            (_starved_s() - starved_s) / max(time.monotonic() - began, 1e-9),
        )

    async def _load(self, load: ClosedLoop | OpenLoop, volume: Volume, step: Step) -> LoadRun:
        began = self.fired
        target = Target(
            self.target.instances,
            {name: HeedfulSender(sender, self.pace.minute_s) for name, sender in self.target.senders.items()},
            lambda number: self.target.ask(began + number),
            self.target.attempt_s,
        )
        gunner = Gunner(target, f"ladder-{began}-{step.phase}-{step.concurrency}")

        def look(shot: Shot) -> None:
            gunner.gone = gunner.gone or self.spent.count(shot)

        gunner.on_shot = look
        run = await run_load(gunner, load, volume)
        self.fired += len(run.shots)
        return run

    async def rest(self, rung: Rung) -> None:
        """Let the endpoint come to itself: as long as it asked for, and a whole window where a quota was spent."""
        has_spent = bool(rung.throttles) or rung.is_held(self._window_s)
        await asyncio.sleep(max(rung.wait_s, self._window_s if has_spent else 0.0))

    @property
    def _window_s(self) -> float:
        return self.pace.window_s or self.pace.minute_s

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[Callable[[], ServerLoad | None]]:
        """Look at the server's metrics once a second; the worst look counts."""
        seen: list[ServerLoad] = []
        watch = None if self.metrics is None else asyncio.create_task(_look(self.metrics, seen))
        try:
            yield lambda: max(seen, key=lambda one: (one.waiting > 0, one.kv_usage, one.waiting), default=None)
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)


def _starved_s() -> float:
    """Seconds that this thread was ready to run and did not, as Linux counts them; elsewhere nothing is known."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


async def _look(page: MetricsPage, seen: list[ServerLoad]) -> None:
    while True:
        found = await page.read()
        if found is not None:
            seen.append(found)
        await asyncio.sleep(METRICS_EVERY_S)


@dataclass(slots=True)
class HeedfulSender:
    """Sends nothing to an instance before the time that its last refusal named: a test does not hammer on a closed door."""

    sender: Sender
    minute_s: float
    opens_at: dict[str, float] = field(default_factory=dict)

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        loop = asyncio.get_running_loop()
        if (wait_s := min(self.opens_at.get(on.name, 0.0), deadline) - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        try:
            return await self.sender.complete(on, request, request_id=request_id, deadline=deadline)
        except Throttled as error:
            told_s = error.retry_after_s
            wait_s = self.minute_s * UNSAID_WAIT if told_s is None else told_s
            self.opens_at[on.name] = max(self.opens_at.get(on.name, 0.0), loop.time() + wait_s)
            raise
