"""The server's own metrics under load: requests running and waiting, and cache use.

vLLM and SGLang publish them as Prometheus text beside their API. They are read once a second, without delaying the load. A server that
publishes no metrics costs a few refused requests.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from providers.errors import InputError

if TYPE_CHECKING:
    import aiohttp

EVERY_S = 1.0
PATIENCE_S = 2.0
MOST_BYTES = 4 * 2**20
FAILURES_TO_GIVE_UP = 3

_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{.*\})?\s+(\S+)(?:\s+-?\d+)?\s*$")

RUNNING = ("vllm:num_requests_running", "sglang:num_running_reqs")
WAITING = ("vllm:num_requests_waiting", "sglang:num_queue_reqs")
CACHE_USE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")
"""Shares of 1, despite the name."""


@dataclass(frozen=True, slots=True)
class ServerReading:
    """One reading of the metrics; None where the server does not publish a figure."""

    at: float
    """Loop seconds."""
    running: float | None = None
    waiting: float | None = None
    cache_use: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no figure is published."""
        return self.running is None and self.waiting is None and self.cache_use is None


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """Summary of all readings during a load."""

    looks: int
    mean_running: float | None
    peak_running: float | None
    peak_waiting: float | None
    peak_cache_use: float | None
    peak_cache_use_waiting: float | None = None
    """While requests waited: a full cache alone is no shortage."""


def read_metrics(text: str, at: float) -> ServerReading:
    """Read Prometheus text: requests are summed over engines, the highest cache use counts. Other lines are ignored."""
    values = _values(text)
    return ServerReading(at, _sum(values, RUNNING), _sum(values, WAITING), _most(values, CACHE_USE))


def _values(text: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for name, value in _samples(text):
        values.setdefault(name, []).append(value)
    return values


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if matched := _LINE.match(line):
            try:
                value = float(matched[2])
            except ValueError:
                continue
            if math.isfinite(value):
                yield matched[1], value


def _sum(values: Mapping[str, Sequence[float]], names: Sequence[str]) -> float | None:
    return next((sum(values[name]) for name in names if name in values), None)


def _most(values: Mapping[str, Sequence[float]], names: Sequence[str]) -> float | None:
    return next((max(values[name]) for name in names if name in values), None)


def _fullest(readings: Sequence[ServerReading]) -> float | None:
    return max((reading.cache_use for reading in readings if reading.cache_use is not None), default=None)


async def require_metrics(address: str) -> None:
    """Check that the address publishes metrics. Raises InputError where it does not."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        if await _read(session, address) is None:
            names = ", ".join((*RUNNING, *WAITING, *CACHE_USE))
            raise InputError(f"--metrics-url {address} publishes none of {names}: check the address")


def metrics_address(base_url: str) -> str:
    """Return the metrics address of a server with this API address: at its root, not below /v1."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/metrics", "", ""))


@dataclass(slots=True)
class ServerWatch:
    """Reads the metrics of a server repeatedly while `watching` is open."""

    address: str | None
    """None reads nothing."""
    readings: list[ServerReading] = field(default_factory=list)

    @property
    def latest(self) -> ServerReading | None:
        """The latest reading, if any."""
        return self.readings[-1] if self.readings else None

    def load(self) -> ServerLoad | None:
        """Summarize the readings; None where there are none."""
        if not self.readings:
            return None
        running = [reading.running for reading in self.readings if reading.running is not None]
        return ServerLoad(
            looks=len(self.readings),
            mean_running=sum(running) / len(running) if running else None,
            peak_running=max(running, default=None),
            peak_waiting=max(
                (reading.waiting for reading in self.readings if reading.waiting is not None), default=None
            ),
            peak_cache_use=_fullest(self.readings),
            peak_cache_use_waiting=_fullest([reading for reading in self.readings if reading.waiting]),
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Read the metrics while the block runs."""
        if self.address is None:
            yield
            return
        import aiohttp

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
            task = asyncio.create_task(self._look(session, self.address))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def _look(self, session: aiohttp.ClientSession, address: str) -> None:
        failures = 0
        while failures < FAILURES_TO_GIVE_UP:
            reading = await _read(session, address)
            if reading is None:
                failures += 1
            else:
                failures = 0
                self.readings.append(reading)
            await asyncio.sleep(EVERY_S)


async def _read(session: aiohttp.ClientSession, address: str) -> ServerReading | None:
    import aiohttp

    try:
        async with session.get(address, allow_redirects=False) as response:
            if response.status != 200:
                return None
            text = (await _body(response)).decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
    reading = read_metrics(text, asyncio.get_running_loop().time())
    return None if reading.is_empty else reading


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read the whole body up to the size limit; `read(n)` would return only what has arrived."""
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            break
    return body
