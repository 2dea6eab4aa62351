"""What the server says of itself while it is loaded: requests running and waiting, and how full its cache is.

vLLM and SGLang publish these as Prometheus text beside their API. They are looked at once a second, beside the load and never in its
way; a server that says nothing costs a few refused requests.
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
"""Shares of 1, in spite of the name."""


@dataclass(frozen=True, slots=True)
class ServerReading:
    """One look; None where the server does not publish it."""

    at: float
    """Loop seconds."""
    running: float | None = None
    waiting: float | None = None
    cache_use: float | None = None

    @property
    def is_empty(self) -> bool:
        return self.running is None and self.waiting is None and self.cache_use is None


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What was seen over a load."""

    looks: int
    mean_running: float | None
    peak_running: float | None
    peak_waiting: float | None
    peak_cache_use: float | None
    peak_cache_use_waiting: float | None = None
    """While requests waited: a full cache alone is no lack."""


def read_metrics(text: str, at: float) -> ServerReading:
    """Read Prometheus text: requests are added up over engines, the fullest cache counts. Lines that are none are passed over."""
    found = _values(text)
    return ServerReading(at, _sum(found, RUNNING), _sum(found, WAITING), _most(found, CACHE_USE))


def _values(text: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, value in _samples(text):
        found.setdefault(name, []).append(value)
    return found


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if matched := _LINE.match(line):
            try:
                value = float(matched[2])
            except ValueError:
                continue
            if math.isfinite(value):
                yield matched[1], value


def _sum(found: Mapping[str, Sequence[float]], names: Sequence[str]) -> float | None:
    return next((sum(found[name]) for name in names if name in found), None)


def _most(found: Mapping[str, Sequence[float]], names: Sequence[str]) -> float | None:
    return next((max(found[name]) for name in names if name in found), None)


def _fullest(readings: Sequence[ServerReading]) -> float | None:
    return max((one.cache_use for one in readings if one.cache_use is not None), default=None)


async def require_metrics(address: str) -> None:
    """Raises InputError where nothing is published."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        if await _read(session, address) is None:
            names = ", ".join((*RUNNING, *WAITING, *CACHE_USE))
            raise InputError(f"--metrics-url {address} shows none of {names}: check the address")


def metrics_address(base_url: str) -> str:
    """Where a server with this API address publishes: at its root, not below /v1."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/metrics", "", ""))


@dataclass(slots=True)
class ServerWatch:
    """Looks at a server again and again, as long as `watching` lasts."""

    address: str | None
    """None looks at nothing."""
    readings: list[ServerReading] = field(default_factory=list)

    @property
    def latest(self) -> ServerReading | None:
        return self.readings[-1] if self.readings else None

    def load(self) -> ServerLoad | None:
        """What was seen; None where nothing was."""
        if not self.readings:
            return None
        running = [one.running for one in self.readings if one.running is not None]
        return ServerLoad(
            looks=len(self.readings),
            mean_running=sum(running) / len(running) if running else None,
            peak_running=max(running, default=None),
            peak_waiting=max((one.waiting for one in self.readings if one.waiting is not None), default=None),
            peak_cache_use=_fullest(self.readings),
            peak_cache_use_waiting=_fullest([one for one in self.readings if one.waiting]),
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look while the block runs."""
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
    """`read(n)` gives what is there: this gives all of it, up to the bound."""
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            break
    return body
