"""Classifies a failed request with one table: the first row that fits gives the error.

The order follows two rules. A refusal is a failure of the model only where it is known to concern the content of this one request; a
refusal that the table does not know is `Refused`, which is never scored. And an instance is given up only where codes, message or status
state it.

Servers use any status for any refusal, so codes and messages are checked before the status. `x-should-retry: true` turns a refusal that
matches no other row into a fault that is retried. `false` is ignored, because retries are limited anyway.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ...errors import (
    AuthFailed,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    InvalidToolCall,
    Malformed,
    OutOfQuota,
    ProviderError,
    Refused,
    RequestTooLarge,
    ServerFault,
    Throttled,
    TimedOut,
)
from ..rate_limits.headers import MAX_BELIEVABLE_WAIT_S
from ..received import Received
from . import wordings as say
from .complaint import PAGE, Complaint, complaint_of, read_complaint

MESSAGE_LIMIT: Final = 300
"""Characters of the server's text that a message repeats."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table: it fits where the status is listed and, if codes or words are given, one of them occurs."""

    error: type[ProviderError]
    statuses: Container[int]
    meaning: str
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None

    def fits(self, status: int, complaint: Complaint) -> bool:
        if status not in self.statuses:
            return False
        if not self.codes and self.words is None:
            return True
        return bool(self.codes & complaint.codes) or bool(self.words and self.words.search(complaint.text))


_PASSING = frozenset({407, 408, 424, 425, 498, 499})
"""Client errors that are temporary: a proxy, a timeout, a failed dependency, an early request, a closed connection."""
_CLIENT = frozenset(range(400, 500)) - _PASSING
_SAID = _CLIENT - {401, 429} | {200}
"""Statuses where codes and messages decide. 200 stands for an error object inside an answer or a stream."""
_BY_A_PAGE = _CLIENT - {401, 402, 404, 410, 429}
_BUSY = _Row(Throttled, (), "too many requests for now")
_REFUSED = _Row(Refused, _CLIENT, "the request was refused")
_OTHERWISE = _Row(ServerFault, (), "the server failed")
_TOO_LARGE = _Row(
    RequestTooLarge,
    {200, 400, 413, 429},
    "the request is larger than the rate limit ever admits",
    words=say.LARGER_THAN_THE_LIMIT,
)

TABLE: Final = (
    _Row(ServerFault, _BY_A_PAGE, "a web page came where the API should answer: a proxy or firewall in between", frozenset({PAGE})),
    _TOO_LARGE,
    _Row(Refused, _SAID | {401}, "the endpoint does not serve this region", say.REGION_CODES, say.REGION),
    _Row(OutOfQuota, _SAID | {401, 429}, "the quota is used up", say.QUOTA_CODES, say.QUOTA),
    _Row(OutOfQuota, {200, 402, 403, 429}, "the quota is used up", words=say.QUOTA_OF_ZERO),
    _Row(AuthFailed, _SAID | {401}, "the key is not accepted", say.KEY_CODES, say.KEY),
    _Row(Throttled, _SAID, "too many requests for now", say.RATE_CODES, say.RATE),
    _Row(Throttled, range(500, 600), "too many requests for now", words=say.RATE_IN_CHINESE),
    _Row(Throttled, {503}, "too many requests for now", say.RATE_CODES),
    _Row(InvalidToolCall, _SAID, "the model wrote a call that is none", say.BROKEN_CALL_CODES, say.BROKEN_CALL),
    _Row(Refused, _SAID, "max_tokens is larger than the model's limit", words=say.TOO_MANY_TOKENS_ASKED),
    _Row(ContextTooLong, _SAID | {500}, "the request is longer than the model's context", say.TOO_LONG_CODES, say.TOO_LONG),
    _Row(ContentFiltered, _SAID, "the content filter refused the request", say.FILTER_CODES, say.FILTER),
    _Row(DeploymentMissing, _SAID, "there is no such deployment or model here", say.NO_MODEL_CODES, say.NO_MODEL),
    _Row(OutOfQuota, {402}, "the account requires payment"),
    _Row(Throttled, {429}, "too many requests for now"),
    _Row(AuthFailed, {401, 403}, "the key is not accepted"),
    _Row(DeploymentMissing, {404, 410}, "there is no such deployment or model here, or the address is wrong"),
    _Row(TimedOut, {408}, "the server gave up waiting"),
    _Row(ContextTooLong, {413}, "the request is too large"),
    _REFUSED,
    _Row(Malformed, {200}, "the answer is an error"),
    _Row(Malformed, range(300, 400), "redirected; redirects are not followed so that the key never leaves"),
)  # fmt: skip
"""Anything else (425, 529, every other 5xx) is a ServerFault."""


def classify_failure(received: Received) -> ProviderError:
    """Classify a response with a status other than 2xx."""
    complaint = read_complaint(received)
    evidence = received.evidence()
    wait_s = (evidence.hint and evidence.hint.retry_after_s) or 0.0
    row = _reconsider(_choose_row(received.status, complaint), received, complaint, wait_s)
    message = _sentence(received, row.meaning, complaint.words)
    if row.error is TimedOut:
        return TimedOut(message, evidence, stage="attempt")
    return row.error(message, evidence)


def _choose_row(status: int, complaint: Complaint) -> _Row:
    return next((row for row in TABLE if row.fits(status, complaint)), _OTHERWISE)


def _reconsider(row: _Row, received: Received, complaint: Complaint, wait_s: float) -> _Row:
    """Replace the row where numbers or headers decide: a request above the limit, a very long wait, a 503 that throttles, a retry hint."""
    if row.error is Throttled and say.asks_for_more_than_the_limit(complaint.text):
        return _TOO_LARGE
    if row.error is Throttled and received.status < 500 and wait_s > MAX_BELIEVABLE_WAIT_S:
        why = f"the server asks to wait {wait_s:.0f} s, which is no wait: a daily quota, or one request above a limit per minute"
        return _Row(OutOfQuota, (), why)
    if row is _OTHERWISE and received.status == 503 and wait_s and say.RATE.search(complaint.text):
        return _BUSY
    if row is _REFUSED and received.headers.get("x-should-retry") == "true":
        return _OTHERWISE
    return row


def classify_error_body(body: Mapping[str, object], received: Received) -> ProviderError:
    """Classify an error object in a response with a 2xx status."""
    complaint = complaint_of(body, received)
    row = _choose_row(200, complaint)
    return row.error(_sentence(received, row.meaning, complaint.words), received.evidence())


def tell(text: str) -> str:
    """Return the server's text on one line, without control characters, at most MESSAGE_LIMIT characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * MESSAGE_LIMIT])
    words = " ".join(printable.split())
    return words if len(words) <= MESSAGE_LIMIT else words[: MESSAGE_LIMIT - 1] + "…"


def _sentence(received: Received, meaning: str, words: str) -> str:
    if 300 <= received.status < 400:
        words = _target(received.masking.mask(received.headers.get("location", "")))
    status = f" (HTTP {received.status})" if received.status >= 300 else ""
    quoted = tell(received.masking.mask(words))
    return f"{received.instance}: {meaning}{status}" + (f": {quoted}" if quoted else "")


def _target(location: str) -> str:
    """Describe the target of a redirect by its host only, because the rest may contain a secret."""
    if not location:
        return "it does not say where to"
    try:
        return f"to {urlsplit(location).hostname or 'the same host'}"
    except ValueError:
        return "to an address that is none"
