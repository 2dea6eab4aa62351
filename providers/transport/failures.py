"""What a failed request means: one table, read from the top; the first row that fits names the error.

Two rules stand behind the order. A fault of the infrastructure must never be booked as a failure of the model, so only refusals that
are known to concern the request itself are Rejected. And an instance is given up only on words that say so.

`x-should-retry: true` turns a refusal that says nothing more of itself into a fault to try again. `false` is not obeyed: retries are
bounded anyway, and obeying it would book a server's fault as the model's.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson

from ..errors import (
    AuthFailed,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    Malformed,
    OutOfQuota,
    ProviderError,
    ServerFault,
    Throttled,
    TimedOut,
)
from ..headers import MAX_BELIEVABLE_WAIT_S
from .received import Received

MESSAGE_LIMIT: Final = 300
"""Characters of the server's own words that a message repeats."""


@dataclass(frozen=True, slots=True)
class _Complaint:
    """What the server said, in lower case where it is matched."""

    codes: frozenset[str]
    text: str
    words: str


@dataclass(frozen=True, slots=True)
class _Row:
    """Fits where the status is listed and, if codes or words are given, one of them occurs."""

    error: type[ProviderError]
    statuses: Container[int]
    meaning: str
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None

    def fits(self, status: int, complaint: _Complaint) -> bool:
        if status not in self.statuses:
            return False
        if not self.codes and self.words is None:
            return True
        return bool(self.codes & complaint.codes) or bool(self.words and self.words.search(complaint.text))


def _any_of(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words))


_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
_FILTERED = frozenset({"content_filter", "responsibleaipolicyviolation", "content_policy_violation"})
_NO_MODEL = frozenset(
    {"deploymentnotfound", "model_not_found", "modelnotfound", "unknown_model", "operationnotsupported"}
)
_QUOTA = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "enforced_spend_limit_reached"}
)
_RATE = frozenset({"429", "rate_limit_exceeded", "rate_limit_error", "too_many_requests", "toomanyrequests"})
_RATE |= {"throttled", "throttling", "resource_exhausted", "ratelimitreached", "slowdown", "slow_down"}
_RATE_WORDS = _any_of("rate limit", "ratelimit", "too many requests", "throttl", "quota exceeded")

_PAGE = frozenset({"html"})

TABLE: Final = (
    _Row(ServerFault, {400, 403, 405, 413, 415, 422}, "a web page came where the API should answer: a proxy or firewall in between", _PAGE),
    # 200 stands for an error object inside an answer or a stream
    _Row(ContextTooLong, {200, 400, 413, 422}, "the request is longer than the model's context", _TOO_LONG,
         _any_of("maximum context length", "context window", "context size", "prompt is too long")),
    _Row(ContentFiltered, {200, 400, 403, 422}, "the content filter refused the request", _FILTERED,
         _any_of("content management polic", "content filter", "content_filter")),
    _Row(DeploymentMissing, {200, 400, 403, 404, 422}, "there is no such deployment or model here", _NO_MODEL,
         _any_of("invalid model name", "model not found", "deployment not found", "unknown model")),
    _Row(OutOfQuota, {200, 402, 403, 429}, "the quota is used up", _QUOTA,
         _any_of(r"\b(?:limit|quota)(?: is|:|=)\s*0(?!\.?\d)")),
    _Row(OutOfQuota, {402}, "the account has to be paid for"),
    _Row(Throttled, {429}, "too many requests for now"),
    _Row(Throttled, {200}, "too many requests for now", _RATE, _RATE_WORDS),
    _Row(Throttled, {503}, "too many requests for now", _RATE),
    _Row(AuthFailed, {401, 403}, "the key is not accepted"),
    _Row(DeploymentMissing, {404, 405, 410}, "there is no such deployment or model here, or the address is wrong"),
    _Row(TimedOut, {408}, "the server gave up waiting"),
    _Row(ContextTooLong, {413}, "the request is too large"),
    _Row(BadRequest, {400, 422}, "the request was refused"),
    _Row(Malformed, {200}, "the answer is an error"),
    _Row(Malformed, range(300, 400), "redirected; redirects are not followed so that the key never leaves"),
)  # fmt: skip
"""Anything else (409, 415, 425, 529, every other 4xx and 5xx) is a ServerFault."""

