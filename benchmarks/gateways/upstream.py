"""The server behind the proxy, which is also the mock: every answer takes a drawn time and states its usage; some requests are refused."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass

from aiohttp import web

LATENCY_S = (0.3, 0.7)
MEAN_LATENCY_S = sum(LATENCY_S) / 2
PROMPT_TOKENS = 60
ANSWER_TOKENS = 40
REQUEST_TOKENS = PROMPT_TOKENS + ANSWER_TOKENS


@dataclass(frozen=True, slots=True)
class Refusals:
    """Which requests are refused with 429: a share of all at random, or those above a number of requests per window."""

    share: float = 0.0
    requests: int | None = None
    window_s: float = 0.0
    retry_after_s: int | None = None
    """None: a refusal says nothing of when."""
    seed: int = 0


class Upstream:
    """Answers chat requests. A window slides: it holds the requests accepted in the last `window_s` seconds."""

    def __init__(self, refusals: Refusals, latency_s: tuple[float, float] = LATENCY_S) -> None:
        self._refusals = refusals
        self._latency_s = latency_s
        self._rng = random.Random(refusals.seed)
        self._accepted = deque[float]()

    async def answer(self, request: web.Request) -> web.Response:
        """Refuse a request or answer it."""
        await request.read()
        if not self._accepts(asyncio.get_running_loop().time()):
            return self._refusal()
        await asyncio.sleep(self._rng.uniform(*self._latency_s))
        message = {"role": "assistant", "content": "The answer is blue."}
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": ANSWER_TOKENS,
            "total_tokens": REQUEST_TOKENS,
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "chatcmpl-0", "object": "chat.completion", "created": 1, "model": "bench"}
        return web.json_response({**answer, "choices": [choice], "usage": usage})

    def _accepts(self, now: float) -> bool:
        if self._refusals.share:
            return self._rng.random() >= self._refusals.share
        if self._refusals.requests is None:
            return True
        while self._accepted and now - self._accepted[0] >= self._refusals.window_s:
            self._accepted.popleft()
        if len(self._accepted) >= self._refusals.requests:
            return False
        self._accepted.append(now)
        return True

    def _refusal(self) -> web.Response:
        after_s = self._refusals.retry_after_s
        headers = {} if after_s is None else {"Retry-After": str(after_s)}
        error = {"message": "Too many requests", "type": "rate_limit_error", "param": None, "code": "429"}
        return web.json_response({"error": error}, status=429, headers=headers)
