"""The cache of answers: what is found, what is kept, who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Generation, Timing, Usage
from runners.cache.answer_cache import AnswerCache, CacheMode
from runners.cache.answer_store import AnswerStore
from runners.cache.recent_answers import RecentAnswers
from runners.cache.request_key import CachedModel, Draws
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

HERE = Instance("p/d", "m", "d", "p", "p/d")
MODEL = CachedModel("chat", "", {"p": "server"}, frozenset({("server", "d")}))
REPEATABLE = Generation(temperature=0)


def request(text: str = "Why?", generation: Generation = REPEATABLE) -> ChatRequest:
    return ChatRequest(({"role": "user", "content": text},), (), generation)


def draws(task_id: str = "t", epoch: int = 0) -> Draws:
    task = Task(task_id, ({"role": "user", "content": "Why?"},))
    return Draws(Sample(0, "s", task, Cell("m", "baseline", 1.0), epoch, 0))


def response(text: str = "Because.") -> ChatResponse:
    return ChatResponse(
        text=text,
        tool_calls=({"id": "1", "function": {"name": "f", "arguments": "{}"}, "own": 2},),
        finish_reason="stop",
        usage=Usage(10, 5, 1, 2),
        timing=Timing(0.1, 0.2, 0.3),
        hint=None,
        response_id="r",
        response_model="m-1",
        system_fingerprint="fp",
        reasoning="so",
        assistant={"role": "assistant", "content": text, "own": [1]},
    )


class Model:
    """Answers when it is told to, and counts."""

    def __init__(self, *answers: ChatResponse | Exception) -> None:
        self.asked = 0
        self.asks: asyncio.Queue[None] = asyncio.Queue()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._answers = list(answers) or [response()]

    async def ask(self) -> tuple[ChatResponse, Instance | None]:
        self.asked += 1
        self.asks.put_nowait(None)
        await self.may_answer.wait()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer, HERE


@contextmanager
def waiting() -> Iterator[None]:
    yield


def open_cache(
    folder: Path, mode: CacheMode = "on", memory_bytes: int = 1 << 20, model: CachedModel = MODEL
) -> AnswerCache:
    return AnswerCache(mode, {"m": model}, AnswerStore(folder, 1 << 30, 3600), RecentAnswers(memory_bytes))


async def answered(
    cache: AnswerCache, model: Model, asked: ChatRequest | None = None, own: Draws | None = None
) -> bool:
    """Whether the answer was kept."""
    found, is_kept = await cache.answer(own or draws(), "m", asked or request(), model.ask, waiting)
    assert found.text == "Because."
    return is_kept


async def test_an_answer_is_found_in_memory_and_after_a_restart_on_disk(tmp_path: Path) -> None:
    model = Model()
    with closing(open_cache(tmp_path)) as cache:
        assert [await answered(cache, model), await answered(cache, model)] == [False, True]
        assert (cache.counts.memory_hits, cache.counts.disk_hits, cache.counts.asked) == (1, 0, 1)
    with closing(open_cache(tmp_path)) as cache:
        assert [await answered(cache, model), await answered(cache, model)] == [True, True]
        assert (cache.counts.memory_hits, cache.counts.disk_hits, cache.counts.asked) == (1, 1, 0)
    assert model.asked == 1


async def test_a_kept_answer_is_the_answer_but_for_its_times(tmp_path: Path) -> None:
    with closing(open_cache(tmp_path)) as cache:
        first, _ = await cache.answer(draws(), "m", request(), Model().ask, waiting)
        again, _ = await cache.answer(draws(), "m", request(), Model().ask, waiting)
    assert again == replace(first, timing=again.timing, tool_calls=list(first.tool_calls))
    assert again.timing.ttft_s is None


@pytest.mark.parametrize(
    ("asked", "own", "is_kept"),
    [
        (request(), draws("another task"), True),
        (request(generation=Generation(temperature=0, stream=True)), draws(), True),
        (request("What?"), draws(), False),
        (request(), draws(epoch=1), False),
        (request(generation=Generation(temperature=0, max_tokens=9)), draws(), False),
        (request(generation=Generation(temperature=0, extra_body={"num_ctx": 4096})), draws(), False),
    ],
)
async def test_the_key_has_what_changes_an_answer_and_nothing_else(
    tmp_path: Path, asked: ChatRequest, own: Draws, is_kept: bool
) -> None:
    with closing(open_cache(tmp_path)) as cache:
        await answered(cache, Model())
        assert await answered(cache, Model(), asked, own) is is_kept


async def test_above_temperature_zero_equal_prompts_of_two_tasks_are_two_draws(tmp_path: Path) -> None:
    warm = request(generation=Generation(temperature=1))
    with closing(open_cache(tmp_path)) as cache:
        assert not await answered(cache, Model(), warm, draws("a"))
        assert not await answered(cache, Model(), warm, draws("b"))
        assert await answered(cache, Model(), warm, draws("a"))


async def test_the_equal_calls_of_one_sample_are_draws_and_are_replayed_in_their_order(tmp_path: Path) -> None:
    with closing(open_cache(tmp_path)) as cache:
        texts = [response("one"), response("two")]
        for _ in range(2):
            own, said = draws(), []
            model = Model(*texts)
            for _ in range(2):
                found, _is_kept = await cache.answer(own, "m", request(), model.ask, waiting)
                said.append(found.text)
            assert said == ["one", "two"]
        assert model.asked == 0


async def test_equal_requests_at_the_same_time_are_asked_once(tmp_path: Path) -> None:
    model = Model()
    model.may_answer.clear()
    with closing(open_cache(tmp_path)) as cache:
        calls = [asyncio.create_task(answered(cache, model)) for _ in range(100)]
        await model.asks.get()
        model.may_answer.set()
        assert sorted(await asyncio.gather(*calls)) == [False] + 99 * [True]
    assert model.asked == 1


async def test_an_error_is_its_own_askers_and_the_next_one_asks(tmp_path: Path) -> None:
    model = Model(ValueError("no"), ValueError("no"), response())
    with closing(open_cache(tmp_path)) as cache:
        calls = [answered(cache, model) for _ in range(10)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(end, ValueError) for end in ends].count(True) == 2
    assert model.asked == 3


async def test_one_that_is_cancelled_while_it_asks_leaves_the_question_to_the_next(tmp_path: Path) -> None:
    model = Model()
    model.may_answer.clear()
    with closing(open_cache(tmp_path)) as cache:
        first, second = (asyncio.create_task(answered(cache, model)) for _ in range(2))
        await model.asks.get()
        first.cancel()
        await model.asks.get()
        model.may_answer.set()
        assert await second is False


async def test_read_keeps_nothing_and_refresh_asks_anew_once(tmp_path: Path) -> None:
    with closing(open_cache(tmp_path, "read")) as cache:
        assert [await answered(cache, Model()), await answered(cache, Model())] == [False, False]
    with closing(open_cache(tmp_path)) as cache:
        assert not await answered(cache, Model())
    with closing(open_cache(tmp_path, "refresh")) as cache:
        assert [await answered(cache, Model()), await answered(cache, Model())] == [False, True]
    with closing(open_cache(tmp_path, "read")) as cache:
        assert await answered(cache, Model())


async def test_an_answer_of_a_deployment_that_the_model_no_longer_has_is_not_its_answer(tmp_path: Path) -> None:
    with closing(open_cache(tmp_path)) as cache:
        await answered(cache, Model())
    more = replace(MODEL, deployments=frozenset({("server", "d"), ("server", "d-2")}))
    other = replace(MODEL, deployments=frozenset({("elsewhere", "d")}))
    with closing(open_cache(tmp_path, "read", model=more)) as cache:
        assert await answered(cache, Model())
    with closing(open_cache(tmp_path, "read", model=other)) as cache:
        assert not await answered(cache, Model())


async def test_what_changes_a_simulators_answers_is_in_the_key(tmp_path: Path) -> None:
    with closing(open_cache(tmp_path, model=replace(MODEL, namespace="a"))) as cache:
        await answered(cache, Model())
    with closing(open_cache(tmp_path, model=replace(MODEL, namespace="b"))) as cache:
        assert not await answered(cache, Model())


async def test_the_memory_is_bounded_by_bytes(tmp_path: Path) -> None:
    recent = RecentAnswers(100)
    for number in range(10):
        recent.put(bytes([number]), 30 * b"x")
    assert len(recent) == 3
    assert recent.size == 90
    assert recent.find(bytes([9])) is not None
    recent.put(b"large", 200 * b"x")
    assert recent.size == 0
