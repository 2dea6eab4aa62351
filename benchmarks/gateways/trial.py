"""One trial: the server of a case is started, and the clients follow each other: ours cold and warm, and plain loops."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .cases import ANSWERS, Draw
from .clients import WORKERS, OurRun, PlainLoop
from .litellm_proxy import litellm_proxy
from .meter import Count, Meter, metered, served
from .rows import GatewayRow
from .upstream import Upstream


class Client(Protocol):
    """Sends until everything is answered or its time is over."""

    async def send(self) -> None:
        """Send the requests."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One client of a trial."""

    name: str
    keys: str
    """The client whose keys it uses."""


FIRST, FIRST_S = "first", 60.0
"""The first request of a proxy takes seconds: it is sent with keys of its own, and counts for no client."""
COLD, WARM, FIXED = Phase("ours, cold", "ours"), Phase("ours, warm", "ours"), Phase("ours, fixed", "fixed")


def phases(draw: Draw) -> list[Phase]:
    """Return the clients of a trial in their order."""
    many = draw.case.keys * WORKERS
    plain = [Phase(f"plain, {workers}", f"plain{workers}") for workers in (1, many)]
    return [COLD, WARM, *plain] if draw.case.is_litellm else [COLD, WARM, FIXED, *plain]


async def run_trial(draw: Draw, python: str | None, note: Callable[[GatewayRow], None]) -> None:
    """Measure every client of a trial; each row is noted as soon as it is measured."""
    with tempfile.TemporaryDirectory(prefix="gateways-") as name:
        folder = Path(name)
        async with _server(draw, python, folder) as target, metered(target) as (meter, url):
            for phase, client in _clients(draw, url, folder):
                note(await _measure(draw, phase, client, meter))
                await asyncio.sleep(draw.pause_s)


@asynccontextmanager
async def _server(draw: Draw, python: str | None, folder: Path) -> AsyncIterator[str]:
    async with served(Upstream(draw.refusals).answer) as upstream:
        if not draw.case.is_litellm:
            yield upstream
            return
        assert python is not None  # the command line names it for these cases
        limits = {key: draw.key_limits(phase.keys) for phase in phases(draw) for key in draw.keys(phase.keys)}
        limits |= {key: {} for key in draw.keys(FIRST)}
        async with litellm_proxy(python, folder, upstream, limits, draw.window_s) as proxy:
            await PlainLoop(proxy, draw.keys(FIRST), workers=1, seconds=FIRST_S, answers=1).send()
            yield proxy


def _clients(draw: Draw, url: str, folder: Path) -> Iterator[tuple[Phase, Client]]:
    """Pair each phase with its client. A fixed run has a folder of its own."""
    for phase in phases(draw):
        keys = draw.keys(phase.keys)
        if phase.keys.startswith("plain"):
            workers = int(phase.keys.removeprefix("plain"))
            yield phase, PlainLoop(url, keys, workers, draw.seconds)
        else:
            own = folder / phase.keys
            own.mkdir(exist_ok=True)
            yield phase, OurRun(url, keys, own, draw.seconds, "fixed" if phase is FIXED else "adaptive")


async def _measure(draw: Draw, phase: Phase, client: Client, meter: Meter) -> GatewayRow:
    """Run one client. Its time is from its first request to its last answer, or to its time limit where answers are missing."""
    count = meter.count = Count()
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    await client.send()
    began_at = started_at if count.first_sent_at is None else count.first_sent_at
    ended_at = count.last_answered_at
    if count.answers < ANSWERS:
        ended_at = max(ended_at, min(loop.time(), began_at + draw.seconds))
    seconds = ended_at - began_at
    return GatewayRow.of(draw, phase.name, count, seconds)
