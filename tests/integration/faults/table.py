"""Every fault, one row each: what the server does, which branch of the error tree it is, and what the user is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

import orjson

from providers.errors import (
    AuthFailed,
    ConnectionLost,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    Empty,
    InvalidToolCall,
    Malformed,
    OutOfQuota,
    ProviderError,
    Refused,
    RequestTooLarge,
    ServerFault,
    Throttled,
    TimedOut,
    Truncated,
    Unreachable,
)

from .answers import DONE, SSE_HEAD, USAGE_CHUNK, answer, choice, chunk, completion, error, event, gzip_bomb, http
from .server import Again, End, Script

SECRET = "sk-planted-fault-0123456789"

Door = Literal[
    "http",
    "dead",
    "unknown",
    "self-signed",
    "unknown authority",
    "other name",
    "expired",
    "good certificate",
    "http on https",
    "https on http",
]
"""How the server is reached; all but http end before a request is sent."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    script: Script
    ends: type[ProviderError] | None
    """The branch of the tree; None where there is an answer."""
    status: int | None
    """Of the record."""
    says: str
    """Part of the sentence that the user reads."""
    stream: bool = False
    door: Door = "http"
    raw: bool = True
    """Whether the record keeps the start of the body."""
    short_s: float | None = None
    """Bound on the first token and between tokens, where the fault is a silence."""
    before: Script | None = None
    """What an earlier request on the same connection was answered."""
    then: Script | None = None
    """What the request after it is answered; by default the same again, or well where the limit is over."""
    attempt_s: float = 60.0
    over: Sequence[str] = ("native", "sdk")
    wait_s: float | None = None
    """What the server is understood to ask for."""


def streamed(*pieces: bytes, end: End = End.CLOSE) -> Script:
    return (SSE_HEAD, *pieces, end)


GOOD = answer(completion())
GOOD_EVENTS = (chunk(content="4"), chunk(content="2"), chunk("stop"), USAGE_CHUNK)
CUT = GOOD[:-40]
HEAD = GOOD.partition(b"{")[0]
PAGE = b"<!DOCTYPE html><html><head><title>Welcome to nginx</title></head><body>Bad gateway</body></html>"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
TOOL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "gr'}}
FIFTY_MB = b'{"choices": "' + b"x" * (50 * 2**20) + b'"}'
SILENT_S = 2.0


def used(**usage: object) -> bytes:
    return answer(completion(usage=usage))


CONNECTION = (
    Fault("connection refused", (), Unreachable, None, "refuses connections", door="dead", raw=False),
    Fault("unknown host", (), Unreachable, None, "the name no-such-host.invalid is not known (DNS)", door="unknown", raw=False),
    Fault("self-signed certificate", (), Unreachable, None, "is not trusted: self-signed certificate", door="self-signed", raw=False),
    Fault("certificate of an unknown authority", (), Unreachable, None, "is not trusted: unable to get local issuer certificate",
          door="unknown authority", raw=False),
    Fault("certificate of another host", (), Unreachable, None, "is not trusted: Hostname mismatch", door="other name", raw=False),
    Fault("expired certificate", (), Unreachable, None, "is not trusted: certificate has expired", door="expired", raw=False),
    Fault("certificate of a ca_file", (GOOD,), None, 200, "42", door="good certificate"),
    Fault("http on the https port", (), Unreachable, None, "does it speak https?", door="http on https", raw=False),
    Fault("https on the http port", (), ConnectionLost, None, "closed the connection without an answer", door="https on http", raw=False),
    Fault("closed before the headers", (End.CLOSE,), ConnectionLost, None, "closed the connection without an answer", raw=False),
    Fault("reset before the headers", (End.RESET,), ConnectionLost, None, "the connection broke", raw=False),
    Fault("reset after the headers", (HEAD, 0.05, End.RESET), Malformed, 200, "cut short", raw=False),
    Fault("reset in the body", (CUT, 0.05, End.RESET), Malformed, 200, "cut short"),
    Fault("closed in the body", (CUT, End.CLOSE), Malformed, 200, "cut short"),
    Fault("closed between two requests", (GOOD,), None, 200, "42", before=(GOOD, End.CLOSE)),
    Fault("closed upon the next request", (End.CLOSE,), None, 200, "42", before=(GOOD,), then=(GOOD,), over=("native",)),
    Fault("reset upon the next request", (End.RESET,), None, 200, "42", before=(GOOD,), then=(GOOD,), over=("native",)),
    Fault("an answer behind the answer", (GOOD,), None, 200, "42", before=(GOOD + answer(choice(content="another's answer")),)),
    Fault("an HTTP/1.0 server", (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), End.CLOSE), None, 200, "42"),
)  # fmt: skip

