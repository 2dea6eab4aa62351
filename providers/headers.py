"""What the headers of an answer say about limits. Read on every answer, so that silence costs about a microsecond.

`Retry-After` is honoured to the millisecond and never invented. `x-ratelimit-reset-*` is not read at all: it is the time until the
quota is *full*, and whoever sleeps on it sleeps too long.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .messages import RateLimitHint

MAX_BELIEVABLE_WAIT_S = 300.0
"""A wait above this is not a wait: it is a daily or monthly quota, or a clock that is wrong."""

_LONGEST_WAIT_S = 366 * 86_400.0
"""Whoever asks for more has said nothing."""

_TEXT_LIMIT = 4096

_SECONDS_PER_UNIT = {"ms": 0.001, "millisecond": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0}
_SECONDS_PER_UNIT |= {"m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_AMOUNT = r"(\d{1,12}(?:\.\d{1,12})?)\s*(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|h)(?![a-z])"
_AMOUNTS = re.compile(_AMOUNT, re.IGNORECASE)
_WAIT_IN_TEXT = re.compile(
    rf'(?:(?:retry|try again)\s+(?:after|in)\s+|"retryDelay"\s*:\s*")((?:{_AMOUNT.replace("(?![a-z])", "")}\s*)+)(?![a-z])',
    re.IGNORECASE,
)


def read_hint(headers: Mapping[str, str], body_text: str = "") -> RateLimitHint | None:
    """Read the limits that an answer speaks of; None where it says nothing.

    `headers` must ignore case or have lower-case keys. `body_text` is the text of an error: the last place to look for a wait.
    """
    get = headers.get
    retry_after_s = _read_wait(headers) if "retry-after" in headers or "retry-after-ms" in headers else None
    if retry_after_s is None and body_text:
        retry_after_s = _wait_in_text(body_text)
    if retry_after_s is not None and retry_after_s > _LONGEST_WAIT_S:
        retry_after_s = None
    limit_requests, remaining_requests = get("x-ratelimit-limit-requests"), get("x-ratelimit-remaining-requests")
    limit_tokens, remaining_tokens = get("x-ratelimit-limit-tokens"), get("x-ratelimit-remaining-tokens")
    if limit_requests is limit_tokens is remaining_requests is remaining_tokens is None:
        if "anthropic-ratelimit-requests-limit" in headers or "anthropic-ratelimit-tokens-limit" in headers:
            return _anthropic_hint(headers, retry_after_s)
        if retry_after_s is None:
            return None
    return _said(
        retry_after_s,
        _amount(limit_requests),
        _amount(limit_tokens),
        _amount(remaining_requests),
        _amount(remaining_tokens),
    )


def _anthropic_hint(headers: Mapping[str, str], retry_after_s: float | None) -> RateLimitHint | None:
    """Input tokens stand for tokens where the sum is not given: they are what a batch runs into first."""

    def amount(what: str) -> float | None:
        return _amount(headers.get(f"anthropic-ratelimit-{what}"))

    def either(what: str) -> float | None:
        total = amount(f"tokens-{what}")
        return amount(f"input-tokens-{what}") if total is None else total

    return _said(
        retry_after_s, amount("requests-limit"), either("limit"), amount("requests-remaining"), either("remaining")
    )


def _said(
    retry_after_s: float | None,
    limit_requests: float | None,
    limit_tokens: float | None,
    remaining_requests: float | None,
    remaining_tokens: float | None,
) -> RateLimitHint | None:
    hint = RateLimitHint(retry_after_s, limit_requests, limit_tokens, remaining_requests, remaining_tokens)
    return None if hint == RateLimitHint() else hint


def _amount(text: str | None) -> float | None:
    """A finite number that is not negative; some servers say -1 for "unknown"."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _read_wait(headers: Mapping[str, str]) -> float | None:
    milliseconds = _amount(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _amount(text)
    return _seconds_until(text, headers.get("date")) if seconds is None else seconds


def _seconds_until(http_date: str, now: str | None) -> float | None:
    """Counted from the server's own `Date`, so that the two clocks need not agree. Without one ours has to do, and it may have been
    set wrong by hours: then only a wait that a rate limit would ask for is believed."""
    then, server_now = _timestamp(http_date), _timestamp(now) if now else None
    if then is None:
        return None
    wait_s = then - (time.time() if server_now is None else server_now)
    is_believed = wait_s >= 0 and (server_now is not None or wait_s <= MAX_BELIEVABLE_WAIT_S)
    return wait_s if is_believed else None


def _timestamp(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
        return _in_utc(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _wait_in_text(text: str) -> float | None:
    found = _WAIT_IN_TEXT.search(text[:_TEXT_LIMIT])
    if found is None:
        return None
    return sum(
        float(number) * _SECONDS_PER_UNIT[_singular(unit)] for number, unit in _AMOUNTS.findall(_spaced(found[1]))
    )


def _spaced(amounts: str) -> str:
    """ "6m0s" as "6m 0s": every unit ends where a digit begins."""
    return re.sub(r"([a-z])(?=\d)", r"\1 ", amounts, flags=re.IGNORECASE)


def _singular(unit: str) -> str:
    unit = unit.lower()
    return unit.removesuffix("s") if len(unit) > 2 else unit
