"""Recorded exchanges with real endpoints, and what a right client reads of each.

They are no part of the project: without them the tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from providers.errors import ProviderError
from providers.messages import ChatRequest, ChatResponse, Generation

WIRE_DATA = Path(__file__).parents[1].parent / "shared" / "data" / "wire"

needs_recordings = pytest.mark.skipif(
    not WIRE_DATA.exists(), reason=f"{WIRE_DATA} is not there: recorded exchanges are no part of the project"
)

CLASS_OF_WORDS = {"configuration fault": "Refused", "model failure": "InvalidToolCall"}
"""Where a recording describes the error in words."""

REASONING_KEPT = 400
"""Characters of the reasoning that a recording's truth keeps."""

MAX_PIECES = 40_000
_AWKWARD = re.compile(rb"[\x80-\xbf]|(?<=dat)a:|(?<=\r)\n|(?<=\n)\n|(?<=\\)[n\"u]")
"""Inside a character, inside `data:`, inside the end of a line and of an event, inside an escape."""


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    truth: Mapping[str, Any]

    @property
    def is_stream(self) -> bool:
        return "event-stream" in self.headers.get("content-type", "")

    @property
    def request(self) -> ChatRequest:
        return ChatRequest([{"role": "user", "content": "hi"}], generation=Generation(stream=self.is_stream))


def recordings(keep: Callable[[Recording], bool]) -> Sequence[Recording]:
    """Read the recordings that `keep` wants; none where there are none."""
    return [each for each in _read_all() if keep(each)]


def _read_all() -> Iterator[Recording]:
    for path in sorted(WIRE_DATA.glob("*.json")):
        said = orjson.loads(path.read_bytes())
        headers = {name.lower(): value for name, value in said["headers"].items()}
        yield Recording(path.stem, said["status"], headers, said["body"].encode(), said["truth"])


def has_answer(recording: Recording) -> bool:
    """Whether a right client reads an answer, or that it was cut off while the model thought."""
    return recording.truth["kind"] in ("answer", "truncated")


def is_error_in_success(recording: Recording) -> bool:
    """Whether an error comes with status 200. What other statuses mean is tested where failures are classified."""
    return recording.truth["kind"] == "error" and recording.status == 200


def cut_awkwardly(body: bytes) -> list[bytes]:
    """Cut a body at every place that a careless reader stumbles over."""
    places = [0, *(match.start() for match in _AWKWARD.finditer(body)), len(body)]
    return [body[start:stop] for start, stop in pairwise(places) if start < stop]


def cut_into_bytes(body: bytes) -> list[bytes]:
    """Cut a body into single bytes, a long one into pieces of a few."""
    length = len(body) // MAX_PIECES + 1
    return [body[start : start + length] for start in range(0, len(body), length)]


def require_truth(recording: Recording, outcome: ChatResponse | ProviderError) -> None:
    """Check that what was read is what the recording says."""
    truth = recording.truth
    if truth["kind"] == "answer":
        assert isinstance(outcome, ChatResponse), outcome
        _require_answer(truth, outcome)
        return
    words = truth["class"]
    expected = next((name for start, name in CLASS_OF_WORDS.items() if words.startswith(start)), None)
    assert type(outcome).__name__ == (expected or re.split(r"\W", words)[0]), outcome
    assert isinstance(outcome, ProviderError)
    if wait := re.search(r"wait (\d+) s", words):
        assert outcome.retry_after_s == float(wait[1])


def _require_answer(truth: Mapping[str, Any], response: ChatResponse) -> None:
    assert response.text == truth.get("answer_text", truth["text"])
    assert response.reasoning[:REASONING_KEPT] == truth.get("reasoning", "")
    names = (response.finish_reason, response.response_id, response.response_model)
    assert names == (truth["finish_reason"], truth["id"], truth["model"])
    assert [_named(call) for call in response.tool_calls] == truth["tool_calls"]
    usage, said = response.usage, truth["usage"]
    assert usage.estimated is (said is None)
    if said is not None:
        counts = {"input": usage.input_tokens, "output": usage.output_tokens, "cached": usage.cached_tokens}
        assert counts | {"reasoning": usage.reasoning_tokens} == {name: said[name] for name in (*counts, "reasoning")}
    assert usage.output_tokens > 0
    orjson.dumps(response.assistant)


def _named(call: Mapping[str, Any]) -> Mapping[str, object]:
    function = call["function"]
    return {"id": call.get("id") or "", "name": function["name"], "arguments": function["arguments"]}
