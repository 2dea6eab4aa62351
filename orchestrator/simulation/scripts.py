"""Scripted answers of the simulator: from a column of the tasks, a file, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import orjson

from providers.errors import InputError
from providers.messages import JSON, Message
from providers.simulator.answers.source import SimulatedAnswer
from providers.simulator.settings.answers import ScriptSettings
from sharding.plan import Sample
from sharding.sweep import Sweep
from sharding.tasks.dotted import value_at

from ..config.user_code import load_function

Script = Callable[[Sample, Sequence[Message], int], JSON]
"""Returns a text or a message for a turn, counted from 1; None to answer as without a script."""


def build_script(settings: ScriptSettings, base: Path, sweep: Sweep) -> Script:
    """Build a script. Raises InputError if its file or function cannot be used, or if no task has its column."""
    if settings.function is not None:
        return _guarded(cast("Script", load_function(settings.function, "script")), settings.function)
    if settings.file is not None:
        replies = _read_replies(base / settings.file)
        return lambda sample, _messages, turn: _reply(replies.get(sample.task.task_id), turn)
    column = str(settings.column)
    if all(value_at(sweep.tasks[row].columns, column) is None for row in sweep.rows):
        raise InputError(f"answers.script.column: no task has a value in the column {column!r}")
    return lambda sample, _messages, turn: _reply(value_at(sample.task.columns, column), turn)


def as_answer(reply: JSON, task_id: str) -> SimulatedAnswer:
    """Convert a text or a message. Raises InputError where it is neither."""
    if isinstance(reply, str):
        return SimulatedAnswer(reply)
    content = reply.get("content") if isinstance(reply, Mapping) else None
    calls = reply.get("tool_calls") if isinstance(reply, Mapping) else None
    if isinstance(content, str) or isinstance(calls, list):
        made = [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else ()
        return SimulatedAnswer(content if isinstance(content, str) else "", made)
    raise InputError(
        f"task {task_id}: a scripted answer is a text, or a message with content or tool_calls, not {reply!r:.60}"
    )


def _reply(replies: JSON, turn: int) -> JSON:
    """Return the reply of a turn; the last one for every later turn."""
    if not isinstance(replies, list):
        return replies
    return replies[min(turn, len(replies)) - 1] if replies else None


def _read_replies(path: Path) -> Mapping[str, JSON]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); check answers.script.file") from error
    replies: dict[str, JSON] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
            replies[str(row["id"])] = row["replies"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}, line {number}: must be an object with id and replies") from error
    return replies


def _guarded(function: Script, name: str) -> Script:
    """Name the user's function in its errors."""

    def call(sample: Sample, messages: Sequence[Message], turn: int) -> JSON:
        try:
            return function(sample, messages, turn)
        except Exception as error:
            raise InputError(
                f"the script {name} raised {type(error).__name__} on task {sample.task.task_id}: {error}"
            ) from error

    return call
