"""Whole stages on a virtual clock: engine, pools, dispatcher, limiters, clients and workers against servers that refuse, fail and vanish.

Hours of waiting take no time here, so that what is looked for is what a long night would bring.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, RateLimitHint
from runners.calls.active_sample import ActiveSample
from runners.calls.call_context import Deadlines
from runners.calls.client import ModelClient
from runners.dispatch.dispatcher import Dispatcher, NoUsableInstance
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.slots import PARKED_PER_WORKER, WorkerSlot
from runners.engines.local import LocalEngine
from runners.event_loop.shutdown import Shutdown
from runners.event_loop.virtual_time import run_virtual
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Limiter
from runners.samples.answer import Answer, Score, guard_solver
from runners.samples.bitmap import Bitmap
from runners.samples.record import Record
from runners.samples.solvers import single_turn
from runners.samples.worker import Method, work
from sharding.plan import Sample, Shard
from tests.unit.runners.doubles import (
    Decisions,
    GivenPlan,
    a_response,
    an_exchange,
    an_instance,
    connection_lost,
    empty,
    revoked,
    server_fault,
    throttled,
)

T = TypeVar("T")
MODES: dict[str, Callable[[int], Limiter]] = {
    "fixed": lambda workers: FixedLimiter(workers=workers, qps=20),
    "adaptive": lambda workers: AdaptiveLimiter(AdaptiveLimits(most=workers)),
}
HOUR_S = 3600.0


@dataclass
class Server:
    """One instance's server: a window quota, a latency, faults by request name, times of silence, a day on which its key ends."""

    per_minute: int = 10**9
    latency_s: float = 2.0
    faults: float = 0.0
    silent: tuple[float, float] = (0.0, 0.0)
    revoked_at: float = float("inf")
    arrivals: list[float] = field(default_factory=list)
    refused: int = 0
    in_flight: int = 0
    most: int = 0
    _accepted: Counter[int] = field(default_factory=Counter)

    async def answer(self, name: str, request_id: str) -> ChatResponse:
        now = asyncio.get_running_loop().time()
        self.arrivals.append(now)
        if now >= self.revoked_at:
            raise revoked(name)
        if self.silent[0] <= now < self.silent[1]:
            await asyncio.sleep(1.0)
            raise connection_lost(name)
        window = int(now // 60)
        if self._accepted[window] >= self.per_minute:
            self.refused += 1
            raise throttled(name, retry_after_s=60 * (window + 1) - now)
        self._accepted[window] += 1
        return await self._serve(name, random.Random(f"{name}/{request_id}"))

    async def _serve(self, name: str, chance: random.Random) -> ChatResponse:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(self.latency_s * (0.5 + chance.random()))
        finally:
            self.in_flight -= 1
        if chance.random() < self.faults:
            fault = chance.choice([server_fault(name), empty(name), connection_lost(name)])
            raise fault
        return a_response(hint=RateLimitHint())


class Park:
    """All servers of a model, behind one sender."""

    def __init__(self, **servers: Server) -> None:
        self.servers = servers

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        try:
            async with asyncio.timeout_at(deadline):
                return await self.servers[on.name].answer(on.name, request_id)
        except TimeoutError as error:
            raise connection_lost(on.name) from error


async def exact(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    return Score(1.0, "full") if answer.text == sample.task.target else Score(0.0, "failed")


METHOD = Method("run", single_turn, lambda _: exact, lambda _model, _usage: None)


class Stage:
    """`samples` spread evenly over the servers, and what came of them."""

    def __init__(
        self, samples: int, mode: str, park: Park, *, workers: int = 10, sample_s: float = HOUR_S, grace_s: float = 30.0
    ) -> None:
        self.method = METHOD
        self.samples = samples
        self.park = park
        self.shutdown = Shutdown(grace_s)
        self.records: list[Record] = []
        self.lost: list[NoUsableInstance] = []
        names = list(park.servers)
        instance_states = [
            InstanceState(an_instance(name, workers=workers), park, MODES[mode](workers)) for name in names
        ]
        self.decisions = Decisions()
        self.dispatcher = Dispatcher("m", instance_states, self.decisions)
        self.call_context = an_exchange(self.dispatcher, deadlines=Deadlines(attempt_s=60, sample_s=sample_s))
        share = -(-samples // len(names))
        ranges = [range(at * share, min((at + 1) * share, samples)) for at in range(len(names))]
        self.plan = GivenPlan([[Shard(name, [part], 0.0) for name, part in zip(names, ranges, strict=True)]])
        self.engine = LocalEngine({"m": self.dispatcher}, self._work, self._deliver, self.shutdown, Bitmap(samples))

    async def _work(self, active: ActiveSample, lease: WorkerSlot) -> Record:
        return await work(active, lease, self.method, self.call_context)

    async def _deliver(self, record: Record) -> None:
        self.records.append(record)

    async def run(self) -> float:
        """Returns how long it took; what every stage must keep is checked here."""
        self.lost = await self.engine.execute(self.plan, 0)
        assert len(self.ordinals) == len(set(self.ordinals)), "one record a sample"
        for instance_state in self.dispatcher.instance_states.values():
            assert instance_state.counters.in_flight == 0
            assert instance_state.limiter.snapshot(asyncio.get_running_loop().time())["in_flight"] == 0
            assert instance_state.waiting == 0
        return asyncio.get_running_loop().time()

    @property
    def ordinals(self) -> list[int]:
        return [record.ordinal for record in self.records]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(record.outcome for record in self.records)


def carried_out(stage: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return run_virtual(stage())


@pytest.fixture(params=list(MODES))
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_sample_has_its_record_where_servers_refuse_and_fail(mode: str) -> None:
    async def scene() -> None:
        park = Park(a=Server(100, faults=0.05), b=Server(50, faults=0.2), c=Server(300))
        stage = Stage(600, mode, park)
        took_s = await stage.run()
        assert sorted(stage.ordinals) == list(range(600))
        assert stage.outcomes["ok"] >= 590
        assert took_s < 600
        assert all(server.most <= 10 for server in park.servers.values())
        assert all(record.score is None for record in stage.records if record.outcome == "infra_failure")

    carried_out(scene)


def test_a_run_is_a_function_of_its_seed(mode: str) -> None:
    async def scene() -> list[tuple[object, ...]]:
        stage = Stage(150, mode, Park(a=Server(60, faults=0.2), b=Server(200, faults=0.1)))
        await stage.run()
        return [(r.ordinal, r.outcome, r.instance, r.attempts, r.total_s, r.rate_wait_s) for r in stage.records]

    assert carried_out(scene) == carried_out(scene)


def test_a_key_that_is_revoked_midway_is_not_asked_again_and_its_work_is_done_by_the_others(mode: str) -> None:
    async def scene() -> None:
        park = Park(a=Server(revoked_at=20.0), b=Server(), c=Server())
        stage = Stage(600, mode, park)
        await stage.run()
        assert stage.outcomes == {"ok": 600}
        assert max(park.servers["a"].arrivals) < 20 + 5
        assert stage.decisions.made.count(("a", "instance_lost")) == 1
        moved = [record for record in stage.records if record.planned_instance == "a" != record.instance]
        assert moved
        assert all(record.moved_reason for record in moved)

    carried_out(scene)


def test_when_all_keys_are_revoked_the_stage_ends_at_once_and_says_so_once(mode: str) -> None:
    async def scene() -> None:
        stage = Stage(500, mode, Park(a=Server(revoked_at=15.0), b=Server(revoked_at=25.0)))
        took_s = await stage.run()
        (lost,) = stage.lost
        assert "a: revoked" in str(lost)
        assert "b: revoked" in str(lost)
        assert set(stage.outcomes) == {"ok"}
        assert 0 < len(stage.records) < 500
        assert took_s < 60

    carried_out(scene)


def test_an_hour_without_any_quota_is_waited_out(mode: str) -> None:
    """All throttled: nobody gives up before the deadline, and nobody hammers."""

    async def scene() -> None:
        park = Park(a=Server(0), b=Server(0))
        stage = Stage(40, mode, park, sample_s=HOUR_S)
        took_s = await stage.run()
        assert stage.outcomes == {"infra_failure": 40}
        assert {record.error_class for record in stage.records} <= {"throttled", "timeout_sample"}
        assert took_s <= 3 * HOUR_S
        assert sum(server.refused for server in park.servers.values()) <= 2 * 60 * 3 * 11

    carried_out(scene)


@pytest.mark.parametrize("names", ["a", "ab"])
def test_servers_that_vanish_for_ten_minutes_are_found_again(mode: str, names: str) -> None:
    async def scene() -> None:
        park = Park(**{name: Server(silent=(10.0, 610.0)) for name in names})
        stage = Stage(300, mode, park, sample_s=2 * HOUR_S)
        took_s = await stage.run()
        assert sorted(stage.ordinals) == list(range(300))
        assert stage.outcomes["ok"] >= 200
        assert took_s < 900

    carried_out(scene)


def test_one_server_that_vanishes_for_good_costs_nothing_but_probes(mode: str) -> None:
    async def scene() -> None:
        park = Park(a=Server(silent=(10.0, 1e9)), b=Server())
        stage = Stage(400, mode, park)
        await stage.run()
        assert sorted(stage.ordinals) == list(range(400))
        assert stage.outcomes["ok"] >= 395
        assert len([at for at in park.servers["a"].arrivals if at > 20]) < 30

    carried_out(scene)


def test_the_last_samples_do_not_sleep_through_the_return_of_their_server(mode: str) -> None:
    """Few samples and no new ones behind them: a request that waits for a probe must be woken by its end."""

    async def scene() -> None:
        stage = Stage(8, mode, Park(a=Server(silent=(0.0, 25.0))), sample_s=HOUR_S)
        took_s = await stage.run()
        assert sorted(stage.ordinals) == list(range(8))
        assert took_s < 100

    carried_out(scene)


def test_draining_ends_within_the_grace_and_leaves_no_record_of_what_was_cut_off(mode: str) -> None:
    async def scene() -> None:
        stage = Stage(500, mode, Park(a=Server(latency_s=20.0), b=Server(30)), grace_s=15.0)
        asyncio.get_running_loop().call_later(25.0, stage.shutdown.request, "stop")
        took_s = await stage.run()
        assert 25 <= took_s <= 40.01
        assert set(stage.outcomes) == {"ok"}
        assert 0 < len(stage.records) < 500

    carried_out(scene)


def test_draining_sends_back_at_once_who_was_refused_and_lets_who_has_an_answer_wait_on(mode: str) -> None:
    """Refused samples wait without a place, those that have an answer at the head of the line."""

    async def scene() -> None:
        stage = Stage(500, mode, Park(a=Server(25)), grace_s=100.0)
        loop = asyncio.get_running_loop()
        ended: list[tuple[int, float]] = []

        async def in_two_turns(sample: Sample, model: ModelClient) -> str:
            answers: list[str] = []
            try:
                while len(answers) < 2:
                    answers.append((await model.chat(sample.task.messages)).text)
            finally:
                ended.append((len(answers), round(loop.time(), 6)))
            return answers[-1]

        stage.method = replace(METHOD, solver=in_two_turns)
        loop.call_later(30.0, stage.shutdown.request, "stop")
        await stage.run()
        assert {at for answers, at in ended if not answers} == {30.0}
        assert any(answers and at > 60 for answers, at in ended)
        assert {answers for answers, _ in ended} == {0, 2}
        assert stage.outcomes == {"ok": len([answers for answers, _ in ended if answers])}

    carried_out(scene)


def test_a_second_request_ends_it_at_once(mode: str) -> None:
    async def scene() -> None:
        stage = Stage(500, mode, Park(a=Server(30), b=Server(30)), grace_s=1000.0)
        loop = asyncio.get_running_loop()
        loop.call_later(65.0, stage.shutdown.request, "stop")
        loop.call_later(66.0, stage.shutdown.request, "now")
        assert await stage.run() == pytest.approx(66.0, abs=0.01)
        assert set(stage.outcomes) == {"ok"}

    carried_out(scene)


def test_evidence_of_a_failure_is_whose_it_was() -> None:
    async def scene() -> None:
        stage = Stage(60, "fixed", Park(a=Server(faults=1.0)))
        await stage.run()
        assert {record.instance for record in stage.records} == {"a"}
        assert all(record.error_message for record in stage.records)

    carried_out(scene)


def test_while_one_instance_refuses_for_long_the_other_is_never_idle_and_its_bound_is_kept(mode: str) -> None:
    async def scene() -> None:
        park = Park(a=Server(4), b=Server())
        stage = Stage(400, mode, park, workers=4)
        took_s = await stage.run()
        assert stage.outcomes == {"ok": 400}
        assert [server.most for server in park.servers.values()] == [4, 4]
        alone_s = len(park.servers["b"].arrivals) * 2.0 / 4
        assert took_s < 1.1 * alone_s + 20

    carried_out(scene)


def test_while_a_judge_refuses_the_places_of_who_waits_for_it_are_used_by_others(mode: str) -> None:
    """As many go on as may wait without a place; the judge's bound and the model's hold, and nobody waits for ever."""

    async def scene() -> None:
        park = Park(a=Server(), j=Server(0))
        stage = Stage(60, mode, Park(a=park.servers["a"]), workers=4)
        judge = InstanceState(an_instance("j", model="j", workers=2), park, MODES[mode](2))
        deadlines = Deadlines(attempt_s=300, sample_s=2 * HOUR_S)
        stage.call_context = an_exchange(stage.dispatcher, Dispatcher("j", [judge], Decisions()), deadlines=deadlines)

        async def judged(sample: Sample, model: ModelClient) -> str:
            answer = await model.chat(sample.task.messages)
            async with asyncio.TaskGroup() as judges:
                for _ in range(2):
                    judges.create_task(model.chat(sample.task.messages, model="j"))
            return answer.text

        stage.method = replace(METHOD, solver=judged)
        answered = park.servers["a"].arrivals
        asyncio.get_running_loop().call_later(600.0, setattr, park.servers["j"], "per_minute", 10**9)
        asyncio.get_running_loop().call_later(590.0, lambda: waiting.append(len(answered)))
        waiting: list[int] = []
        await stage.run()
        assert stage.outcomes == {"ok": 60}
        assert 4 * PARKED_PER_WORKER / 2 <= waiting[0] <= 4 * (1 + PARKED_PER_WORKER)
        assert (park.servers["a"].most, park.servers["j"].most) == (4, 2)

    carried_out(scene)


def test_calls_of_one_sample_that_fail_and_are_refused_at_once_never_wait_for_each_other(mode: str) -> None:
    async def scene() -> None:
        stage = Stage(40, mode, Park(a=Server(20, faults=0.3)), workers=2)

        async def at_once(sample: Sample, model: ModelClient) -> str:
            async with asyncio.TaskGroup() as calls:
                answers = [calls.create_task(model.chat(sample.task.messages)) for _ in range(5)]
            return answers[0].result().text

        async def one_by_one(sample: Sample, model: ModelClient) -> str:
            for _ in range(4):
                answer = await model.chat(sample.task.messages)
            return answer.text

        for solver in (at_once, one_by_one):
            stage.method = replace(METHOD, solver=guard_solver(solver, "solver"))
            stage.records.clear()
            assert await stage.run() < HOUR_S
            assert len(stage.records) == 40
            assert stage.park.servers["a"].most == 2

    carried_out(scene)
