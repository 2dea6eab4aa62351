"""The simulator without its socket: the same quotas, laws, faults and bodies, on whatever loop runs, a virtual one too.

What a caller sees is what a transport would have made of the server's bytes: the same responses, the same errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ..errors import ConnectionLost, Evidence, ProviderError, TimedOut
from ..instance import Instance
from ..messages import ChatRequest, ChatResponse, Timing
from ..transport.wire import read_completion
from ..wire.received import Received, parse_json
from ..wire.refusals import classify_failure
from .answers import AnswerSource
from .bodies import whole_body
from .completion import Call, Reply, count_input_tokens, decide_reply
from .dialects import AZURE, OPENAI, Dialect, ErrorAnswer
from .endpoint import DEPLOYMENT_KEY, Directory, Endpoint
from .latency import draw_noise
from .settings import SimulatorSettings

ROUND_TRIP_S = 0.002
"""What a refusal takes on loopback."""


Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    instance: Instance
    call: Call
    endpoint: Endpoint
    dialect: Dialect

    def received(self, status: int, body: bytes, headers: Mapping[str, str]) -> Received:
        return Received(self.instance.name, self.call.request_id, self.call.request, status, headers, body)

    def failure(self, error: ErrorAnswer, headers: Mapping[str, str]) -> ProviderError:
        return classify_failure(self.received(error.status, orjson.dumps(error.body), headers))

    def lost(self) -> ConnectionLost:
        evidence = Evidence(self.instance.name, self.call.request_id)
        return ConnectionLost(f"{self.instance.name}: the connection broke", evidence)


class InProcessSimulator:
    """Sends like a Provider. `places` says where an instance, by name, is found: the key's name, and the deployment or model."""

    def __init__(self, settings: SimulatorSettings, answers: AnswerSource, places: Mapping[str, Place]) -> None:
        self._settings = settings
        self._answers = answers
        self._directory = Directory(settings, {key: key for key in (*settings.keys, DEPLOYMENT_KEY)})
        self._places = places

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        call = Call(request_id, on.deployment, request, wants_usage=True, input_tokens=count_input_tokens(request))
        endpoint = self._directory.find(*self._places[on.name])
        if isinstance(endpoint, str):
            denied = OPENAI.denied(endpoint, on.deployment)
            raise classify_failure(Received(on.name, request_id, request, denied.status, {}, orjson.dumps(denied.body)))
        asked = _Asked(on, call, endpoint, AZURE if endpoint.settings.dialect == "azure" else OPENAI)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._pass_gate(asked)
        except TimeoutError as error:
            evidence = Evidence(on.name, request_id)
            raise TimedOut(f"{on.name}: no answer in time", evidence, stage="attempt") from error

    def close(self) -> None:
        self._directory.close()

    async def _pass_gate(self, asked: _Asked) -> ChatResponse:
        endpoint, used_tokens = asked.endpoint, 0
        barred = await endpoint.admit(asked.call.estimated_tokens)
        if barred is not None:
            await asyncio.sleep(ROUND_TRIP_S)
            raise asked.lost() if barred == "dead" else asked.failure(*endpoint.refusal(barred, asked.dialect))
        try:
            reply = decide_reply(asked.call, endpoint, self._answers, self._settings.seed)
            response = await self._answer(asked, reply)
            used_tokens = reply.input_tokens + reply.output_tokens
        finally:
            endpoint.gate.leave(used_tokens)
        return response

    async def _answer(self, asked: _Asked, reply: Reply) -> ChatResponse:
        loop = asyncio.get_running_loop()
        headers, since, endpoint = asked.endpoint.limits(), loop.time(), asked.endpoint
        latency = endpoint.settings.latency
        factor = draw_noise(self._settings.seed, asked.call.request_id, latency.noise)
        if reply.fault == "stall":
            await asyncio.sleep(endpoint.faults.stall_s)
        fails_early = reply.fault in {"error_500", "reset"}
        first_s = latency.ttft_s * factor
        await _spend(endpoint, first_s if fails_early else first_s + latency.itl_s * factor * reply.output_tokens)
        if reply.fault in {"reset", "early_end"}:
            raise asked.lost()
        if reply.fault == "error_500":
            raise asked.failure(asked.dialect.server_error(), headers)
        if reply.fault == "content_filter" and asked.dialect.filters_by_status:
            raise asked.failure(asked.dialect.filtered(), headers)
        received = asked.received(200, whole_body(reply, asked.dialect), headers)
        ttft_s = first_s if asked.call.request.stream else None
        return read_completion(parse_json(received), received, Timing(0.0, ttft_s, loop.time() - since))


async def _spend(endpoint: Endpoint, service_s: float) -> None:
    work = endpoint.service.begin([service_s])
    try:
        await work.reach(0)
    finally:
        work.leave()
