"""Lines of OpenAI Batch files: `custom_id` is the task's id, and every parameter of the body is sent with that line's request."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

import orjson

from providers.errors import InputError
from providers.messages import JSON

URL: Final = "/v1/chat/completions"
OF_THE_TASK: Final = frozenset({"messages", "tools"})
OF_THE_RUN: Final = frozenset({"model", "stream", "stream_options", "n"})
"""What the configuration decides: the models, whether answers are streamed, and the number of answers (`sweep.epochs`)."""


def is_batch_line(row: Container[str]) -> bool:
    """Return whether a row with a `body` is a line of a Batch file."""
    return "custom_id" in row


def unpack_batch_line(row: Mapping[str, JSON], unused: dict[str, str]) -> Mapping[str, JSON]:
    """Convert a line to the columns of a task. Sentences about what is not used go to `unused`. Raises InputError with the reason only."""
    body = row["body"] if isinstance(row["body"], dict) else _parsed(row["body"])
    if "messages" not in body:
        url = row.get("url")
        seen = f" (its url is {url})" if isinstance(url, str) and url != URL else ""
        raise InputError(f"body has no messages{seen}: only requests to {URL} can be run; fix or remove the line")
    if body.get("n") not in (None, 1):
        raise InputError(
            f"body.n is {body['n']!r}: a sample has one answer; remove n, and set sweep.epochs for more answers"
        )
    _note_unused(body, unused)
    rest = {name: value for name, value in body.items() if name not in OF_THE_TASK}
    given = row.get("metadata")
    metadata = {**(given if isinstance(given, dict) else {}), "body": rest}
    return {
        **row,
        "id": row["custom_id"],
        "messages": body["messages"],
        "tools": body.get("tools"),
        "metadata": metadata,
    }


def generation_parameters(body: JSON) -> Mapping[str, JSON]:
    """Return the parameters of a body that its request is sent with."""
    body = body if isinstance(body, dict) else _parsed(body)
    return {name: value for name, value in body.items() if name not in OF_THE_TASK and name not in OF_THE_RUN}


def _note_unused(body: Mapping[str, JSON], unused: dict[str, str]) -> None:
    if body.get("model") is not None and "model" not in unused:
        unused["model"] = (
            f"the model of its lines ({body['model']}) is not used: every model of the sweep gets every line"
        )
    if body.get("stream") is not None and "stream" not in unused:
        unused["stream"] = "stream of its lines is not used: generation.stream decides"


def _parsed(body: JSON) -> dict[str, JSON]:
    """Parse a body that CSV or Parquet holds as JSON text."""
    try:
        document = orjson.loads(body) if isinstance(body, str) else None
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        return document
    raise InputError(f"body has no messages: only requests to {URL} can be run; fix or remove the line")
