"""Sample files of lm-eval (`samples_TASK_DATE.jsonl`, from `--log_samples`) as tasks: the same prompts with the same parameters.

A sample holds the prompt in `arguments`, the row of its data set in `doc`, and the target. With several filters a file has one sample per
document and filter. A filter only reads the answer, so those of the first one are all questions; the others are noted as not read.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.messages import JSON

from ..columns import Row
from .json_rows import JsonLines

MARKS = frozenset({"doc_id", "doc", "arguments"})
"""The columns that make a line a sample."""
PARAMETERS: Mapping[str, str] = {
    "max_gen_toks": "max_tokens",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
}
"""Parameters of lm-eval and the names that they are sent under; `until` becomes `stop`."""
MOST_STOPS = 4
"""As many stop texts as the API takes."""
_NAMED = re.compile(r"samples_(.+?)_\d{4}-\d\d-\d\dT.*")
SNIFFED_BYTES = 1 << 22


def is_sample_file(path: Path) -> bool:
    """Return whether the first line of a file is a sample of lm-eval."""
    with path.open("rb") as file:
        line = file.readline(SNIFFED_BYTES)
    if b'"doc_id"' not in line:
        return False
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(row, dict) and row.keys() >= MARKS


class LmEvalRows:
    """The samples of one filter, read by offset and converted to the form of Batch lines."""

    def __init__(self, path: Path, data: Path | None, note: Callable[[str, str], None]) -> None:
        """Open the file. `note` takes what is not read: a key, and a sentence."""
        self._lines = JsonLines(path, data)
        self._note = note
        self._numbers = array("Q")
        """The line of every row that is read."""
        match = _NAMED.fullmatch(path.name)
        self._task = match[1] if match else path.stem
        self.share = self._lines.share
        self.close = self._lines.close

    def scan(self) -> Iterator[Row]:
        """Yield every sample of the first filter. Raises InputError with file and line."""
        first: JSON = None
        for number, row in enumerate(self._lines.scan()):
            if number == 0:
                first = row.get("filter")
            if row.get("filter") != first:
                self._note_filter(row.get("filter"), first)
                continue
            self._numbers.append(number)
            try:
                yield sample_row(row, self._task)
            except ValueError as error:
                raise InputError(f"{self._lines.where(number)}: {error}; fix or remove the line") from error

    def _note_filter(self, name: JSON, first: JSON) -> None:
        self._note(
            f"filter {name}", f"the lines of the filter {name} are not read: the same questions as those of {first}"
        )

    def read(self, number: int) -> Row:
        """Read a sample. Raises ValueError where the file has changed."""
        return sample_row(self._lines.read(self._numbers[number]), self._task)

    def where(self, number: int) -> str:
        """Name the file and the line."""
        return self._lines.where(self._numbers[number])


def sample_row(row: Row, task: str) -> Row:
    """Convert a sample to a Batch line with its target. Raises ValueError with a reason where its shape is unknown."""
    if not row.keys() >= MARKS:
        raise ValueError("is no sample of lm-eval, as the first line is")
    requests = _requests(row["arguments"])
    prompt, parameters = requests[0]
    body: dict[str, JSON] = {"messages": _messages(prompt), **_sent(parameters)}
    doc = row["doc"] if isinstance(row["doc"], dict) else {}
    return {
        "doc": doc,
        "custom_id": f"{task}-{row['doc_id']}",
        "body": body,
        "target": row.get("target"),
        "task_type": task,
        "choices": [continuation for _, continuation in requests] if len(requests) > 1 else doc.get("choices"),
    }


def _requests(arguments: JSON) -> list[tuple[str, JSON]]:
    """Read the requests of a sample, in the form of either list: [[prompt, parameters]] or {gen_args_0: {arg_0, arg_1}}."""
    entries = list(arguments.values()) if isinstance(arguments, Mapping) else arguments
    requests: list[tuple[str, JSON]] = []
    for entry in entries if isinstance(entries, list) else ():
        values = list(entry.values()) if isinstance(entry, Mapping) else entry
        if not isinstance(values, list) or not values or not isinstance(values[0], str):
            raise ValueError("arguments hold no prompt")
        requests.append((values[0], values[1] if len(values) > 1 else None))
    if not requests:
        raise ValueError("arguments hold no prompt")
    return requests


def _messages(prompt: str) -> JSON:
    """Return the messages of a prompt, which a chat template may have left as JSON."""
    if prompt.startswith("["):
        try:
            messages = orjson.loads(prompt)
        except orjson.JSONDecodeError:
            messages = None
        if isinstance(messages, list) and all(isinstance(item, dict) and "role" in item for item in messages):
            return messages
    return [{"role": "user", "content": prompt}]


def _sent(parameters: JSON) -> Mapping[str, JSON]:
    if not isinstance(parameters, Mapping):
        return {}
    sent = {PARAMETERS[name]: value for name, value in parameters.items() if name in PARAMETERS and value is not None}
    if parameters.get("do_sample") is False:
        sent["temperature"] = 0
    until = parameters.get("until")
    stops = [until] if isinstance(until, str) else until if isinstance(until, list) else []
    if stops := [stop for stop in stops if isinstance(stop, str) and stop][:MOST_STOPS]:
        sent["stop"] = stops
    return sent