SILENCE = (
    Fault("silence before the headers", (End.HANG,), TimedOut, None, "no whole answer before the deadline", raw=False, attempt_s=SILENT_S),
    Fault("silence before the stream", (End.HANG,), TimedOut, None, "no first token within 2 s", stream=True, raw=False, short_s=SILENT_S),
    Fault("silence before the first token", streamed(chunk(role="assistant"), end=End.HANG), TimedOut, 200, "no first token within 2 s",
          stream=True, short_s=SILENT_S),
    Fault("silence between tokens", streamed(chunk(content="4"), end=End.HANG), TimedOut, 200, "silence inside the answer within 2 s",
          stream=True, short_s=SILENT_S),
    Fault("silence in the body", (CUT, End.HANG), TimedOut, 200, "no whole answer before the deadline", attempt_s=SILENT_S),
    Fault("silence in an error page", (http(PAGE, "500 Oops", Content_Length="900"), End.HANG), ServerFault, 500, "the server failed (HTTP 500)",
          short_s=SILENT_S),
    Fault("silence after the last token", streamed(*GOOD_EVENTS, end=End.HANG), None, 200, "42", stream=True, short_s=SILENT_S),
    Fault("comments for ever", (SSE_HEAD, Again(b": wait\n\n", 0.05)), TimedOut, 200, "no first token within 2 s", stream=True,
          short_s=SILENT_S),
    Fault("tokens for ever", (SSE_HEAD, Again(chunk(content="4"), 0.05)), TimedOut, 200, "no whole answer before the deadline",
          stream=True, attempt_s=2.0),
)  # fmt: skip

