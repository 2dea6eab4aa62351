"""The simulator's vendors over real sockets: what they refuse, how they throttle, what their answers and streams look like."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from providers.messages import ToolCall
from providers.simulator.answers.source import SimulatedAnswer
from tests.integration.simulator.test_simulator_server import CLASSIC, Says, logged, simulated

CALL: ToolCall = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
OPENAI = "/v1/chat/completions"


async def test_a_refused_parameter_is_answered_400_and_costs_no_tokens(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with simulated({"refuses": ["max_tokens"], "rpm": 10}, log=log) as caller:
        refused = await caller.post()
        taken = await caller.post(max_tokens=None, max_completion_tokens=50)
    assert (refused.status, refused.json["error"]["param"]) == (400, "max_tokens")
    assert refused.headers["x-ratelimit-remaining-requests"] == "9"
    assert taken.status == 200
    assert [(line["status"], line["tokens"] > 0) for line in logged(log)] == [(400, False), (200, True)]


@pytest.mark.parametrize(
    ("wrong_key", "status", "words"),
    [("CE-003", 400, "无效的api key"), ("API_KEY_INVALID", 400, "API_KEY_INVALID"), (401, 401, "Incorrect API key")],
)
async def test_a_wrong_key_is_refused_in_the_providers_way(wrong_key: int | str, status: int, words: str) -> None:
    async with simulated(wrong_key=wrong_key) as caller:
        got = await caller.post(OPENAI, "sk-nobody", model="m")
    assert got.status == status
    assert words in got.text


async def test_two_keys_of_a_group_are_throttled_together() -> None:
    endpoint = {"rpm": 1, "quota": "fixed", "quota_group": "llama", "rate_limit_headers": False}
    async with simulated(endpoint) as caller:
        first = await caller.post(OPENAI, "sk-zero", model="m")
        refusals = [await caller.post(OPENAI, key, model="m") for key in ("sk-zero", "sk-one")]
    assert first.status == 200
    assert {got.status for got in refusals} == {429}
    assert {got.headers["retry-after"] for got in refusals} == {"60"}
    (words,) = {got.json["error"]["message"] for got in refusals}
    assert words.endswith("exceeded for UserByModelByMinuteRequests. Please wait 60 seconds before retrying.")


async def test_a_gateway_throttles_with_400() -> None:
    async with simulated({"rpm": 1, "throttle_style": 400}) as caller:
        await caller.post(OPENAI, "sk-zero", model="m")
        got = await caller.post(OPENAI, "sk-zero", model="m")
    assert got.status == 400
    assert got.json["code"] in ("MPE-429", "PL-002")
    assert "retry-after" not in got.headers


async def test_google_says_the_wait_in_its_body() -> None:
    async with simulated({"rpm": 1, "wait_in": "retry_info"}) as caller:
        await caller.post(OPENAI, model="m")
        got = await caller.post(OPENAI, model="m")
    assert got.status == 429
    assert got.json[0]["error"]["details"][0]["@type"].endswith("RetryInfo")


async def test_a_vendors_headers_come_with_every_answer() -> None:
    async with simulated({"rpm": 100, "header_family": "mistral"}) as caller:
        got = await caller.post(OPENAI, model="m")
    assert got.headers["x-ratelimit-remaining-req-minute"] == "99"
    assert "x-ratelimit-remaining-requests" not in got.headers


@pytest.mark.parametrize("path", [CLASSIC.format("m"), OPENAI])
async def test_reasoning_is_thought_whole_and_streamed_alike(path: str) -> None:
    async with simulated({"reasoning": "field"}, answers=Says(SimulatedAnswer("Four."))) as caller:
        whole = (await caller.post(path, model="m", max_tokens=None)).json["choices"][0]["message"]
        events = (await caller.post(path, model="m", max_tokens=None, stream=True)).events
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    for field in ("reasoning_content", "content"):
        assert "".join(delta.get(field) or "" for delta in deltas) == whole[field]


async def test_an_odd_stream_comes_as_it_was_written() -> None:
    quirks = {"no_done": True, "keepalive": True, "crlf": True, "null_arguments": True, "usage": "finish_chunk"}
    async with simulated({"quirks": quirks}, answers=Says(SimulatedAnswer("", [CALL]))) as caller:
        got = await caller.post(OPENAI, model="m", stream=True)
    assert got.text.startswith(": OPENROUTER PROCESSING\r\n\r\ndata: ")
    assert "[DONE]" not in got.text
    last = json.loads([line for line in got.text.splitlines() if line.startswith("data: ")][-1].removeprefix("data: "))
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert last["usage"]["total_tokens"] > 0
    assert '"arguments":null' in got.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_long_answer_does_not_come_soon(tmp_path: Path, *, stream: bool) -> None:
    log = tmp_path / "log.jsonl"
    latency = {"ttft_s": 0.0, "itl_s": 0.0, "long": 1.0, "long_s": 600.0}
    async with simulated({"latency": latency}, log=log) as caller:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await caller.post(OPENAI, model="m", stream=stream)
    assert [line["status"] for line in logged(log)] == [499]
