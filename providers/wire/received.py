"""An answer as it came off the wire, before anybody has read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import orjson

from ..errors import BODY_LIMIT, Evidence, Malformed
from ..messages import ChatRequest, Usage
from .headers import read_hint

MAX_ANSWER_BYTES = 16 * 2**20
"""Decoded. No chat completion is longer; whatever is, is not read to its end."""

ERROR_BODY_BYTES = 64 * 2**10
"""Of an error, the start is enough."""


MASK = "***"
SHORTEST_KEY = 16
"""Characters from which on an answer that holds the key has it from nowhere else."""
SHORTEST_PART = 4
"""Letters of a key at the end of a text that say nothing."""


def spellings(secret: str) -> set[str]:
    """How a server may write a key back: plainly, inside JSON text (`\\/` for a slash), inside an address."""
    in_json = orjson.dumps(secret).decode()[1:-1]
    return {secret, in_json, in_json.replace("/", "\\/"), quote(secret, safe="")}


class Oversized(ValueError):
    """A body or an event went past its bound; the transports report it as Malformed."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came, with all that a response or an error has to say about it."""

    instance: str
    request_id: str
    request: ChatRequest
    status: int
    headers: Mapping[str, str]
    """Case ignored, or keys in lower case."""
    body: bytes = field(default=b"", repr=False)
    secret: str = field(default="", repr=False)
    """The key of the request: masked wherever the server echoes it."""
    other_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Of the person's own headers: masked alike."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.secret, *self.other_secrets)

    def text(self, limit: int = BODY_LIMIT) -> str:
        """The start of the body, fit to be stored: without the key, at most `limit` characters."""
        start = self.body[: 4 * limit + max(map(len, self.secrets))].decode("utf-8", "replace")
        return self._without_a_part_of_the_key(self.mask(start))[:limit]

    def mask(self, text: str) -> str:
        """`text` without the key, as it is or as JSON and addresses spell it."""
        for secret in filter(None, self.secrets):
            for spelt in spellings(secret):
                text = text.replace(spelt, MASK)
        return text

    def without_key(self, text: str) -> str:
        """A part of an answer without the key. "EMPTY" or "test" for a key is a word that a model may say: it stays."""
        if len(self.secret) >= SHORTEST_KEY and self.secret in text:
            text = text.replace(self.secret, MASK)
        for secret in self.other_secrets:
            if len(secret) >= SHORTEST_KEY:
                text = text.replace(secret, MASK)
        return text

    def _without_a_part_of_the_key(self, text: str) -> str:
        """A body that was cut off may end inside the key."""
        for secret in self.secrets:
            for length in range(len(secret) - 1, SHORTEST_PART, -1):
                if text.endswith(secret[:length]):
                    return text[:-length] + MASK
        return text

    def is_page(self) -> bool:
        """Whether somebody in between answered with a page for people."""
        start = self.body[:64].lstrip().lower()
        return "html" in self.headers.get("content-type", "").lower() or start.startswith((b"<!doctype html", b"<html"))

    def evidence(self, usage: Usage | None = None, response_id: str = "") -> Evidence:
        text = self.text()
        hint = read_hint(self.headers, text if self.status >= 400 else "")
        return Evidence(self.instance, self.request_id, self.status, text, hint, usage, response_id)

    def malformed(self, what: str) -> Malformed:
        return Malformed(f"{self.instance}: {what}", self.evidence())


def as_body(value: object) -> bytes:
    """A decoded part of an answer as bytes again, for the evidence."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # orjson reads deeper nestings than it writes
        return b"(nested too deeply to be shown)"
