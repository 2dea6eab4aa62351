from __future__ import annotations

import pytest

from providers.messages import Message, Usage
from providers.usage.estimates import TokenEstimator, estimate_tokens, prompt_bytes


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("x" * 400, 100), ("漢" * 100, 75)])
def test_four_bytes_are_about_a_token(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == pytest.approx(tokens, abs=1)


def test_text_in_parts_counts_and_an_image_counts_once_whatever_its_encoding() -> None:
    parts: list[Message] = [{"role": "user", "content": [{"type": "text", "text": "x" * 40}]}]
    image: list[Message] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 10**6}}]}]
    assert prompt_bytes(parts) == prompt_bytes([{"role": "user", "content": "x" * 40}])
    assert prompt_bytes(image) < 10_000


def test_tools_and_tool_calls_count() -> None:
    plain: list[Message] = [{"role": "user", "content": "a"}]
    call: list[Message] = [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}]
    assert prompt_bytes(plain, [{"type": "function"}]) > prompt_bytes(plain)
    assert prompt_bytes(call) > prompt_bytes([{"role": "assistant", "content": None}])


def test_an_estimate_learns_the_model_s_own_tokenizer() -> None:
    estimator, messages = TokenEstimator(), [{"role": "user", "content": "x" * 984}]
    assert estimator.estimate(messages) == 250
    for _ in range(80):
        estimator.learn(messages, (), Usage(500, 1))
    assert estimator.estimate(messages) == pytest.approx(500, rel=0.01)


def test_our_own_estimates_and_nonsense_teach_nothing() -> None:
    estimator, messages = TokenEstimator(), [{"role": "user", "content": "x" * 984}]
    for usage in (Usage(500, 1, estimated=True), Usage(0, 1), Usage(10**9, 1)):
        estimator.learn(messages, (), usage)
    assert estimator.estimate(messages) == 250


def test_an_estimate_is_never_nothing() -> None:
    assert TokenEstimator().estimate([]) == 1
