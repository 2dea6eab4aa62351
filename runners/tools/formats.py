"""How a model is told of its tools and asks for them: OpenAI function calling, or text for models without it.

The text form is that of Hermes and Qwen: one `<tool_call>{"name": …, "arguments": {…}}</tool_call>` for each call, results come back in
`<tool_response>`. Calls have the OpenAI shape on this side of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson

from providers.messages import JSON, ChatResponse, Message, Tool, ToolCall
from sharding.conversation import with_system

INSTRUCTIONS = """You may call one or more of these functions to help with the task:
<tools>
{tools}
</tools>

For each call, write a JSON object with the function's name and arguments within <tool_call></tool_call> tags, and nothing after them:
<tool_call>
{{"name": "<function name>", "arguments": {{<arguments>}}}}
</tool_call>
The result comes back within <tool_response></tool_response> tags. When you need no further call, give your final answer without tags."""

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
"""The last tag may lack its end: some servers stop there."""


class ToolFormat(Protocol):
    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
        """The messages that a conversation with tools begins with."""
        ...

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        """The tools that go into the request's own field."""
        ...

    def calls(self, reply: ChatResponse) -> Sequence[ToolCall]: ...

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:
        """The reply as the conversation remembers it."""
        ...

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]: ...


class NativeFormat:
    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:  # noqa: ARG002 - they have a field
        return messages

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:
        return tools

    def calls(self, reply: ChatResponse) -> Sequence[ToolCall]:
        """Every call with an id of its own: servers of the older format leave it out, others use one twice."""
        taken: set[JSON] = {None, ""}
        calls: list[ToolCall] = []
        for number, call in enumerate(reply.tool_calls):
            call_id = call.get("id")
            if not isinstance(call_id, str) or call_id in taken:
                call_id = f"{reply.response_id}-{number}"
            taken.add(call_id)
            calls.append({"type": "function", **call, "id": call_id})
        return calls

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:
        turn = _as_it_came(reply)
        return {**turn, "tool_calls": [_with_valid_arguments(call) for call in calls]} if calls else turn

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": content}
            for call, content in zip(calls, contents, strict=True)
        ]


class TextFormat:
    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
        if not tools:
            return messages
        shown = "\n".join(orjson.dumps(tool).decode() for tool in tools)
        return with_system(messages, INSTRUCTIONS.format(tools=shown))

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:  # noqa: ARG002 - the text says them
        return ()

    def calls(self, reply: ChatResponse) -> Sequence[ToolCall]:
        return read_text_calls(reply.text, reply.response_id)

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:  # noqa: ARG002 - the text has them
        return _as_it_came(reply)

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:  # noqa: ARG002 - told by their order
        text = "\n".join(f"<tool_response>\n{content}\n</tool_response>" for content in contents)
        return [{"role": "user", "content": text}]


def _as_it_came(reply: ChatResponse) -> Message:
    """Copy the reply with every field that the server may want back; its calls apart, which are sent in the form of `calls`."""
    turn = reply.assistant or {"role": "assistant", "content": reply.text or None}
    return {name: value for name, value in turn.items() if name != "tool_calls"}


def _with_valid_arguments(call: ToolCall) -> ToolCall:
    """Make the arguments the JSON of an object, as servers want them: what is none goes back as no arguments, and the result says so."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return call
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    return {**call, "function": {**function, "arguments": text if is_object else "{}"}}


def read_text_calls(text: str, origin: str) -> Sequence[ToolCall]:
    """The calls in a text. What cannot be read stays a call, of no name, with the text as its arguments."""
    return [_read(body.strip(), f"{origin}-{number}") for number, body in enumerate(_CALL.findall(text))]


def _read(body: str, call_id: str) -> ToolCall:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    name, arguments = (said.get("name"), said.get("arguments", {})) if isinstance(said, dict) else (None, body)
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    function: Mapping[str, JSON] = {"name": name if isinstance(name, str) else "", "arguments": text}
    return {"id": call_id, "type": "function", "function": function}


NATIVE = NativeFormat()
TEXT = TextFormat()
FORMATS: Mapping[str, ToolFormat] = {"native": NATIVE, "text": TEXT}
