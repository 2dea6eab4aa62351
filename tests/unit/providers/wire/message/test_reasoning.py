from __future__ import annotations

import pytest

from providers.wire.message.reasoning import read_reasoning, split_thinking


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("42", "", "42"),
        ("<think>hm</think>42", "hm", "42"),
        ("\n <think>\nhm\n</think>\n\n42\n", "\nhm\n", "42\n"),
        ("<think></think>\n42", "", "42"),
        ("<think>a</think>\n<think>b</think>42", "ab", "42"),
        ("hm, so\n</think>\n42", "hm, so\n", "42"),
        ("<think>the tag </think> ends it</think>", "the tag ", "ends it</think>"),
        ("<think>so long that", "so long that", ""),
        ("<think>a</think><think>so long that", "aso long that", ""),
        ("It writes <think>x</think> first.", "", "It writes <think>x</think> first."),
        ("  42", "", "  42"),
    ],
)
def test_thinking_at_the_start_is_split_off(text: str, thought: str, answer: str) -> None:
    assert split_thinking(text) == (thought, answer)


def test_a_closing_tag_alone_is_text_where_the_reasoning_came_apart() -> None:
    assert split_thinking("write </think> there", may_lack_start=False) == ("", "write </think> there")


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        ({"reasoning_content": "a"}, "a"),
        ({"reasoning": "a"}, "a"),
        ({"reasoning": "a", "reasoning_content": ""}, "a"),
        ({"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}, "a"),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "a"}, {"text": "b"}]}, "ab"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, ""),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "text", "text": "b"}]}, "a"),
        ({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}]}, "a"),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": "s"}]}, "a"),
        ({"reasoning_content": {"deep": 1}, "content": "b"}, ""),
        ({"content": None}, ""),
    ],
)  # fmt: skip
def test_reasoning_is_found_wherever_a_server_puts_it(message: dict[str, object], reasoning: str) -> None:
    assert read_reasoning(message) == reasoning
