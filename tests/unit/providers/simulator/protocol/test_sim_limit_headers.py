from __future__ import annotations

from typing import Any

import pytest

from providers.simulator.limits.quota import Quota
from providers.simulator.protocol.limit_headers import QuotaState, limit_headers
from providers.simulator.settings.provider import EndpointSettings


def headers(**given: Any) -> dict[str, str]:
    """After one request of 250 tokens, 4 s ago, in a window of 10 s."""
    settings = EndpointSettings.model_validate({"rpm": 600, "tpm": 6000, "window_s": 10, **given})
    quota = Quota(settings)
    quota.admit(250, 0.0)
    return limit_headers(QuotaState(quota.levels(4.0), quota.day_level(4.0), settings.window_s), settings)


def test_openais_headers_are_the_default() -> None:
    assert headers() == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "6s",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "750",
        "x-ratelimit-reset-tokens": "6s",
    }


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (
            "azure",
            {
                "x-ratelimit-limit-requests": "100",
                "x-ratelimit-remaining-requests": "99",
                "x-ratelimit-renewalperiod-requests": "10",
                "x-ratelimit-limit-tokens": "1000",
                "x-ratelimit-remaining-tokens": "750",
                "x-ratelimit-renewalperiod-tokens": "10",
            },
        ),
        (
            "mistral",
            {
                "x-ratelimit-limit-req-minute": "600",
                "x-ratelimit-remaining-req-minute": "99",
                "x-ratelimit-limit-tokens-minute": "6000",
                "x-ratelimit-remaining-tokens-minute": "750",
            },
        ),
        (
            "huggingface",
            {
                "x-ratelimit-limit-requests-minute": "600",
                "x-ratelimit-remaining-requests-minute": "99",
                "x-ratelimit-reset-requests-minute": "6.000",
                "x-ratelimit-limit-tokens-minute": "6000",
                "x-ratelimit-remaining-tokens-minute": "750",
                "x-ratelimit-reset-tokens-minute": "6.000",
            },
        ),
        (
            "together",
            {
                "x-ratelimit-limit": "100",
                "x-ratelimit-remaining": "99",
                "x-ratelimit-reset": "6",
                "x-tokenlimit-limit": "1000",
                "x-tokenlimit-remaining": "750",
                "x-tokenlimit-reset": "6",
            },
        ),
        (
            "rfc",
            {
                "ratelimit-policy": '"requests";q=100;w=10, "tokens";q=1000;w=10',
                "ratelimit": '"requests";r=99;t=6, "tokens";r=750;t=6',
                "ratelimit-limit": "100",
                "ratelimit-remaining": "99",
                "ratelimit-reset": "6",
            },
        ),
    ],
)
def test_every_family_says_the_same_under_its_own_names(family: str, expected: dict[str, str]) -> None:
    assert headers(header_family=family) == expected
    assert headers(header_family=family, rate_limit_headers=False) == {}
    assert headers(header_family=family, rpm=None, tpm=None) == {}


def test_openais_request_headers_tell_of_the_day_where_there_is_one() -> None:
    settings = EndpointSettings.model_validate({"rpm": 500, "tpm": 200_000, "rpd": 10_000})
    quota = Quota(settings)
    quota.admit(100, 0.0)
    told = limit_headers(QuotaState(quota.levels(0.0), quota.day_level(0.0), 60.0), settings)
    assert told["x-ratelimit-limit-requests"] == "10000"
    assert told["x-ratelimit-remaining-requests"] == "9999"
    assert told["x-ratelimit-reset-requests"] == "8.64s"
    assert told["x-ratelimit-limit-tokens"] == "200000"
    assert "10000" not in headers(header_family="mistral", rpd=10_000).values()
