"""Joins the events of a stream to the completion that `chat.read_completion` reads. It does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import orjson

from ...errors import BODY_LIMIT, ProviderError
from ...messages import ChatResponse, Timing
from ...usage.reported import merge_usage
from ..errors.complaint import is_complaint
from ..errors.refusals import classify_error_body
from ..json_text import read_json
from ..message.growing import UnknownShape
from ..message.growing_message import GrowingMessage
from ..operations.chat import broken_off, choose_choice, is_broken_off, read_completion
from ..received import Oversized, Received, as_body
from .events import EventSplitter

_DONE = b"[DONE]"


class StreamAssembler:
    """The assembler of one streamed chat completion. Raises ProviderError and nothing else.

    `finishing` holds the instances whose streams name a finish reason, and is updated here: a stream of theirs without one is incomplete.
    """

    def __init__(self, received: Received, sent_at: float, finishing: set[str] | None = None) -> None:
        self._received = received
        self._sent_at = sent_at
        self._finishing = set() if finishing is None else finishing
        self._splitter = EventSplitter()
        self._head = b""
        self._done = False
        self._names: dict[str, object] = {}
        self._usage: object = None
        self._finish_reason: object = None
        self._message = GrowingMessage()
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
            if data.startswith(_DONE):
                self._done = True
            elif not self._done:
                self.add(self._parse(data), now)

    def add(self, chunk: object, now: float) -> None:
        """Add one chat.completion.chunk."""
        if not isinstance(chunk, dict):
            raise self._broken("an event is not a JSON object")
        choices = chunk.get("choices")
        if not choices or chunk.get("error"):
            return self._take_rarer_chunk(chunk, choices)
        if not self._names:
            self._take_names(chunk)
        if usage := chunk.get("usage"):
            self._usage = merge_usage(self._usage, usage)
        choice = choices[0] if isinstance(choices, list) else None
        if not isinstance(choice, dict) or choice.get("index"):
            choice = self._choose(choices)
            if choice is None:
                return None
        if reason := choice.get("finish_reason"):
            self._finish(reason, choice, chunk)
        try:
            if (delta := choice.get("delta")) and self._message.add(delta):
                self._stamp(now)
        except UnknownShape as error:
            raise self._broken(str(error)) from error
        return None

    @property
    def has_finished(self) -> bool:
        """Whether the finish reason was received: the answer is complete, whatever happens to the connection from now on."""
        return self._finish_reason is not None

    def finish(self, connect_s: float) -> ChatResponse:
        """Read the collected answer. Raises what `read_completion` raises, and Malformed where the stream ended early."""
        completion = self.completion()
        ttft_s = None if self.first_token_at is None else self.first_token_at - self._sent_at
        generation_s = self._last_token_at - (self.first_token_at or self._sent_at)
        timing = Timing(connect_s, ttft_s, generation_s, tuple(self._gaps_s))
        return read_completion(completion, replace(self._received, body=self._head), timing)

    def completion(self) -> dict[str, object]:
        """Join the collected chunks to a completion. Raises Malformed where the stream ended early."""
        instance = self._received.instance
        if self._finish_reason is not None:
            if instance not in self._finishing:
                self._finishing.add(instance)
        elif not self._done or instance in self._finishing:
            raise self._broken("the stream ended early")
        if not self._names:
            raise self._broken("the stream holds no answer")
        choice = {"index": 0, "finish_reason": self._finish_reason, "message": self._message.joined()}
        return {**self._names, "choices": [choice], "usage": self._usage}

    def _parse(self, data: bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            return self._parse_leniently(data, error)

    def _parse_leniently(self, data: bytes, error: orjson.JSONDecodeError) -> object:
        try:
            return read_json(data)
        except orjson.JSONDecodeError:
            raise self._broken(f"an event is not JSON ({error.msg})") from error

    def _broken(self, what: str) -> ProviderError:
        return replace(self._received, body=self._head).malformed(what)

    def _take_names(self, chunk: Mapping[str, object]) -> None:
        self._names = {name: chunk.get(name) for name in ("id", "model", "system_fingerprint")}

    def _choose(self, choices: object) -> Mapping[str, object] | None:
        """Choose the choice of index 0; None where the chunk belongs to another choice (n > 1)."""
        choice = choose_choice(choices) if isinstance(choices, list) else None
        if not isinstance(choice, dict):
            raise self._broken("a chunk's choices have an unknown shape")
        return None if choice.get("index") else choice

    def _take_rarer_chunk(self, chunk: Mapping[str, object], choices: object) -> None:
        """Add a chunk without choices: usage, a report of the content filter, or an error in the form of OpenAI or of FastChat and vLLM."""
        if chunk.get("error") or chunk.get("object") == "error" or is_complaint(chunk):
            self._take_error(chunk, choices)
        self._usage = merge_usage(self._usage, chunk.get("usage"))
        self._take_vendor_usage(chunk)

    def _take_error(self, chunk: Mapping[str, object], choices: object) -> None:
        """Raise the error of a chunk, unless the answer had already reached the token limit."""
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict) and choice.get("finish_reason") == "length":
            self._finish_reason = "length"
        if self._finish_reason != "length":
            raise classify_error_body(chunk, replace(self._received, body=as_body(chunk)))
        if not self._names:
            self._take_names(chunk)

    def _finish(self, reason: object, choice: Mapping[str, object], chunk: Mapping[str, object]) -> None:
        if is_broken_off(reason, choice):
            raise broken_off(choice, replace(self._received, body=as_body(chunk)))
        self._finish_reason = reason
        self._usage = merge_usage(self._usage, choice.get("usage"))
        self._take_vendor_usage(chunk)

    def _take_vendor_usage(self, chunk: Mapping[str, object]) -> None:
        if isinstance(vendor := chunk.get("x_groq"), dict):
            self._usage = merge_usage(self._usage, vendor.get("usage"))

    def _stamp(self, now: float) -> None:
        if self.first_token_at is None:
            self.first_token_at = now
        else:
            self._gaps_s.append(now - self._last_token_at)
        self._last_token_at = now
