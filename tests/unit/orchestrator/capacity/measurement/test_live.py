"""What is shown while a load runs."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.capacity.measurement.live import LoadMonitor
from orchestrator.capacity.measurement.server_metrics import ServerReading, ServerWatch
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from runners.load.run_load import ClosedLoop, LoadGenerator, Target, Volume, run_load

pytestmark = pytest.mark.looptime


class OneSecond:
    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        await asyncio.sleep(1.0)
        return ChatResponse("yes", (), "stop", Usage(1, 1), Timing(0.0, 0.25, 0.75), None, "id", "m", None)


async def test_before_anything_is_sent_nothing_is_claimed() -> None:
    rows = dict(LoadMonitor(ServerWatch(None), 10).rows())
    assert (rows["elapsed"], rows["done"], rows["requests/s"], rows["success"]) == ("0 s", "0/10", "0.0", "n/a")


async def test_while_it_runs_the_figures_are_those_of_the_last_seconds() -> None:
    box = Instance("box/m", "m", "m", "box", "box/m", None, None)
    monitor = LoadMonitor(ServerWatch(None, [ServerReading(0.0, 4.0, 1.0, 0.25)]), None)
    target = Target([box], {"box": OneSecond()}, lambda _n: ChatRequest(messages=[]), 300)
    load_generator = LoadGenerator(target, "t", monitor.take)
    monitor.start(load_generator)
    async with asyncio.TaskGroup() as group:
        group.create_task(run_load(load_generator, ClosedLoop(4), Volume(duration_s=30.0)))
        await asyncio.sleep(20.5)
        rows = dict(monitor.rows())
    assert (rows["elapsed"], rows["done"], rows["in flight"]) == ("20 s", "80", "4")
    assert float(rows["requests/s"]) == pytest.approx(4.0, abs=0.4)
    assert (rows["success"], rows["p99"], rows["TTFT p50"]) == ("100.0 %", "1.00 s", "0.25 s")
    assert (rows["server running"], rows["server waiting"], rows["cache"]) == ("4", "1", "25%")
