"""The simulator without a socket: the same quotas, latencies, faults and bodies, on any running loop, also one with virtual time.

A caller gets the same responses and errors that a transport would read from the server's bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from ..errors import ConnectionLost, Evidence, ProviderError, TimedOut
from ..instance import Instance
from ..messages import ChatRequest, ChatResponse, Timing
from ..route import Route
from ..wire.errors.refusals import classify_failure
from ..wire.operations.chat import build_payload, read_completion
from ..wire.received import Received
from ..wire.streams.body import parse_json
from ..wire.streams.stream import StreamAssembler
from .answers.source import AnswerSource
from .completion import decide_reply
from .endpoint import DEPLOYMENT_KEY, Closed, Endpoint, EndpointRegistry, denial
from .limits.latency import draw_extra_s, draw_noise
from .limits.quota import QuotaRefusal
from .protocol.bodies import whole_body
from .protocol.calls import SimulatedCall, SimulatedReply, count_input_tokens
from .protocol.dialects import AZURE, OPENAI, Dialect, ErrorAnswer
from .protocol.refused_requests import find_request_error
from .protocol.streams import write_script
from .settings.protocol import QuirkSettings
from .settings.provider import SimulatorSettings

ROUND_TRIP_S = 0.002
"""Duration of a refusal on loopback."""


DEFAULT_QUIRKS = QuirkSettings()

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _InProcessRequest:
    instance: Instance
    call: SimulatedCall
    endpoint: Endpoint
    dialect: Dialect

    def received(self, status: int, body: bytes, headers: Mapping[str, str]) -> Received:
        """Build the response as a transport would receive it."""
        return Received(self.instance.name, self.call.request_id, self.call.request, status, headers, body)

    def failure(self, error: ErrorAnswer, headers: Mapping[str, str]) -> ProviderError:
        """Classify an error as a transport would."""
        return classify_failure(self.received(error.status, orjson.dumps(error.body), headers))

    def refusal(self, barred: Closed | QuotaRefusal) -> tuple[ErrorAnswer, dict[str, str]]:
        """Build the error and the headers of a request that is not admitted."""
        return self.endpoint.refusal(barred, self.dialect, self.call.request_id)

    def read(self, reply: SimulatedReply, headers: Mapping[str, str], timing: Timing) -> ChatResponse:
        """Read the answer as a transport would. Events are written only where they differ from a whole body in content."""
        settings = self.endpoint.settings
        is_plain = settings.reasoning is None and settings.quirks == DEFAULT_QUIRKS
        if is_plain or not self.call.request.generation.stream:
            received = self.received(200, whole_body(reply, self.dialect, settings), headers)
            return read_completion(parse_json(received), received, timing)
        script = write_script(reply, self.dialect, settings, wants_usage=True)
        assembler = StreamAssembler(self.received(200, b"", headers), sent_at=0.0)
        assembler.feed(script.whole(), now=timing.generation_s)
        return replace(assembler.finish(connect_s=0.0), timing=timing)

    def lost(self) -> ConnectionLost:
        """Build the error of a connection that broke."""
        evidence = Evidence(self.instance.name, self.call.request_id)
        return ConnectionLost(f"{self.instance.name}: the connection broke", evidence)


class InProcessSimulator:
    """A provider without a transport.

    `places` maps an instance's name to the name of its key and its deployment or model.
    """

    def __init__(self, settings: SimulatorSettings, answers: AnswerSource, places: Mapping[str, Place]) -> None:
        self._settings = settings
        self._answers = answers
        self._registry = EndpointRegistry(settings, {key: key for key in (*settings.keys, DEPLOYMENT_KEY)})
        self._places = places

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Answer one request. Raises ProviderError and nothing else."""
        endpoint = self._registry.find(*self._places[on.name])
        if isinstance(endpoint, str):
            denied = denial(self._settings, endpoint, on.deployment, OPENAI)
            raise classify_failure(Received(on.name, request_id, request, denied.status, {}, orjson.dumps(denied.body)))
        fields = build_payload(Route(on, "", None), request)
        input_tokens = count_input_tokens(request)
        call = SimulatedCall(
            request_id, on.deployment, request, wants_usage=True, input_tokens=input_tokens, fields=fields
        )
        incoming = _InProcessRequest(on, call, endpoint, AZURE if endpoint.settings.dialect == "azure" else OPENAI)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._pass_gate(incoming)
        except TimeoutError as error:
            evidence = Evidence(on.name, request_id)
            raise TimedOut(f"{on.name}: no answer in time", evidence, stage="attempt") from error

    def close(self) -> None:
        """Stop the timers of all endpoints."""
        self._registry.close()

    async def _pass_gate(self, incoming: _InProcessRequest) -> ChatResponse:
        endpoint, used_tokens = incoming.endpoint, 0
        barred = await endpoint.admit(incoming.call.estimated_tokens)
        if barred is not None:
            await asyncio.sleep(ROUND_TRIP_S)
            raise incoming.lost() if barred == "dead" else incoming.failure(*incoming.refusal(barred))
        try:
            error = find_request_error(incoming.call, endpoint.settings, incoming.dialect)
            if error is not None:
                await asyncio.sleep(ROUND_TRIP_S)
                raise incoming.failure(error, endpoint.limits())
            reply = decide_reply(incoming.call, endpoint, self._answers, self._settings.seed)
            response = await self._answer(incoming, reply)
            used_tokens = reply.input_tokens + reply.output_tokens
        finally:
            endpoint.gate.leave(used_tokens)
        return response

    async def _answer(self, incoming: _InProcessRequest, reply: SimulatedReply) -> ChatResponse:
        loop = asyncio.get_running_loop()
        headers, since, endpoint = incoming.endpoint.limits(), loop.time(), incoming.endpoint
        latency = endpoint.settings.latency
        factor = draw_noise(self._settings.seed, incoming.call.request_id, latency.noise)
        if reply.fault == "stall":
            await asyncio.sleep(endpoint.faults.stall_s)
        fails_early = reply.fault in {"error_500", "reset"}
        extra_s = 0.0 if fails_early else draw_extra_s(self._settings.seed, incoming.call.request_id, latency)
        first_s = (latency.ttft_s + extra_s) * factor
        await _spend(endpoint, first_s if fails_early else first_s + latency.itl_s * factor * reply.output_tokens)
        if reply.fault in {"reset", "early_end"}:
            raise incoming.lost()
        if reply.fault == "error_500":
            raise incoming.failure(incoming.dialect.server_error(reply.error), headers)
        if reply.fault == "content_filter" and incoming.dialect.filters_by_status:
            raise incoming.failure(incoming.dialect.filtered(), headers)
        ttft_s = first_s if incoming.call.request.generation.stream else None
        return incoming.read(reply, headers, Timing(0.0, ttft_s, loop.time() - since))


async def _spend(endpoint: Endpoint, service_s: float) -> None:
    work = endpoint.service.begin([service_s])
    try:
        await work.reach(0)
    finally:
        work.leave()
