"""The simulator over real sockets: dialects, refusals, streams, faults, and a log that tells what was answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from providers.adapters.registry import AdapterContext, adapter_type
from providers.credentials import ApiKey
from providers.errors import InputError
from providers.messages import ChatRequest, Generation, ToolCall
from providers.provider import RouteSpec
from providers.simulator.adapter import open_simulator
from providers.simulator.answers.source import AnswerSource, SimulatedAnswer
from providers.simulator.server import Launch, RunningServer, serve
from providers.simulator.settings.provider import SimulatorSettings

SECRETS = {"SIMULATOR_KEY": "sk-deployments", "K0": "sk-zero", "K1": "sk-one"}
FAST = {"ttft_s": 0.0, "itl_s": 0.0}
CLASSIC = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
QUESTION = {"messages": [{"role": "user", "content": "What is two plus two?"}], "max_tokens": 50}


@dataclass(frozen=True)
class Says:
    """An answer source that always says the same."""

    reply: SimulatedAnswer

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        return self.reply


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def events(self) -> list[Any]:
        """Of a stream, without [DONE]."""
        lines = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]


@dataclass(frozen=True)
class Caller:
    server: RunningServer
    session: aiohttp.ClientSession

    async def post(
        self, path: str = CLASSIC.format("m"), key: str = "sk-deployments", *, request_id: str = "s/1/1", **body: Any
    ) -> Got:
        headers = {"Authorization": f"Bearer {key}", "x-request-id": request_id}
        payload = {**QUESTION, **body}
        async with self.session.post(self.server.url + path, json=payload, headers=headers) as response:
            return Got(response.status, response.headers.copy(), (await response.read()).decode())


@asynccontextmanager
async def simulated(
    endpoint: Mapping[str, Any] | None = None,
    *,
    answers: AnswerSource | None = None,
    log: Path | None = None,
    **settings: Any,
) -> AsyncIterator[Caller]:
    """One deployment "m" and two keys, all as `endpoint` says."""
    each = {"latency": FAST, **(endpoint or {})}
    file = {"deployments": {"m": each}, "keys": {"K0": each, "K1": each}, **settings}
    launch = Launch(SimulatorSettings.model_validate(file), SECRETS, answers, log, logs_text=True)
    async with await serve(launch) as server, aiohttp.ClientSession() as session:
        yield Caller(server, session)


def logged(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def line_count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


async def has_lines(path: Path, count: int) -> None:
    """Wait until the log has so many lines: they are written a little after the answers."""
    while line_count(path) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


# ------------------------------------------------------------------ answers
async def test_a_whole_answer_has_everything_that_a_client_reads() -> None:
    async with simulated({"model": "m-2026"}, answers=Says(SimulatedAnswer("Four."))) as caller:
        got = await caller.post()
        again = await caller.post()
    assert got.status == 200
    choice = got.json["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Four."}
    assert choice["finish_reason"] == "stop"
    assert got.json["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert got.json["model"] == "m-2026"
    assert got.json["system_fingerprint"]
    assert got.json["id"] == again.json["id"]


@pytest.mark.parametrize("header", ["api-key", "Authorization"])
@pytest.mark.parametrize("path", [CLASSIC.format("m"), "/openai/v1/chat/completions", "/v1/chat/completions"])
async def test_every_url_takes_either_header(path: str, header: str) -> None:
    async with simulated() as caller:
        value = "sk-deployments" if header == "api-key" else "Bearer sk-deployments"
        url = caller.server.url + path
        async with caller.session.post(url, json={**QUESTION, "model": "m"}, headers={header: value}) as response:
            assert response.status == 200


async def test_tool_calls_end_with_their_own_finish_reason_whole_and_streamed() -> None:
    call: ToolCall = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}
    async with simulated(answers=Says(SimulatedAnswer("", [call]))) as caller:
        whole = (await caller.post()).json["choices"][0]
        events = (await caller.post("/v1/chat/completions", model="m", stream=True)).events
    assert whole["finish_reason"] == "tool_calls"
    assert whole["message"] == {"role": "assistant", "content": None, "tool_calls": [call]}
    deltas = [event["choices"][0]["delta"] for event in events]
    pieces = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert pieces[0]["id"] == "call_1"
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '{"a": 2, "b": 2}'
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_max_tokens_cuts_the_text_and_says_so() -> None:
    async with simulated(answers=Says(SimulatedAnswer("abcd" * 100))) as caller:
        got = await caller.post(max_tokens=10)
    assert got.json["choices"][0]["message"]["content"] == "abcd" * 10
    assert got.json["choices"][0]["finish_reason"] == "length"
    assert got.json["usage"]["completion_tokens"] == 10


async def test_a_stream_has_a_role_then_the_text_then_usage_then_done() -> None:
    async with simulated(answers=Says(SimulatedAnswer("Two and two are four."))) as caller:
        got = await caller.post("/v1/chat/completions", model="m", stream=True, stream_options={"include_usage": True})
    assert got.headers["Content-Type"].startswith("text/event-stream")
    assert got.text.endswith("data: [DONE]\n\n")
    deltas = [event["choices"][0]["delta"] for event in got.events[:-1]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == "Two and two are four."
    assert got.events[-2]["choices"][0]["finish_reason"] == "stop"
    assert got.events[-1]["choices"] == []
    assert got.events[-1]["usage"]["completion_tokens"] == 6
    assert len({event["id"] for event in got.events}) == 1


async def test_an_azure_stream_begins_with_a_chunk_without_choices() -> None:
    async with simulated() as caller:
        got = await caller.post(stream=True)
    assert got.events[0]["choices"] == []
    assert "prompt_filter_results" in got.events[0]


async def test_answers_take_their_time_whole_and_streamed() -> None:
    answers = Says(SimulatedAnswer("abcd" * 20))
    async with simulated({"latency": {"ttft_s": 0.05, "itl_s": 0.005}}, answers=answers) as caller:
        loop = asyncio.get_running_loop()
        for stream in (False, True):
            start = loop.time()
            await caller.post(stream=stream)
            assert loop.time() - start >= 0.145  # never early; how late says nothing of the simulator


async def test_a_saturated_endpoint_shares_its_speed() -> None:
    latency = {"ttft_s": 0.1, "itl_s": 0.0, "saturates_at": 1}
    async with simulated({"latency": latency}) as caller:
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(caller.post(request_id=f"s{i}/1/1", stream=i % 2 == 0) for i in range(4)))
        assert asyncio.get_running_loop().time() - start >= 0.39


# ------------------------------------------------------------------ who are you, is it there
async def test_an_unknown_key_is_denied_in_the_words_of_each_dialect() -> None:
    async with simulated() as caller:
        azure = await caller.post(key="sk-wrong")
        openai = await caller.post("/v1/chat/completions", "sk-wrong", model="m")
    assert azure.status == openai.status == 401
    assert azure.json["error"]["code"] == "401"
    assert azure.json["error"]["message"].startswith("Access denied due to invalid subscription key")
    assert openai.json["error"]["code"] == "invalid_api_key"


async def test_what_does_not_exist_is_missing_in_the_words_of_each_dialect() -> None:
    async with simulated(models=["m", "n"]) as caller:
        azure = await caller.post(CLASSIC.format("other"))
        openai = await caller.post("/v1/chat/completions", "sk-zero", model="other")
        served = await caller.post("/v1/chat/completions", "sk-zero", model="n")
        no_version = await caller.post("/openai/deployments/m/chat/completions")
    assert (azure.status, azure.json["error"]["code"]) == (404, "DeploymentNotFound")
    assert (openai.status, openai.json["error"]["code"]) == (404, "model_not_found")
    assert served.status == 200
    assert (no_version.status, no_version.json["error"]["code"]) == (404, "404")


@pytest.mark.parametrize(
    "body", [{"messages": []}, {"messages": "hello"}, {"max_tokens": 0}, {"max_tokens": "many"}, {"messages": ["a"]}]
)
async def test_a_bad_request_is_told_what_is_wrong(body: dict[str, Any]) -> None:
    async with simulated() as caller:
        got = await caller.post(**body)
    assert got.status == 400
    assert next(iter(body)) in got.json["error"]["message"]


async def test_a_body_that_is_no_json_is_a_bad_request() -> None:
    async with simulated() as caller:
        url = caller.server.url + "/v1/chat/completions"
        async with caller.session.post(url, data=b"{", headers={"api-key": "sk-zero"}) as response:
            assert response.status == 400


async def test_models_are_listed_to_those_who_may_see_them() -> None:
    async with simulated(models=["n"]) as caller:
        listings = {}
        for key in ("sk-deployments", "sk-zero", "sk-wrong"):
            headers = {"Authorization": f"Bearer {key}"}
            async with caller.session.get(caller.server.url + "/v1/models", headers=headers) as response:
                body = await response.json()
                listings[key] = [each["id"] for each in body["data"]] if response.status == 200 else response.status
        async with caller.session.get(caller.server.url + "/healthz") as response:
            assert response.status == 200
    assert listings == {"sk-deployments": ["m"], "sk-zero": ["n"], "sk-wrong": 401}


async def test_two_keys_with_one_value_are_refused_at_the_start() -> None:
    settings = SimulatorSettings.model_validate({"keys": {"K0": {}, "K1": {}}})
    with pytest.raises(InputError, match="cannot distinguish them"):
        await serve(Launch(settings, {"K0": "same", "K1": "same"}))
    with pytest.raises(InputError, match="no secret for K1"):
        await serve(Launch(settings, {"K0": "one"}))


# ------------------------------------------------------------------ may you now
async def test_a_refusal_says_when_to_come_back_in_the_words_of_each_dialect() -> None:
    async with simulated({"rpm": 1}) as caller:
        await caller.post()
        azure = await caller.post()
        openai = await caller.post("/v1/chat/completions", model="m")
    assert azure.status == openai.status == 429
    assert azure.json["error"]["code"] == "429"
    assert "Please retry after 60 seconds" in azure.json["error"]["message"]
    assert openai.json["error"]["code"] == "rate_limit_exceeded"
    assert openai.json["error"]["type"] == "requests"
    assert azure.headers["retry-after"] == "60"
    assert 59_000 < int(azure.headers["retry-after-ms"]) <= 60_000
    assert azure.headers["x-ratelimit-limit-requests"] == "1"
    assert azure.headers["x-ratelimit-remaining-requests"] == "0"


async def test_a_resend_after_exactly_the_named_wait_is_let_in() -> None:
    async with simulated({"rpm": 240, "window_s": 0.5}) as caller:  # two in half a second
        for _ in range(3):
            statuses = [(await caller.post()).status for _ in range(2)]
            refused = await caller.post()
            assert (statuses, refused.status) == ([200, 200], 429)
            await asyncio.sleep(int(refused.headers["retry-after-ms"]) / 1000)
            assert (await caller.post()).status == 200
            await asyncio.sleep(0.55)


async def test_a_gateway_may_say_the_window_or_nothing_at_all() -> None:
    async with simulated({"rpm": 1, "retry_after": "window", "rate_limit_headers": False}) as caller:
        await caller.post()
        window = await caller.post()
    async with simulated({"rpm": 1, "retry_after": "none", "rate_limit_headers": False}) as caller:
        await caller.post()
        silent = await caller.post()
    assert window.headers["retry-after"] == "60"
    assert "retry-after-ms" not in window.headers
    assert not [name for name in silent.headers if "ratelimit" in name.lower() or "retry" in name.lower()]
    assert "retry after" not in silent.text.lower()


async def test_successes_tell_what_is_left() -> None:
    async with simulated({"rpm": 10, "tpm": 1000}) as caller:
        got = await caller.post()
    assert got.headers["x-ratelimit-remaining-requests"] == "9"
    assert got.headers["x-ratelimit-limit-tokens"] == "1000"
    assert got.headers["x-ratelimit-remaining-tokens"] == str(1000 - 9 - 50)


async def test_each_key_and_each_model_on_it_has_a_quota_of_its_own() -> None:
    async with simulated({"rpm": 1}) as caller:
        statuses = [
            (await caller.post("/v1/chat/completions", key, model=model)).status
            for key, model in [("sk-zero", "a"), ("sk-zero", "a"), ("sk-zero", "b"), ("sk-one", "a")]
        ]
    assert statuses == [200, 429, 200, 200]


async def test_concurrency_beyond_the_limit_is_refused_and_places_come_back() -> None:
    async with simulated({"concurrency": 2, "latency": {"ttft_s": 0.2, "itl_s": 0}}) as caller:
        results = await asyncio.gather(*(caller.post(request_id=f"s{i}/1/1") for i in range(5)))
        assert sorted(got.status for got in results) == [200, 200, 429, 429, 429]
        assert (await caller.post()).status == 200


async def test_a_client_that_goes_away_gives_its_place_back_and_is_logged_as_gone(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with simulated({"concurrency": 1, "latency": {"ttft_s": 30, "itl_s": 0}}, log=log) as caller:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await caller.post(request_id="left/1/1")
        await has_lines(log, 1)
        with pytest.raises(TimeoutError):  # let in, not refused
            async with asyncio.timeout(1):
                await caller.post(request_id="left/1/2")
        await has_lines(log, 2)
    assert [(line["request_id"], line["status"]) for line in logged(log)] == [("left/1/1", 499), ("left/1/2", 499)]


async def test_a_holding_endpoint_answers_late_and_never_refuses() -> None:
    async with simulated({"rpm": 240, "window_s": 0.5, "on_limit": "hold"}) as caller:
        start = asyncio.get_running_loop().time()
        results = await asyncio.gather(*(caller.post(request_id=f"s{i}/1/1") for i in range(6)))
        assert asyncio.get_running_loop().time() - start >= 0.99
    assert {got.status for got in results} == {200}


async def test_a_key_is_revoked_for_all_its_models_after_its_last_request() -> None:
    async with simulated({"unauthorized_after": 2}) as caller:
        statuses = [
            (await caller.post("/v1/chat/completions", key, model=model)).status
            for key, model in [("sk-zero", "a"), ("sk-zero", "b"), ("sk-zero", "a"), ("sk-one", "a")]
        ]
    assert statuses == [200, 200, 401, 200]


async def test_a_deployment_that_died_cuts_every_connection() -> None:
    async with simulated({"refuses_connections_after": 1}) as caller:
        assert (await caller.post()).status == 200
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectionError):
                await caller.post()


# ------------------------------------------------------------------ faults
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "finish_reason"), [("empty", 200, "stop"), ("length", 200, "length"), ("error_500", 500, None)]
)
async def test_faults_that_are_answers(fault: str, status: int, finish_reason: str | None, stream: bool) -> None:
    async with simulated(faults={fault: 1.0}) as caller:
        got = await caller.post("/v1/chat/completions", model="m", stream=stream)
    assert got.status == status
    if status == 500:
        assert got.json["error"]["type"] == "server_error"
        return
    last = got.events[-1]["choices"][0] if stream else got.json["choices"][0]
    assert last["finish_reason"] == finish_reason
    assert not (last.get("message") or last["delta"]).get("content")


async def test_a_filter_is_a_status_for_azure_and_a_finish_reason_for_openai() -> None:
    async with simulated(faults={"content_filter": 1.0}) as caller:
        azure = await caller.post()
        openai = await caller.post("/v1/chat/completions", model="m")
    assert (azure.status, azure.json["error"]["code"]) == (400, "content_filter")
    assert (openai.status, openai.json["choices"][0]["finish_reason"]) == (200, "content_filter")


async def test_an_error_may_stand_inside_a_200() -> None:
    async with simulated(faults={"error_in_200": 1.0}) as caller:
        whole = await caller.post()
        streamed = await caller.post(stream=True)
    assert whole.status == streamed.status == 200
    assert "error" in whole.json
    assert "error" in streamed.events[-1]
    assert "[DONE]" not in streamed.text


async def test_malformed_json_comes_under_a_correct_content_length() -> None:
    async with simulated(faults={"malformed": 1.0}) as caller:
        whole = await caller.post()
        streamed = await caller.post(stream=True)
    for got in (whole, streamed):
        assert got.status == 200
        with pytest.raises(json.JSONDecodeError):
            _ = got.events if got is streamed else got.json


async def test_a_body_that_ends_early_breaks_its_promise_and_a_stream_just_ends() -> None:
    async with simulated(faults={"early_end": 1.0}) as caller:
        with pytest.raises(aiohttp.ClientPayloadError):
            await caller.post()
        streamed = await caller.post(stream=True)
    assert "[DONE]" not in streamed.text
    assert all(event["choices"][0]["finish_reason"] is None for event in streamed.events if event["choices"])


async def test_a_reset_comes_before_any_header() -> None:
    async with simulated(faults={"reset": 1.0}) as caller:
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.post()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stall_is_silence_until_it_is_over(stream: bool) -> None:
    async with simulated(faults={"stall": 1.0, "stall_s": 0.3}) as caller:
        start = asyncio.get_running_loop().time()
        got = await caller.post(stream=stream)
        assert asyncio.get_running_loop().time() - start >= 0.29
    assert got.status == 200


async def test_a_server_with_stalled_answers_closes_at_once() -> None:
    """It would not come to its end within the timeout of a test otherwise."""
    async with simulated(faults={"stall": 1.0, "stall_s": 3600}) as caller:
        stalled = asyncio.create_task(caller.post())
        await asyncio.sleep(0.1)
        await caller.server.aclose()
        with pytest.raises(aiohttp.ClientConnectionError):
            await stalled


async def test_an_endpoint_may_have_faults_of_its_own() -> None:
    async with simulated({"faults": {}}, faults={"error_500": 1.0}) as caller:
        assert (await caller.post()).status == 200


async def test_a_throttled_resend_meets_the_same_fault_once_it_is_let_in(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    faults = {"error_500": 0.5}
    async with simulated({"rpm": 120, "window_s": 0.5}, faults=faults, log=log) as caller:  # one in half a second
        for i in range(3):
            await caller.post(request_id=f"s{i}/1/1")
            await caller.post(request_id=f"s{i + 1}/1/1")  # refused
            await asyncio.sleep(0.55)
    async with simulated(faults=faults) as caller:
        alone = {f"s{i}/1/1": (await caller.post(request_id=f"s{i}/1/1")).status for i in range(3)}
    answered = {line["request_id"]: line["status"] for line in logged(log) if line["status"] != 429}
    assert answered == alone


# ------------------------------------------------------------------ the log
async def test_the_log_tells_every_answer_and_no_secret(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    faults = {"error_500": 0.2, "empty": 0.2, "malformed": 0.2}
    async with simulated({"rpm": 40}, answers=Says(SimulatedAnswer("4", right=True)), faults=faults, log=log) as caller:
        ids = [f"a/b{i}/1/1" for i in range(60)]
        results = await asyncio.gather(
            *(caller.post("/v1/chat/completions", "sk-one", model="m", request_id=i) for i in ids)
        )
        denied = await caller.post(key="sk-wrong", request_id="x/1/1")
    lines = {line["request_id"]: line for line in logged(log)}
    assert len(logged(log)) == 61
    assert {each: lines[each]["status"] for each in ids} == {
        each: got.status for each, got in zip(ids, results, strict=True)
    }
    assert sum(line["status"] == 429 for line in lines.values()) == 20
    for each, got in zip(ids, results, strict=True):
        line = lines[each]
        assert (line["sample_id"], line["key"], line["deployment"]) == (each[:-4], "K1", "m")
        if line["status"] == 200 and line["fault"] is None:
            assert (line["right"], line["text"], line["response_id"]) == (True, "4", got.json["id"])
        elif line["fault"] is not None:
            assert line["right"] is None
    assert (lines["x/1/1"]["status"], lines["x/1/1"]["key"]) == (denied.status, None)
    assert "sk-" not in log.read_text()


async def test_the_log_is_readable_while_the_server_runs(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with simulated(log=log) as caller:
        await caller.post()
        await has_lines(log, 1)
        assert len(logged(log)) == 1


async def test_requests_without_an_id_are_numbered(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    async with simulated(log=log) as caller:
        for _ in range(2):
            await caller.post(request_id="")
    assert [line["sample_id"] for line in logged(log)] == ["anonymous-1", "anonymous-2"]


# ------------------------------------------------------------------ our own adapter on it
@pytest.mark.parametrize("transport", ["native", "sdk"])
@pytest.mark.parametrize("dialect", ["openai", "azure"])
async def test_our_adapter_gets_answers_through_deployments_and_keys(transport: str, dialect: str) -> None:
    async with simulated({"dialect": dialect}, answers=Says(SimulatedAnswer("Four."))) as caller:
        settings = SimulatorSettings.model_validate(
            {
                "transport": transport,
                "deployments": {"m": {"dialect": dialect}},
                "keys": {"K0": {"dialect": dialect}, "K1": {}},
            }
        )
        adapter_context = AdapterContext(lambda name: ApiKey(name, SECRETS[name]), simulator_url=caller.server.url)
        adapter = open_simulator("sim", settings, adapter_context)
        instances = [*adapter.instances("m", RouteSpec()), *adapter.instances("q", RouteSpec())]
        assert [each.name for each in instances] == ["sim/m", "sim/K0/q", "sim/K1/q"]
        deadline = asyncio.get_running_loop().time() + 30
        for instance in instances:
            request = ChatRequest([{"role": "user", "content": "2 + 2?"}], generation=Generation(max_tokens=20))
            got = await adapter.complete(instance, request, request_id="s/1/1", deadline=deadline)
            assert (got.text, got.finish_reason) == ("Four.", "stop")
        await adapter.aclose()


def test_the_registry_knows_the_simulator() -> None:
    assert adapter_type("simulator").settings is SimulatorSettings
