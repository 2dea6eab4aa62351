"""The text protocol: what a model is told, and what it finds by searching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from providers.messages import Message, Tool
from runners.tools.text_format import TEXT, TextFormat, TextProtocol
from runners.tools.tool_search import search_tools

TOOLS: Sequence[Tool] = [
    {"type": "function", "function": {"name": "file_reader", "description": "Reads a file."}},
    {"type": "function", "function": {"name": "file_writer", "description": "Writes what was read."}},
    {"type": "function", "function": {"name": "mail_sender"}},
]
ASKED: Sequence[Message] = ({"role": "user", "content": "?"},)


def told(**protocol: Any) -> str:
    return str(TextFormat(TextProtocol(**protocol)).opening(ASKED, TOOLS[2:])[0]["content"])


def test_the_usual_instructions_are_those_of_hermes() -> None:
    assert told() == (
        "You may call one or more of these functions to help with the task:\n<tools>\n"
        '{"type":"function","function":{"name":"mail_sender"}}\n</tools>\n\n'
        "For each call, write a JSON object with the function's name and arguments within <tool_call></tool_call> tags, "
        "and nothing after them:\n"
        '<tool_call>\n{"name": "<function name>", "arguments": {<arguments>}}\n</tool_call>\n'
        "The result comes back within <tool_response></tool_response> tags. "
        "When you need no further call, give your final answer without tags."
    )


def test_tags_and_the_body_are_the_users() -> None:
    text = told(call="do", result="done", body="name")
    assert "<tools>\nmail_sender\n</tools>" in text
    assert "<do>name of the tool</do>" in text
    assert "within <done></done> tags" in text


def test_with_a_search_the_tools_are_not_told() -> None:
    text = told(search="find", info="about", search_results=3)
    assert "mail_sender" not in text
    assert "<find>words</find>" in text
    assert "at most 3 tools come back within <find_result></find_result>" in text
    assert "<about>name of the tool</about>" in text


def test_own_words_stand_in_place_of_ours_and_may_be_none() -> None:
    assert told(instructions="Tools: {tools} {braces}", body="name") == "Tools: mail_sender {braces}"
    assert TextFormat(TextProtocol(instructions="")).opening(ASKED, TOOLS) == ASKED
    assert TEXT.opening(ASKED, ()) == ASKED


@pytest.mark.parametrize(
    ("query", "limit", "found"),
    [
        ("read a FILE", 5, ["file_reader: Reads a file.", "file_writer: Writes what was read."]),
        ("writer file", 1, ["file_writer: Writes what was read."]),
        ("mail", 5, ["mail_sender"]),
        ("nothing of the kind", 5, ["no tool was found; search with other words"]),
        ("", 5, ["no tool was found; search with other words"]),
    ],
)
def test_a_search_lists_the_tools_with_the_most_words_of_the_query(query: str, limit: int, found: list[str]) -> None:
    assert search_tools(query, TOOLS, limit).splitlines() == found
