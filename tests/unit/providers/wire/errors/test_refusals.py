"""What a refusal means, by its words, whatever its status and wherever they stand."""

from __future__ import annotations

import orjson
import pytest

from providers.errors import (
    AuthFailed,
    ContentFiltered,
    ContextTooLong,
    DeploymentMissing,
    InvalidToolCall,
    OutOfQuota,
    ProviderError,
    Refused,
    Rejected,
    RequestTooLarge,
    Throttled,
)
from providers.messages import ChatRequest
from providers.wire.errors.refusals import classify_error_body, classify_failure
from providers.wire.received import Received


def received(status: int, body: object, headers: dict[str, str] | None = None) -> Received:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Received("east/m", "s/1/1", ChatRequest([]), status, headers or {}, raw)


def said(message: str, code: object = None, **more: object) -> dict[str, object]:
    return {"error": {"message": message, "code": code, **more}}


THROTTLES: list[tuple[int, object]] = [
    (400, {"success": False, "message": "模型提供方限流", "data": None, "code": "MPE-429",
           "detailMessage": '{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded."}, traceId: 7'}),
    (400, {"message": "x", "detailMessage": '{"code":"Throttling.AllocationQuota","message":"Allocated quota exceeded."}'}),
    (400, {"code": "PL-002", "message": "平台限流"}),
    (400, {"code": "x", "message": "TPM/RPM限流"}),
    (429, {"code": "PL-002", "message": "平台限流"}),
    (500, {"message": "请求过于频繁"}),
    (400, said("Too many requests")),
    (403, said("Quota exceeded for quota metric", status="RESOURCE_EXHAUSTED")),
    (429, [said("You exceeded your current quota, please check your plan and billing details.", 429)]),
]  # fmt: skip
KEYS: list[tuple[int, object]] = [
    (400, {"code": "CE-003", "message": "无效的api key"}),
    (400, [said("API key not valid. Please pass a valid API key.", 400, details=[{"reason": "API_KEY_INVALID"}])]),
    (400, said("API key expired. Please renew the API key.")),
    (400, {"code": "invalid-argument", "error": "Incorrect API key provided."}),
    (400, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}),
    (400, said("x", details=[{"reason": "API_KEY_INVALID"}])),
    (401, said("无效的令牌")),
]
QUOTAS: list[tuple[int, object]] = [
    (400, said("Your credit balance is too low to access the Anthropic API.")),
    (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
    (400, said("账户欠费", "1113")),
    (429, said("余额不足或无可用资源包,请充值。", "1113")),
    (402, said("Insufficient Balance")),
    (403, said("user quota is not enough", "insufficient_user_quota")),
    (400, said("x", "billing_hard_limit_reached")),
    (400, said("Billing hard limit has been reached")),
    (403, said("The free allocated quota exceeded", "AllocationQuota.FreeTierOnly")),
    (429, said("Your account is suspended", type="exceeded_current_quota_error")),
]
MODELS: list[tuple[int, object]] = [
    (400, said("Model Not Exist")),
    (400, said("foo/bar is not a valid model ID")),
    (400, said("Unavailable model: DeepSeek-R1")),
    (400, {"message": "The provided model identifier is invalid."}),
    (400, said("x", "unsupported_api_for_model")),
    (400, said("x", "no_model_name")),
    (400, said("Unknown model: DeepSeek-V4-Flash", "unknown_model")),
    (400, said("The model `m-9` does not exist or you do not have access to it.")),
    (400, said("The model `llama-3` has been decommissioned and is no longer supported.")),
    (400, said("The requested model 'x' is not supported by any provider you have enabled.")),
    (400, said("模型 abc 不存在")),
    (400, said("当前分组 default 下对于模型 m 无可用渠道")),
    (404, said("This model is only supported in v1/responses and not in v1/chat/completions.")),
]
REGIONS: list[tuple[int, object]] = [
    (403, said("Country, region, or territory not supported", "unsupported_country_region_territory")),
    (400, said("User location is not supported for the API use.", status="FAILED_PRECONDITION")),
    (403, said("This model is not available in your region.")),
]
LENGTHS = [
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    "Input is too long for requested model.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "Your request exceeded model token limit: 131072",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 512 `max_new_tokens`",
    "Range of input length should be [1, 30720]",
    "Input tokens exceed the configured limit of 272000 tokens. Please reduce the length of the messages.",
    "This endpoint's maximum context length is 131072 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Prompt 超长",
]
FILTERS = [
    "Content Exists Risk",
    "系统检测到输入或生成内容可能包含不安全或敏感内容",
    "Input data may contain inappropriate content.",
]
CALLS = [
    "Failed to call a function. Please adjust your prompt.",
    "Tool choice is required, but model did not call a tool",
]
TOO_LARGE: list[tuple[int, object]] = [
    (429, said("Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 42000.", "x")),
    (413, said("Request too large for model `m` in organization `o` on tokens per minute (TPM): Limit 6000, Requested 7000", "x")),
    (429, said("Rate limit reached on tokens per min (TPM): Limit 30000, Used 0, Requested 42000.")),
]  # fmt: skip

ROWS: list[tuple[int, object, type[ProviderError]]] = [
    *((status, body, Throttled) for status, body in THROTTLES),
    *((status, body, AuthFailed) for status, body in KEYS),
    *((status, body, OutOfQuota) for status, body in QUOTAS),
    *((status, body, DeploymentMissing) for status, body in MODELS),
    *((status, body, Refused) for status, body in REGIONS),
    *((status, body, RequestTooLarge) for status, body in TOO_LARGE),
    *((status, said(text), ContextTooLong) for text in LENGTHS for status in (400, 422)),
    *((status, said(text), ContentFiltered) for text in FILTERS for status in (400, 403)),
    *((400, said(text, "tool_use_failed"), InvalidToolCall) for text in CALLS),
    (400, said("max_tokens is too large: 8192. This model's maximum context length is 4096 tokens."), Refused),
    (400, said("Provider returned error", 400, metadata={"raw": '{"message":"Input is too long for requested model."}'}), ContextTooLong),
    (400, said("Provider returned error", 400, metadata={"raw": '{"error":{"message":"no","code":"content_filter"}}'}), ContentFiltered),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "expected"), ROWS)
