"""One suite for both transports, against a server that speaks raw bytes: whatever it does, both see the same."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate

import orjson
import pytest

from providers.credentials import ApiKey, EntraToken, SignInFailed
from providers.errors import (
    AuthFailed,
    ConnectionLost,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    Empty,
    Malformed,
    OutOfQuota,
    ProviderError,
    Refused,
    ServerFault,
    Throttled,
    TimedOut,
    Truncated,
    Unreachable,
)
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Generation, Timing
from providers.provider import Transport
from providers.route import Route, Timeouts
from providers.transport.native import NativeTransport
from providers.transport.sdk import SdkTransport
from tests.integration.faults.answers import (
    FILTER_CHUNK,
    SSE_HEAD,
    USAGE_CHUNK,
    choice,
    chunk,
    completion,
    error,
    event,
    http,
)

SECRET = "sk-very-secret-0123456789"
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Answers every request with the script of the moment and remembers what it was sent."""

    script: Script | None = None
    heads: list[str] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(int(line.split(":")[1]) for line in head.lower().splitlines() if "content-length" in line)
                self.heads.append(head)
                self.bodies.append(orjson.loads(await reader.readexactly(length)))
                assert self.script is not None
                await self.script(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def header(self, name: str) -> str | None:
        """A header of the last request."""
        lines = (line.partition(":") for line in self.heads[-1].splitlines())
        return next((value.strip() for key, _, value in lines if key.lower() == name), None)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    listener = await asyncio.start_server(scripted.handle, "127.0.0.1", 0)
    scripted.port = listener.sockets[0].getsockname()[1]
    yield scripted
    listener.close()


TRANSPORTS: dict[str, Callable[[Timeouts], Transport]] = {"native": NativeTransport, "sdk": SdkTransport}
PATIENT = Timeouts(connect_s=20.0, first_token_s=20.0, between_tokens_s=20.0)
"""Of whoever is not tested for impatience: a busy machine is no fault."""


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    active = TRANSPORTS[request.param](PATIENT)
    yield active
    await active.aclose()


def says(*pieces: bytes, then_close: bool = False) -> Script:
    async def script(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.005)
        if then_close:
            writer.close()

    return script


def json_answer(body: object, **headers: str) -> Script:
    return says(http(orjson.dumps(body), **headers))


def streams(*events: bytes, done: bool = True) -> Script:
    return says(SSE_HEAD, *events, *([b"data: [DONE]\n\n"] if done else []), then_close=True)


def route(server: ScriptedServer, **changes: object) -> Route:
    instance = Instance("east/m", "m", "m-deployed", "east", "east/m")
    base = Route(instance, f"http://127.0.0.1:{server.port}/v1", ApiKey("SOME_KEY", SECRET))
    return replace(base, **changes)  # type: ignore[arg-type]


async def ask(transport: Transport, to: Route, *, stream: bool = False, within_s: float = 20.0) -> ChatResponse:
    generation = Generation(max_tokens=16, temperature=0.0, seed=5, stream=stream)
    request = ChatRequest([{"role": "user", "content": "6 × 7?"}], generation=generation)
    deadline = asyncio.get_running_loop().time() + within_s
    return await transport.send(to, request, request_id="sample/0/1", deadline=deadline)


def timeless(response: ChatResponse) -> ChatResponse:
    return replace(response, timing=Timing(0.0, None, 0.0))


TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"q": "größe"}'}}

