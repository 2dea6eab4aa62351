"""Rate limits in the headers of an answer and, where it is an error, in its message. Read on every answer, so no headers must be cheap.

The wait is the larger of `retry-after` and `retry-after-ms`; 0 counts as absent, and no wait is ever invented. `x-ratelimit-reset-*` is
never used as a wait: it is the time until the quota is *full*, which is too long. It only distinguishes a limit per day from one per
minute, because a daily limit is not a rate.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ...messages import RateLimitHint
from .refusal_headers import stated_in_headers
from .spoken_limits import StatedLimit, spoken_limit
from .spoken_waits import seconds_of, spoken_reset, spoken_wait_s

MAX_BELIEVABLE_WAIT_S = 300.0
"""A longer wait is not a rate limit: it is a daily or monthly quota, or a wrong clock."""

_LONGEST_WAIT_S = 366 * 86_400.0
"""A longer wait is ignored."""
_LONGEST_RATE_S = 3600.0
"""A limit over a longer window is a quota, not a rate."""

_OVERLOADED = 529

_FAMILY = re.compile(r"(?:x-)?ratelimit(bysize)?-(limit|remaining)(?:-(requests|req|tokens))?(-minute)?")
"""Mistral, Hugging Face, Cerebras, Together, RFC drafts; windows of other lengths (-day, -month, -10-second) are not read."""
_PARAMETER = re.compile(r";\s*([a-z])=(\d{1,12})")


def read_hint(headers: Mapping[str, str], body_text: str = "", status: int = 0) -> RateLimitHint | None:
    """Read the rate limits of an answer; None where it names none.

    `headers` must ignore case or have lower-case keys. `body_text` and `status` are those of an error: it is searched for a wait last,
    and for the limit that refused.
    """
    get = headers.get
    wait_s = _read_wait(headers) if "retry-after" in headers or "retry-after-ms" in headers else None
    limit_requests, remaining_requests = get("x-ratelimit-limit-requests"), get("x-ratelimit-remaining-requests")
    limit_tokens, remaining_tokens = get("x-ratelimit-limit-tokens"), get("x-ratelimit-remaining-tokens")
    if limit_requests is limit_tokens is remaining_requests is remaining_tokens is None:
        hint = _rarer_hint(headers, wait_s)
    else:
        amounts = (
            _amount(limit_requests),
            _amount(limit_tokens),
            _amount(remaining_requests),
            _amount(remaining_tokens),
        )
        hint = _said(wait_s, *amounts)
        if hint is not None and _is_daily(hint, get("x-ratelimit-reset-requests")):
            hint = _said(wait_s, None, hint.limit_tokens, None, hint.remaining_tokens)
    return _with_words(hint, body_text, headers, status) if body_text or status >= 400 else hint


def _with_words(hint: RateLimitHint | None, text: str, headers: Mapping[str, str], status: int) -> RateLimitHint | None:
    """Add what an error states: a wait where the headers have none, and which limit refused."""
    hint = hint or RateLimitHint()
    if hint.retry_after_s is None:
        wait_s = spoken_wait_s(text)
        if wait_s is None and (reset := spoken_reset(text)) is not None:
            wait_s = _until(reset, headers.get("date"))
        hint = replace(hint, retry_after_s=_believable(wait_s))
    if (stated := _stated(hint, text, headers, status)) is not None:
        hint = replace(
            hint,
            stated_limit=stated.amount,
            stated_window_s=stated.window_s,
            stated_kind=stated.kind,
            stated_quota=stated.quota,
            stated_scope=stated.scope,
            stated_usage=stated.usage,
            source=stated.source,
        )
    return None if hint == RateLimitHint() else hint


def _stated(hint: RateLimitHint, text: str, headers: Mapping[str, str], status: int) -> StatedLimit | None:
    """Combine words and headers. Where they name different kinds, the words decide, except against a header that names the kind."""
    spoken, told = spoken_limit(text), stated_in_headers(headers, hint)
    if told is None and status == _OVERLOADED and (spoken is None or spoken.kind is None):
        return StatedLimit("overload", source=f"status {status}")
    if told is None or spoken is None:
        return told or spoken
    if spoken.kind not in (None, told.kind):
        return replace(told, scope=spoken.scope) if told.is_explicit else spoken
    has_numbers = not (spoken.amount is spoken.window_s is None and spoken.quota is None)
    numbers = spoken if has_numbers else told
    source = told.source if spoken.kind is None else spoken.source
    return replace(numbers, kind=told.kind, scope=spoken.scope, source=source)


def _rarer_hint(headers: Mapping[str, str], wait_s: float | None) -> RateLimitHint | None:
    names = [name for name in headers if "ratelimit" in name.lower()]
    if not names:
        return None if wait_s is None else RateLimitHint(wait_s)
    if any(name.lower().startswith("anthropic-") for name in names):
        return _anthropic_hint(headers, wait_s)
    if "ratelimit" in headers:
        return _structured_hint(headers, wait_s)
    return _family_hint(headers, names, wait_s)


def _family_hint(headers: Mapping[str, str], names: list[str], wait_s: float | None) -> RateLimitHint | None:
    """Read headers by suffix.

    Names with "minute" have precedence. A name without a unit counts requests, and only where its reset is at most an hour away.
    """
    amounts: dict[tuple[str, str], float | None] = {}
    for name in sorted(names, key=lambda name: "minute" not in name.lower()):
        parts = _FAMILY.fullmatch(name.lower())
        if parts is None:
            continue
        is_of_tokens = parts[1] or parts[3] == "tokens"
        if not (is_of_tokens or parts[3] or parts[4]) and _resets_late(headers):
            continue
        amounts.setdefault((parts[2], "tokens" if is_of_tokens else "requests"), _amount(headers[name].split(",")[0]))
    kinds = [(what, unit) for what in ("limit", "remaining") for unit in ("requests", "tokens")]
    return _said(wait_s, *(amounts.get(kind) for kind in kinds))


def _structured_hint(headers: Mapping[str, str], wait_s: float | None) -> RateLimitHint | None:
    """Read the RFC draft's `ratelimit: "default";r=50;t=30` and `ratelimit-policy: "default";q=100;w=60`."""
    now = dict(_PARAMETER.findall(headers["ratelimit"].lower()))
    policy = dict(_PARAMETER.findall(headers.get("ratelimit-policy", "").lower()))
    window_s = _amount(policy.get("w")) or 60.0
    if window_s > _LONGEST_RATE_S or (_amount(now.get("t")) or 0.0) > _LONGEST_RATE_S:
        return _said(wait_s, None, None, None, None)
    limit = _amount(policy.get("q"))
    return _said(wait_s, None if limit is None else limit * 60.0 / window_s, None, _amount(now.get("r")), None)


