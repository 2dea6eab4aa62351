"""Who sends when: closed and open loops on a virtual clock."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable

import pytest

from providers.errors import AuthFailed, Empty, Evidence, ProviderError, ServerFault, Throttled
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from runners.load.run_load import (
    ClosedLoop,
    LoadGenerator,
    LoadRun,
    OpenLoop,
    Target,
    Volume,
    arrival_offsets,
    run_load,
)

from ..doubles import an_instance

pytestmark = pytest.mark.looptime


class Server:
    """Connects in `connect_s` and answers `latency(number of the request)` later; raises what `fail` gives."""

    def __init__(
        self,
        latency: Callable[[int], float],
        fail: Callable[[int], ProviderError | None] = lambda _n: None,
        connect_s: float = 0.0,
    ) -> None:
        self.connect_s = connect_s
        self.latency = latency
        self.fail = fail
        self.in_flight = self.peak = 0
        self.asked = itertools.count()

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        number, latency_s = next(self.asked), 0.0
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            latency_s = self.latency(number)
            await asyncio.sleep(self.connect_s + latency_s)
        finally:
            self.in_flight -= 1
        if (error := self.fail(number)) is not None:
            raise error
        timing = Timing(self.connect_s, latency_s / 2, latency_s / 2)
        return ChatResponse("yes", (), "stop", Usage(10, 5), timing, None, "id", on.model, None)


async def loaded(server: Server, load: ClosedLoop | OpenLoop, volume: Volume) -> LoadRun:
    target = Target([an_instance("a")], {an_instance("a").provider: server}, lambda _n: ChatRequest(messages=[]), 300)
    return await run_load(LoadGenerator(target, "t"), load, volume)


async def test_a_closed_loop_keeps_so_many_in_flight_and_no_more() -> None:
    server = Server(lambda n: 1.0 + 0.1 * (n % 3))
    run = await loaded(server, ClosedLoop(4), Volume(requests=40))
    assert (server.peak, len(run.results)) == (4, 40)
    assert sorted(result.scheduled.number for result in run.results) == list(range(40))
    assert 10 < run.ended_at - run.began_at < 12.5


async def test_a_duration_ends_the_sends_and_not_the_answers() -> None:
    run = await loaded(Server(lambda _n: 2.0), ClosedLoop(1), Volume(duration_s=5.0))
    assert [round(result.scheduled.dispatched_at - run.began_at) for result in run.results] == [0, 2, 4]
    assert all(result.how == "ok" for result in run.results)


async def test_an_open_loop_sends_on_time_whatever_the_server_does() -> None:
    run = await loaded(Server(lambda n: 30.0 if n == 3 else 0.1), OpenLoop(10.0, math.inf), Volume(requests=100))
    sent = sorted(result.scheduled.dispatched_at - run.began_at for result in run.results)
    assert sent == pytest.approx([n / 10 for n in range(100)], abs=1e-6)


async def test_a_stalled_server_shows_in_the_latency_from_the_scheduled_time() -> None:
    server = Server(lambda n: 5.0 if n == 0 else 0.1)
    run = await loaded(server, OpenLoop(10.0, math.inf, max_concurrency=1), Volume(requests=20))
    late = {result.scheduled.number: result.scheduled_latency_s for result in run.results}
    assert late[1] == pytest.approx(5.0)  # it was due at 0.1 s, went at 5.0 s and took 0.1 s
    assert {result.scheduled.waited_for for result in run.results if result.scheduled.number} == {"place"}
    assert max(result.latency_s or 0 for result in run.results if result.scheduled.number) == pytest.approx(0.1)


async def test_the_latency_from_the_scheduled_time_is_all_the_time_from_there_to_the_answer() -> None:
    """The wait for a place, the connection, and the answer."""
    server = Server(lambda _n: 0.3, connect_s=0.5)
    run = await loaded(server, OpenLoop(10.0, math.inf, max_concurrency=1), Volume(requests=5))
    results = sorted(run.results, key=lambda result: result.scheduled.number)
    assert [result.latency_s for result in results] == pytest.approx(5 * [0.3])
    assert [result.scheduled_latency_s for result in results] == pytest.approx([0.8, 1.5, 2.2, 2.9, 3.6])
    assert [result.ended_at - result.scheduled.scheduled_at for result in results] == pytest.approx(
        [0.8, 1.5, 2.2, 2.9, 3.6]
    )


async def test_an_infinite_rate_sends_all_at_once() -> None:
    server = Server(lambda _n: 1.0)
    await loaded(server, OpenLoop(math.inf), Volume(requests=50))
    assert server.peak == 50


@pytest.mark.parametrize(("burstiness", "squared_cv"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25)])
async def test_gaps_have_the_mean_and_the_burstiness_asked_for(burstiness: float, squared_cv: float) -> None:
    at = list(itertools.islice(arrival_offsets(OpenLoop(50.0, burstiness), seed=7), 40_000))
    gaps = [after - before for before, after in itertools.pairwise(at)]
    mean = sum(gaps) / len(gaps)
    spread = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(0.02, rel=0.05)
    assert spread / mean**2 == pytest.approx(squared_cv, rel=0.1)


async def test_arrivals_are_a_function_of_the_seed() -> None:
    first, again, other = (list(itertools.islice(arrival_offsets(OpenLoop(5.0), seed), 10)) for seed in (1, 1, 2))
    assert first == again != other


async def test_every_way_to_end_has_its_name() -> None:
    evidence = Evidence("a", "t")
    errors: list[ProviderError | None] = [
        None,
        Empty("e", evidence),
        Throttled("t", evidence),
        ServerFault("s", evidence),
    ]
    run = await loaded(Server(lambda _n: 0.1, lambda n: errors[n]), ClosedLoop(1), Volume(requests=4))
    assert [result.how for result in run.results] == ["ok", "empty", "throttled", "failed"]
    assert [result.error_class for result in run.results] == [None, "empty", "throttled", "server_error"]


async def test_a_key_that_is_revoked_ends_the_load_at_once() -> None:
    server = Server(lambda _n: 0.1, lambda n: AuthFailed("a: 401", Evidence("a", "t")) if n == 5 else None)
    run = await loaded(server, ClosedLoop(1), Volume(requests=1_000))
    assert (len(run.results), run.gone) == (6, "a: 401")
