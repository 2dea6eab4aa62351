"""The Responses API through both transports: the same answer whole and streamed, and the same run as a chat gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiohttp import web

from providers.errors import DeploymentMissing, Throttled
from providers.messages import ChatRequest, ChatResponse, Generation
from providers.provider import RouteSpec
from tests.integration.faults.answers import SSE_HEAD, error, http
from tests.integration.transports.test_addresses import ask, open_adapter
from tests.integration.transports.test_transport_conformance import ScriptedServer, json_answer, says, timeless

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

TRANSPORTS = ("native", "sdk")
RESPONSES = RouteSpec(operation="responses")
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "search", "arguments": '{"q": "größe"}'}


def response(*output: object) -> dict[str, object]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m-2025", "status": "completed", "error": None,
        "output": list(output), "usage": {
            "input_tokens": 7, "output_tokens": 5, "total_tokens": 12,
            "input_tokens_details": {"cached_tokens": 2}, "output_tokens_details": {"reasoning_tokens": 3},
        },
    }  # fmt: skip


def message(text: str) -> dict[str, object]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    listener = await asyncio.start_server(scripted.handle, "127.0.0.1", 0)
    scripted.port = listener.sockets[0].getsockname()[1]
    yield scripted
    listener.close()


def entry(server: ScriptedServer, transport: str) -> dict[str, object]:
    return {"type": "openai", "base_url": f"http://127.0.0.1:{server.port}/v1", "transport": transport}


ANSWERS = {
    "text": (response(THOUGHT, message("größer 42")), [
        event("response.output_text.delta", delta="größer "), event("response.output_text.delta", delta="42"),
    ]),
    "tool calls": (response(THOUGHT, CALL), [
        event("response.function_call_arguments.delta", delta='{"q": "größe"}'),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_the_same_whole_and_streamed_through_both(server: ScriptedServer, kind: str) -> None:
    body, deltas = ANSWERS[kind]
    answers: list[ChatResponse] = []
    for transport in TRANSPORTS:
        server.script = json_answer(body)
        answers.append(await ask(open_adapter(entry(server, transport)), RESPONSES))
        last = event("response.completed", response=body)
        server.script = says(SSE_HEAD, event("response.created", response={}), *deltas, last, then_close=True)
        streamed = await ask(open_adapter(entry(server, transport)), RESPONSES, stream=True)
        assert streamed.timing.ttft_s is not None
        answers.append(streamed)
    assert {head.split(" ")[1] for head in server.heads} == {"/v1/responses"}
    assert [timeless(answer) for answer in answers] == [timeless(answers[0])] * 4
    bodies = [{name: value for name, value in sent.items() if name != "stream"} for sent in server.bodies]
    assert bodies == [bodies[0]] * 4
    assert [sent.get("stream") for sent in server.bodies] == [None, True] * 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_field_that_only_some_servers_know_is_sent_through_both(server: ScriptedServer, transport: str) -> None:
    server.script = json_answer(response(message("42")))
    request = ChatRequest(
        [{"role": "user", "content": "?"}], generation=Generation(seed=5, extra_body={"include": [], "top_k": 3})
    )
    await ask(open_adapter(entry(server, transport)), RESPONSES, request=request)
    assert server.bodies[-1] == {
        "model": "m", "input": [{"role": "user", "content": "?"}], "seed": 5, "store": False, "include": [], "top_k": 3,
    }  # fmt: skip


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_refusals_are_those_of_a_chat(server: ScriptedServer, transport: str) -> None:
    server.script = says(http(error("slow down", code="rate_limit_exceeded"), "429 Too Many Requests"))
    with pytest.raises(Throttled):
        await ask(open_adapter(entry(server, transport)), RESPONSES)
    server.script = says(http(error("no such model", code="model_not_found"), "404 Not Found"))
    with pytest.raises(DeploymentMissing):
        await ask(open_adapter(entry(server, transport)), RESPONSES)


LINES = {
    "v1": "POST /openai/v1/responses ",
    "classic": "POST /openai/responses?api-version=2024-10-21 ",
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("api", LINES)
async def test_azure_answers_it_with_the_deployment_in_the_body(
    server: ScriptedServer, transport: str, api: str
) -> None:
    server.script = json_answer(response(message("42")))
    azure = {
        "type": "azure", "endpoint": f"http://127.0.0.1:{server.port}", "api_key_env": "KEY", "api": api,
        "transport": transport,
    }  # fmt: skip
    await ask(open_adapter(azure), RouteSpec(deployments=["o3 pro"], operation="responses"))
    assert server.heads[-1].startswith(LINES[api])
    assert server.bodies[-1]["model"] == "o3 pro"


# ------------------------------------------------------------------ a whole run
@pytest.fixture
async def bilingual() -> AsyncIterator[str]:
    """Doubles the number in the question, by either API."""

    def answer_of(question: str) -> str:
        return str(2 * int(question.split()[2]))

    async def chat(request: web.Request) -> web.Response:
        text = answer_of((await request.json())["messages"][-1]["content"])
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        return web.json_response({"id": "resp_1", "model": "m-2025", "choices": [choice], "usage": usage})

    async def responses(request: web.Request) -> web.Response:
        body = response(THOUGHT, message(answer_of((await request.json())["input"][-1]["content"])))
        usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
        return web.json_response({**body, "usage": usage})

    site = web.Application()
    site.router.add_post("/v1/chat/completions", chat)
    site.router.add_post("/v1/responses", responses)
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


TIMES = ("_at", "_s", "_id", "request_id", "ordinal", "model", "instance", "deployment", "planned_instance", "cell_id")


async def test_a_run_gives_the_same_records_as_a_chat(
    program: Program, sweep: Any, books: Books, bilingual: str
) -> None:
    sections = sweep(program.folder, tasks=10)
    sections["providers"] = {"p": {"type": "openai", "base_url": bilingual}}
    sections["models"] = {"a": {"provider": "p"}, "b": {"provider": "p", "operation": "responses"}}
    program.write(sections)
    arguments = ("run", "sweep.yaml", "--no-stagger", "--display", "none")
    done = await asyncio.to_thread(program, *arguments)
    assert done.code == 0, done.out + done.err
    by_model: dict[str, dict[str, dict[str, Any]]] = {"a": {}, "b": {}}
    for row in books.rows(program.path(done)):
        by_model[row["model"]][row["task_id"]] = {k: v for k, v in row.items() if not k.endswith(TIMES) and k != "seed"}
    assert len(by_model["a"]) == 10
    assert by_model["a"] == by_model["b"]
    assert {row["passed"] for row in by_model["b"].values()} == {True}


def test_a_simulator_that_is_asked_for_responses_says_that_it_answers_chats(program: Program, sweep: Any) -> None:
    sections = sweep(program.folder)
    sections["models"]["m"]["operation"] = "responses"
    program.write(sections)
    done = program("plan", "sweep.yaml")
    assert done.code == 2
    assert "answers chats" in done.err