def _resets_late(headers: Mapping[str, str]) -> bool:
    reset = _amount(headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset"))
    if reset is None:
        return False
    wait_s = _until(reset, headers.get("date")) if reset > _LONGEST_WAIT_S else reset
    return wait_s is not None and wait_s > _LONGEST_RATE_S


def _is_daily(hint: RateLimitHint, reset: str | None) -> bool:
    """Return whether the refill is so slow that the limit is per day: 10,000 requests, one refilled every 8.64 s."""
    limit, remaining = hint.limit_requests, hint.remaining_requests
    if reset is None or limit is None or remaining is None or remaining >= limit:
        return False
    reset_s = seconds_of(reset)
    return reset_s is not None and reset_s * limit / (limit - remaining) > _LONGEST_RATE_S


def _anthropic_hint(headers: Mapping[str, str], retry_after_s: float | None) -> RateLimitHint | None:
    """Read Anthropic's headers. Input tokens are used where the sum is not given: a batch reaches their limit first."""

    def amount(what: str) -> float | None:
        return _amount(headers.get(f"anthropic-ratelimit-{what}"))

    def either(what: str) -> float | None:
        total = amount(f"tokens-{what}")
        return amount(f"input-tokens-{what}") if total is None else total

    return _said(
        retry_after_s, amount("requests-limit"), either("limit"), amount("requests-remaining"), either("remaining")
    )


def _said(wait_s: float | None, *amounts: float | None) -> RateLimitHint | None:
    """Build a hint from the limits of requests and tokens and the remaining amounts; None where all are None."""
    limit_requests, limit_tokens, remaining_requests, remaining_tokens = amounts
    if wait_s is limit_requests is limit_tokens is remaining_requests is remaining_tokens is None:
        return None
    return RateLimitHint(wait_s, limit_requests, limit_tokens, remaining_requests, remaining_tokens)


def _amount(text: str | None) -> float | None:
    """Parse a finite number that is not negative; some servers send -1 for "unknown"."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None  # NaN is neither


def _read_wait(headers: Mapping[str, str]) -> float | None:
    """Return the larger of the two headers: one is rounded, the other is 0 where it is unset."""
    milliseconds, text = _amount(headers.get("retry-after-ms")), headers.get("retry-after")
    seconds = _amount(text)
    if seconds is None and text is not None:
        seconds = _seconds_until(text, headers.get("date"))
    return _believable(max((milliseconds or 0.0) / 1000, seconds or 0.0))


def _believable(wait_s: float | None) -> float | None:
    """Return the wait; None where it is 0 or longer than a year."""
    return wait_s if wait_s is not None and 0 < wait_s <= _LONGEST_WAIT_S else None


def _seconds_until(http_date: str, now: str | None) -> float | None:
    """Compute the wait until a date. Without the server's `Date`, this machine's clock is used, and only a short wait is accepted."""
    then = _timestamp(http_date)
    wait_s = None if then is None else _until(then, now)
    is_believed = wait_s is not None and (
        wait_s <= MAX_BELIEVABLE_WAIT_S or (now is not None and _timestamp(now) is not None)
    )
    return wait_s if is_believed else None


def _until(then: float, now: str | None) -> float | None:
    """Compute seconds from the server's `Date`, else from this machine's clock, until a time; None for the past."""
    server_now = _timestamp(now) if now else None
    wait_s = then - (time.time() if server_now is None else server_now)
    return wait_s if wait_s >= 0 else None


def _timestamp(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
        return _in_utc(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