ANSWERS: dict[str, tuple[object, list[bytes]]] = {
    "text": (completion(), [FILTER_CHUNK, chunk(role="assistant", content=""), chunk(content="4"), chunk(content="2"),
                            chunk("stop"), USAGE_CHUNK]),
    "unicode": (choice(content="größer 漢字 😀"), [chunk(content="größer 漢"), chunk(content="字 😀"), chunk("stop"),
                                                 USAGE_CHUNK]),
    "tool calls": (
        choice("tool_calls", content=None, tool_calls=[TOOL_CALL]),
        [chunk(tool_calls=[{"index": 0, "id": "call_1", "type": "function", "function": {"name": "search", "arguments": ""}}]),
         chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"q": '}}]),
         chunk(tool_calls=[{"index": 0, "function": {"arguments": '"größe"}'}}]), chunk("tool_calls"), USAGE_CHUNK],
    ),
    "cut text": (choice("length", content="4"), [chunk(content="4"), chunk("length"), USAGE_CHUNK]),
    "reasoning": (choice(content="42", reasoning_content="hm"),
                  [chunk(reasoning_content="h"), chunk(reasoning_content="m"), chunk(content="42"), chunk("stop"), USAGE_CHUNK]),
    "thinking": (choice(content="<think>hm</think>42"),
                 [chunk(content="<th"), chunk(content="ink>hm</think>"), chunk(content="42"), chunk("stop"), USAGE_CHUNK]),
    "refusal": (choice(content=None, refusal="I cannot"), [chunk(refusal="I can"), chunk(refusal="not"), chunk("stop"),
                                                           USAGE_CHUNK]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_the_same_whole_and_streamed_through_both(server: ScriptedServer, kind: str) -> None:
    body, events = ANSWERS[kind]
    answers: list[ChatResponse] = []
    for transport in (NativeTransport(Timeouts()), SdkTransport(Timeouts())):
        for stream in (False, True):
            server.script = streams(*events) if stream else json_answer(body)
            answers.append(await ask(transport, route(server), stream=stream))
        await transport.aclose()
    assert all(timeless(answer) == timeless(answers[0]) for answer in answers)
    assert answers[0].text or answers[0].tool_calls == [TOOL_CALL]
    assert (answers[0].usage.input_tokens, answers[0].usage.cached_tokens, answers[0].usage.estimated) == (7, 2, False)


async def test_a_request_carries_its_fields_its_ids_and_its_key(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(completion())
    await ask(transport, route(server))
    assert server.heads[-1].startswith("POST /v1/chat/completions HTTP/1.1")
    assert server.header("authorization") == f"Bearer {SECRET}"
    named = server.header("x-request-id")
    assert named == server.header("x-client-request-id") == str(uuid.uuid5(uuid.NAMESPACE_URL, "sample/0/1"))
    assert server.header("x-orchestrator-request") == "sample/0/1"  # this machine may be a simulator
    assert server.bodies[-1] == {
        "model": "m-deployed", "messages": [{"role": "user", "content": "6 × 7?"}], "max_tokens": 16, "temperature": 0.0,
        "seed": 5,
    }  # fmt: skip


async def test_classic_azure_is_addressed_by_deployment_and_version(
    server: ScriptedServer, transport: Transport
) -> None:
    server.script = json_answer(completion())
    base_url = f"http://127.0.0.1:{server.port}/openai/deployments/m-deployed"
    await ask(transport, route(server, base_url=base_url, auth="api-key", api_version="2024-10-21"))
    assert server.heads[-1].startswith("POST /openai/deployments/m-deployed/chat/completions?api-version=2024-10-21 ")
    assert (server.header("api-key"), server.header("authorization")) == (SECRET, None)


async def test_a_route_without_a_key_sends_none(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(completion())
    await ask(transport, route(server, credential=None))
    assert (server.header("api-key"), server.header("authorization")) == (None, None)


async def test_extra_body_wins_over_our_fields(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(completion())
    request = ChatRequest([], generation=Generation(temperature=0.0, extra_body={"temperature": 1.0, "top_k": 5}))
    deadline = asyncio.get_running_loop().time() + 5
    await transport.send(route(server), request, request_id="r", deadline=deadline)
    assert server.bodies[-1] == {"model": "m-deployed", "messages": [], "temperature": 1.0, "top_k": 5}


async def test_a_stream_is_timed_from_its_first_token(server: ScriptedServer, transport: Transport) -> None:
    server.script = streams(*ANSWERS["text"][1])
    timing = (await ask(transport, route(server), stream=True)).timing
    assert timing.ttft_s is not None
    assert timing.ttft_s > 0.01  # the filter's chunk and the role's came before
    assert len(timing.chunk_gaps_s) == 1
    assert timing.generation_s == pytest.approx(timing.chunk_gaps_s[0])


async def test_a_server_that_ignores_stream_is_read_whole(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(completion())
    assert (await ask(transport, route(server), stream=True)).text == "42"


BIG = b'{"choices": "' + b"x" * (50 * 2**20) + b'"}'
CUT = http(orjson.dumps(completion()))[:-20]

FAILURES: dict[str, tuple[Script, type[ProviderError]]] = {
    "empty text": (json_answer(choice(content="")), Empty),
    "blank text": (json_answer(choice(content=" \n")), Empty),
    "no content": (json_answer(choice(content=None)), Empty),
    "reasoning alone": (json_answer(choice(content=None, reasoning_content="hm")), Empty),
    "content filter": (json_answer(choice("content_filter", content="4")), ContentFiltered),
    "length without text": (json_answer(choice("length", content="")), Truncated),
    "thinking that is cut off": (json_answer(choice("length", content="<think>The answer is 42")), Truncated),
    "an answer that was broken off": (json_answer(choice("error", content="The answer might be")), Malformed),
    "an error in a 200": (says(http(error("upstream exploded"))), Malformed),
    "a rate limit in a 200": (says(http(error("slow down", "rate_limit_exceeded"))), Throttled),
    "no choices": (json_answer(completion(choices=[])), Malformed),
    "choices of the wrong type": (json_answer(completion(choices={"a": 1})), Malformed),
    "a list": (json_answer([1]), Malformed),
    "null": (says(http(b"null")), Malformed),
    "nothing": (says(http(b"")), Malformed),
    "cut JSON": (says(http(orjson.dumps(completion())[:-9])), Malformed),
    "a cut body": (says(CUT, then_close=True), Malformed),
    "HTML": (says(http(b"<html>Welcome</html>", content_type="text/html")), Malformed),
    "not HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", then_close=True), Malformed),
    "50 MB": (says(http(BIG)), Malformed),
    "a gzip bomb": (says(http(gzip.compress(BIG), Content_Encoding="gzip")), Malformed),
    "damaged gzip": (says(http(b"this is not gzip at all", Content_Encoding="gzip")), Malformed),
    "closed without an answer": (says(then_close=True), ConnectionLost),
    "401": (says(http(error(f"Incorrect API key provided: {SECRET}"), "401 Unauthorized")), AuthFailed),
    "403": (says(http(error("forbidden"), "403 Forbidden")), AuthFailed),
    "404": (says(http(error("no", "DeploymentNotFound"), "404 Not Found")), DeploymentMissing),
    "400": (says(http(error("bad temperature"), "400 Bad Request")), Refused),
    "400 too long": (says(http(error("too long", "context_length_exceeded"), "400 Bad Request")), ContextTooLong),
    "429": (says(http(error("slow down"), "429 Too Many Requests")), Throttled),
    "429 quota": (says(http(error("pay", "insufficient_quota"), "429 Too Many Requests")), OutOfQuota),
    "500": (says(http(b"oops", "500 Internal Server Error", "text/plain")), ServerFault),
    "a long error page": (says(http(BIG, "502 Bad Gateway"), then_close=True), ServerFault),
    "529": (says(http(error("overloaded"), "529 Overloaded")), ServerFault),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_failure_has_its_class(server: ScriptedServer, transport: Transport, kind: str) -> None:
    server.script, expected = FAILURES[kind]
    with pytest.raises(expected) as caught:
        await ask(transport, route(server), within_s=20.0)
    assert type(caught.value) is expected
    evidence = caught.value.evidence
    assert (evidence.instance, evidence.request_id) == ("east/m", "sample/0/1")
    assert SECRET not in str(caught.value) + evidence.body
    assert len(str(caught.value)) < 400
    assert len(evidence.body) <= 4096


STREAM_FAILURES: dict[str, tuple[Script, type[ProviderError]]] = {
    "ending early": (streams(chunk(content="4"), done=False), Malformed),
    "ending in an event": (streams(chunk(content="4"), chunk("stop")[:-30], done=False), Malformed),
    "no event at all": (streams(done=False), Malformed),
    "an error object": (streams(chunk(content="4"), event({"error": {"message": "boom"}})), Malformed),
    "a rate limit": (streams(event({"error": {"message": "slow", "code": "rate_limit_exceeded"}})), Throttled),
    "an error event": (streams(chunk(content="4"), b"event: error\ndata: boom\n\n"), Malformed),
    "usage alone": (streams(USAGE_CHUNK), Malformed),
    "no JSON": (streams(b"data: {nonsense\n\n"), Malformed),
    "invalid UTF-8": (streams(b'data: {"a": "\xff\xfe"}\n\n'), Malformed),
    "no text": (streams(chunk(role="assistant", content=""), chunk("stop"), USAGE_CHUNK), Empty),
    "length without text": (streams(chunk("length"), USAGE_CHUNK), Truncated),
    "a filter": (streams(chunk(content="4"), chunk("content_filter")), ContentFiltered),
    "a refusal": (says(http(error("slow"), "429 Too Many Requests")), Throttled),
}  # fmt: skip


@pytest.mark.parametrize("kind", STREAM_FAILURES)
async def test_a_failed_stream_has_its_class(server: ScriptedServer, transport: Transport, kind: str) -> None:
    server.script, expected = STREAM_FAILURES[kind]
    with pytest.raises(expected) as caught:
        await ask(transport, route(server), stream=True)
    assert type(caught.value) is expected


async def test_a_stream_without_a_finish_reason_is_whole_until_the_server_has_named_one(
    server: ScriptedServer, transport: Transport
) -> None:
    server.script = streams(chunk(content="4"))
    assert (await ask(transport, route(server), stream=True)).text == "4"
    server.script = streams(chunk(content="42"), chunk("stop"))
    await ask(transport, route(server), stream=True)
    server.script = streams(chunk(content="4"))
    with pytest.raises(Malformed, match="ended early"):
        await ask(transport, route(server), stream=True)
    other = Instance("west/m", "m", "m-deployed", "west", "west/m")
    assert (await ask(transport, route(server, instance=other), stream=True)).text == "4"


async def test_a_stream_that_is_labelled_as_json_is_read(server: ScriptedServer, transport: Transport) -> None:
    server.script = says(http(chunk(content="42") + chunk("stop") + b"data: [DONE]\n\n"))
    assert (await ask(transport, route(server), stream=True)).text == "42"
    assert (await ask(transport, route(server))).text == "42"


async def test_an_empty_answer_keeps_its_usage_and_its_body(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(choice(content=""))
    with pytest.raises(Empty) as caught:
        await ask(transport, route(server))
    assert caught.value.evidence.usage is not None
    assert caught.value.evidence.usage.output_tokens == 3
    assert orjson.loads(caught.value.evidence.body)["id"] == "chatcmpl-1"


WAITS = {
    "milliseconds": ({"retry-after-ms": "250"}, "", 0.25),
    "the larger of two": ({"retry-after-ms": "250", "retry-after": "9"}, "", 9.0),
    "nothing": ({"retry-after-ms": "0", "retry-after": "0"}, "", None),
    "seconds": ({"retry-after": "1.5"}, "", 1.5),
    "a date": (
        {"retry-after": formatdate(1_800_000_030, usegmt=True), "date": formatdate(1_800_000_000, usegmt=True)},
        "",
        30.0,
    ),
    "words": ({}, "Please retry after 6 seconds.", 6.0),
    "garbage": ({"retry-after": "soon"}, "", None),
    "a negative number": ({"retry-after": "-1"}, "", None),
}


@pytest.mark.parametrize("form", WAITS)
async def test_a_throttled_answer_says_how_long_to_wait(
    server: ScriptedServer, transport: Transport, form: str
) -> None:
    headers, message, expected = WAITS[form]
    server.script = says(http(error(message), "429 Too Many Requests", **headers))
    with pytest.raises(Throttled) as caught:
        await ask(transport, route(server))
    assert caught.value.retry_after_s == expected


async def test_a_wait_of_hours_means_that_the_quota_is_gone(server: ScriptedServer, transport: Transport) -> None:
    server.script = says(http(error("daily quota"), "429 Too Many Requests", retry_after="35000"))
    with pytest.raises(OutOfQuota):
        await ask(transport, route(server))


async def test_a_redirect_is_not_followed(server: ScriptedServer, transport: Transport) -> None:
    other = ScriptedServer(script=json_answer(completion()))
    listener = await asyncio.start_server(other.handle, "127.0.0.1", 0)
    target = f"http://localhost:{listener.sockets[0].getsockname()[1]}/v1"
    server.script = says(http(b"", "307 Temporary Redirect", Location=target))
    with pytest.raises(Malformed, match=r"redirected.*localhost"):
        await ask(transport, route(server))
    listener.close()
    assert other.heads == []


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def stall_after_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(http(orjson.dumps(completion()))[:-20])
    await asyncio.sleep(5)


async def stall_in_stream(writer: asyncio.StreamWriter) -> None:
    writer.write(SSE_HEAD + chunk(role="assistant"))
    writer.write(chunk(content="4"))
    await asyncio.sleep(5)


async def comments_for_ever(writer: asyncio.StreamWriter) -> None:
    writer.write(SSE_HEAD)
    while not writer.is_closing():
        writer.write(b": still thinking\n\n")
        await asyncio.sleep(0.02)


async def trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(SSE_HEAD)
    while not writer.is_closing():
        writer.write(chunk(content="4"))
        await asyncio.sleep(0.02)


BROKEN_CHUNKS = says(
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"zz\r\nx",
    then_close=True,
)

HASTY_S = 0.3
STALLS: dict[str, tuple[Script, bool, float, str]] = {
    "before the first byte": (silence, False, 0.3, "attempt"),
    "before the first byte of a stream": (silence, True, 5.0, "first_token"),
    "with comments only": (comments_for_ever, True, 5.0, "first_token"),
    "inside the body": (stall_after_headers, False, 0.5, "attempt"),
    "between chunks": (stall_in_stream, True, 5.0, "between_tokens"),
    "until the deadline": (silence, True, 0.1, "attempt"),
    "speaking for ever": (trickle, True, 0.5, "attempt"),
}


@pytest.mark.parametrize("kind", STALLS)
@pytest.mark.parametrize("transport_kind", TRANSPORTS)
async def test_a_stall_ends_with_the_stage_it_was_in(server: ScriptedServer, transport_kind: str, kind: str) -> None:
    server.script, stream, within_s, stage = STALLS[kind]
    bounds = {} if stage == "attempt" else {f"{stage}_s": HASTY_S}
    transport = TRANSPORTS[transport_kind](replace(PATIENT, **bounds))
    with pytest.raises(TimedOut) as caught:
        await ask(transport, route(server), stream=stream, within_s=within_s)
    await transport.aclose()
    assert caught.value.stage == stage


async def test_a_chunk_without_a_length_ends_a_stream_at_once(server: ScriptedServer) -> None:
    server.script = BROKEN_CHUNKS
    transport = NativeTransport(PATIENT)
    with pytest.raises(Malformed, match="proper HTTP"):
        await ask(transport, route(server), stream=True)
    await transport.aclose()


async def test_a_chunk_without_a_length_ends_a_stream_of_the_sdk_at_the_bound(server: ScriptedServer) -> None:
    """aiohttp (3.14), below the SDK, tells its reader nothing of such a chunk: only our own bounds end the wait."""
    server.script = BROKEN_CHUNKS
    transport = SdkTransport(replace(PATIENT, first_token_s=HASTY_S))
    with pytest.raises(TimedOut) as caught:
        await ask(transport, route(server), stream=True)
    await transport.aclose()
    assert caught.value.stage == "first_token"


async def answer_late(writer: asyncio.StreamWriter) -> None:
    answer = http(orjson.dumps(completion()))
    await asyncio.sleep(2 * HASTY_S)
    writer.write(answer[:-20])
    await asyncio.sleep(2 * HASTY_S)
    writer.write(answer[-20:])


@pytest.mark.parametrize("transport_kind", TRANSPORTS)
async def test_a_whole_answer_is_bounded_by_the_deadline_alone(server: ScriptedServer, transport_kind: str) -> None:
    server.script = answer_late
    transport = TRANSPORTS[transport_kind](replace(PATIENT, first_token_s=HASTY_S, between_tokens_s=HASTY_S))
    assert (await ask(transport, route(server))).text == "42"
    await transport.aclose()


@pytest.mark.parametrize("transport_kind", TRANSPORTS)
async def test_a_routes_own_bounds_win_over_its_providers(server: ScriptedServer, transport_kind: str) -> None:
    server.script = silence
    transport = TRANSPORTS[transport_kind](PATIENT)
    with pytest.raises(TimedOut) as caught:
        await ask(transport, route(server, timeouts=replace(PATIENT, first_token_s=HASTY_S)), stream=True)
    await transport.aclose()
    assert caught.value.stage == "first_token"


async def test_a_deadline_that_has_passed_sends_nothing_back(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(completion())
    with pytest.raises(TimedOut) as caught:
        await ask(transport, route(server), within_s=-1.0)
    assert caught.value.stage == "attempt"


async def test_a_cancelled_call_is_cancelled_and_not_timed_out(server: ScriptedServer, transport: Transport) -> None:
    server.script = silence
    call = asyncio.create_task(ask(transport, route(server)))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def reset_after_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(http(orjson.dumps(completion()))[:-20])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()


async def test_a_reset_before_the_headers_is_a_lost_connection(server: ScriptedServer, transport: Transport) -> None:
    server.script = reset
    with pytest.raises(ConnectionLost) as caught:
        await ask(transport, route(server))
    assert caught.value.was_sent


async def test_a_reset_inside_the_body_is_a_damaged_answer(server: ScriptedServer, transport: Transport) -> None:
    server.script = reset_after_headers
    with pytest.raises(Malformed):
        await ask(transport, route(server))


async def test_a_dead_port_is_a_lost_connection(server: ScriptedServer, transport: Transport) -> None:
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    with pytest.raises(Unreachable, match=str(port)):
        await ask(transport, route(server, base_url=f"http://127.0.0.1:{port}/v1"))


async def test_a_host_that_nobody_knows_is_a_lost_connection(server: ScriptedServer, transport: Transport) -> None:
    with pytest.raises(Unreachable):
        await ask(transport, route(server, base_url="http://no-such-host.invalid/v1"), within_s=10.0)


async def test_a_connection_is_used_again(server: ScriptedServer, transport: Transport) -> None:
    server.script = json_answer(completion())
    answers = [await ask(transport, route(server)) for _ in range(3)]
    assert [answer.text for answer in answers] == ["42"] * 3
    assert len(server.heads) == 3


@pytest.mark.parametrize("then", ["an answer", "a refusal", "nothing"])
async def test_a_request_that_goes_out_again_on_another_connection_says_so(server: ScriptedServer, then: str) -> None:
    answer, closed = json_answer(completion()), says(then_close=True)
    last = {"an answer": answer, "a refusal": FAILURES["429"][0], "nothing": closed}[then]
    scripts = iter([answer, closed, last])

    async def next_script(writer: asyncio.StreamWriter) -> None:
        await next(scripts)(writer)

    server.script = next_script
    transport = NativeTransport(PATIENT)
    assert (await ask(transport, route(server))).timing.resent == 0
    try:
        resent = (await ask(transport, route(server))).timing.resent
    except ProviderError as error:
        resent = error.evidence.resent
    assert (resent, len(server.heads)) == (1, 3)
    await transport.aclose()


async def test_a_request_meets_at_most_one_connection_of_the_pool_that_has_closed(server: ScriptedServer) -> None:
    """A server that restarts closes all of them at once: the second try goes out on a new one."""
    answer, closed = json_answer(completion()), says(then_close=True)
    both_there = asyncio.Barrier(2)

    async def answer_together(writer: asyncio.StreamWriter) -> None:
        await both_there.wait()
        await answer(writer)

    old: set[asyncio.StreamWriter] = set()

    async def script(writer: asyncio.StreamWriter) -> None:
        await (closed if writer in old else answer)(writer)

    async def first(writer: asyncio.StreamWriter) -> None:
        old.add(writer)
        await answer_together(writer)

    transport = NativeTransport(PATIENT)
    server.script = first
    await asyncio.gather(ask(transport, route(server)), ask(transport, route(server)))
    server.script = script
    assert (len(old), (await ask(transport, route(server))).timing.resent) == (2, 1)
    assert len(server.heads) == 4
    await transport.aclose()


async def test_a_prompt_of_megabytes_does_not_hold_the_loop(server: ScriptedServer) -> None:
    server.script = json_answer(completion())
    transport = NativeTransport(Timeouts())
    request = ChatRequest([{"role": "user", "content": "x" * (3 * 2**20)}])
    deadline = asyncio.get_running_loop().time() + 10
    assert (await transport.send(route(server), request, request_id="r", deadline=deadline)).text == "42"
    await transport.aclose()


async def test_a_token_that_cannot_be_had_is_a_lost_connection(transport: Transport) -> None:
    def fetch() -> str:
        raise SignInFailed("cannot sign in with Microsoft Entra ID (ClientAuthenticationError)")

    instance = Instance("east/m", "m", "m", "east", "east/m")
    route = Route(instance, "http://127.0.0.1:9/v1", EntraToken(fetch))
    deadline = asyncio.get_running_loop().time() + 5
    with pytest.raises(ConnectionLost, match="cannot sign in"):
        await transport.send(
            route, ChatRequest([{"role": "user", "content": "hi"}]), request_id="s/1/1", deadline=deadline
        )
