"""How servers say what is wrong: codes, and words in lower case, one group per meaning. `refusals` says what each means.

Words are searched in sentences of servers only, never in what a body repeats of the prompt. Every pattern is linear.
"""

from __future__ import annotations

import re


def _any_of(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words))


TOO_LONG_CODES = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "string_above_max_length",
        "too_many_prompt_tokens",
    }
)
TOO_LONG = _any_of(
    r"context[ _](?:length|window|size|limit)",
    r"(?:prompt|input)s? (?:is |are |was )?too long",
    r"input (?:token count|tokens?) .{0,60}exceed",
    r"(?:prompt|input) tokens? exceed",
    r"number of (?:input|prompt) tokens exceed",
    r"prompt .{0,60}exceed",
    r"exceed(?:s|ed)? (?:the )?(?:model'?s? )?(?:maximum )?(?:model )?token limit",
    r"maximum prompt length",
    r"max_new_tokens` must be <=",
    r"range of input length",
    r"total length of (?:all )?(?:the )?messages is too long",
    r"reduce the length of (?:the|your) (?:messages|prompt|input)",
    r"too many (?:input|prompt) tokens",
    "超长",
    "(?:输入|上下文|提示词?).{0,12}(?:过长|太长|超过|超出)",
)

FILTER_CODES = frozenset(
    {
        "content_filter",
        "responsibleaipolicyviolation",
        "content_policy_violation",
        "data_inspection_failed",
        "datainspectionfailed",
    }
)
FILTER = _any_of(
    "content management polic",
    r"content[ _]filter",
    "inappropriate content",
    "(?:input|prompt) was flagged",
    "content exists risk",
    "considered high risk",
    "violates usage guidelines",
    "potentially violating",
    "敏感内容",
)

NO_MODEL_CODES = frozenset(
    {
        "deploymentnotfound",
        "model_not_found",
        "modelnotfound",
        "unknown_model",
        "operationnotsupported",
        "unsupported_api_for_model",
        "no_model_name",
        "model_not_exist",
        "model_not_supported",
        "model_decommissioned",
        "modelnotopen",
        "invalid_model",
        "invalidendpointormodel.notfound",
    }
)
NO_MODEL = _any_of(
    r"invalid model (?:name|id)",
    r"(?:model|deployment) (?:\S{1,120} )?(?:was |is )?not found",
    r"(?:unknown|unavailable|no such) model",
    r"model not exist",
    r"model (?:\S{1,120} )?(?:does not|doesn't) exist",
    r"model identifier is invalid",
    r"is not a valid model",
    r"model (?:\S{1,120} )?(?:has been|is) (?:decommissioned|not supported by any provider)",
    r"not (?:a chat model|in v1/chat/completions)",
    r"no model name",
    "模型.{0,80}不存在",
    "无可用渠道",
)

QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "insufficient_user_quota",
        "insufficient_balance",
        "billing_hard_limit_reached",
        "billing_not_active",
        "enforced_spend_limit_reached",
        "exceeded_current_quota_error",
        "arrearage",
        "accountoverdueerror",
        "allocationquota.freetieronly",
    }
)
QUOTA = _any_of(
    "credit balance is too low",
    r"insufficient (?:account )?(?:balance|credits?|funds)",
    r"billing[ _]hard[ _]limit",
    r"arrearage|overdue[- ]payment",
    "account is in good standing",
    r"used (?:up )?all (?:available|your) credits",
    r"monthly (?:included credits|spending limit)",
    "free allocated quota",
    "user quota is not enough",
    "欠费|余额不足|额度不足|额度已用|余额.{0,4}用(?:完|尽)|预扣费",
)
QUOTA_OF_ZERO = re.compile(r"\b(?:limit|quota)(?: is|:|=)\s*0(?!\.?\d)")

KEY_CODES = frozenset(
    {
        "invalid_api_key",
        "incorrect_api_key",
        "api_key_invalid",
        "invalidapikey",
        "authentication_error",
        "invalid_authentication_error",
        "unauthenticated",
        "ce-003",
    }
)
KEY = _any_of(
    r"api[ _-]?key (?:is )?(?:not valid|invalid|expired|was reported)",
    r"(?:incorrect|invalid) api[ _-]?key",
    r"(?:无效|错误|过期)的? ?(?:api ?key|密钥|令牌)",
    r"(?:api ?key|密钥|令牌).{0,6}(?:无效|错误|失效|过期|不正确)",
)

RATE_CODES = frozenset(
    {
        "429",
        "rate_limit_exceeded",
        "ratelimitexceeded",
        "rate_limit_error",
        "rate_limit_reached",
        "ratelimitreached",
        "too_many_requests",
        "toomanyrequests",
        "throttled",
        "throttling",
        "throttlingexception",
        "resource_exhausted",
        "slowdown",
        "slow_down",
        "mpe-429",
        "pl-002",
    }
)
RATE_IN_CHINESE = _any_of(
    "限流", "请求(?:过于|太)?频繁", "请求(?:数|量).{0,4}(?:过多|超限)", "访问量过大", "并发.{0,6}(?:超|过)"
)
RATE = _any_of("rate limit", "ratelimit", "too many requests", "throttl", "quota exceeded", RATE_IN_CHINESE.pattern)

LARGER_THAN_THE_LIMIT = _any_of(
    r"request (?:is )?too large.{0,200}(?:per min|tpm|rate limit)",
    r"request (?:is )?too large for (?:model )?\S{1,120} in organization",
)

REGION_CODES = frozenset({"unsupported_country_region_territory"})
REGION = _any_of(
    r"country,? region,? or territory (?:is )?not supported",
    "user location is not supported",
    r"not (?:available|supported) in your (?:country|region|location)",
    r"(?:所在|当前).{0,4}地区.{0,8}(?:不支持|不可用|无法)",
)

BROKEN_CALL_CODES = frozenset({"tool_use_failed"})
BROKEN_CALL = _any_of(
    "model did not call a tool",
    "failed to call a function",
    "tool call validation failed",
    "failed to parse tool call arguments as json",
)

TOO_MANY_TOKENS_ASKED = re.compile(r"max_(?:completion_)?(?:output_)?tokens\W{0,3} (?:is )?too large")

_REQUESTED = re.compile(r"\blimit:? (\d{1,12})\b.{0,80}\brequested:? (\d{1,12})\b")


def asks_for_more_than_the_limit(text: str) -> bool:
    """Whether the server states a limit, and that this one request is above it."""
    stated = _REQUESTED.search(text)
    return stated is not None and int(stated[2]) > int(stated[1])
