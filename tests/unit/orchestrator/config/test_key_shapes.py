"""A key that was typed into a configuration is refused by its shape or its name, and what only resembles one is not."""

from __future__ import annotations

import pytest

from orchestrator.config.environment import Environment, SettingOverride
from orchestrator.config.key_shapes import named_like_key, shaped_like_key
from orchestrator.config.loading import load_config
from providers.errors import InputError

HEX = "0123456789abcdef0123456789abcdef"
AZURE = "a1" * 26 + "JQQJ99" + "B2" * 13
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECTIONS: dict[str, object] = {
    "providers": {"p": {"type": "openai", "base_url": "https://x.example/v1"}},
    "models": {"m": {"provider": "p"}},
    "tasks": [{"path": "tasks.jsonl"}],
}

SHAPES = [
    "sk-planted77planted77",
    "sk-ant-api03-planted77planted77",
    "sk-proj-planted_77-planted77planted77",
    "AIza" + "planted77" * 3 + "plantedx",
    "ghp_" + "planted77" * 4,
    "github_pat_planted77planted77planted77",
    "hf_" + "Planted" * 5,
    "gsk_" + "planted77" * 4,
    "xai-" + "planted77" * 8,
    "pplx-" + "planted77" * 5,
    "r8_" + "planted77" * 4,
    "xoxb-planted77-planted77planted77",
    "AKIAPLANTED77PLANTED",
    JWT,
    AZURE,
    "Bearer planted77planted77",
    "curl -H 'Authorization: bearer planted77planted77' https://x.example",
    "https://x.example/sk-planted77planted77/v1",
    "https://x.example/hook?code=planted77",
    "https://x.example/v1?subscription-key=planted77",
    "https://x.example/v1?apikey=planted77",
    "https://x.example/v1?accountKey=planted77",
    "https://me:planted77@x.example/v1",
]


@pytest.mark.parametrize("value", SHAPES)
@pytest.mark.parametrize(
    "place",
    [
        "generation.extra_body.a.b",
        "run.notify",
        "providers.p.base_url",
        "providers.p.headers.X-Own",
        "models.m.generation.stop",
    ],
)
def test_a_known_shape_of_a_key_is_refused_anywhere_by_its_place(place: str, value: str) -> None:
    with pytest.raises(InputError) as refused:
        load_config(SECTIONS, Environment({}), [SettingOverride(place, [value], f"--set {place}")])
    sentence = str(refused.value)
    assert f"the configuration: {place}.0: looks like a key" in sentence or f"{place} (from --set" in sentence
    assert value not in sentence
    assert "planted" not in sentence.lower()


@pytest.mark.parametrize("value", [HEX, HEX.upper(), "a1" * 42])
@pytest.mark.parametrize(
    "place", [("providers", "p", "headers", "X-Own"), ("generation", "extra_body", "headers", "Ocp")]
)
def test_the_bare_shapes_of_azures_keys_are_refused_in_headers(place: tuple[str, ...], value: str) -> None:
    nested: object = value
    for part in reversed(place):
        nested = {part: nested}
    assert isinstance(nested, dict)
    assert shaped_like_key(nested) == ".".join(place)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "api-key",
        "x-api-key",
        "X-Goog-Api-Key",
        "Ocp-Apim-Subscription-Key",
        "password",
        "client_secret",
    ],
)
@pytest.mark.parametrize(
    "place", [("generation", "extra_body"), ("generation", "extra_body", "headers"), ("models", "m", "x")]
)
def test_the_name_of_a_key_or_of_its_header_is_refused_at_any_depth(place: tuple[str, ...], name: str) -> None:
    nested: object = {name: "planted"}
    for part in reversed(place):
        nested = {part: nested}
    assert isinstance(nested, dict)
    assert named_like_key(nested) == ".".join((*place, name))


def test_a_key_as_the_name_of_a_key_is_refused_and_not_shown() -> None:
    assert (
        shaped_like_key({"generation": {"extra_body": {"sk-planted77planted77": {"a": 1}}}}) == "generation.extra_body"
    )


