"""The wire format of each operation: its path, and the functions that build its body and read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ..messages import ChatRequest, ChatResponse, Timing
from ..route import Operation, Route
from ..wire.operations import chat, responses
from ..wire.received import Received
from ..wire.streams.response_stream import ResponseAssembler
from ..wire.streams.stream import StreamAssembler


class Assembler(Protocol):
    """A reader that joins the events of a stream to an answer."""

    first_token_at: float | None

    @property
    def has_finished(self) -> bool:
        """Whether the answer is complete, whatever happens to the connection from now on."""
        ...

    def feed(self, chunk: bytes, now: float) -> None:
        """Take bytes from the connection. Raises ProviderError."""
        ...

    def finish(self, connect_s: float) -> ChatResponse:
        """Read the collected answer. Raises ProviderError where it is not complete."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """The path and the functions of one operation."""

    path: str
    build: Callable[[Route, ChatRequest], dict[str, object]]
    """The whole body."""
    build_standard: Callable[[Route, ChatRequest], dict[str, object]]
    """The body without `extra_body`."""
    read: Callable[[object, Received, Timing], ChatResponse]
    assemble: Callable[[Received, float, set[str]], Assembler]
    """Builds an assembler from the received headers, the time of the send, and the instances whose streams name a finish reason."""


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
