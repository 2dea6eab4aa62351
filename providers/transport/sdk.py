"""The openai SDK as a transport, with its URLs, authentication and client. A call costs seven times as much as with `native`.

The package is imported on first use (0.5 s). Its retries are off, redirects are not followed, and it does not read the environment:
addresses come from the user's file, the proxy from the run. Answers are read by this project's decoders, because the SDK's have no size
limit. One difference remains: the SDK does not report whether a connection is new. A request that a closing server never read therefore
counts as an attempt here, where the native transport sends it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from ..credentials import SignInFailed
from ..errors import BODY_LIMIT, ConnectionLost, Evidence, Malformed, ProviderError
from ..masking import Masking
from ..messages import ChatRequest, ChatResponse, Timing
from ..provider import SYSTEM_TRUST, Trust
from ..route import Operation, Route, Timeouts
from ..wire.errors.refusals import classify_failure
from ..wire.operations.chat import is_event_stream
from ..wire.operations.generation import extra_fields
from ..wire.received import ERROR_BODY_BYTES, MAX_ANSWER_BYTES, Oversized, Received
from ..wire.streams.body import parse_json
from .aiohttp_errors import FOREIGN, map_transport_error
from .clock import CallClock
from .formats import FORMATS, Format
from .network import Proxy
from .request_ids import WHOLE_ID_HEADER, may_be_simulator, wire_id
from .tls import tls_context

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from openai._response import AsyncAPIResponse

_NO_KEY = "unused"
"""The SDK requires a key; every request carries the header of its credential instead, which may be a renewed token."""


class SdkTransport:
    """The transport of one provider on the SDK; implements Transport. Each route has a client, all clients share one connection pool."""

    def __init__(
        self,
        timeouts: Timeouts,
        connections: int | None = 0,
        trust: Trust = SYSTEM_TRUST,
        proxy: Proxy | None = None,
    ) -> None:
        self._timeouts = timeouts
        self._connections = connections or 0
        self._trust = trust
        self._proxy = proxy
        self._http: httpx2.AsyncClient | None = None
        self._clients: dict[str, AsyncOpenAI] = {}
        self._finishing: set[str] = set()
        """Instances whose streams name a finish reason."""

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and read its whole answer. Raises ProviderError and nothing else."""
        client = self._clients.get(route.instance.name) or self._open_client(route)
        try:
            headers, secret = _sign(route, request_id)
            if self._proxy and self._proxy.authorization and route.base_url.startswith("http://"):
                headers["Proxy-Authorization"] = self._proxy.authorization  # without a tunnel the request itself asks
        except SignInFailed as error:
            raise map_transport_error(error, Evidence(route.instance.name, request_id)) from error
        unread = Received(
            route.instance.name, request_id, request, 0, {}, masking=_masking((secret, *route.own_secrets()))
        )
        clock = CallClock(route.timeouts or self._timeouts, deadline, is_streamed=request.generation.stream)
        call = _SdkCall(unread, clock, self._finishing)
        _CALL.set(call)
        try:
            async with call.clock.timer:
                call.clock.connected()  # the SDK does not say when; its own connect timeout bounds that phase
                return await _exchange(client, route, headers, call)
        except _SdkRefusal as refusal:
            raise classify_failure(call.received) from refusal
        except _foreign_errors() as error:
            raise _explain(error, call) from error

    async def aclose(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.aclose()

    def _open_client(self, route: Route) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        http = self._http or self._open_http()
        query = {"api-version": route.api_version} if route.api_version else None
        client = AsyncOpenAI(
            base_url=route.base_url, api_key=_NO_KEY, max_retries=0, http_client=http, timeout=http.timeout,
            default_query=query,
        )  # fmt: skip
        return self._clients.setdefault(route.instance.name, client)

    def _open_http(self) -> httpx2.AsyncClient:
        """Open the HTTP client of the SDK, which uses aiohttp; 0 connections means no limit."""
        import httpx2
        from openai import DefaultAioHttpClient

        limits = httpx2.Limits(max_connections=self._connections, max_keepalive_connections=None, keepalive_expiry=15.0)
        timeout = httpx2.Timeout(None, connect=self._timeouts.connect_s)
        self._http = DefaultAioHttpClient(
            limits=limits, timeout=timeout, follow_redirects=False, trust_env=False, verify=tls_context(self._trust),
            event_hooks={"response": [_refuse_failures]}, proxy=_as_httpx(self._proxy) if self._proxy else None,
        )  # fmt: skip
        return self._http


def _as_httpx(proxy: Proxy) -> httpx2.Proxy:
    """Convert a proxy for the SDK's client. The authorization is in the proxy's headers, which only the proxy receives."""
    import httpx2

    headers = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    return httpx2.Proxy(proxy.shown, headers=headers)


@lru_cache(256)
def _masking(secrets: tuple[str, ...]) -> Masking:
    return Masking(secrets)


def _sign(route: Route, request_id: str) -> tuple[dict[str, object], str]:
    """Build the headers of one request; return them and the secret among them."""
    from openai import Omit

    headers: dict[str, object] = {
        **route.own_headers(),
        "OpenAI-Organization": Omit(),
        "OpenAI-Project": Omit(),
        "Authorization": Omit(),
        "api-key": Omit(),
        "x-request-id": wire_id(request_id),
        "x-client-request-id": wire_id(request_id),
    }
    if may_be_simulator(route.base_url):
        headers[WHOLE_ID_HEADER] = request_id
    if route.credential is None:
        return headers, ""
    name, value = route.credential.header(route.auth)
    return {**headers, name: value}, value.removeprefix("Bearer ")


@dataclass(slots=True)
class _SdkCall:
    """One call and what was received so far, which is the evidence where the answer breaks off."""

    received: Received
    clock: CallClock
    finishing: set[str]

    def heard(self, piece: bytes) -> None:
        if len(self.received.body) < BODY_LIMIT:
            self.received = replace(self.received, body=self.received.body + piece[:BODY_LIMIT])

    def evidence(self) -> Evidence:
        received = self.received
        return received.evidence() if received.status else Evidence(received.instance, received.request_id)


_CALL: ContextVar[_SdkCall] = ContextVar("_CALL")
"""The call of the current task, which the HTTP client's hook reads."""


async def _refuse_failures(response: httpx2.Response) -> None:
    """Raise _SdkRefusal for a status other than 2xx. A hook of the HTTP client, because the SDK would read an error page of any length."""
    call = _CALL.get()
    call.received = replace(call.received, status=response.status_code, headers=response.headers)
    if 200 <= response.status_code < 300:
        return
    body = b""
    pieces = response.aiter_bytes()
    while len(body) < ERROR_BODY_BYTES and (piece := await _read_tail(pieces, call.clock)):
        call.clock.heard(call.clock.now())
        body += piece
    call.received = replace(call.received, body=body)
    raise _SdkRefusal(f"HTTP {response.status_code}")


class _SdkRefusal(Exception):
    """A status other than 2xx; raised in the hook and caught outside the SDK."""


async def _exchange(client: AsyncOpenAI, route: Route, headers: dict[str, object], call: _SdkCall) -> ChatResponse:
    # The payload has the shape of the wire, which is wider than the SDK's signature.
    create = cast(
        "Callable[..., AbstractAsyncContextManager[AsyncAPIResponse[object]]]",
        (client.chat.completions if route.operation == "chat" else client.responses).with_streaming_response.create,
    )
    request, clock = call.received.request, call.clock
    named, other = _split(FORMATS[route.operation].build_standard(route, request), route.operation)
    async with create(**named, extra_headers=headers, extra_body={**other, **(extra_fields(request) or {})}) as answer:
        response = answer.http_response
        if is_event_stream(response.headers.get("content-type", ""), request):
            return await _read_stream(response, FORMATS[route.operation], call)
        clock.heard(clock.now())
        received = replace(call.received, body=await _read_body(response, call))
        return _read_whole(received, FORMATS[route.operation], clock)


def _split(payload: dict[str, object], operation: Operation) -> tuple[dict[str, object], dict[str, object]]:
    """Split a payload into the SDK method's named arguments and the rest: its signature for responses lacks fields of servers."""
    if operation == "chat":
        return payload, {}
    named = {name: value for name, value in payload.items() if name in {"model", "input", "stream"}}
    return named, {name: value for name, value in payload.items() if name not in named}


def _read_whole(received: Received, form: Format, clock: CallClock) -> ChatResponse:
    ended_at = clock.now()
    body = parse_json(received)
    timing = Timing(clock.connect_s, None, ended_at - clock.sent_at, parse_s=clock.now() - ended_at)
    return form.read(body, received, timing)


async def _read_body(response: httpx2.Response, call: _SdkCall) -> bytes:
    pieces: list[bytes] = []
    length = 0
    async for piece in response.aiter_bytes():
        call.heard(piece)
        call.clock.heard(call.clock.now())
        pieces.append(piece)
        length += len(piece)
        if length > MAX_ANSWER_BYTES:
            raise Oversized(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MB")
    return b"".join(pieces)


async def _read_stream(response: httpx2.Response, form: Format, call: _SdkCall) -> ChatResponse:
    clock = call.clock
    assembler = form.assemble(call.received, clock.sent_at, call.finishing)
    pieces = response.aiter_bytes()
    while piece := await (_read_tail(pieces, clock) if assembler.has_finished else anext(pieces, b"")):
        now = clock.now()
        call.heard(piece)
        assembler.feed(piece, now)
        if assembler.first_token_at is not None:
            clock.heard(now)
    return assembler.finish(clock.connect_s)


async def _read_tail(pieces: AsyncIterator[bytes], clock: CallClock) -> bytes:
    """Read optional data after the finish reason or the error status; return b"" at the end, on an error and after a pause."""
    with suppress(*_foreign_errors()):
        async with clock.tail():
            return await anext(pieces, b"")
    return b""


def _foreign_errors() -> tuple[type[Exception], ...]:
    """List the errors of the SDK and its HTTP client; it raises ValueError where an event is not JSON or not UTF-8."""
    import httpx2
    from openai import OpenAIError

    return (*FOREIGN, OpenAIError, httpx2.HTTPError, ValueError)


def _explain(error: Exception, call: _SdkCall) -> ProviderError:
    import httpx2

    evidence = call.evidence()
    if call.clock.expired:
        return call.clock.timed_out(evidence)
    for cause in _causes(error):
        if isinstance(cause, FOREIGN):
            return map_transport_error(cause, evidence)
        if isinstance(cause, ValueError | httpx2.DecodingError):
            return Malformed(f"{evidence.instance}: the answer is damaged or not JSON", evidence)
    return ConnectionLost(f"{evidence.instance}: the connection broke ({type(error).__name__})", evidence)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes: the SDK wraps httpx2, which wraps aiohttp and reports a reset as a timeout."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
