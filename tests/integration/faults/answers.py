"""Answers as bytes: what a well-behaved server says, for scripts to spoil."""

from __future__ import annotations

import zlib

import orjson

SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def http(body: bytes, status: str = "200 OK", content_type: str = "application/json", **headers: str) -> bytes:
    """A whole answer; a header that is named replaces ours, where it is a lie."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def completion(**changes: object) -> dict[str, object]:
    message = {"role": "assistant", "content": "42"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    usage_details = {
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    body: dict[str, object] = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-2024", "system_fingerprint": "fp",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage | usage_details,
    }  # fmt: skip
    return body | changes


def choice(finish_reason: str | None = "stop", **message: object) -> dict[str, object]:
    return completion(
        choices=[{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant"} | message}]
    )


def answer(body: object, status: str = "200 OK", **headers: str) -> bytes:
    return http(orjson.dumps(body), status, **headers)


def error(message: str, code: str | None = None, **more: object) -> bytes:
    return orjson.dumps({"error": {"message": message, "code": code} | more})


def event(body: object) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def chunk(finish_reason: str | None = None, **delta: object) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2024",
                  "system_fingerprint": "fp", "choices": choices})  # fmt: skip


USAGE_CHUNK = event(completion(choices=[], object="chat.completion.chunk"))
FILTER_CHUNK = event({"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})


def gzip_bomb(megabytes: int) -> bytes:
    """A thousandth of its contents: zeros, whose blocks are alike once the window has been flushed."""
    packer = zlib.compressobj(9, wbits=31)
    first, second = (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + second * (megabytes - 1)
