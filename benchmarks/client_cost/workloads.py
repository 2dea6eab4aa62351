"""The workloads of the benchmark: what a request asks, what the server answers in which pieces, and how the answer is scored.

All clients send requests of the same size and receive the same answers, so that a workload compares clients and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import orjson

MODEL = "bench"
SYSTEM = "Reason briefly and end with the answer alone."
TOTAL_TOKENS = 412
CHUNK_S = 0.004
"""Time between two pieces of a streamed answer."""
_PASSAGE = "A passage of plain English that a question is asked about, as evaluation sets have them by the thousand. "
_SKY = "The sky looks blue because air scatters short wavelengths of sunlight more than long ones. "
_STEP = "First she packs 16 boxes of 24 eggs, which makes 384 eggs, and 18 of them break on the way, so 366 remain. "
_LIMIT_HEADERS = (
    "x-ratelimit-limit-requests: 10000000\r\nx-ratelimit-remaining-requests: 9999999\r\n"
    "x-ratelimit-limit-tokens: 10000000000\r\nx-ratelimit-remaining-tokens: 9999999999\r\n"
)


class Message(TypedDict):
    """A message of a chat request."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request and answer."""

    name: str
    scorer: str
    target: str
    """Part of every answer, so that the scorer accepts it."""
    answer: str
    prompt_passages: int = 12
    chunks: int = 0
    """Pieces of a streamed answer; 0 where the answer comes as a whole."""

    def messages(self, number: int) -> list[Message]:
        """Build the messages of request `number`."""
        passage = _PASSAGE * self.prompt_passages
        question = f"{passage}\n\nQuestion {number:07}: why does the sky of this passage look the way it does?"
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]

    def payload(self, number: int, model: str = MODEL) -> bytes:
        """Build the body of request `number` as a minimal client sends it."""
        body: dict[str, object] = {"model": model, "messages": self.messages(number)}
        if self.chunks:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return orjson.dumps(body)

    def task_line(self, number: int) -> bytes:
        """Build the line of the task file for request `number`."""
        task = {"id": f"task-{number}", "messages": self.messages(number), "target": self.target}
        return orjson.dumps(task, option=orjson.OPT_APPEND_NEWLINE)

    def is_right(self, text: str | None, total_tokens: int) -> bool:
        """Return whether a client received the whole answer."""
        return text is not None and len(text) == len(self.answer) and total_tokens == TOTAL_TOKENS

    def response_pieces(self) -> tuple[bytes, ...]:
        """Build the HTTP response in the pieces that the server writes."""
        if self.chunks:
            return _streamed(self)
        body = _completion(self.answer)
        return (_head("application/json", f"Content-Length: {len(body)}\r\n") + body,)


def _completion(answer: str) -> bytes:
    """Build the body of a whole answer; without its text it has about 400 bytes."""
    message = {"role": "assistant", "content": answer, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return orjson.dumps({**_COMMON, "object": "chat.completion", "choices": [choice], "usage": _USAGE})


_COMMON: dict[str, object] = {
    "id": "chatcmpl-00000000000000000000000000000000",
    "created": 1_750_000_000,
    "model": MODEL,
    "system_fingerprint": "fp_0000000000",
}
_USAGE: dict[str, object] = {
    "prompt_tokens": TOTAL_TOKENS - 60,
    "completion_tokens": 60,
    "total_tokens": TOTAL_TOKENS,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}


def _head(content_type: str, length: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{_LIMIT_HEADERS}{length}\r\n".encode()


def _streamed(workload: Workload) -> tuple[bytes, ...]:
    """Build the head with the first chunk, the other chunks, and the end; each is written on its own."""
    size = -(-len(workload.answer) // workload.chunks)
    texts = [workload.answer[start : start + size] for start in range(0, len(workload.answer), size)]
    texts += [""] * (workload.chunks - len(texts))
    events = [_event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}) for text in texts]
    finish = _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    usage = _event({"choices": [], "usage": _USAGE})
    events[-1] += finish + usage + _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    return (_head("text/event-stream", "Transfer-Encoding: chunked\r\n") + events[0], *events[1:])


def _event(parts: dict[str, object]) -> bytes:
    return _chunked(b"data: " + orjson.dumps({**_COMMON, "object": "chat.completion.chunk", **parts}) + b"\n\n")


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


INCLUDES = Workload("includes", "includes", "so: blue", _SKY * 3 + "So: blue.")
WORKLOADS = {
    workload.name: workload
    for workload in (
        INCLUDES,
        Workload("numeric_1kb", "numeric", "366", _STEP * 9 + "The answer is 366."),
        Workload("stream63", "includes", "so: blue", _SKY * 3 + "So: blue.", chunks=63),
        Workload("prompt_20kb", "includes", "so: blue", _SKY * 3 + "So: blue.", prompt_passages=190),
        Workload("answer_100kb", "includes", "so: blue", _SKY * 1_100 + "So: blue."),
    )
}
