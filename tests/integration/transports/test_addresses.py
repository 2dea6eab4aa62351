"""Requests reach the addresses that people have, through both transports: Azure's three APIs, headers, ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import orjson
import pytest

from providers.adapters.registry import AdapterContext, adapter_type
from providers.credentials import ApiKey
from providers.errors import DeploymentMissing, ProviderError
from providers.messages import ChatRequest, ChatResponse
from providers.provider import Adapter, RouteSpec
from tests.integration.faults.answers import completion, error, http
from tests.integration.transports.test_transport_conformance import ScriptedServer, json_answer, says

TRANSPORTS = ("native", "sdk")
SURROUNDINGS = AdapterContext(key=lambda name: ApiKey(name, f"secret-of-{name}-0123456789"))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer(script=json_answer(completion()))
    listener = await asyncio.start_server(scripted.handle, "127.0.0.1", 0)
    scripted.port = listener.sockets[0].getsockname()[1]
    yield scripted
    listener.close()


def open_adapter(entry: Mapping[str, object], adapter_context: AdapterContext = SURROUNDINGS) -> Adapter:
    kind = adapter_type(str(entry["type"]))
    return kind.open("east", kind.settings.model_validate(entry), adapter_context)


QUESTION = ChatRequest([{"role": "user", "content": "6 × 7?"}])


async def ask(
    adapter: Adapter,
    spec: RouteSpec = RouteSpec(),  # noqa: B008 - frozen
    *,
    stream: bool = False,
    request: ChatRequest = QUESTION,
) -> ChatResponse:
    (instance,) = adapter.instances("m", spec)
    deadline = asyncio.get_running_loop().time() + 20
    request = replace(request, generation=replace(request.generation, stream=stream))
    try:
        return await adapter.complete(instance, request, request_id="sample/1/1", deadline=deadline)
    finally:
        await adapter.aclose()


LINES = {
    "v1": "POST /openai/v1/chat/completions ",
    "classic": "POST /openai/deployments/d%201/chat/completions?api-version=2024-10-21 ",
    "models": "POST /models/chat/completions?api-version=2024-05-01-preview ",
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("api", LINES)
async def test_each_api_of_azure_has_its_address(server: ScriptedServer, transport: str, api: str) -> None:
    endpoint = f"http://127.0.0.1:{server.port}"
    entry = {"type": "azure", "endpoint": endpoint, "api_key_env": "KEY", "api": api, "transport": transport}
    answer = await ask(open_adapter(entry), RouteSpec(deployments=["d 1"]))
    assert answer.text == "42"
    assert server.heads[-1].startswith(LINES[api])
    assert server.bodies[-1]["model"] == "d 1"
    assert server.header("api-key") == "secret-of-KEY-0123456789"
    assert server.header("authorization") is None


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_404_of_azure_names_the_forms_of_its_addresses(server: ScriptedServer, transport: str) -> None:
    server.script = says(http(error("Resource not found", code="404"), "404 Not Found"))
    entry = {
        "type": "azure", "endpoint": f"http://127.0.0.1:{server.port}", "api_key_env": "KEY", "transport": transport,
    }  # fmt: skip
    with pytest.raises(DeploymentMissing) as caught:
        await ask(open_adapter(entry))
    for form in ("called with api: v1", "/openai/v1", "/openai/deployments/", "services.ai.azure.com/models"):
        assert form in str(caught.value)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_404_of_another_server_asks_for_the_end_of_its_address(server: ScriptedServer, transport: str) -> None:
    server.script = says(http(orjson.dumps({"detail": "Not Found"}), "404 Not Found"))
    entry: dict[str, object] = {
        "type": "openai", "base_url": f"http://127.0.0.1:{server.port}", "transport": transport,
    }  # fmt: skip
    with pytest.raises(DeploymentMissing, match="base_url end with /v1"):
        await ask(open_adapter(entry))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_person_s_own_headers_are_sent_and_their_secrets_masked(server: ScriptedServer, transport: str) -> None:
    secret = "secret-of-ROUTE-0123456789"
    server.script = says(http(error(f"the route {secret} is closed"), "400 Bad Request"))
    entry = {
        "type": "openai", "base_url": f"http://127.0.0.1:{server.port}/v1", "api_key_env": "KEY",
        "headers": {"HTTP-Referer": "https://x.example", "extra-parameters": "pass-through"},
        "header_envs": {"X-Route-Key": "ROUTE"}, "transport": transport,
    }  # fmt: skip
    with pytest.raises(ProviderError, match=r"the route \*\*\* is closed") as caught:
        await ask(open_adapter(entry))
    assert secret not in caught.value.evidence.body
    assert server.header("http-referer") == "https://x.example"
    assert server.header("extra-parameters") == "pass-through"
    assert server.header("x-route-key") == secret
    assert server.header("authorization") == "Bearer secret-of-KEY-0123456789"
