"""A response as it was received, before it is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from ..errors import BODY_LIMIT, Evidence, Malformed
from ..masking import NOTHING_SECRET, Masking
from ..messages import ChatRequest, Usage
from .rate_limits.headers import read_hint

MAX_ANSWER_BYTES = 16 * 2**20
"""Most bytes of a decoded answer that are read. No chat completion is longer."""

ERROR_BODY_BYTES = 64 * 2**10
"""Most bytes of an error body that are read."""


class Oversized(ValueError):
    """A body or an event exceeds its limit; the transports report it as Malformed."""


@dataclass(frozen=True, slots=True)
class Received:
    """A response as it was received, with everything that an answer or an error needs of it."""

    instance: str
    request_id: str
    request: ChatRequest
    status: int
    headers: Mapping[str, str]
    """A mapping that ignores case or has lower-case keys."""
    body: bytes = field(default=b"", repr=False)
    masking: Masking = field(default=NOTHING_SECRET, repr=False)
    """The secrets of the request; masked wherever the server echoes them."""

    def text(self, limit: int = BODY_LIMIT) -> str:
        """Return the start of the body for storage: without secrets, at most `limit` characters."""
        start = self.body[: 4 * limit + self.masking.longest].decode("utf-8", "replace")
        return self.masking.mask_start(start)[:limit]

    def text_without_key(self, value: object) -> str:
        """Return a field of an answer without the secrets; "" where it is no text."""
        return self.masking.without_keys(value) if isinstance(value, str) else ""

    def is_page(self) -> bool:
        """Return whether the body is a web page, for example from a proxy."""
        start = self.body[:64].lstrip().lower()
        return "html" in self.headers.get("content-type", "").lower() or start.startswith((b"<!doctype html", b"<html"))

    def evidence(self, usage: Usage | None = None, response_id: str = "") -> Evidence:
        """Build the evidence of an error from this response."""
        text = self.text()
        hint = read_hint(self.headers, text if self.status >= 400 else "", self.status)
        return Evidence(self.instance, self.request_id, self.status, text, hint, usage, response_id)

    def malformed(self, what: str) -> Malformed:
        """Build a Malformed error with this response as evidence."""
        return Malformed(f"{self.instance}: {what}", self.evidence())


def as_body(value: object) -> bytes:
    """Serialise a decoded part of an answer, for the evidence."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # orjson reads deeper nestings than it writes
        return b"(nested too deeply to be shown)"
