"""What refusals of many servers say of the limit, in their own words."""

from __future__ import annotations

import orjson
import pytest

from providers.messages import LimitKind, LimitScope
from providers.simulator.limits.quota import QuotaRefusal, Unit
from providers.simulator.protocol.dialects import AzureDialect, OpenAIDialect
from providers.wire.rate_limits.spoken_limits import spoken_limit

MOST = 9223372036854775807
LITELLM = "Rate limit exceeded for {}: 88dc28. Limit type: {}. Current limit: {}, Remaining: {}. Limit resets at: 2026-11-27 05:00:00 UTC"
LITELLM_OLDER = (
    "LiteLLM Rate Limit Handler for rate limit type = {}. Crossed TPM / RPM / Max Parallel Request Limit. current rpm: {}, rpm limit: {}, "
    "current tpm: {}, tpm limit: {}, current max_parallel_requests: {}, max_parallel_requests: {}"
)
OPENAI = "Rate limit reached for gpt-4 in organization org-x on {}. Please try again in 1.8s. Visit https://platform.openai.com/account"
GROQ = "Rate limit reached for model `llama` in organization `org_1` service tier `on_demand` on {}. Please try again in 7.66s."
AZURE = (
    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-01 have exceeded {} rate limit of your "
    "current OpenAI S0 pricing tier. Please retry after 9 seconds."
)
ANTHROPIC = (
    '{{"type":"error","error":{{"type":"rate_limit_error","message":"This request would exceed {}. For details, refer to: '
    "https://docs.anthropic.com/en/api/rate-limits. Please reduce the prompt length or the maximum tokens requested, or try again "
    'later."}}}}'
)
GOOGLE = (
    '{{"error": {{"code": 429, "message": "You exceeded your current quota, please check your plan and billing details.", "status": '
    '"RESOURCE_EXHAUSTED", "details": [{{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{{"quotaMetric": '
    '"generativelanguage.googleapis.com/generate_content_requests", "quotaId": "{}", "quotaDimensions": {{"location": "global", '
    '"model": "gemini-2.5-flash"}}, "quotaValue": "{}"}}]}}, '
    '{{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}}]}}}}'
)
OPENROUTER = (
    "Rate limit exceeded: limit_rpm/qwen/qwen3-coder/a9bbd882. High demand for qwen/qwen3-coder:free on OpenRouter - limited to 8 "
    "requests per minute. Please retry shortly."
)
MOONSHOT = "Your account org-1<ak-1> request reached {}, please try again after 1 seconds"

Said = tuple[LimitKind | None, float | None, float | None, float | None, tuple[LimitScope, ...]]
"""Kind, limit, window, usage and scope."""


