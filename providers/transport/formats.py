"""What each operation looks like on the wire: where it is asked, how its body is built, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ..messages import ChatRequest, ChatResponse, Timing
from ..route import Operation, Route
from ..wire import chat, responses
from ..wire.received import Received
from ..wire.streams.response_stream import ResponseAssembler
from ..wire.streams.stream import StreamAssembler


class Assembler(Protocol):
    """Joins a stream's events to an answer."""

    first_token_at: float | None

    @property
    def has_finished(self) -> bool: ...
    def feed(self, chunk: bytes, now: float) -> None: ...
    def finish(self, connect_s: float) -> ChatResponse: ...


@dataclass(frozen=True, slots=True)
class Format:
    path: str
    build: Callable[[Route, ChatRequest], dict[str, object]]
    """The whole body."""
    build_standard: Callable[[Route, ChatRequest], dict[str, object]]
    """The body without `extra_body`."""
    read: Callable[[object, Received, Timing], ChatResponse]
    assemble: Callable[[Received, float, set[str]], Assembler]
    """From an answer whose headers have come, when it was asked for, and the instances whose streams name a finish reason."""


FORMATS: Final[Mapping[Operation, Format]] = {
    "chat": Format(
        "/chat/completions",
        chat.build_payload,
        chat.build_standard_payload,
        chat.read_completion,
        StreamAssembler,
    ),
    "responses": Format(
        "/responses",
        responses.build_payload,
        responses.build_standard_responses_payload,
        responses.read_response,
        ResponseAssembler,
    ),
}
