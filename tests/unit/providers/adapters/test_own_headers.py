"""A person's own headers: what they may say, and what stays secret."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from providers.adapters.openai_compatible import OpenAISettings
from providers.adapters.registry import AdapterContext, adapter_type
from providers.adapters.settings import read_secret_headers
from providers.credentials import ApiKey
from providers.errors import InputError
from providers.masking import Masking
from providers.messages import ChatRequest
from providers.provider import RouteSpec
from providers.wire.received import Received

ENTRY: dict[str, object] = {"type": "openai", "base_url": "http://h/v1"}
VALUES = {"ROUTE_KEY": "route-secret-0123456789", "BROKEN": "two\nlines", "EMPTY": ""}


def settings_with(**more: object) -> OpenAISettings:
    return OpenAISettings.model_validate(ENTRY | more)


def key(name: str) -> ApiKey:
    return ApiKey(name, VALUES[name])


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"Authorization": "x"}},
        {"headers": {"API-Key": "x"}},
        {"headers": {"X-Api-Key": "x"}},
        {"headers": {"Cookie": "x"}},
        {"headers": {"X-Else": "Bearer planted"}},
        {"headers": {"X-Else": "sk-planted"}},
        {"headers": {"X-Request-ID": "x"}},
        {"headers": {"Content-Length": "3"}},
        {"headers": {"X Else": "x"}},
        {"headers": {"X-Else": "planted\r\nX-More: y"}},
        {"headers": {"X-Else": ""}},
        {"headers": {"X-A": "1", "x-a": "2"}},
        {"headers": {"X-A": "1"}, "header_envs": {"x-a": "NAME"}},
        {"header_envs": {"Authorization": "NAME"}},
        {"header_envs": {"X-Api-Key": "sk-planted-0123456789"}},
    ],
)
def test_a_header_that_cannot_be_sent_or_would_keep_a_secret_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings_with(**more)
    assert "planted" not in str(caught.value)


def test_a_number_for_a_value_is_its_text() -> None:
    assert settings_with(headers={"X-Flag": 1}).headers == {"X-Flag": "1"}


@pytest.mark.parametrize("name", ["BROKEN", "EMPTY"])
def test_a_variable_that_no_header_can_carry_is_named_and_not_shown(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}.*X-Route") as caught:
        read_secret_headers(settings_with(header_envs={"X-Route": name}), key)
    assert "lines" not in str(caught.value)


def test_the_names_of_variables_belong_to_the_identity_and_their_values_do_not() -> None:
    settings = settings_with(header_envs={"X-Route": "ROUTE_KEY"}, headers={"HTTP-Referer": "https://x.example"})
    adapter = adapter_type("openai").open("p", settings, AdapterContext(key))
    (instance,) = adapter.instances("m", RouteSpec())
    assert adapter.identity(instance) == "http://h/v1 m no key ROUTE_KEY"


def test_every_secret_of_a_request_is_masked_where_a_server_echoes_it() -> None:
    body = b"you sent key-secret-0123456789 and route-secret-0123456789, route-secret-01"
    masking = Masking(["key-secret-0123456789", "route-secret-0123456789"])
    assert Received("p/m", "r", ChatRequest([]), 400, {}, body, masking).text() == "you sent *** and ***, ***"
    assert masking.without_keys("a route-secret-0123456789 b key-secret-0123456789") == "a *** b ***"