def _said(text: str) -> Said | None:
    stated = spoken_limit(text)
    return None if stated is None else (stated.kind, stated.amount, stated.window_s, stated.usage, stated.scope)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LITELLM.format("api_key", "max_parallel_requests", 2, 0), ("concurrency", 2.0, None, 2.0, ("key",))),
        (LITELLM.format("team", "tokens", 300, 0), ("tokens", 300.0, None, 300.0, ("team",))),
        (LITELLM.format("team_member", "requests", 60, 0), ("requests", 60.0, None, 60.0, ("user", "team"))),
        (LITELLM.format("model_per_key", "requests", 6, 0), ("requests", 6.0, None, 6.0, ("key", "model"))),
        (LITELLM.format("end_user", "requests", MOST, 0), ("requests", None, None, None, ("user",))),
        (LITELLM_OLDER.format("key", 1, MOST, 0, MOST, 2, 2), ("concurrency", 2.0, None, 2.0, ("key",))),
        (LITELLM_OLDER.format("team", 1, 15, 12260, 5000, 0, MOST), ("tokens", 5000.0, 60.0, 12260.0, ("team",))),
        (LITELLM_OLDER.format("user", 60, 60, 40, 5000, 3, MOST), ("requests", 60.0, 60.0, 60.0, ("user",))),
        (LITELLM_OLDER.format("team", 1, -2, 0, MOST, 1, MOST), (None, None, None, None, ("team",))),
        ("Max parallel request limit reached Hit limit for api_key", ("concurrency", None, None, None, ())),
        ("Deployment over defined rpm limit=60. current usage=61. id=abc", ("requests", 60.0, 60.0, 61.0, ("deployment",))),
        ("Model rate limit exceeded. TPM limit=8000, current usage=8241", ("tokens", 8000.0, 60.0, 8241.0, ("model",))),
        ("No deployments available for selected model, Try again in 27.5 seconds.", None),
    ],
)  # fmt: skip
def test_litellm(text: str, said: Said | None) -> None:
    assert _said(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OPENAI.format("tokens per min (TPM): Limit 10000, Used 9500, Requested 800"),
         ("tokens", 10_000.0, 60.0, 9500.0, ("account", "model"))),
        (OPENAI.format("requests per day (RPD): Limit 200, Used 200, Requested 1"),
         ("requests", 200.0, 86_400.0, 200.0, ("account", "model"))),
        (OPENAI.format("requests per min. Limit: 3 / min"), ("requests", 3.0, 60.0, None, ("account", "model"))),
        ("Rate limit reached for default-gpt-4 in organization org-x on tokens per min. Limit: 10000 / min. Current: 9000 / min.",
         ("tokens", 10_000.0, 60.0, 9000.0, ("account", "model"))),
        (GROQ.format("tokens per minute (TPM): Limit 6000, Used 5500, Requested 1000"),
         ("tokens", 6000.0, 60.0, 5500.0, ("account", "model"))),
        ('{"error": {"message": "Slow down.", "type": "tokens", "code": "rate_limit_exceeded"}}', ("tokens", None, None, None, ())),
    ],
)  # fmt: skip
def test_openai_and_groq(text: str, said: Said) -> None:
    assert _said(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AZURE.format("call"), ("requests", None, None, None, ())),
        (AZURE.format("token"), ("tokens", None, None, None, ())),
        (AZURE.format("concurrent request"), ("concurrency", None, None, None, ())),
        ("Your requests to nano for gpt-4.1-nano in Sweden Central have exceeded the token rate limit for your current AIServices S0 "
         "pricing tier.", ("tokens", None, None, None, ("deployment",))),
        ("Your requests to grok for grok in westeurope have exceeded rate limit.", (None, None, None, None, ("deployment",))),
        ("Rate limit of 400000 per 60s exceeded for UserByModelByMinuteTokens.",
         ("tokens", 400_000.0, 60.0, None, ("account", "model"))),
        ("Concurrent request limit exceeded for UserByModelConcurrentRequests.",
         ("concurrency", None, None, None, ("account", "model"))),
        ("The system is currently experiencing high demand and cannot process your request. Your request exceeds the maximum usage size "
         "allowed during peak load.", ("overload", None, None, None, ())),
        ("Token limit is exceeded. Try again in 25 seconds.", ("tokens", None, None, None, ())),
        ("Out of call volume quota. Quota will be replenished in 12:13:14.", ("requests", None, None, None, ())),
        ("Rate limit is exceeded. Try again in 9 seconds.", None),
    ],
)  # fmt: skip
def test_azure_and_its_gateway(text: str, said: Said | None) -> None:
    assert _said(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ANTHROPIC.format("your organization's rate limit of 50 requests per minute"), ("requests", 50.0, 60.0, None, ("account",))),
        (ANTHROPIC.format("the rate limit for your organization (0dccdde6-f924-4f1b-bb3b-92ef846e0a5b) of 20,000 input tokens per minute"),
         ("tokens", 20_000.0, 60.0, None, ("account",))),
        (ANTHROPIC.format("your account's rate limit"), (None, None, None, None, ("account",))),
        ("Number of concurrent connections has exceeded your rate limit. Please try again later.", ("concurrency", None, None, None, ())),
        ("Number of request tokens has exceeded your per-minute rate limit", ("tokens", None, 60.0, None, ())),
        ('{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', ("overload", None, None, None, ())),
    ],
)  # fmt: skip
def test_anthropic(text: str, said: Said) -> None:
    assert _said(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOGLE.format("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", 10), ("requests", 10.0, 60.0, None, ("account", "model"))),
        (GOOGLE.format("GenerateContentInputTokensPerModelPerMinute-FreeTier", 250000), ("tokens", 250_000.0, 60.0, None, ("model",))),
        (GOOGLE.format("GenerateRequestsPerDayPerProjectPerModel", 1000), ("requests", 1000.0, 86_400.0, None, ("account", "model"))),
        (GOOGLE.format("GenerateRequestsPerMinutePerProjectPerModel", 10).replace('"', '\\"'),
         ("requests", 10.0, 60.0, None, ("account", "model"))),
        ("Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 250, model: g",
         ("requests", 250.0, None, None, ())),
        ("Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model with base model: g",
         ("requests", None, 60.0, None, ("account", "model"))),
        ("Quota exceeded for aiplatform.googleapis.com/online_prediction_output_tokens_per_minute_per_base_model with base model: g",
         ("tokens", None, 60.0, None, ("model",))),
        ("Quota exceeded for quota metric 'Generate Content API requests per minute' and limit 'GenerateContent request limit per minute'",
         ("requests", None, 60.0, None, ())),
        ("Resource exhausted. Please try again later. Please refer to https://cloud.google.com/vertex-ai/docs/error-code-429 for more",
         ("overload", None, None, None, ())),
        ("The model is overloaded. Please try again later.", ("overload", None, None, None, ())),
        ("No capacity available for model gemini-3 on the server", ("overload", None, None, None, ())),
    ],
)  # fmt: skip
def test_google(text: str, said: Said) -> None:
    assert _said(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OPENROUTER, ("requests", 8.0, 60.0, None, ("account", "model"))),
        ('Rate limit exceeded: limit_rpm/a/b","metadata":{"headers":{"X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0"}}',
         ("requests", 20.0, 60.0, None, ("account", "model"))),
        ('Rate limit exceeded: free-models-per-day. ","metadata":{"headers":{"X-RateLimit-Limit":"50"}}',
         ("requests", 50.0, 86_400.0, None, ("account",))),
        ("qwen/qwen3-coder:free is temporarily rate-limited upstream. Please retry shortly.", ("overload", None, None, None, ())),
        ("Requests rate limit exceeded", ("requests", None, None, None, ())),
        ("Rate limit exceeded", None),
        ("Service tier capacity exceeded for this model.", ("overload", None, None, None, ())),
        (MOONSHOT.format("max organization concurrency: 1"), ("concurrency", 1.0, None, None, ("account",))),
        (MOONSHOT.format("organization max RPM: 3"), ("requests", 3.0, 60.0, None, ("account",))),
        (MOONSHOT.format("organization TPD rate limit, current: 1500, limit: 1000"), ("tokens", 1000.0, 86_400.0, 1500.0, ("account",))),
        ("Throttling.AllocationQuota Allocated quota exceeded", ("tokens", None, None, None, ())),
        ("AI token rate limit exceeded for provider(s): azure", ("tokens", None, None, None, ())),
        ("API rate limit exceeded", None),
        ("Too many tokens, please wait before trying again.", ("tokens", None, None, None, ())),
        ("Too many requests, please wait before trying again.", None),
        ("Rate limit reached for RPM", ("requests", None, 60.0, None, ())),
        ("TPM/RPM限流", None),
        ("Too many concurrent requests. Limit: 1 concurrent requests", ("concurrency", None, None, None, ())),
    ],
)  # fmt: skip
def test_other_vendors_and_gateways(text: str, said: Said | None) -> None:
    assert _said(text) == said


