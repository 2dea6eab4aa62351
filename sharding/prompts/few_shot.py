"""Examples before the question: rows of a file, written by a template into `{examples}`, or sent as turns of the conversation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from providers.errors import InputError
from providers.messages import JSON, Message
from providers.suggestion import suggestion

from ..tasks.dotted import has_path, value_at
from ..tasks.locations.files import as_typed
from ..tasks.task import Task
from .variables import OF_THE_TASK, fill_variables, show_value, variables_in

ReadRows = Callable[[Path], Sequence[Mapping[str, JSON]]]
"""Reads every row of a task file. Raises InputError."""


@dataclass(frozen=True, slots=True)
class ExampleSettings:
    """What a user writes under `examples`."""

    path: Path
    user: str
    """The text of one example, or in turns the text of its user message."""
    assistant: str | None = None
    """The text of the assistant's turn; with it, examples are sent as turns."""
    count: int | None = None
    """Most examples; None: all rows of the file."""
    match: str | None = None
    """A column in which an example must equal the task, such as the subject."""
    separator: str = "\n\n"


class Examples:
    """The examples of one prompt type."""

    def __init__(self, settings: ExampleSettings, rows: Sequence[Mapping[str, JSON]]) -> None:
        """Fill the templates with every row. Raises InputError with file and row."""
        self._settings = settings
        self._shown: dict[str, list[tuple[Mapping[str, JSON], str, str]]] = {}
        for number, row in enumerate(rows, start=1):
            example = Task(f"example {number}", (), columns=row)
            try:
                key = _key(row, settings.match)
                shown = (row, self._fill(settings.user, example), self._fill(settings.assistant or "", example))
            except InputError as error:
                raise InputError(f"{settings.path}, row {number}: {error}") from error
            self._shown.setdefault(key, []).append(shown)

    @staticmethod
    def _fill(text: str, example: Task) -> str:
        return fill_variables(text, lambda variable: show_value(variable, example))

    @property
    def digest(self) -> str:
        """A digest of what can be shown."""
        settings = self._settings
        shown = {key: [texts for _, *texts in rows] for key, rows in self._shown.items()}
        parts = [shown, settings.count, settings.match, settings.separator, settings.assistant is not None]
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]

    def _chosen(self, task: Task) -> list[tuple[str, str]]:
        """Return the examples of a task, without itself. Raises InputError with the reason only."""
        key = _key(_with_fields(task, self._settings.match), self._settings.match)
        rows = self._shown.get(key, [])
        others = [(user, assistant) for row, user, assistant in rows if not _is_row_of(task, row)]
        chosen = others[: self._settings.count]
        if not chosen:
            raise InputError(
                f'{self._settings.path} has no example with {self._settings.match} "{key}"; add one, or leave out match'
            )
        return chosen

    def as_text(self, task: Task) -> str:
        """Return the examples as one text."""
        return self._settings.separator.join(user for user, _ in self._chosen(task))

    def as_turns(self, task: Task) -> list[Message]:
        """Return the examples as turns."""
        roles: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
        return [
            {"role": role, "content": text}
            for texts in self._chosen(task)
            for role, text in zip(roles, texts, strict=True)
        ]

    @property
    def are_turns(self) -> bool:
        """Whether they are sent as turns."""
        return self._settings.assistant is not None


def _is_row_of(task: Task, row: Mapping[str, JSON]) -> bool:
    """Return whether a task was made of a row; its choices may stand in another column of it."""
    has_own = "choices" not in row or task.columns.get("choices") in row.values()
    return has_own and _without_choices(row) == _without_choices(task.columns)


def _without_choices(row: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {name: value for name, value in row.items() if name != "choices"}


def _with_fields(task: Task, match: str | None) -> Mapping[str, JSON]:
    """Return the columns of a task, with the field `match` where the file has no such column."""
    if match is None or has_path(task.columns, match) or match not in OF_THE_TASK:
        return task.columns
    return {match: OF_THE_TASK[match](task)}


def _key(row: Mapping[str, JSON], match: str | None) -> str:
    if match is None:
        return ""
    if not has_path(row, match):
        raise InputError(f'has no column "{match}" (match); name a column that tasks and examples have')
    return str(value_at(row, match))


SETTINGS = ("path", "user", "assistant", "count", "match", "separator")


def load_examples(given: object, where: str, read_rows: ReadRows, base: Path) -> Examples:
    """Read the settings and the file of examples. Raises InputError."""
    settings = _settings(given, where, base)
    try:
        for text in (settings.user, settings.assistant or ""):
            list(variables_in(text))
    except InputError as error:
        raise InputError(f"{where}: examples: {error}") from error
    rows = read_rows(settings.path)
    if not rows:
        raise InputError(f"{settings.path}: holds no examples")
    return Examples(settings, rows if settings.match else rows[: settings.count and settings.count + 1])


def _settings(given: object, where: str, base: Path) -> ExampleSettings:
    form = 'examples: {path: dev.jsonl, user: "Q: {question}\\nA: {answer}", count: 5}'
    if not isinstance(given, Mapping) or not {"path", "user"} <= given.keys():
        raise InputError(f"{where}: examples need a path and the text of one example; write {form}")
    for key in given:
        if key not in SETTINGS:
            raise InputError(f'{where}: examples: unknown key "{key}"; {suggestion(str(key), SETTINGS)}')
    count = given.get("count")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise InputError(f"{where}: examples.count must be a number of 1 or more, not {count!r}")
    texts = {key: given[key] for key in ("user", "assistant", "match", "separator") if given.get(key) is not None}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise InputError(f"{where}: examples.{key} must be text, not {text!r:.60}")
    return ExampleSettings(as_typed(base / str(given["path"])), count=count, **texts)