@pytest.mark.parametrize(
    "value",
    [
        HEX,
        f"https://api.cloudflare.com/client/v4/accounts/{HEX}/ai/v1",
        "8f14e45f-ceea-467f-a0e6-1b2c3d4e5f60",
        "hf://org/set@" + "0123456789abcdef" * 2 + "01234567#test",
        "Bearer of bad news, in 1984, and so on",
        "sk-learn and scikit-learn",
        "task-1234567890-abcdef-0123456789",
        "desk-12345678901234567890",
        "gpt-4o-mini-2024-07-18",
        "https://x.example/v1?api-version=2024-10-21&deployment=gpt-4o-mini",
        "{question} Write 'token=…' and the key.",
        "data/hf_cais_mmlu_validation_v2.jsonl",
        "wmt/sk-cs-newstest2013.jsonl",
        "data/sk-learn-benchmarks-2024.jsonl",
        "sk-slovak-llama-3-8b",
        "gsk_pharma_questions_2024.csv",
        "xai-grok-4-fast-reasoning-0709",
        "pplx-70b-online-chat-2024-01",
        "r8_quantised_llama_70b_2024",
        "https://x.example/v1?monkey=banana-split",
    ],
)
def test_what_is_no_key_is_not_refused(value: str) -> None:
    assert shaped_like_key({"generation": {"extra_body": {"a": value}}, "prompts": {"p": value}}) is None


@pytest.mark.parametrize(
    "name", ["X-Trace-Id", "X-Session", "OpenAI-Project", "x-request-id", "X-Tenant", "x-deployment"]
)
def test_an_identifier_in_a_header_is_no_key(name: str) -> None:
    assert shaped_like_key({"providers": {"p": {"headers": {name: HEX}}}}) is None


@pytest.mark.parametrize("address", ["postgres://user:password@localhost/db", "https://x.example/run?code=python3"])
def test_a_prompt_may_show_an_address_with_a_password(address: str) -> None:
    assert shaped_like_key({"prompts": {"p": {"user": f"What does {address} say? {{input}}"}}}) is None
    assert shaped_like_key({"run": {"notify": address}}) == "run.notify"


def test_names_of_variables_and_of_ones_own_prompts_are_no_keys() -> None:
    providers = {"p": {"api_key_env": "OPENAI_API_KEY", "header_envs": {"X-Api-Key": "GATEWAY_KEY"}}}
    schema = {"properties": {"password": {"type": "string"}}}
    raw = {"providers": providers, "prompts": {"secret": "{input}"}, "generation": {"response_format": schema}}
    assert named_like_key(raw) is shaped_like_key(raw) is None


@pytest.mark.parametrize("allow", ["generation.extra_body.session", ["generation.extra_body"], "a, generation"])
def test_a_false_alarm_is_allowed_by_its_place_and_what_is_above_it(allow: object) -> None:
    raw = {**SECTIONS, "allow": allow, "generation": {"extra_body": {"session": "sk-session-0000000000000001"}}}
    assert load_config(raw, Environment({})).config.generation.extra_body == {"session": "sk-session-0000000000000001"}
    with pytest.raises(InputError, match="looks like a key"):
        load_config({**raw, "allow": ["generation.extra"]}, Environment({}))


def test_the_configuration_of_a_run_that_has_begun_stays_resumable_and_an_override_is_searched() -> None:
    raw = {**SECTIONS, "generation": {"extra_body": {"session": "sk-session-0000000000000001"}}}
    assert load_config(raw, Environment({}), is_stored=True).is_stored
    flag = SettingOverride("generation.extra_body.more", "sk-planted77planted77", "--set generation.extra_body.more")
    with pytest.raises(InputError, match=r"generation.extra_body.more \(from --set"):
        load_config(raw, Environment({}), [flag], is_stored=True)


def test_what_a_begun_run_allows_is_allowed_from_the_environment_too() -> None:
    session = "sk-session-0000000000000001"
    raw = {**SECTIONS, "allow": ["generation.extra_body"], "generation": {"extra_body": {"session": session}}}
    again = Environment({"ORCHESTRATOR_GENERATION__EXTRA_BODY": f"{{session: {session}}}"})
    assert load_config(raw, again, is_stored=True).raw == raw
    with pytest.raises(InputError, match=r"run.notify \(from --notify\): looks like a key"):
        load_config(raw, again, [SettingOverride("run.notify", f"say {session}", "--notify")], is_stored=True)


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize(
    ("path", "text"),
    [("providers.p.headers.X-Team", "@team"), ("models.qwen2.5.limiter_group", "[qwen"), ("prompts.a", "'n")],
)
def test_an_override_of_a_begun_run_is_read_as_that_of_a_new_one(path: str, text: str, is_stored: bool) -> None:
    models = {"m": {"provider": "p"}, "qwen2.5": {"provider": "p"}}
    flag = SettingOverride(path, text, "--set")
    assert text in str(load_config({**SECTIONS, "models": models}, Environment({}), [flag], is_stored=is_stored).raw)
