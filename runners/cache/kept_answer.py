"""An answer as it is kept: everything of it but its times and rate limits, and who gave it. Never the prompt, never a key."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from providers.messages import Adaptation, ChatResponse, Timing, Usage

CHECKSUM_BYTES = 4
UNTIMED = Timing(0.0, None, 0.0)
"""An answer that was kept took no time of a server."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer and the deployment that gave it."""

    response: ChatResponse
    server: str
    deployment: str


def encode_answer(response: ChatResponse, server: str, deployment: str) -> bytes:
    """Write an answer, with a checksum before it."""
    body = orjson.dumps(
        {
            "server": server,
            "deployment": deployment,
            "text": response.text,
            "tool_calls": response.tool_calls,
            "finish_reason": response.finish_reason,
            "usage": response.usage,
            "response_id": response.response_id,
            "response_model": response.response_model,
            "system_fingerprint": response.system_fingerprint,
            "refused": response.refused,
            "reasoning": response.reasoning,
            "assistant": response.assistant,
            "adaptation": response.adaptation,
        }
    )
    return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") + body


def decode_answer(value: bytes) -> KeptAnswer | None:
    """Read an answer; None where it is damaged or of an unknown form."""
    body = value[CHECKSUM_BYTES:]
    if zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") != value[:CHECKSUM_BYTES]:
        return None
    try:
        return _read(orjson.loads(body))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _read(kept: Mapping[str, Any]) -> KeptAnswer:
    response = ChatResponse(
        text=kept["text"],
        tool_calls=kept["tool_calls"],
        finish_reason=kept["finish_reason"],
        usage=Usage(**kept["usage"]),
        timing=UNTIMED,
        hint=None,
        response_id=kept["response_id"],
        response_model=kept["response_model"],
        system_fingerprint=kept["system_fingerprint"],
        refused=kept["refused"],
        reasoning=kept["reasoning"],
        assistant=kept["assistant"],
        adaptation=None if kept["adaptation"] is None else Adaptation(**kept["adaptation"]),
    )
    return KeptAnswer(response, kept["server"], kept["deployment"])
