"""A chat-completions server with minimal overhead: every request gets the same answer after the same delay.

HTTP/1.1 with keep-alive on a bare asyncio.Protocol. It prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import cast

import orjson
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cores import SERVER_CORE, pin

ANSWER_TEXT = (
    "The sky looks blue because air scatters short wavelengths of sunlight more than long ones. " * 3 + "So: blue."
)
TARGET = "so: blue"
"""Part of every answer, so that the scorer `includes` finds it."""
TOTAL_TOKENS = 412
_BACKLOG = 4_096
_LIMIT_HEADERS = (
    "x-ratelimit-limit-requests: 10000000\r\nx-ratelimit-remaining-requests: 9999999\r\n"
    "x-ratelimit-limit-tokens: 10000000000\r\nx-ratelimit-remaining-tokens: 9999999999\r\n"
)


def completion() -> bytes:
    """Build the body of every answer, about 700 bytes."""
    message = {"role": "assistant", "content": ANSWER_TEXT, "refusal": None}
    return orjson.dumps(
        {
            "id": "chatcmpl-00000000000000000000000000000000",
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": "bench",
            "system_fingerprint": "fp_0000000000",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": TOTAL_TOKENS - 60,
                "completion_tokens": 60,
                "total_tokens": TOTAL_TOKENS,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        }
    )


def response() -> bytes:
    """Build the whole HTTP response."""
    body = completion()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{_LIMIT_HEADERS}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def request_length(data: bytes) -> int | None:
    """Return the length in bytes of the first request in `data` with its body; None while its head is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"content-length:")
    length = 0 if at < 0 else int(head[at + 15 :].split(b"\r\n", 1)[0])
    return end + 4 + length


class _Connection(asyncio.Protocol):
    """Answers whole requests. No client here sends a second request before the first is answered."""

    def __init__(self, answer: bytes, delay_s: float) -> None:
        self._answer = answer
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # what asyncio and uvloop pass for TCP

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        length = request_length(received)
        while length is not None and len(received) >= length:
            self._loop.call_later(self._delay_s, self._respond)
            received = received[length:]
            length = request_length(received)
        self._received = received

    def _respond(self) -> None:
        if self._transport is not None:
            self._transport.write(self._answer)


async def _serve(delay_s: float) -> None:
    loop, answer = asyncio.get_running_loop(), response()
    server = await loop.create_server(lambda: _Connection(answer, delay_s), "127.0.0.1", 0, backlog=_BACKLOG)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.25, metavar="SECONDS")
    delay_s: float = parser.parse_args().delay
    pin(SERVER_CORE)
    uvloop.run(_serve(delay_s))


if __name__ == "__main__":
    main()
