"""Errors as real endpoints sent them, through both transports: each is what a right client makes of it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from providers.credentials import ApiKey
from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest
from providers.provider import Transport
from providers.route import Route, Timeouts
from providers.transport.native import NativeTransport
from providers.transport.sdk import SdkTransport
from tests.integration.faults.answers import http
from tests.integration.faults.server import serving

WIRE = Path(__file__).parents[3].parent / "shared" / "data" / "wire"
RECORDED: dict[str, dict[str, Any]] = {
    path.stem: recorded
    for path in sorted(WIRE.glob("*.json"))
    if (recorded := json.loads(path.read_bytes()))["truth"]["kind"] == "error"
}

pytestmark = pytest.mark.skipif(
    not RECORDED, reason=f"{WIRE} is not there: recorded exchanges are no part of the project"
)

CLASSES = {"model failure": "InvalidToolCall", "configuration fault": "Refused"}
"""How a truth that names no class is to be read."""


def truth_of(recorded: dict[str, Any]) -> tuple[str, float | None]:
    """The class of the error, and the wait that it asks for where the truth says one."""
    words: str = recorded["truth"]["class"]
    wait = re.search(r"wait (\d+) s", words)
    named = re.split(r"[,:(]", words)[0].strip()
    return CLASSES.get(named, named), float(wait[1]) if wait else None


def as_sent(recorded: dict[str, Any]) -> bytes:
    headers = {name: value for name, value in recorded["headers"].items() if name.lower() != "content-type"}
    kind = next(
        (value for name, value in recorded["headers"].items() if name.lower() == "content-type"), "application/json"
    )
    return http(recorded["body"].encode(), f"{recorded['status']} Whatever", kind, **headers)


async def error_of(transport: Transport, port: int) -> ProviderError:
    route = Route(
        Instance("p/m", "m", "m", "p", "p/m"), f"http://127.0.0.1:{port}/v1", ApiKey("K", "sk-0123456789abcdef")
    )
    request = ChatRequest([{"role": "user", "content": "6 × 7?"}])
    deadline = asyncio.get_running_loop().time() + 30.0
    with pytest.raises(ProviderError) as caught:
        await transport.send(route, request, request_id="s/1/1", deadline=deadline)
    return caught.value


@pytest.mark.parametrize("kind", [NativeTransport, SdkTransport])
@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_error_is_what_it_was(name: str, kind: type[NativeTransport] | type[SdkTransport]) -> None:
    recorded = RECORDED[name]
    expected, wait_s = truth_of(recorded)
    transport = kind(Timeouts(connect_s=20.0, first_token_s=20.0, between_tokens_s=20.0))
    async with serving({"m": [(as_sent(recorded),)]}) as server:
        error = await error_of(transport, server.port)
        await transport.aclose()
    assert type(error).__name__ == expected
    assert error.evidence.status == recorded["status"]
    if wait_s is not None:
        assert error.retry_after_s == wait_s
    assert error.evidence.body == recorded["body"][:4096]