@pytest.mark.parametrize(
    "text",
    [
        '{"error":"Model is overloaded","error_type":"overloaded"}',
        "The engine is currently overloaded, please try again later",
        "That model is currently overloaded with other requests.",
        "Selected model is at capacity",
        "The request queue is full.",
        "server busy, please try again. maximum pending requests exceeded",
        "Server is temporarily limiting requests (not your usage limit)",
        "该模型当前访问量过大，请您稍后再试",
    ],
)
def test_the_load_of_others_is_no_limit(text: str) -> None:
    assert _said(text) == ("overload", None, None, None, ())


def test_the_words_and_the_name_are_kept_as_they_were_written() -> None:
    stated = spoken_limit("Rate limit of 400000 per 60s exceeded for UserByModelByMinuteTokens. Please wait 9 seconds.")
    assert stated is not None
    assert stated.quota == "UserByModelByMinuteTokens"
    assert stated.source == "words Rate limit of 400000 per 60s exceeded for UserByModelByMinut"


@pytest.mark.parametrize("number", ["0", "9" * 24, "99,999,999,999,999", "-5", "nan", "1e400"])
def test_a_limit_that_is_none_or_absurd_is_absent(number: str) -> None:
    stated = spoken_limit(f"rate limit of {number} requests per minute")
    assert stated is not None
    assert (stated.kind, stated.amount) == ("requests", None)


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "rate limit ", 'quotaId":"', "\\", "limit_rpm/", "your account ", " ", "İ"]
)
def test_a_megabyte_of_words_is_read_at_its_start_only(piece: str) -> None:
    many = piece * (2**20 // len(piece))
    stated = spoken_limit(many)
    assert stated == spoken_limit(many[:4096])
    assert stated is None or stated.amount is None


def test_a_web_page_is_not_read() -> None:
    assert spoken_limit("<html><body>429: 60 requests per minute</body></html>") is None


def test_nothing_stated_is_nothing() -> None:
    assert spoken_limit("") is None


@pytest.mark.parametrize("unit", ["requests", "tokens", "concurrency"])
@pytest.mark.parametrize("dialect", [OpenAIDialect(), AzureDialect()])
def test_the_simulator_s_refusals_are_read(dialect: OpenAIDialect | AzureDialect, unit: Unit) -> None:
    body = dialect.throttled(QuotaRefusal(unit, 2.0, 1.0), "m").body
    stated = spoken_limit(orjson.dumps(body).decode())
    assert stated is not None
    assert stated.kind == unit
