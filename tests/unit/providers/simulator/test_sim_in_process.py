"""The simulator without a socket: what the server does, on virtual time. Errors are looked at as the server's words, not as classes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Generation, Message
from providers.simulator.answers.source import SimulatedAnswer
from providers.simulator.endpoint import DEPLOYMENT_KEY
from providers.simulator.in_process import InProcessSimulator
from providers.simulator.settings.provider import SimulatorSettings
from tests.unit.providers.simulator.replies import ADD, NOW, QUESTION, Says

pytestmark = pytest.mark.looptime
Build = Callable[..., InProcessSimulator]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    """Simulators with one deployment for each name; closed at the end."""
    built: list[InProcessSimulator] = []

    def make(names: str = "m", answer: SimulatedAnswer | None = None, **settings: Any) -> InProcessSimulator:
        provider = SimulatorSettings.model_validate({"deployments": dict.fromkeys(names, settings)})
        places = {name: (DEPLOYMENT_KEY, name) for name in names}
        built.append(InProcessSimulator(provider, Says(answer or SimulatedAnswer("Four.")), places))
        return built[-1]

    yield make
    for simulator in built:
        simulator.close()


async def ask(
    simulator: InProcessSimulator,
    name: str = "m",
    request_id: str = "s/1/1",
    messages: list[Message] = QUESTION,  # type: ignore[assignment]
    *,
    stream: bool = False,
    extra: dict[str, Any] | None = None,
) -> ChatResponse:
    request = ChatRequest(messages=messages, generation=Generation(stream=stream, extra_body=extra))
    deadline = asyncio.get_running_loop().time() + 3600
    instance = Instance(name, "m", name, "sim", name)
    return await simulator.complete(instance, request, request_id=request_id, deadline=deadline)


async def refused(simulator: InProcessSimulator, name: str = "m", **asked: Any) -> tuple[int | None, Any]:
    """Status and body of the error that is the answer."""
    with pytest.raises(ProviderError) as error:
        await ask(simulator, name, **asked)
    return error.value.evidence.status, json.loads(error.value.evidence.body)


async def test_a_refused_field_is_refused_and_a_renamed_one_taken(build: Build) -> None:
    simulator = build(refuses=["max_tokens"])
    status, body = await refused(simulator, extra={"max_tokens": 9})
    assert (status, body["error"]["code"]) == (400, "unsupported_parameter")
    assert (await ask(simulator, extra={"max_completion_tokens": 9})).text == "Four."


async def test_a_gateways_refusal_has_its_status_and_body(build: Build) -> None:
    simulator = build(rpm=1, throttle_style=400)
    await ask(simulator)
    status, body = await refused(simulator)
    assert (status, body["success"]) == (400, False)


async def test_the_names_of_a_group_are_refused_together_with_one_wait(build: Build) -> None:
    simulator = build("abc", rpm=2, quota="fixed", quota_group="llama", latency={"ttft_s": 0.0, "itl_s": 0.0})
    await ask(simulator, "a")
    await ask(simulator, "b")
    words = {(await refused(simulator, name))[1]["error"]["message"] for name in "abc"}
    assert words == {
        "Rate limit of 2 per 60s exceeded for UserByModelByMinuteRequests. Please wait 60 seconds before retrying."
    }


async def test_credit_ends(build: Build) -> None:
    simulator = build(credit={"after": 1, "status": 402})
    await ask(simulator)
    assert (await refused(simulator))[0] == 402


async def test_a_tool_loop_must_bring_its_reasoning_back(build: Build) -> None:
    simulator = build(reasoning="field", wants_back="reasoning_content")
    turn: Message = {"role": "assistant", "content": None, "tool_calls": [ADD]}
    status, body = await refused(simulator, messages=[*QUESTION, turn])
    assert status == 400
    assert "reasoning_content is missing" in body["error"]["message"]
    assert (await ask(simulator, messages=[*QUESTION, {**turn, "reasoning_content": "I add."}])).text == "Four."


async def test_long_answers_take_longer_than_two_minutes_streamed_or_not(build: Build) -> None:
    loop = asyncio.get_running_loop()
    simulator = build(latency={"ttft_s": 1.0, "itl_s": 0.0, "long": 1.0, "long_s": 150.0})
    for stream in (False, True):
        begun_at = loop.time()
        response = await ask(simulator, stream=stream)
        assert loop.time() - begun_at == pytest.approx(151.0)
        assert response.timing.ttft_s == (pytest.approx(151.0) if stream else None)


async def test_reasoning_takes_its_time(build: Build) -> None:
    loop = asyncio.get_running_loop()
    simulator = build(reasoning="field", reasoning_tokens=100, latency={"ttft_s": 0.0, "itl_s": 1.0})
    response = await ask(simulator)
    assert response.usage.reasoning_tokens >= 50
    assert loop.time() >= response.usage.reasoning_tokens


async def test_a_stream_with_peculiarities_is_read_from_its_events(build: Build) -> None:
    answer = SimulatedAnswer("", (ADD, NOW))
    quirks = {"keepalive": True, "crlf": True, "no_done": True, "usage": "finish_chunk"}
    response = await ask(build(answer=answer, quirks=quirks), stream=True)
    plain = await ask(build(answer=answer), stream=True)
    assert response.tool_calls == plain.tool_calls == [ADD, NOW]
    assert (response.usage, response.timing) == (plain.usage, plain.timing)


async def test_what_is_broken_in_a_stream_with_peculiarities_is_an_event(build: Build) -> None:
    simulator = build(quirks={"keepalive": True}, faults={"malformed": 1.0})
    with pytest.raises(ProviderError) as error:
        await ask(simulator, stream=True)
    assert error.value.evidence.body.startswith(": OPENROUTER PROCESSING\n\ndata: {")


async def test_two_simulators_of_one_seed_think_and_refuse_alike(build: Build) -> None:
    first, second = (build(reasoning="think", rpm=1, throttle_style=400) for _ in range(2))
    assert (await ask(first)).text == (await ask(second)).text
    assert await refused(first) == await refused(second)
