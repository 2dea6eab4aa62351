"""Reads streams of the Responses API: the last event holds the whole answer, the others give the times of its tokens."""

from __future__ import annotations

from dataclasses import replace

import orjson

from ...errors import BODY_LIMIT, ProviderError
from ...messages import ChatResponse, Timing
from ..errors.refusals import classify_error_body
from ..json_text import read_json
from ..operations.responses import read_response
from ..received import Oversized, Received
from .events import EventSplitter

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_DONE = b"[DONE]"


class ResponseAssembler:
    """The assembler of one streamed response. Raises ProviderError and nothing else."""

    def __init__(self, received: Received, sent_at: float, _finishing: set[str] | None = None) -> None:
        """Start empty. `_finishing` is not used, because this API always reports how an answer finished."""
        self._received = received
        self._sent_at = sent_at
        self._splitter = EventSplitter()
        self._head = b""
        self._items: list[object] = []
        self._response: dict[str, object] | None = None
        self._gaps_s: list[float] = []
        self.first_token_at: float | None = None
        self._last_token_at = sent_at

    def feed(self, chunk: bytes, now: float) -> None:
        """Add bytes as they are received."""
        if len(self._head) < BODY_LIMIT:
            self._head += chunk[:BODY_LIMIT]
        try:
            events = self._splitter.feed(chunk)
        except Oversized as error:
            raise self._broken(str(error)) from error
        for data in events:
            if not data.startswith(_DONE):
                self.add(self._parse(data), now)

    def add(self, event: object, now: float) -> None:
        """Add one event."""
        if not isinstance(event, dict):
            raise self._broken("an event is not a JSON object")
        kind = event.get("type")
        if not isinstance(kind, str):
            kind = "error" if event.get("error") else ""
        if kind.endswith(".delta"):
            if event.get("delta"):
                self._stamp(now)
        elif kind == "response.output_item.done":
            self._items.append(event.get("item"))
        elif kind in _LAST and isinstance(event.get("response"), dict):
            self._response = event["response"]
        elif kind == "error":
            body = event if event.get("error") else {"error": event}
            raise classify_error_body(body, replace(self._received, body=self._head))

    @property
    def has_finished(self) -> bool:
        """Whether the answer is complete, whatever happens to the connection from now on."""
        return self._response is not None

    def finish(self, connect_s: float) -> ChatResponse:
        """Read the collected answer. Raises what `read_response` raises, and Malformed where the stream ended early."""
        if self._response is None:
            raise self._broken("the stream ended early")
        ttft_s = None if self.first_token_at is None else self.first_token_at - self._sent_at
        generation_s = self._last_token_at - (self.first_token_at or self._sent_at)
        timing = Timing(connect_s, ttft_s, generation_s, tuple(self._gaps_s))
        response = self._response if self._response.get("output") else {**self._response, "output": self._items}
        return read_response(response, replace(self._received, body=self._head), timing)

    def _parse(self, data: bytes) -> object:
        try:
            return read_json(data)
        except orjson.JSONDecodeError as error:
            raise self._broken(f"an event is not JSON ({error.msg})") from error

    def _broken(self, what: str) -> ProviderError:
        return replace(self._received, body=self._head).malformed(what)

    def _stamp(self, now: float) -> None:
        if self.first_token_at is None:
            self.first_token_at = now
        else:
            self._gaps_s.append(now - self._last_token_at)
        self._last_token_at = now
