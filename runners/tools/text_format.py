"""The text format, for models without function calling: calls and results stand between tags, which the user may choose.

The default is that of Hermes and Qwen: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, with results in `<tool_response>`. With a
search tag the model is not given the tools: it searches for them, and may ask for information about one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from providers.messages import JSON, ChatResponse, Message, Tool, ToolCall
from sharding.conversation import with_system
from sharding.tasks.tool_plan import tool_name

from .call_body import ReadCall, read_body
from .formats import as_it_came
from .text_calls import read_untagged, tagged, without_thinking
from .tool_search import describe_tool, search_tools, summary_line

PLACE_OF_TOOLS = "{tools}"
LISTED = f"""You may call one or more of these functions to help with the task:
<tools>
{PLACE_OF_TOOLS}
</tools>

"""
SEARCHED = """You may use tools to help with the task. Search for them by words that describe what you need:
<{tag}>words</{tag}>
The names and descriptions of at most {limit} tools come back within <{tag}_result></{tag}_result> tags.
"""
INFORMED = """To read about a tool:
<{tag}>name of the tool</{tag}>
"""
JSON_BODY = """For each call, write a JSON object with the function's name and arguments within <{call}></{call}> tags, \
and nothing after them:
<{call}>
{{"name": "<function name>", "arguments": {{<arguments>}}}}
</{call}>
"""
NAME_BODY = """To call a tool, write its name within <{call}></{call}> tags, and nothing after them:
<{call}>name of the tool</{call}>
"""
ENDING = "The result comes back within <{result}></{result}> tags. When you need no further call, give your final answer without tags."
FUNCTION = "function"
"""The type of a call of a tool; calls of other types are answered by the format itself."""


@dataclass(frozen=True, slots=True)
class TextProtocol:
    """The tags of the text format, and what stands between them."""

    call: str = "tool_call"
    """Tag of a call."""
    result: str = "tool_response"
    """Tag of a result."""
    body: Literal["json", "name"] = "json"
    """What the model is told to write in a call. Either is read, whatever it was told."""
    search: str | None = None
    """Tag of a search for tools; None: the model is given all tools."""
    info: str | None = None
    """Tag of a request for information about one tool."""
    search_results: int = 5
    """Most tools that a search returns."""
    calls_per_turn: int | None = None
    """Most calls of one reply that are made."""
    instructions: str | None = None
    """The user's own text in place of ours; "" adds nothing."""

    def instruct(self, tools: Sequence[Tool]) -> str:
        """Tell the model how to call tools."""
        shown = "\n".join(summary_line(tool) if self.body == "name" else orjson.dumps(tool).decode() for tool in tools)
        if self.instructions is not None:
            return self.instructions.replace(PLACE_OF_TOOLS, shown)
        offer = LISTED.replace(PLACE_OF_TOOLS, shown)
        if self.search:
            offer = SEARCHED.format(tag=self.search, limit=self.search_results)
        offer += INFORMED.format(tag=self.info) if self.info else ""
        body = (NAME_BODY if self.body == "name" else JSON_BODY).format(call=self.call)
        return f"{offer}{body}{ENDING.format(result=self.result)}"

    def write_call(self, name: str, arguments: Mapping[str, JSON], *, is_broken: bool = False) -> str:
        """Write a call as a model that follows the instructions; a broken one lacks its last character."""
        body = name if self.body == "name" else orjson.dumps({"name": name, "arguments": arguments}).decode()
        return f"<{self.call}>\n{body[:-1] if is_broken else body}\n</{self.call}>"


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A ToolFormat with a text protocol."""

    protocol: TextProtocol = TextProtocol()

    def opening(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Sequence[Message]:
        """Add the instructions to the system message."""
        text = self.protocol.instruct(tools) if tools else ""
        return with_system(messages, text) if text else messages

    def offered(self, tools: Sequence[Tool]) -> Sequence[Tool]:  # noqa: ARG002 - they are in the text
        """Return no tools: they are in the text."""
        return ()

    def calls(self, reply: ChatResponse, tools: Sequence[Tool]) -> Sequence[ToolCall]:
        """Return the calls and the searches in the text of the reply, in their order."""
        calls: list[ToolCall] = []
        made = 0
        for kind, call in self._read(reply.text, [tool_name(tool) for tool in tools]):
            made += kind == FUNCTION
            limit = self.protocol.calls_per_turn
            is_extra = kind == FUNCTION and limit is not None and made > limit
            function: Mapping[str, JSON] = {"name": call.name, "arguments": call.arguments}
            call_id = f"{reply.response_id}-{len(calls)}"
            calls.append({"id": call_id, "type": "extra" if is_extra else kind, "function": function})
        return calls

    def _read(self, text: str, known: Sequence[str]) -> Iterator[tuple[str, ReadCall]]:
        """Yield the type of every call and the call."""
        protocol = self.protocol
        text = without_thinking(text)
        tags = [tag for tag in (protocol.call, protocol.search, protocol.info) if tag]
        has_tag = False
        for tag, body in tagged(text, tags):
            has_tag = True
            if tag == protocol.call:
                for call in read_body(body, known):
                    yield FUNCTION, call
            else:
                yield ("search" if tag == protocol.search else "info"), ReadCall(tag, body.strip())
        if not has_tag:
            for call in read_untagged(text, known):
                yield FUNCTION, call

    def own_result(self, call: ToolCall, tools: Sequence[Tool]) -> str | None:
        """Answer a search or a request for information, and a call beyond the limit of a turn."""
        if call["type"] == "extra":
            limit = self.protocol.calls_per_turn
            return f"not made: only the first {limit} of a reply {'is' if limit == 1 else 'are'} made; write it again"
        function = call["function"]
        words = str(function["arguments"]) if isinstance(function, Mapping) else ""
        if call["type"] == "search":
            return search_tools(words, tools, self.protocol.search_results)
        return describe_tool(words, tools) if call["type"] == "info" else None

    def turn(self, reply: ChatResponse, calls: Sequence[ToolCall]) -> Message:  # noqa: ARG002 - the text has them
        """Return the reply, whose text holds the calls."""
        return as_it_came(reply)

    def results(self, calls: Sequence[ToolCall], contents: Sequence[str]) -> Sequence[Message]:
        """Return one user message with all results, in the order of the calls."""
        pairs = zip(map(self._result_tag, calls), contents, strict=True)
        return [{"role": "user", "content": "\n".join(f"<{tag}>\n{content}\n</{tag}>" for tag, content in pairs)}]

    def _result_tag(self, call: ToolCall) -> str:
        tags = {"search": self.protocol.search, "info": self.protocol.info}
        own = tags.get(str(call["type"]))
        return f"{own}_result" if own else self.protocol.result


TEXT = TextFormat()
