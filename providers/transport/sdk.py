"""The openai SDK as a transport: its URLs, its signing, its stream decoder. Seven times the price of `native`, which is checked against it.

The package is imported on first use (half a second). Its retries are off, redirects are not followed, proxies and organisations from the
environment are not used: what goes where is written in the user's file. One difference remains: the SDK keeps `[DONE]` to itself, so a
stream that names no finish reason has ended early here, where the native transport takes it as finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ..credentials import SignInFailed
from ..errors import ConnectionLost, Evidence, Malformed, ProviderError
from ..messages import ChatRequest, ChatResponse, Timing
from ..provider import Route, Timeouts
from .clock import CallClock
from .failures import classify_error_body, classify_failure
from .foreign import FOREIGN, map_transport_error
from .received import ERROR_BODY_BYTES, MAX_ANSWER_BYTES, Oversized, Received, as_body, parse_json
from .sse import StreamAssembler
from .wire import build_standard_payload, is_event_stream, read_completion

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI, AsyncStream
    from openai._response import AsyncAPIResponse
    from openai.types.chat import ChatCompletionChunk

_NO_KEY = "unused"
"""The SDK wants a key; every request carries its own header instead, renewed where it is a token."""


class SdkTransport:
    """The wire of one provider; implements Transport. One SDK client per route, one pool of connections for all."""

    def __init__(self, timeouts: Timeouts, connections: int | None = 0, *, verify_tls: bool = True) -> None:
        self._timeouts = timeouts
        self._connections = connections or 0
        self._verify_tls = verify_tls
        self._http: httpx2.AsyncClient | None = None
        self._clients: dict[str, AsyncOpenAI] = {}

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request and read its whole answer. Raises ProviderError and nothing else."""
        client = self._clients.get(route.instance.name) or self._open_client(route)
        try:
            headers, secret = _sign(route, request_id)
        except SignInFailed as error:
            raise map_transport_error(error, Evidence(route.instance.name, request_id)) from error
        unread = Received(route.instance.name, request_id, request, 0, {}, secret=secret)
        payload = build_standard_payload(route, request)
        clock = CallClock(self._timeouts, deadline)
        try:
            async with clock.timer:
                clock.connected()  # the SDK does not say when; its own connect timeout bounds that phase
                return await _exchange(client, payload, headers, unread, clock)
        except _Refused as refusal:
            response = refusal.response
            answer = replace(unread, status=response.status_code, headers=response.headers, body=refusal.body)
            raise classify_failure(answer) from refusal
        except _foreign_errors() as error:
            raise _explain(error, unread, clock) from error

    async def aclose(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.aclose()

    def _open_client(self, route: Route) -> AsyncOpenAI:
        from openai import AsyncAzureOpenAI, AsyncOpenAI

        http = self._http or self._open_http()
        timeout = http.timeout
        if route.api_version:
            client: AsyncOpenAI = AsyncAzureOpenAI(
                base_url=route.base_url, api_version=route.api_version, api_key=_NO_KEY,
                max_retries=0, http_client=http, timeout=timeout,
            )  # fmt: skip
        else:
            client = AsyncOpenAI(
                base_url=route.base_url, api_key=_NO_KEY, max_retries=0, http_client=http, timeout=timeout
            )
        return self._clients.setdefault(route.instance.name, client)

    def _open_http(self) -> httpx2.AsyncClient:
        """aiohttp below the SDK; 0 connections means no limit to it."""
        import httpx2
        from openai import DefaultAioHttpClient

        limits = httpx2.Limits(max_connections=self._connections, max_keepalive_connections=None, keepalive_expiry=15.0)
        timeout = httpx2.Timeout(None, connect=self._timeouts.connect_s)
        self._http = DefaultAioHttpClient(
            limits=limits, timeout=timeout, follow_redirects=False, trust_env=False, verify=self._verify_tls,
            event_hooks={"response": [_refuse_failures]},
        )  # fmt: skip
        return self._http


def _sign(route: Route, request_id: str) -> tuple[dict[str, object], str]:
    """The headers of one request, and the secret among them."""
    from openai import Omit

    headers: dict[str, object] = {
        **route.headers,
        "OpenAI-Organization": Omit(),
        "OpenAI-Project": Omit(),
        "Authorization": Omit(),
        "api-key": Omit(),
        "x-request-id": request_id,
        "x-client-request-id": request_id,
    }
    if route.credential is None:
        return headers, ""
    name, value = route.credential.header(route.auth)
    return {**headers, name: value}, value.removeprefix("Bearer ")


async def _refuse_failures(response: httpx2.Response) -> None:
    """Called by the HTTP client as soon as the headers are there: the SDK would read an error page to its end, however long."""
    if not 200 <= response.status_code < 300:
        raise _Refused(response, await _read_body(response, ERROR_BODY_BYTES))


class _Refused(Exception):
    """An answer other than 2xx, on its way past the SDK."""

    def __init__(self, response: httpx2.Response, body: bytes) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response
        self.body = body


async def _exchange(
    client: AsyncOpenAI, payload: dict[str, object], headers: dict[str, object], unread: Received, clock: CallClock
) -> ChatResponse:
    # The payload has the shape of the wire, which is wider than the SDK's signature.
    create = cast(
        "Callable[..., AbstractAsyncContextManager[AsyncAPIResponse[object]]]",
        client.chat.completions.with_streaming_response.create,
    )
    async with create(**payload, extra_headers=headers, extra_body=unread.request.extra_body) as answer:
        response = answer.http_response
        received = replace(unread, status=response.status_code, headers=response.headers)
        if unread.request.stream and is_event_stream(response.headers.get("content-type", ""), unread.request):
            return await _read_stream(cast("AsyncStream[ChatCompletionChunk]", await answer.parse()), received, clock)
        clock.heard(clock.now())
        received = replace(received, body=await _read_body(response, MAX_ANSWER_BYTES + 1))
        if len(received.body) > MAX_ANSWER_BYTES:
            raise Oversized(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MB")
        return _read_whole(received, clock)


def _read_whole(received: Received, clock: CallClock) -> ChatResponse:
    ended_at = clock.now()
    body = parse_json(received)
    timing = Timing(clock.connect_s, None, ended_at - clock.sent_at, parse_s=clock.now() - ended_at)
    return read_completion(body, received, timing)


async def _read_body(response: httpx2.Response, limit: int) -> bytes:
    pieces: list[bytes] = []
    length = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        length += len(piece)
        if length >= limit:
            break
    return b"".join(pieces)[:limit]


async def _read_stream(stream: AsyncStream[ChatCompletionChunk], received: Received, clock: CallClock) -> ChatResponse:
    from openai import APIConnectionError, APIError

    assembler = StreamAssembler(received, clock.sent_at)
    try:
        async for chunk in stream:
            now = clock.now()
            assembler.add(chunk.to_dict(warnings=False), now)
            if assembler.first_token_at is not None:
                clock.heard(now)
    except APIConnectionError:
        raise
    except APIError as error:  # how the SDK reports an error object inside a stream
        body = error.body if isinstance(error.body, Mapping) else {"message": error.message}
        raise classify_error_body({"error": body}, replace(received, body=as_body({"error": body}))) from error
    return assembler.finish(clock.connect_s)


def _foreign_errors() -> tuple[type[Exception], ...]:
    """ValueError is what the SDK lets through where an event is not JSON or not UTF-8."""
    import httpx2
    from openai import OpenAIError

    return (*FOREIGN, OpenAIError, httpx2.HTTPError, ValueError)


def _explain(error: Exception, unread: Received, clock: CallClock) -> ProviderError:
    import httpx2

    evidence = Evidence(unread.instance, unread.request_id)
    if clock.expired:
        return clock.timed_out(evidence)
    for cause in _causes(error):
        if isinstance(cause, FOREIGN):
            return map_transport_error(cause, evidence)
        if isinstance(cause, ValueError | httpx2.DecodingError):
            return Malformed(f"{unread.instance}: the answer is damaged or not JSON", evidence)
    return ConnectionLost(f"{unread.instance}: the connection broke ({type(error).__name__})", evidence)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies under it: the SDK wraps httpx2, which wraps aiohttp and calls a reset a timeout."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