_BUSY = _Row(Throttled, (), "too many requests for now")
_OTHERWISE = _Row(ServerFault, (), "the server failed")


def classify_failure(received: Received) -> ProviderError:
    """Name the error that an answer other than 2xx stands for."""
    complaint = _read_complaint(received)
    evidence = received.evidence()
    wait_s = (evidence.hint and evidence.hint.retry_after_s) or 0.0
    row = _reconsider(_choose_row(received.status, complaint), received, complaint, wait_s)
    message = _sentence(received, row.meaning, complaint.words)
    if row.error is TimedOut:
        return TimedOut(message, evidence, stage="attempt")
    return row.error(message, evidence)


def _choose_row(status: int, complaint: _Complaint) -> _Row:
    return next((row for row in TABLE if row.fits(status, complaint)), _OTHERWISE)


def _reconsider(row: _Row, received: Received, complaint: _Complaint, wait_s: float) -> _Row:
    """What only the headers can tell: a wait that is none, a 503 that is a 429, a refusal that is a fault."""
    if row.error is Throttled and received.status == 429 and wait_s > MAX_BELIEVABLE_WAIT_S:
        return _Row(OutOfQuota, (), f"the server asks to wait {wait_s:.0f} s, which is no wait")
    if row is _OTHERWISE and received.status == 503 and wait_s and _RATE_WORDS.search(complaint.text):
        return _BUSY
    if row.error is BadRequest and received.headers.get("x-should-retry") == "true":
        return _OTHERWISE
    return row


def classify_error_body(body: Mapping[str, object], received: Received) -> ProviderError:
    """Name the error that an error object stands for where the status said that all was well."""
    complaint = _complaint_of(body, received)
    row = _choose_row(200, complaint)
    return row.error(_sentence(received, row.meaning, complaint.words), received.evidence())


def tell(text: str) -> str:
    """The server's own words on one line: no control characters, bounded."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * MESSAGE_LIMIT])
    words = " ".join(printable.split())
    return words if len(words) <= MESSAGE_LIMIT else words[: MESSAGE_LIMIT - 1] + "…"


def _sentence(received: Received, meaning: str, words: str) -> str:
    if 300 <= received.status < 400:
        words = _target(received.mask(received.headers.get("location", "")))
    status = f" (HTTP {received.status})" if received.status >= 300 else ""
    said = tell(received.mask(words))
    return f"{received.instance}: {meaning}{status}" + (f": {said}" if said else "")


def _target(location: str) -> str:
    """Where a redirect leads: the host alone, for the rest may carry a secret."""
    if not location:
        return "it does not say where to"
    try:
        return f"to {urlsplit(location).hostname or 'the same host'}"
    except ValueError:
        return "to an address that is none"


def _read_complaint(received: Received) -> _Complaint:
    try:
        body = orjson.loads(received.body)
    except orjson.JSONDecodeError:
        text = re.sub(r"<[^>]{0,200}>", " ", received.text())
        return _Complaint(_PAGE if received.is_page() else frozenset(), text.lower(), text)
    return _complaint_of(body, received)


def _complaint_of(body: object, received: Received) -> _Complaint:
    objects = list(_error_objects(body))
    codes = (str(part.get(key)).lower() for part in objects for key in ("code", "type", "status") if part.get(key))
    said = (part[key] for part in objects for key in ("message", "detail", "error", "msg") if part.get(key))
    words = next((text for text in said if isinstance(text, str)), "") or (body if isinstance(body, str) else "")
    return _Complaint(frozenset(codes), (words or received.text()).lower(), words)


def _error_objects(body: object, levels: int = 8) -> Iterator[Mapping[str, object]]:
    """The objects that may hold a code or a message, outermost last: OpenAI, Azure, LiteLLM, FastAPI and Google wrap them differently."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, Mapping) or not levels:
        return
    for key in ("error", "innererror", "inner_error", "detail"):
        yield from _error_objects(body.get(key), levels - 1)
    yield body
