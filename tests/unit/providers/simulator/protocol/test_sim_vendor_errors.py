from __future__ import annotations

import json
from typing import Any

import pytest

from providers.simulator.endpoint import DEPLOYMENT_KEY, Endpoint, EndpointRegistry, denial
from providers.simulator.limits.quota import QuotaRefusal
from providers.simulator.protocol.dialects import AZURE, OPENAI
from providers.simulator.settings.provider import SimulatorSettings
from tests.unit.providers.simulator.replies import endpoint

pytestmark = pytest.mark.looptime

REQUESTS = QuotaRefusal("requests", 47.3, 47.3)
TOKENS = QuotaRefusal("tokens", 47.3, 47.3)


def throttled(refusal: QuotaRefusal, request_id: str = "s/1/1", **settings: Any) -> tuple[int, Any, dict[str, str]]:
    error, headers = endpoint(**settings).refusal(refusal, AZURE, request_id)
    return error.status, error.body, headers


async def test_a_gateway_throttles_with_400_and_json_in_a_string() -> None:
    told = [throttled(REQUESTS, f"s{number}/1/1", throttle_style=400) for number in range(200)]
    bodies = [body for _status, body, _headers in told]
    assert all(status == 400 and headers == {} for status, _body, headers in told)
    passed_on = [body for body in bodies if body["code"] == "MPE-429"]
    own = [body for body in bodies if body["code"] == "PL-002"]
    assert len(passed_on) + len(own) == 200
    assert 5 <= len(own) <= 40
    assert own[0]["message"] == "TPM/RPM限流"
    assert (passed_on[0]["success"], passed_on[0]["message"], passed_on[0]["data"]) == (False, "模型提供方限流", None)
    detail, _, trace = passed_on[0]["detailMessage"].partition(", traceId: ")
    assert json.loads(detail)["code"] == "Throttling.RateQuota"
    assert trace
    assert bodies == [throttled(REQUESTS, f"s{number}/1/1", throttle_style=400)[1] for number in range(200)]


async def test_a_gateway_names_the_quota_that_binds() -> None:
    bodies = [throttled(TOKENS, f"s{number}/1/1", throttle_style=400)[1] for number in range(20)]
    assert any("Throttling.AllocationQuota" in body["detailMessage"] for body in bodies)
    parallel = QuotaRefusal("concurrency", None, None)
    assert throttled(parallel, throttle_style=400)[1]["message"] == "平台限流"


async def test_a_shared_quota_says_limit_window_and_wait() -> None:
    status, body, headers = throttled(TOKENS, quota_group="llama", tpm=400_000, rate_limit_headers=False)
    words = (
        "Rate limit of 400000 per 60s exceeded for UserByModelByMinuteTokens. Please wait 48 seconds before retrying."
    )
    assert status == 429
    assert body == {"error": {"code": "RateLimitReached", "message": words, "details": words}}
    assert headers["retry-after"] == "48"


async def test_a_shared_quota_without_a_wait_promises_none() -> None:
    refusal = QuotaRefusal("requests", 47.3, None)
    _status, body, headers = throttled(refusal, quota_group="llama", rpm=60, window_s=10, rate_limit_headers=False)
    assert body["error"]["message"] == "Rate limit of 10 per 10s exceeded for UserByModelByMinuteRequests."
    assert headers == {}


async def test_a_wait_stands_in_words_alone() -> None:
    _status, body, headers = throttled(REQUESTS, wait_in="words", rate_limit_headers=False)
    assert body["error"]["message"].endswith("Please retry after 48 seconds.")
    assert headers == {}


async def test_a_wait_stands_in_retry_info_alone() -> None:
    status, body, headers = throttled(REQUESTS, wait_in="retry_info", rate_limit_headers=False)
    ((error,),) = [entry.values() for entry in body]
    assert (status, error["code"], error["status"]) == (429, 429, "RESOURCE_EXHAUSTED")
    assert error["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "47.3s"}]
    assert "47" not in error["message"]
    assert headers == {}


async def test_milliseconds_of_zero_stand_beside_true_seconds() -> None:
    _status, body, headers = throttled(QuotaRefusal("requests", 0.4, 0.4), wait_in="zero_ms", rate_limit_headers=False)
    assert headers == {"retry-after": "1", "retry-after-ms": "0"}
    assert body["error"]["code"] == "RateLimitReached"
    assert "retry" not in body["error"]["message"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(402, "invalid_request_error"), (400, "billing_hard_limit_reached"), (429, "insufficient_quota")],
)
async def test_credit_is_used_up_after_so_many_requests(status: int, code: str) -> None:
    place = endpoint(credit={"after": 2, "status": status})
    assert [await place.admit(1) for _ in range(3)] == [None, None, "out_of_credit"]
    error, headers = place.refusal("out_of_credit", OPENAI, "s/1/1")
    assert isinstance(error.body, dict)
    assert (error.status, error.body["error"]["code"], headers) == (status, code, {})  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong_key", "status", "words"),
    [
        (401, 401, "Incorrect API key"),
        ("CE-003", 400, "无效的api key"),
        ("API_KEY_INVALID", 400, "API key not valid"),
        ("invalid-argument", 400, "Incorrect API key provided"),
    ],
)
async def test_a_wrong_key_is_refused_in_the_providers_way(wrong_key: int | str, status: int, words: str) -> None:
    provider = SimulatorSettings.model_validate(
        {"deployments": {"m": {"unauthorized_after": 0}}, "wrong_key": wrong_key}
    )
    revoked = EndpointRegistry(provider, {DEPLOYMENT_KEY: "secret"}).find(DEPLOYMENT_KEY, "m")
    assert isinstance(revoked, Endpoint)
    for error in (denial(provider, "unauthorized", "m", OPENAI), revoked.refusal("unauthorized", OPENAI, "s/1/1")[0]):
        assert error.status == status
        assert words in json.dumps(error.body, ensure_ascii=False)
    assert denial(provider, "not_found", "m", OPENAI).status == 404


async def test_endpoints_of_a_group_have_one_quota() -> None:
    shared = {"rpm": 2, "quota": "fixed", "quota_group": "llama"}
    provider = SimulatorSettings.model_validate({"deployments": {"a": shared, "b": shared, "c": {"rpm": 2}}})
    registry = EndpointRegistry(provider, {DEPLOYMENT_KEY: "secret"})
    a, b, c = (registry.find(DEPLOYMENT_KEY, name) for name in "abc")
    assert isinstance(a, Endpoint)
    assert isinstance(b, Endpoint)
    assert isinstance(c, Endpoint)
    assert [await a.admit(1), await b.admit(1), await c.admit(1)] == [None, None, None]
    first, second = await a.admit(1), await b.admit(5)
    assert isinstance(first, QuotaRefusal)
    assert first == second
    words = [place.refusal(first, AZURE, "s/1/1")[0].body for place in (a, b)]
    assert words[0] == words[1]
    assert await c.admit(1) is None
    registry.close()
