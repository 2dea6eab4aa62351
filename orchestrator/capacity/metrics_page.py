"""A server's own metrics, as vLLM and SGLang expose them for Prometheus: how many requests wait, how full the KV cache is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.errors import InputError

from .rung import ServerLoad

if TYPE_CHECKING:
    from aiohttp import ClientSession

PATIENCE_S = 5.0
WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs")
KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")
"""Shares in [0, 1], whatever the name says."""
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+([-+.\deE]+|NaN|[-+]?Inf)", re.MULTILINE)


def read_metrics(page: str) -> ServerLoad | None:
    """Summed over engines that wait, the fullest cache of them; None where the page has neither."""
    values: dict[str, list[float]] = {}
    for name, value in _SAMPLE.findall(page):
        values.setdefault(name, []).append(float(value))
    waiting = [sum(values[name]) for name in WAITING if name in values]
    usage = [max(values[name]) for name in KV_USAGE if name in values]
    return ServerLoad(sum(waiting), max(usage, default=0.0)) if waiting or usage else None


@dataclass(frozen=True, slots=True)
class MetricsPage:
    url: str
    session: ClientSession

    async def read(self) -> ServerLoad | None:
        """None where it does not answer: a server that is too busy for its own metrics is seen by other rules."""
        from aiohttp import ClientError

        try:
            async with asyncio.timeout(PATIENCE_S), self.session.get(self.url) as response:
                return read_metrics(await response.text()) if response.status == 200 else None
        except (ClientError, TimeoutError, UnicodeDecodeError):
            return None


@asynccontextmanager
async def open_metrics(url: str | None) -> AsyncIterator[MetricsPage | None]:
    """Raises InputError where the address shows no such metrics."""
    if url is None:
        yield None
        return
    from aiohttp import ClientSession

    async with ClientSession() as session:
        page = MetricsPage(url, session)
        if await page.read() is None:
            raise InputError(f"--metrics-url {url} shows none of {', '.join((*WAITING, *KV_USAGE))}: check the address")
        yield page
