"""What a server says back of the key is masked, however it spells it; what only looks like one stays."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from providers.errors import BODY_LIMIT
from providers.masking import Masking
from providers.messages import ChatRequest, Timing
from providers.wire.operations.chat import read_completion
from providers.wire.received import Received

KEY = "sk-planted/5f1c+77ab=="


def received(body: str, secret: str = KEY) -> Received:
    return Received("east/m", "s/1/1", ChatRequest([]), 500, {}, body.encode(), Masking([secret]))


@pytest.mark.parametrize("spelt", [KEY, KEY.replace("/", "\\/"), quote(KEY, safe="")])
def test_the_key_is_masked_as_it_is_and_as_json_and_addresses_spell_it(spelt: str) -> None:
    assert received(f"your key {spelt} is unknown").text() == "your key *** is unknown"


def test_a_body_that_was_cut_off_inside_the_key_shows_no_part_of_it() -> None:
    assert received(f"your key {KEY[:-3]}").text() == "your key ***"
    long = "é" * (BODY_LIMIT - 10) + KEY
    assert KEY[:5] not in received(long).text()


@pytest.mark.parametrize(("secret", "said"), [(KEY, "it is ***"), ("EMPTY", "it is EMPTY")])
def test_an_answer_loses_the_key_and_not_a_word_that_serves_as_one(secret: str, said: str) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": f'{{"key": "{secret}"}}'}}
    message = {"content": f"it is {secret}", "tool_calls": [call]}
    body = {"id": secret, "model": secret, "choices": [{"finish_reason": "stop", "message": message}]}
    answer = read_completion(body, received("", secret), Timing(0.0, None, 0.0))
    assert answer.text == said
    whole = str((answer.response_id, answer.response_model, answer.tool_calls))
    assert (KEY in whole, "EMPTY" in whole) == (False, secret == "EMPTY")
