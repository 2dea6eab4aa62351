"""Errors of particular vendors, as they were recorded: throttling, wrong keys, used-up credit.

The settings of an endpoint select them; the dialect builds the errors for which the settings name no vendor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import orjson

from ...seeded_draws import draw_name, draw_uniform
from .dialects import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..limits.quota import QuotaRefusal
    from ..settings.protocol import WrongKey
    from ..settings.provider import EndpointSettings

PLATFORM_SHARE = 0.1
"""Share of a gateway's refusals that are its own (PL-002); the others are forwarded from the model's provider (MPE-429)."""


def throttled_by_gateway(refusal: QuotaRefusal, seed: int, request_id: str) -> ErrorAnswer:
    """Build a gateway's 400 with a provider's refusal as JSON inside a string; a share are the gateway's own refusals."""
    trace_id = draw_name(seed, "trace", request_id)
    if refusal.unit == "concurrency":
        return _gateway("PL-002", "平台限流", f"平台限流, traceId: {trace_id}")
    if draw_uniform(seed, "throttled_by", request_id) < PLATFORM_SHARE:
        return _gateway("PL-002", "TPM/RPM限流", f"TPM/RPM限流, traceId: {trace_id}")
    if refusal.unit == "requests":
        code, message = "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."
    else:
        code, message = "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."
    detail = orjson.dumps({"code": code, "message": message, "request_id": trace_id}).decode()
    return _gateway("MPE-429", "模型提供方限流", f"{detail}, traceId: {trace_id}")


def throttled_by_shared_quota(refusal: QuotaRefusal, settings: EndpointSettings) -> ErrorAnswer:
    """Build Foundry's refusal by a quota per user and model: it names the limit, the window and the wait."""
    if refusal.unit == "concurrency":
        what = "Concurrent request limit exceeded for UserByModelConcurrentRequests."
    else:
        per_minute = (settings.tpm if refusal.unit == "tokens" else settings.rpm) or 0
        limit, window_s = math.floor(per_minute * settings.window_s / 60), math.ceil(settings.window_s)
        what = f"Rate limit of {limit} per {window_s}s exceeded for UserByModelByMinute{refusal.unit.title()}."
    wait_s = refusal.retry_after_s
    again = "" if wait_s is None else f" Please wait {math.ceil(wait_s)} seconds before retrying."
    return _foundry(429, "RateLimitReached", what + again)


def throttled_without_words(name: str) -> ErrorAnswer:
    """Build Foundry's refusal that reports the wait in the headers only."""
    return _foundry(
        429, "RateLimitReached", f"Your requests to {name} for {name} in westeurope have exceeded rate limit."
    )


def throttled_by_google(refusal: QuotaRefusal) -> ErrorAnswer:
    """Build Google's refusal, which reports the wait in RetryInfo only."""
    message = "You exceeded your current quota, please check your plan and billing details."
    details: list[object] = []
    if refusal.retry_after_s is not None:
        delay = f"{refusal.retry_after_s:.3f}".rstrip("0").rstrip(".")
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay}s"})
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return ErrorAnswer(429, [{"error": error}])


def credit_used_up(status: int) -> ErrorAnswer:
    """Build the answer to an account without credit."""
    kind, code, message = _CREDIT[status]
    return ErrorAnswer(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


_CREDIT: Mapping[int, tuple[str, str, str]] = {
    402: ("unknown_error", "invalid_request_error", "Insufficient Balance"),
    400: (
        "invalid_request_error",
        "billing_hard_limit_reached",
        "Billing hard limit has been reached.",
    ),
    429: (
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the "
        "docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
    ),
}


def _gateway(code: str, message: str, detail: str) -> ErrorAnswer:
    body = {"success": False, "message": message, "data": None, "code": code, "detailMessage": detail}
    return ErrorAnswer(400, body)


def _foundry(status: int, code: str, message: str) -> ErrorAnswer:
    return ErrorAnswer(status, {"error": {"code": code, "message": message, "details": message}})


_BAD_GOOGLE_KEY = "API key not valid. Please pass a valid API key."
WRONG_KEYS: Mapping[WrongKey, ErrorAnswer] = {
    "CE-003": _gateway("CE-003", "无效的api key", "无效的api key"),
    "invalid-argument": ErrorAnswer(
        400,
        {
            "code": "invalid-argument",
            "error": "Incorrect API key provided. You can obtain an API key from https://console.x.ai.",
        },
    ),
    "API_KEY_INVALID": ErrorAnswer(
        400,
        {
            "error": {
                "code": 400,
                "message": _BAD_GOOGLE_KEY,
                "status": "INVALID_ARGUMENT",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID",
                        "domain": "googleapis.com",
                        "metadata": {"service": "generativelanguage.googleapis.com"},
                    },
                    {
                        "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                        "locale": "en-US",
                        "message": _BAD_GOOGLE_KEY,
                    },
                ],
            }
        },
    ),
}
"""Answers to a wrong key, by `wrong_key`; the dialect builds the answer for 401."""