BODY = (
    Fault("truncated JSON", (http(orjson.dumps(completion())[:-9]),), Malformed, 200, "the answer is not JSON"),
    Fault("an empty body", (http(b""),), Malformed, 200, "the answer is not JSON", raw=False),
    Fault("a 204", (b"HTTP/1.1 204 No Content\r\n\r\n",), Malformed, 204, "the answer is not JSON", raw=False),
    Fault("invalid UTF-8", (http(b'{"choices": [{"message": {"content": "\xff42"}}]}'),), None, 200, "\ufffd42"),
    Fault("half a surrogate pair", (http(b'{"choices": [{"message": {"content": "42\\ud800"}}]}'),), None, 200, "42\ufffd"),
    Fault("JSON that nests too deep", (http(b'{"choices": ' + b"[" * 100_000),), Malformed, 200, "the answer is not JSON"),
    Fault("a web page", (http(PAGE, content_type="text/html"),), Malformed, 200, "a web page came instead of an answer"),
    Fault("a web page where a stream was asked", (http(PAGE, content_type="text/html"),), Malformed, 200,
          "a web page came instead of an answer", stream=True),
    Fault("a web page that claims to be JSON", (http(PAGE),), Malformed, 200, "a web page came instead of an answer"),
    Fault("a stream where JSON was asked", streamed(*GOOD_EVENTS, DONE), None, 200, "42"),
    Fault("JSON where a stream was asked", (GOOD,), None, 200, "42", stream=True),
    Fault("JSON that claims to be text", (http(orjson.dumps(completion()), content_type="text/plain"),), None, 200, "42"),
    Fault("a gzip bomb of 1 GB", (http(gzip_bomb(1024), Content_Encoding="gzip"),), Malformed, 200, "longer than 16 MB"),
    Fault("a gzip bomb as an error page", (http(gzip_bomb(1024), "502 Bad Gateway", Content_Encoding="gzip"),), ServerFault, 502,
          "the server failed (HTTP 502)"),
    Fault("damaged gzip", (http(b"this is not gzip", Content_Encoding="gzip"),), Malformed, 200, "damaged", raw=False),
    Fault("50 MB", (http(FIFTY_MB),), Malformed, 200, "longer than 16 MB"),
    Fault("50 MB of error page", (http(FIFTY_MB, "500 Oops"),), ServerFault, 500, "the server failed (HTTP 500)"),
    Fault("an endless body", (http(b"", Content_Length=str(2**40)), Again(b"x" * 2**16)), Malformed, 200, "longer than 16 MB"),
    Fault("an endless event", (SSE_HEAD + b"data: ", Again(b"x" * 2**16)), Malformed, 200, "longer than", stream=True),
    Fault("an endless header", (b"HTTP/1.1 200 OK\r\nX-Long: ", Again(b"x" * 2**10)), Malformed, None, "does not speak proper HTTP", raw=False),
    Fault("endless headers", (b"HTTP/1.1 200 OK\r\n", Again(b"X-More: 1\r\n" * 64)), Malformed, None, "does not speak proper HTTP", raw=False),
    Fault("another protocol", (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", End.CLOSE), Malformed, None, "does not speak proper HTTP", raw=False),
    Fault("a chunk without a length", (CHUNKED + b"zz\r\nx\r\n", End.HANG), Malformed, None, "does not speak proper HTTP", raw=False),
    Fault("chunks that end early", (CHUNKED + b"5\r\n{\"a\":\r\n", End.CLOSE), Malformed, 200, "cut short"),
    Fault("a length that is too long", (http(orjson.dumps(completion()), Content_Length="9999"), End.CLOSE), Malformed, 200, "cut short"),
    Fault("a length that is too short", (http(orjson.dumps(completion()), Content_Length="50"),), Malformed, None, "does not speak proper HTTP", raw=False),
    Fault("a length that is none", (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",), Malformed, None, "does not speak proper HTTP", raw=False),
    Fault("two lengths", (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", End.CLOSE), Malformed, None,
          "does not speak proper HTTP", raw=False),
)  # fmt: skip

STREAM = (
    Fault("a stream without finish and [DONE]", streamed(chunk(content="4")), Malformed, 200, "the stream ended early", stream=True),
    Fault("a stream without an event", streamed(), Malformed, 200, "the stream ended early", stream=True, raw=False),
    Fault("a stream cut inside an event", streamed(chunk(content="4"), chunk("stop")[:-30]), Malformed, 200, "the stream ended early", stream=True),
    Fault("a stream without [DONE]", streamed(*GOOD_EVENTS), None, 200, "42", stream=True),
    Fault("a reset after the finish", (SSE_HEAD.replace(b"Connection: close", b"Content-Length: 99999"), *GOOD_EVENTS, 0.05, End.RESET), None,
          200, "42", stream=True),
    Fault("a reset between tokens", (SSE_HEAD.replace(b"Connection: close", b"Content-Length: 99999"), chunk(content="4"), 0.05, End.RESET),
          Malformed, 200, "cut short", stream=True),
    Fault("garbage lines between events", streamed(b"garbage\n\n:\n\nid: 7\nretry: x\n\n", *GOOD_EVENTS, b"\x00\xff\n\n", DONE), None, 200, "42",
          stream=True),
    Fault("an event that is not JSON", streamed(chunk(content="4"), b"data: {nonsense\n\n", DONE), Malformed, 200, "an event is not JSON", stream=True),
    Fault("an error event", streamed(chunk(content="4"), event({"error": {"message": "boom"}})), Malformed, 200, "the answer is an error: boom",
          stream=True),
    Fault("a rate limit as an event", streamed(event({"error": {"message": "slow", "code": "rate_limit_exceeded"}})), Throttled, 200, "too many requests",
          stream=True),
    Fault("usage told twice", streamed(*GOOD_EVENTS, USAGE_CHUNK, DONE), None, 200, "42, 7 + 3 tokens", stream=True),
    Fault("a stream without usage", streamed(*GOOD_EVENTS[:-1], DONE), None, 200, "42, about 6 + 1 tokens", stream=True),
)  # fmt: skip

CONTENT = (
    Fault("no choices", (answer(completion(choices=[])),), Malformed, 200, "the answer has no choices"),
    Fault("no message", (answer(completion(choices=[{"index": 0, "finish_reason": "stop"}])),), Malformed, 200, "the answer has no message"),
    Fault("null content", (answer(choice(content=None)),), Empty, 200, "the model finished (stop) without text"),
    Fault("success with nothing in it", (answer(choice(content="")),), Empty, 200, "the model finished (stop) without text"),
    Fault("blank content", (answer(choice(content=" \n\t")),), Empty, 200, "the model finished (stop) without text"),
    Fault("content that is a number", (answer(choice(content=42)),), Malformed, 200, "the content is neither text"),
    Fault("length without text", (answer(choice("length", content="")),), Truncated, 200, "max_tokens was used up"),
    Fault("stopped by the content filter", (answer(choice("content_filter", content="4")),), ContentFiltered, 200, "stopped by the content filter"),
    Fault("a tool call with broken arguments", (answer(choice("tool_calls", content=None, tool_calls=[TOOL])),), None, 200, "a tool call"),
    Fault("a tool call of no known shape", (answer(choice("tool_calls", content=None, tool_calls=["search"])),), Malformed, 200, "the tool calls have an unknown shape"),
    Fault("an error in a 200", (http(error("upstream exploded")),), Malformed, 200, "the answer is an error: upstream exploded"),
    Fault("an error with a code in a 200", (http(error("slow down", "rate_limit_exceeded")),), Throttled, 200, "too many requests"),
    Fault("a used-up quota in a 200", (http(error("pay", "insufficient_quota")),), OutOfQuota, 200, "the quota is used up"),
    Fault("no usage", (answer(completion(usage=None)),), None, 200, "42, about 6 + 1 tokens"),
    Fault("usage told twice in one object", (http(orjson.dumps(completion())[:-1] + b',"usage":{"prompt_tokens":8,"completion_tokens":4}}'),), None, 200,
          "42, 8 + 4 tokens"),
    Fault("negative usage", (used(prompt_tokens=-7, completion_tokens=3),), None, 200, "42, about 6 + 1 tokens"),
    Fault("usage in words", (used(prompt_tokens="seven", completion_tokens="3"),), None, 200, "42, about 6 + 1 tokens"),
    Fault("usage of 10^18", (used(prompt_tokens=10**18, completion_tokens=3),), None, 200, "42, about 6 + 1 tokens"),
    Fault("usage beyond 64 bits", (http(b'{"choices":[{"message":{"content":"42"}}],"usage":{"prompt_tokens":1' + b"0" * 30
                                        + b',"completion_tokens":18446744073709551615}}'),), None, 200, "42, about 6 + 1 tokens"),
    Fault("absurd details of usage", (used(prompt_tokens=7, completion_tokens=3, prompt_tokens_details={"cached_tokens": 10**18}),), None, 200,
          "42, 7 + 3 tokens"),
)  # fmt: skip


def moved(status: str, **headers: str) -> Script:
    return (http(b"", status, **headers),)


REDIRECTS = (
    Fault("a redirect to another host", moved("307 Temporary Redirect", Location=f"http://user:{SECRET}@elsewhere.invalid/{SECRET}?k={SECRET}"),
          Malformed, 307, "redirects are not followed so that the key never leaves (HTTP 307): to elsewhere.invalid", raw=False),
    Fault("a permanent redirect", moved("301 Moved Permanently", Location="https://api.elsewhere.invalid/v1/chat/completions"), Malformed, 301,
          "(HTTP 301): to api.elsewhere.invalid", raw=False),
    Fault("a redirect to itself", moved("308 Permanent Redirect", Location="/v1/chat/completions"), Malformed, 308, "(HTTP 308): to the same host",
          raw=False),
    Fault("a redirect without an address", moved("302 Found"), Malformed, 302, "(HTTP 302): it does not say where to", raw=False),
    Fault("a redirect to an address that is none", moved("303 See Other", Location="http://[::1"), Malformed, 303, "to an address that is none",
          raw=False),
)  # fmt: skip


def refused(status: str, message: str, code: str | None = None, **headers: str) -> Script:
    return (http(error(message, code), status, **headers),)


WORDS = (
    Fault("Azure's content filter", (http(error(
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "content_filter",
        innererror={"code": "ResponsibleAIPolicyViolation"}), "400 Bad Request"),), ContentFiltered, 400, "the content filter refused the request"),
    Fault("context_length_exceeded", refused("400 Bad Request", "too long", "context_length_exceeded"), ContextTooLong, 400,
          "the request is longer than the model's context"),
    Fault("insufficient_quota", refused("429 Too Many Requests", "check your plan", "insufficient_quota"), OutOfQuota, 429, "the quota is used up"),
    Fault("model_not_found", refused("404 Not Found", "The model does not exist", "model_not_found"), DeploymentMissing, 404,
          "there is no such deployment or model here"),
    Fault("DeploymentNotFound", refused("404 Not Found", "The API deployment does not exist", "DeploymentNotFound"), DeploymentMissing, 404,
          "there is no such deployment or model here"),
    Fault("a key that is repeated", refused("401 Unauthorized", f"Incorrect API key provided: {SECRET}"), AuthFailed, 401,
          "the key is not accepted (HTTP 401): Incorrect API key provided: ***"),
    Fault("a key that is refused with 400", refused("400 Bad Request", "API key not valid. Please pass a valid API key."), AuthFailed, 400,
          "the key is not accepted (HTTP 400)"),
    Fault("a field that is not taken", refused("400 Bad Request", "Unsupported parameter: 'max_tokens'", "unsupported_parameter"), Refused, 400,
          "the request was refused (HTTP 400): Unsupported parameter: 'max_tokens'"),
    Fault("words that nobody knows", refused("422 Unprocessable Entity", "Zur Zeit nicht", "x-17"), Refused, 422, "the request was refused (HTTP 422): Zur Zeit"),
    Fault("another region", refused("403 Forbidden", "Country, region, or territory not supported", "unsupported_country_region_territory"), Refused, 403,
          "the endpoint does not serve this region"),
    Fault("a throttle with 400", (http(orjson.dumps({"success": False, "message": "模型提供方限流", "code": "MPE-429", "detailMessage":
          '{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded"}, traceId: 1'}), "400 Bad Request"),), Throttled, 400, "too many requests"),
    Fault("a used-up credit with 400", refused("400 Bad Request", "Your credit balance is too low to access the API."), OutOfQuota, 400, "the quota is used up"),
    Fault("an unknown model with 400", refused("400 Bad Request", "Model Not Exist"), DeploymentMissing, 400, "there is no such deployment or model here"),
    Fault("a request above the limit per minute", refused("429 Too Many Requests", "Request too large on tokens per min (TPM): Limit 30, Requested 42"),
          RequestTooLarge, 429, "larger than the rate limit ever admits"),
    Fault("a broken call of the model", refused("400 Bad Request", "Failed to call a function.", "tool_use_failed"), InvalidToolCall, 400,
          "the model wrote a call that is none"),
    Fault("a broken call of the model in a stream", streamed(event({"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}})),
          InvalidToolCall, 200, "the model wrote a call that is none", stream=True),
    Fault("a firewall's page", (http(PAGE, "403 Forbidden", "text/html"),), ServerFault, 403, "a web page came where the API should answer"),
)  # fmt: skip


def wait(name: str, wait_s: float | None, **headers: str) -> Fault:
    return Fault(f"Retry-After {name}", refused("429 Too Many Requests", "slow down", **headers), Throttled, 429, "too many requests for now",
                 wait_s=wait_s)  # fmt: skip


THEN, NOW = formatdate(1_800_000_001, usegmt=True), formatdate(1_800_000_000, usegmt=True)

LIMITS = (
    wait("in seconds", 1.0, Retry_After="1"),
    wait("with a fraction", 0.25, Retry_After="0.25"),
    wait("in milliseconds", 0.25, retry_after_ms="250"),
    wait("in seconds beside milliseconds of nothing", 1.0, retry_after_ms="0", Retry_After="1"),
    wait("in milliseconds beside fewer seconds", 1.25, retry_after_ms="1250", Retry_After="1"),
    wait("as a date", 1.0, Retry_After=THEN, Date=NOW),
    wait("as a date that has passed", None, Retry_After=NOW, Date=THEN),
    wait("as a date, without the server's clock, hours ahead of ours", None, Retry_After=formatdate(4_000_000_000, usegmt=True)),
    wait("as a date, without the server's clock, hours behind ours", None, Retry_After=formatdate(1_000_000_000, usegmt=True)),
    wait("as half a date", None, Retry_After="Mon, 99 Foo"),
    wait("of nothing", None, Retry_After="0"),
    wait("below zero", None, Retry_After="-5"),
    wait("in words", None, Retry_After="soon"),
    wait("of NaN", None, Retry_After="nan"),
    wait("for ever", None, Retry_After="inf"),
    wait("in a number of 300 digits", None, Retry_After="9" * 300),
    wait("of thirty thousand years", None, Retry_After="999999999999"),
    Fault("Retry-After of ten hours", refused("429 Too Many Requests", "daily", Retry_After="36000"), OutOfQuota, 429, "asks to wait 36000 s, which is no wait",
          wait_s=36_000.0),
    Fault("x-ratelimit-* of garbage", refused("429 Too Many Requests", "slow", x_ratelimit_limit_requests="many", x_ratelimit_remaining_tokens="-inf",
                                              x_ratelimit_limit_tokens="1e999", x_ratelimit_reset_requests="6m0s"), Throttled, 429, "too many requests"),
)  # fmt: skip

GROUPS: dict[str, Sequence[Fault]] = {
    "Connection": CONNECTION,
    "Silence": SILENCE,
    "Body": BODY,
    "Stream": STREAM,
    "Content": CONTENT,
    "Redirects": REDIRECTS,
    "The server's words": WORDS,
    "Limits": LIMITS,
}
