"""What a refusal says of a request's fields, and what is sent instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from providers.messages import Adaptation
from providers.route import Adapt
from providers.wire.operations.adaptation import adapt_fields, describe_adaptation, extend_adaptation, find_adaptation

DATA = Path(__file__).parents[6] / "shared" / "data" / "wire"
FIELDS = ("max_tokens", "temperature", "seed", "stop", "stream", "stream_options")


def openai(message: str, param: str | None = None, code: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})


MAX_TOKENS = openai(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "max_tokens",
    "unsupported_parameter",
)
TEMPERATURE = openai(
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    "temperature",
    "unsupported_value",
)
FORBIDDEN = {
    "type": "extra_forbidden",
    "loc": ["body", "max_completion_tokens"],
    "msg": "Extra inputs are not permitted",
}
EXTRA_FORBIDDEN = json.dumps({"detail": [FORBIDDEN]})
NESTED = json.dumps({"error": {"code": "Invalid input", "status": 422, "message": EXTRA_FORBIDDEN}})


@pytest.mark.parametrize("adapt", ["rename", "drop"])
def test_a_bound_is_sent_under_its_other_name(adapt: Adapt) -> None:
    found = find_adaptation(MAX_TOKENS, FIELDS, None, adapt)
    assert found is not None
    assert (found.renamed, found.dropped) == ({"max_tokens": "max_completion_tokens"}, ())
    assert found.words.startswith("Unsupported parameter: 'max_tokens' is not supported with this model.")


@pytest.mark.parametrize("body", [EXTRA_FORBIDDEN, NESTED], ids=["FastAPI", "nested in a message"])
def test_the_other_way_round_where_a_server_knows_the_older_name(body: str) -> None:
    found = find_adaptation(body, ["max_completion_tokens"], None)
    assert found is not None
    assert found.renamed == {"max_completion_tokens": "max_tokens"}
    assert found.words == "Extra inputs are not permitted (max_completion_tokens)"


def test_a_name_that_was_tried_is_not_tried_again() -> None:
    known = Adaptation({"max_tokens": "max_completion_tokens"}, (), "the other one")
    assert find_adaptation(EXTRA_FORBIDDEN, ["max_completion_tokens"], known) is None


@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        (TEMPERATURE, "temperature"),
        (openai("`temperature` is deprecated for this model."), "temperature"),
        (openai("Unrecognized request argument supplied: seed"), "seed"),
        (openai("Argument not supported on this model: stop"), "stop"),
        ("litellm.UnsupportedParamsError: the model doesn't support temperature=0.0", "temperature"),
        ('{"detail": "Extra parameters [\'stream_options\'] are not allowed"}', "stream_options"),
    ],
)
def test_another_field_is_dropped_where_the_user_allows_it_and_only_there(body: str, dropped: str) -> None:
    found = find_adaptation(body, FIELDS, None, "drop")
    assert found is not None
    assert (found.renamed, found.dropped) == ({}, (dropped,))
    assert find_adaptation(body, FIELDS, None, "rename") is None
    assert find_adaptation(body, FIELDS, None, "never") is None


def test_nothing_is_renamed_where_the_user_forbids_it() -> None:
    assert find_adaptation(MAX_TOKENS, FIELDS, None, "never") is None


@pytest.mark.parametrize(
    "body",
    [
        openai("Unsupported value: 'messages[0].role' does not support 'system'.", "messages[0].role", "unsupported_value"),
        openai("Unknown parameter: 'tools'.", "tools", "unknown_parameter"),
        openai("max_tokens is too large: 99999. This model allows at most 16384 completion tokens.", "max_tokens"),
        openai("This model does not support images; please stop and seed another."),
        openai("The context window is full; lower max_tokens.", code="context_length_exceeded"),
        '{"detail": [{"type": "missing", "loc": ["body", "messages"], "input": {"temperature": "unsupported"}}]}',
        "<html>max_tokens</html>",
        "",
        "[" * 5000,
        json.dumps({"error": {"message": "no", "param": 7, "code": None, "loc": {"a": 1}}}),
    ],
)  # fmt: skip
def test_what_refuses_no_field_of_the_generation_changes_nothing(body: str) -> None:
    assert find_adaptation(body, FIELDS, None, "drop") is None


def test_a_field_that_the_request_does_not_hold_is_not_adapted() -> None:
    assert find_adaptation(MAX_TOKENS, ["temperature"], None, "drop") is None


def test_nothing_is_sent_again_where_only_a_part_may_be_changed() -> None:
    body = openai("Extra parameters ['max_tokens', 'temperature'] are not allowed.")
    assert find_adaptation(body, FIELDS, None, "rename") is None
    found = find_adaptation(body, FIELDS, None, "drop")
    assert found is not None
    assert (set(found.renamed), found.dropped) == ({"max_tokens"}, ("temperature",))


def test_what_makes_no_sense_alone_goes_with_the_field() -> None:
    found = find_adaptation(openai("Unknown parameter: 'stream'.", "stream"), FIELDS, None, "drop")
    assert found is not None
    assert found.dropped == ("stream", "stream_options")


def test_two_refusals_become_one_adaptation() -> None:
    first, second = find_adaptation(MAX_TOKENS, FIELDS, None), find_adaptation(TEMPERATURE, FIELDS, None, "drop")
    assert first is not None
    assert second is not None
    both = extend_adaptation(first, second)
    fields = {"max_tokens": 9, "temperature": 0.0, "seed": 1}
    assert adapt_fields(fields, both) == {"max_completion_tokens": 9, "seed": 1}
    assert describe_adaptation(both) == (
        "max_tokens is sent as max_completion_tokens; temperature left out, because the server says: "
        f"{first.words} {second.words}"
    )


def test_the_servers_sentence_is_one_bounded_line() -> None:
    found = find_adaptation(openai("'max_tokens' is not\nsupported\x1b[2J" + "x" * 5000), FIELDS, None)
    assert found is not None
    assert len(found.words) == 300
    assert found.words.isprintable()


RECORDED: Mapping[str, tuple[str, ...]] = {
    "err_openai_temperature": ("temperature",),
    "rep_azure_temperature": ("temperature",),
    "rep_foundry_extra_parameters": ("stream_options",),
    "rep_foundry_stream_options_422": ("stream_options",),
}


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there: it holds recorded refusals")
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_refusals_name_their_field(name: str) -> None:
    body = json.loads((DATA / f"{name}.json").read_text())["body"]
    found = find_adaptation(body, FIELDS, None, "drop")
    assert found is not None
    assert (found.renamed, found.dropped) == ({}, RECORDED[name])


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there: it holds recorded refusals")
@pytest.mark.parametrize(
    "name", ["rep_foundry_unknown_model", "err_openai_system_role", "err_google_bad_key", "err_openai_401"]
)
def test_recorded_refusals_of_other_things_change_nothing(name: str) -> None:
    body = json.loads((DATA / f"{name}.json").read_text())["body"]
    assert find_adaptation(body, FIELDS, None, "drop") is None