def test_words_decide_whatever_the_status(status: int, body: object, expected: type[ProviderError]) -> None:
    assert type(classify_failure(received(status, body))) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (said("Failed to call a function. Please adjust your prompt.", "tool_use_failed"), InvalidToolCall),
        (said("User location is not supported for the API use."), Refused),
        (said("模型提供方限流", "MPE-429"), Throttled),
        (said("This model's maximum context length is 8192 tokens"), ContextTooLong),
    ],
)
def test_an_error_inside_a_stream_means_the_same(body: dict[str, object], expected: type[ProviderError]) -> None:
    assert type(classify_error_body(body, received(200, body))) is expected


@pytest.mark.parametrize("status", [400, 403, 405, 409, 411, 415, 418, 422, 431, 451])
def test_a_refusal_for_the_region_is_nobodys_key_and_nobodys_failure(status: int) -> None:
    error = classify_failure(received(status, said("User location is not supported for the API use.")))
    assert type(error) is Refused
    assert "User location is not supported" in str(error)


def test_what_a_body_repeats_of_the_prompt_decides_nothing() -> None:
    prompt = "content filter, rate limit, invalid api key, model not found, maximum context length"
    body = {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": prompt}],
            "messages": [{"content": prompt}]}  # fmt: skip
    error = classify_failure(received(422, body))
    assert type(error) is Refused
    assert "Extra inputs are not permitted (body.seed)" in str(error)


def test_the_innermost_sentence_is_told_first_and_the_gateway_s_after_it() -> None:
    body = said(
        "Provider returned error", 400, metadata={"raw": '{"error":{"message":"temperature is not supported"}}'}
    )
    error = classify_failure(received(400, body))
    assert str(error).endswith("temperature is not supported; Provider returned error")


def test_a_daily_quota_that_opens_in_hours_is_out_of_quota() -> None:
    body = said(
        "Rate limit exceeded: free-models-per-day", 429, metadata={"headers": {"X-RateLimit-Reset": "1000036000000"}}
    )
    error = classify_failure(received(429, body, {"date": "Sun, 09 Sep 2001 01:46:40 GMT"}))
    assert type(error) is OutOfQuota
    assert error.retry_after_s == 36_000.0


@pytest.mark.parametrize("depth", [50, 100_000])
def test_json_in_a_string_that_nests_too_deep_is_still_a_refusal(depth: int) -> None:
    assert type(classify_failure(received(400, said("[" * depth)))) is Refused


def test_only_what_concerns_the_content_of_one_request_is_rejected() -> None:
    kinds = {type(classify_failure(received(status, body))) for status, body, _ in ROWS}
    assert {kind for kind in kinds if issubclass(kind, Rejected)} == {ContextTooLong, ContentFiltered, InvalidToolCall}
