"""The simulator's HTTP routes: they find the endpoint of a request, check its quota, perform the exchange and log the result.

The order is that of the real services: key, then deployment, then quota; faults apply only to admitted requests.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from .completion import decide_reply
from .endpoint import Closed, Endpoint, EndpointRegistry, denial
from .exchange import SimulatedExchange, cut_connection, error_response
from .log import AnswerLog, AnswerLogEntry
from .protocol.calls import SimulatedCall, SimulatedReply, read_call
from .protocol.dialects import AZURE, OPENAI, RESOURCE_NOT_FOUND, Dialect, ErrorAnswer
from .protocol.refused_requests import find_request_error

if TYPE_CHECKING:
    from .answers.source import AnswerSource
    from .limits.quota import QuotaRefusal
    from .settings.provider import SimulatorSettings

REQUEST_ID_HEADERS = ("x-orchestrator-request", "x-request-id", "x-client-request-id", "x-ms-client-request-id")
LARGEST_BODY = 64 * 1024**2
CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A request whose body has not been read yet."""

    http: web.Request
    dialect: Dialect
    request_id: str
    key: str | None

    def log_entry(self, deployment: str) -> AnswerLogEntry:
        """Create the log entry of this request."""
        return AnswerLogEntry(self.request_id, deployment, self.key)


class SimulatorApp:
    """The HTTP application of a simulated provider."""

    def __init__(
        self,
        registry: EndpointRegistry,
        answers: AnswerSource,
        log: AnswerLog,
        settings: SimulatorSettings,
        *,
        logs_text: bool,
    ) -> None:
        self._registry = registry
        self._answers = answers
        self._log = log
        self._settings = settings
        self._seed = settings.seed
        self._logs_text = logs_text
        self._anonymous = 0

    def routes(self) -> list[web.RouteDef]:
        """List the URLs of the provider."""
        return [
            web.post("/v1/chat/completions", self._chat_openai),
            web.post("/openai/deployments/{deployment}/chat/completions", self._chat_azure),
            web.post("/openai/v1/chat/completions", self._chat_azure),
            web.get("/v1/models", self._models),
            web.get("/openai/v1/models", self._models),
            web.get("/openai/models", self._models),
            web.get("/healthz", _healthz),
        ]

    async def _chat_openai(self, http: web.Request) -> web.StreamResponse:
        return await self._chat(self._receive(http, OPENAI), None)

    async def _chat_azure(self, http: web.Request) -> web.StreamResponse:
        deployment = http.match_info.get("deployment")
        incoming = self._receive(http, AZURE)
        if deployment is not None and "api-version" not in http.query:
            return self._decline(incoming.log_entry(deployment), RESOURCE_NOT_FOUND)
        return await self._chat(incoming, deployment)

    def _receive(self, http: web.Request, dialect: Dialect) -> _Incoming:
        sent_ids = (http.headers.get(name) for name in REQUEST_ID_HEADERS)
        request_id = next((sent_id for sent_id in sent_ids if sent_id), None)
        if request_id is None:
            self._anonymous += 1
            request_id = f"anonymous-{self._anonymous}/1/1"
        return _Incoming(http, dialect, request_id, self._registry.key_name(_secret(http)))

    async def _chat(self, incoming: _Incoming, deployment: str | None) -> web.StreamResponse:
        try:
            call = read_call(await incoming.http.read(), incoming.request_id, deployment)
        except ValueError as error:
            return self._decline(incoming.log_entry(deployment or ""), incoming.dialect.bad_request(str(error)))
        endpoint = self._registry.find(incoming.key, call.name)
        if isinstance(endpoint, str):
            denied = denial(self._settings, endpoint, call.name, incoming.dialect)
            return self._decline(incoming.log_entry(call.name), denied)
        return await self._pass_gate(incoming, call, endpoint)

    async def _pass_gate(self, incoming: _Incoming, call: SimulatedCall, endpoint: Endpoint) -> web.StreamResponse:
        entry = incoming.log_entry(call.name)
        used_tokens, entered = 0, False
        try:
            barred = await endpoint.admit(call.estimated_tokens)
            if barred is not None:
                return self._turn_away(incoming, endpoint, barred)
            entered = True
            error = find_request_error(call, endpoint.settings, incoming.dialect)
            if error is not None:
                return self._decline(entry, error, endpoint.limits())
            reply = decide_reply(call, endpoint, self._answers, self._seed)
            headers = {**endpoint.limits(), "x-request-id": call.request_id}
            exchange = SimulatedExchange(incoming.http, call, reply, endpoint, incoming.dialect, headers)
            response = await exchange.perform(self._seed)
            used_tokens = reply.input_tokens + reply.output_tokens
            self._record(entry, reply, response.status)
        except asyncio.CancelledError:
            self._record_gone(entry)
            raise
        except ConnectionError:
            self._record_gone(entry)
            return web.Response(status=CLIENT_CLOSED_REQUEST)  # not sent: the transport is closed
        finally:
            if entered:
                endpoint.gate.leave(used_tokens)
        return response

    def _turn_away(self, incoming: _Incoming, endpoint: Endpoint, barred: Closed | QuotaRefusal) -> web.Response:
        entry = incoming.log_entry(endpoint.name)
        if barred == "dead":
            self._log.write(entry)
            return cut_connection(incoming.http)
        return self._decline(entry, *endpoint.refusal(barred, incoming.dialect, incoming.request_id))

    def _decline(
        self, entry: AnswerLogEntry, error: ErrorAnswer, headers: dict[str, str] | None = None
    ) -> web.Response:
        entry.status = error.status
        self._log.write(entry)
        return error_response(error, {**(headers or {}), "x-request-id": entry.request_id})

    def _record(self, entry: AnswerLogEntry, reply: SimulatedReply, status: int) -> None:
        entry.status = None if reply.fault == "reset" else status
        entry.right, entry.fault, entry.corruption = reply.right, reply.fault, reply.corruption
        entry.response_id = reply.response_id if entry.status == 200 else None
        entry.tokens = reply.input_tokens + reply.output_tokens if entry.status == 200 else 0
        entry.text = reply.text if self._logs_text else None
        self._log.write(entry)

    def _record_gone(self, entry: AnswerLogEntry) -> None:
        entry.status = CLIENT_CLOSED_REQUEST
        self._log.write(entry)

    async def _models(self, http: web.Request) -> web.Response:
        incoming = self._receive(http, OPENAI if http.path.startswith("/v1") else AZURE)
        if incoming.key is None:
            return error_response(denial(self._settings, "unauthorized", "", incoming.dialect), {})
        entries = [
            {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}
            for name in self._registry.models(incoming.key)
        ]
        return web.json_response({"object": "list", "data": entries})


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def _secret(http: web.Request) -> str | None:
    """Read the secret from the header `api-key` or `Authorization: Bearer`."""
    key = http.headers.get("api-key")
    if key:
        return key
    scheme, _, token = http.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else None
