"""Modelled servers as senders on the virtual clock: processor sharing with any law of speed, an admission rule, hangs, and quotas.

Nothing here knows the ladder. A server counts the requests that it got and refused.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import NormalDist

from providers.errors import Evidence, ProviderError, ServerFault, Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, RateLimitHint, Timing, Usage
from providers.simulator.limits.quota import Meter

Speed = Callable[[int], float]
"""Seconds of service that each of n requests gets in a second."""
_NORMAL = NormalDist()


def full_speed(_inside: int) -> float:
    """Serve any number of requests at full speed."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Answers:
    """How long an answer takes when the server is empty; seconds."""

    ttft_s: float
    total_s: float
    sigma: float = 0.0
    """Of the log-normal noise, the same factor for both times; its mean is 1."""
    hangs: float = 0.0
    """Share of the answers that take `hang_s` more, without using the server."""
    hang_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a refusal says."""

    words: str = "429: too many requests"
    retry_after_s: float | None = None
    is_exact: bool = False
    """A quota says how long it really lasts."""
    status: int = 429


@dataclass(slots=True)
class QuotaRule:
    """A quota of requests or tokens that refuses or holds."""

    meter: Meter
    counts_tokens: bool
    holds: bool

    def amount(self, tokens: int) -> int:
        """Return what a request counts."""
        return tokens if self.counts_tokens else 1


@dataclass(slots=True)
class ModelServer:
    """A server with a law of speed and at most one admission rule."""

    answers: Answers
    seed: int
    speed: Speed = full_speed
    seats: int | None = None
    """It refuses above so many requests at a time."""
    refusals: Refusals = field(default_factory=Refusals)
    quota: QuotaRule | None = None
    requests: int = 0
    refused: int = 0
    _inside: int = 0
    _at: float = 0.0
    _clock_s: float = 0.0
    """Seconds of service that a request would have got since the start."""
    _due: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list)
    _timer: asyncio.TimerHandle | None = None
    _order: int = 0
    _held: asyncio.Lock | None = None

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:  # noqa: ARG002
        """Answer one request. Raises Throttled and ServerFault."""
        loop, sent_at = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        self.requests += 1
        prompt, output = _tokens(request)
        if self.seats is not None and self._inside >= self.seats:
            raise await self._refusal(on, request_id, self.refusals.retry_after_s)
        await self._pass_quota(on, request_id, prompt + output)
        draws = random.Random(f"{self.seed}/{request_id}")
        noise = 2.718281828 ** (self.answers.sigma * _NORMAL.inv_cdf(draws.random()) - self.answers.sigma**2 / 2)
        self._inside += 1
        try:
            begun_s = self._advance()
            first, last = (self._milestone(begun_s + noise * at) for at in (self.answers.ttft_s, self.answers.total_s))
            await first
            first_at = loop.time()
            await last
        finally:
            self._advance()
            self._inside -= 1
            self._schedule()
        if draws.random() < self.answers.hangs:
            await asyncio.sleep(self.answers.hang_s)
        timing = Timing(0.0, first_at - sent_at, loop.time() - first_at)
        return ChatResponse("x", (), "stop", Usage(prompt, output), timing, None, "", "", None)

    async def _pass_quota(self, on: Instance, request_id: str, tokens: int) -> None:
        if self.quota is None:
            return
        loop, amount = asyncio.get_running_loop(), self.quota.amount(tokens)
        if not self.quota.holds:
            wait_s = self.quota.meter.ready_at(amount, loop.time()) - loop.time()
            if wait_s > 0:
                raise await self._refusal(
                    on, request_id, wait_s if self.refusals.is_exact else self.refusals.retry_after_s
                )
            self.quota.meter.count(amount, loop.time())
            return
        self._held = self._held or asyncio.Lock()
        async with self._held:  # in order of arrival
            while (wait_s := self.quota.meter.ready_at(amount, loop.time()) - loop.time()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(wait_s)
            self.quota.meter.count(amount, loop.time())

    async def _refusal(self, on: Instance, request_id: str, retry_after_s: float | None) -> ProviderError:
        self.refused += 1
        await asyncio.sleep(0.02)
        hint = None if retry_after_s is None else RateLimitHint(retry_after_s=retry_after_s)
        evidence = Evidence(on.name, request_id, self.refusals.status, hint=hint)
        return (Throttled if self.refusals.status == 429 else ServerFault)(self.refusals.words, evidence)

    def _advance(self) -> float:
        now = asyncio.get_running_loop().time()
        if self._inside:
            self._clock_s += (now - self._at) * self.speed(self._inside)
        self._at = now
        return self._clock_s

    def _milestone(self, at_s: float) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._due, (at_s, self._order, future))
        self._schedule()
        return future

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._due and self._inside:
            loop = asyncio.get_running_loop()
            delay_s = max(0.0, self._due[0][0] - self._clock_s) / self.speed(self._inside)
            self._timer = loop.call_at(loop.time() + delay_s, self._ring)

    def _ring(self) -> None:
        self._advance()
        while self._due and self._due[0][0] <= self._clock_s + 1e-9:
            heapq.heappop(self._due)[2].set_result(None)
        self._schedule()


def _tokens(request: ChatRequest) -> tuple[int, int]:
    return int(str(request.messages[0]["content"])), request.generation.max_tokens or 128
