"""Replies of one simulated endpoint, decided and written without a server: what several tests of this folder look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from providers.messages import ChatRequest, ToolCall
from providers.simulator.answers.source import SimulatedAnswer
from providers.simulator.completion import decide_reply
from providers.simulator.endpoint import DEPLOYMENT_KEY, Endpoint, EndpointRegistry
from providers.simulator.protocol.bodies import whole_body
from providers.simulator.protocol.calls import SimulatedCall, SimulatedReply, read_call
from providers.simulator.protocol.dialects import OPENAI
from providers.simulator.protocol.streams import write_script
from providers.simulator.settings.provider import SimulatorSettings

QUESTION = [{"role": "user", "content": "What is two plus two?"}]
ADD: ToolCall = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}
NOW: ToolCall = {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}}


@dataclass(frozen=True)
class Says:
    """An answer source that always says the same."""

    answer_given: SimulatedAnswer

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        return self.answer_given


def endpoint(**settings: Any) -> Endpoint:
    """The deployment m of a provider that has no other."""
    provider = SimulatorSettings.model_validate({"deployments": {"m": settings}})
    found = EndpointRegistry(provider, {DEPLOYMENT_KEY: "secret"}).find(DEPLOYMENT_KEY, "m")
    assert isinstance(found, Endpoint)
    return found


def call(request_id: str = "s/1/1", **body: Any) -> SimulatedCall:
    """A request to m whose body has these fields."""
    return read_call(orjson.dumps({"model": "m", "messages": QUESTION, **body}), request_id, None)


def reply(
    place: Endpoint, text: str = "Four.", calls: tuple[ToolCall, ...] = (), request_id: str = "s/1/1", **body: Any
) -> SimulatedReply:
    return decide_reply(call(request_id, **body), place, Says(SimulatedAnswer(text, calls)), seed=0)


def whole(text: str = "Four.", calls: tuple[ToolCall, ...] = (), **settings: Any) -> Any:
    """A whole answer of an endpoint with these settings, parsed."""
    place = endpoint(**settings)
    return json.loads(whole_body(reply(place, text, calls), OPENAI, place.settings))


def stream(
    text: str = "Four.", calls: tuple[ToolCall, ...] = (), *, wants_usage: bool = True, **settings: Any
) -> bytes:
    """A streamed answer of an endpoint with these settings, as bytes."""
    place = endpoint(**settings)
    return write_script(reply(place, text, calls), OPENAI, place.settings, wants_usage=wants_usage).whole()


def chunks(data: bytes) -> list[Any]:
    """The events of a stream without [DONE]."""
    lines = [line.removeprefix("data: ") for line in data.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def deltas(data: bytes) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(data) if chunk["choices"]]
