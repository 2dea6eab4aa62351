"""Task sets of the Berkeley Function-Calling Leaderboard: questions and functions in one file, accepted values in a second one.

A row is converted to messages, OpenAI tools and a target of expected calls. The types `dict`, `float`, `tuple` and `any` of its schemas
are converted to types of JSON Schema. Names that OpenAI does not accept (`math.hypot`) stay unchanged here; they are renamed when a
request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from providers.errors import InputError
from providers.messages import JSON

from ..columns import Row
from .json_rows import JsonLines

ANSWERS = "_answers"
TYPES: Mapping[str, str | None] = {"dict": "object", "float": "number", "tuple": "array", "any": None}
"""Types of BFCL and their types in JSON Schema; None removes the type, so that any value is valid."""
_NUMBERED = re.compile(r"_\d+$")


def answers_path(path: Path) -> Path:
    """Return the path of the answers: `x_answers.jsonl` for `x.jsonl`."""
    return path.with_name(f"{path.stem}{ANSWERS}{path.suffix}")


class BfclRows:
    """The rows of both files, read by offset; answers are found by id, in any order."""

    def __init__(self, path: Path) -> None:
        """Open both files. Raises InputError where the file of answers is missing."""
        if path.stem.endswith(ANSWERS):
            raise InputError(f"{path}: holds answers, not tasks; name the file of questions instead")
        if not answers_path(path).exists():
            raise InputError(
                f"{path}: the answers are missing; put them into {answers_path(path).name} in the same folder"
            )
        self._questions = JsonLines(path)
        self._answers = JsonLines(answers_path(path))
        self._answer_rows: dict[str, int] = {}
        self.where = self._questions.where
        self.share = self._questions.share

    def scan(self) -> Iterator[Row]:
        """Yield every row, joined with its answer. Raises InputError with file and line."""
        for number, row in enumerate(self._answers.scan()):
            if not isinstance(row.get("ground_truth"), list):
                raise InputError(f"{self._answers.where(number)}: has no list ground_truth; fix or remove the line")
            self._answer_rows[str(row.get("id"))] = number
        for number, row in enumerate(self._questions.scan()):
            try:
                yield self._joined(row)
            except ValueError as error:
                raise InputError(f"{self.where(number)}: {error}; fix or remove the line") from error

    def read(self, number: int) -> Row:
        """Read a row and its answer. Raises ValueError where the files have changed."""
        return self._joined(self._questions.read(number))

    def close(self) -> None:
        """Close both files."""
        self._questions.close()
        self._answers.close()

    def _joined(self, row: Row) -> Row:
        number = self._answer_rows.get(str(row.get("id")))
        if number is None:
            raise ValueError(f"no answer has its id {row.get('id')!r}")
        return task_row(row, self._answers.read(number)["ground_truth"])


def task_row(row: Row, truth: JSON) -> Row:
    """Convert a row to the columns of a task. Raises ValueError with a reason where its shape is unknown."""
    functions = _objects(row.get("function"), "function")
    names = {_text(function.get("name"), "a function's name") for function in functions}
    task_id = _text(row.get("id"), "id")
    return {
        "id": task_id,
        "messages": _only_turn(row.get("question")),
        "tools": [_tool(function) for function in functions],
        "target": {"calls": [_expected(call, names) for call in _objects(truth, "ground_truth")], "order": "any"},
        "task_type": _NUMBERED.sub("", task_id),
    }


def json_schema(schema: JSON) -> JSON:
    """Convert a parameter's schema to types of JSON Schema; `properties` may contain a property named "type"."""
    if not isinstance(schema, Mapping):
        return schema
    kind = schema.get("type")
    converted = {name: value for name, value in schema.items() if name not in {"type", "optional"}}
    if isinstance(kind, str) and (json_type := TYPES.get(kind, kind)) is not None:
        converted = {"type": json_type, **converted}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        converted["properties"] = {name: json_schema(inner) for name, inner in properties.items()}
    if "items" in schema:
        converted["items"] = json_schema(schema["items"])
    return converted


def _tool(function: Mapping[str, JSON]) -> JSON:
    parameters = json_schema(function.get("parameters", {}))
    described = {"name": function["name"], "description": function.get("description", ""), "parameters": parameters}
    return {"type": "function", "function": described}


def _expected(call: Mapping[str, JSON], names: Collection[str]) -> JSON:
    if len(call) != 1:
        raise ValueError("an expected call is not one name with its arguments")
    ((name, arguments),) = call.items()
    if name not in names:
        raise ValueError(f"the expected call {name} is none of its functions")
    return {"name": name, "arguments": arguments}


def _only_turn(question: JSON) -> JSON:
    if isinstance(question, list) and len(question) == 1:
        turn: JSON = question[0]
        return turn
    raise ValueError("question is not a list of one turn; sets with several turns need a reader of their own")


def _objects(value: JSON, name: str) -> list[Mapping[str, JSON]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [item for item in value if isinstance(item, dict)]
    raise ValueError(f"{name} is not a list of objects")


def _text(value: JSON, name: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"{name} is not a text")
