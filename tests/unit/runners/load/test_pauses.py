"""Who waits after a refusal, and which of several instances gets the next request."""

from __future__ import annotations

import asyncio
from collections import Counter

from providers.errors import Evidence, Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from runners.event_loop.virtual_time import run_virtual
from runners.load.instance_balance import InstanceBalance
from runners.load.run_load import ClosedLoop, LoadGenerator, LoadRun, Target, Volume, run_load

A, B = (Instance(name, "m", name, "box", name) for name in "ab")


class Seats:
    """An endpoint that answers in a second and refuses what is one too many."""

    def __init__(self, seats: int) -> None:
        self.seats, self.inside = seats, 0

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        if self.inside >= self.seats:
            raise Throttled("429", Evidence(on.name, request_id, 429))
        self.inside += 1
        await asyncio.sleep(1.0)
        self.inside -= 1
        return ChatResponse("x", (), "stop", Usage(1, 1), Timing(0.0, None, 1.0), None, "", "", None)


def test_only_the_worker_that_was_refused_pauses_and_no_longer_than_the_load_lasts() -> None:
    async def run() -> LoadRun:
        target = Target([A], {"box": Seats(3)}, lambda _number: ChatRequest([]), 300)
        generator = LoadGenerator(target, "load", pause_s=lambda _result, _refused: 60.0)
        return await run_load(generator, ClosedLoop(4), Volume(requests=31))

    found = run_virtual(run())
    assert Counter(result.how for result in found.results) == {"ok": 30, "throttled": 1}
    assert round(found.ended_at - found.began_at, 3) == 10.0  # three at a time, without the fourth


def test_the_least_loaded_instance_for_its_share_is_chosen_and_one_that_refused_is_left_alone() -> None:
    def chosen(balance: InstanceBalance, now: float = 0.0) -> Counter[str]:
        return Counter(balance.choose([A, B], number, now).name for number in range(12))

    assert chosen(InstanceBalance()) == {"a": 6, "b": 6}
    assert chosen(InstanceBalance({"a": 2.0, "b": 10.0})) == {"a": 2, "b": 10}
    refused = InstanceBalance(opens_at={"a": 5.0})
    assert chosen(refused) == {"b": 12}
    assert chosen(refused, now=6.0)["a"] == 12
