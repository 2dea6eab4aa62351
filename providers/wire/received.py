"""A response as it was received, before it is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import orjson

from ..errors import BODY_LIMIT, Evidence, Malformed
from ..messages import ChatRequest, Usage
from .rate_limits.headers import read_hint

MAX_ANSWER_BYTES = 16 * 2**20
"""Most bytes of a decoded answer that are read. No chat completion is longer."""

ERROR_BODY_BYTES = 64 * 2**10
"""Most bytes of an error body that are read."""


MASK = "***"
SHORTEST_KEY = 16
"""Shortest key that is masked in answers: a shorter one may be an ordinary word of the text."""
SHORTEST_PART = 4
"""Longest start of a key at the end of a cut text that is not masked."""


def spellings(secret: str) -> set[str]:
    """Return the forms in which a server may echo a key: plain, in JSON text (`\\/` for a slash), in an address."""
    in_json = orjson.dumps(secret).decode()[1:-1]
    return {secret, in_json, in_json.replace("/", "\\/"), quote(secret, safe="")}


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
    secret: str = field(default="", repr=False)
    """The key of the request; masked wherever the server echoes it."""
    other_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Secret values of the user's headers; masked like the key."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key and the other secrets."""
        return (self.secret, *self.other_secrets)

    def text(self, limit: int = BODY_LIMIT) -> str:
        """Return the start of the body for storage: without secrets, at most `limit` characters."""
        start = self.body[: 4 * limit + max(map(len, self.secrets))].decode("utf-8", "replace")
        return self._without_a_part_of_the_key(self.mask(start))[:limit]

    def mask(self, text: str) -> str:
        """Replace the secrets in a text, in plain form and as JSON and addresses escape them."""
        for secret in filter(None, self.secrets):
            for spelt in spellings(secret):
                text = text.replace(spelt, MASK)
        return text

    def text_without_key(self, value: object) -> str:
        """Return a field of an answer without the secrets; "" where it is no text."""
        return self.without_key(value) if isinstance(value, str) else ""

    def without_key(self, text: str) -> str:
        """Replace the secrets in a part of an answer. Short keys such as "EMPTY" or "test" are words that a model may write: they stay."""
        if self.secret and self.secret in text and len(self.secret) >= SHORTEST_KEY:
            text = text.replace(self.secret, MASK)
        for secret in self.other_secrets:
            if len(secret) >= SHORTEST_KEY:
                text = text.replace(secret, MASK)
        return text

    def _without_a_part_of_the_key(self, text: str) -> str:
        """Mask the start of a secret at the end of a text that was cut."""
        for secret in self.secrets:
            for length in range(len(secret) - 1, SHORTEST_PART, -1):
                if text.endswith(secret[:length]):
                    return text[:-length] + MASK
        return text

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
