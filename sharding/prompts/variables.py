"""Variables of a template: any column of the task. `{subject}`, `{answer.text}` and `{choices:letters}` are replaced by the task's values.

The replacement is literal: braces in a task's text stay as they are. `{{word}}` stands for `{word}`. Arguments of a LaTeX command are no
variables, as in `\\boxed{answer}` or `\\frac{a}{b}`; `\\text{{{name}}}` shows a column in one. `unfilled_columns` finds where a person
may have meant a variable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from string import ascii_uppercase

import orjson

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

from ..tasks.dotted import has_path, value_at
from ..tasks.formats.listed_text import parse_listed
from ..tasks.task import Task

_NAME = r"([^\W\d][\w.\- ]*?)"
_ARGUMENT = r"\{(?:[^{}]|\\[A-Za-z]+\{[^{}]*\})*\}"
"""Of a LaTeX command; it may hold commands of its own."""
_PLACE = re.compile(
    rf"(\{{\{{)?\{{{_NAME}(?::([a-z_]+))?\}}(?(1)\}}\}})|\{{\{{[^{{}}]*\}}\}}|\\[A-Za-z]+\*?(?:\[[^\[\]{{}}]*\])?(?:{_ARGUMENT})+"
)
"""A name with its form, also in doubled braces, or what is left alone: escaped braces and LaTeX."""
_ONE_ARGUMENT = re.compile(r"\\[A-Za-z]+\{[^{}]*\}")
_LEFT = re.compile(rf"\{{\s*{_NAME}\s*(?:[:!|][^{{}}]*)?\}}")
"""What looks like a variable in a text without its variables."""
RESERVED = frozenset({"input", "plan", "goal", "examples"})
"""Names that do not stand for a column."""
OF_THE_TASK: Mapping[str, Callable[[Task], JSON]] = {
    "id": lambda task: task.task_id,
    "target": lambda task: task.target,
    "task_type": lambda task: task.task_type,
    "difficulty": lambda task: task.difficulty,
    "family": lambda task: task.family or None,
}
"""Names of task fields that stand for their value where the file has no such column."""


@dataclass(frozen=True, slots=True)
class PromptVariable:
    """A variable of a template."""

    name: str
    form: str | None

    def __str__(self) -> str:
        return f"{{{self.name}:{self.form}}}" if self.form else f"{{{self.name}}}"


def variables_in(text: str) -> Iterator[PromptVariable]:
    """Yield the columns that a text shows. Raises InputError for an unknown form, with the reason only."""
    for match in _PLACE.finditer(text):
        _, name, form = match.groups()
        if name is None or name in RESERVED:
            continue
        if form is not None and form not in FORMS:
            raise InputError(f'{{{name}:{form}}} has the unknown form "{form}"; {suggestion(form, FORMS)}')
        yield PromptVariable(name, form)


def fill_variables(text: str, shown: Callable[[PromptVariable], str]) -> str:
    """Replace every column in a text; reserved names stay, and doubled braces become single ones."""

    def replacement(match: re.Match[str]) -> str:
        doubled, name, form = match.groups()
        if name is None:
            return match[0][1:-1] if match[0].startswith("{{") else match[0]
        if name in RESERVED:
            return match[0]
        value = shown(PromptVariable(name, form))
        return f"{{{value}}}" if doubled else value

    return _PLACE.sub(replacement, text)


def has_long_latex(text: str) -> bool:
    """Return whether a text has a LaTeX command with more than one plain argument, of which all are left alone."""
    commands = (match[0] for match in _PLACE.finditer(text) if match[0].startswith("\\"))
    return any(_ONE_ARGUMENT.fullmatch(command) is None for command in commands)


def unfilled_columns(text: str, columns: Mapping[str, JSON]) -> Iterator[str]:
    """Yield a sentence for everything in a text that looks like a variable for a column, and is none."""
    start = 0
    for match in _PLACE.finditer(text):
        yield from _left_in(text[start : match.start()], columns)
        if match[2] is None:
            yield from _left_in(match[0], columns, match[0])
        start = match.end()
    yield from _left_in(text[start:], columns)


def _left_in(text: str, columns: Mapping[str, JSON], whole: str | None = None) -> Iterator[str]:
    """Yield a sentence for every column in a text; `whole` is the LaTeX command or what stands in doubled braces."""
    is_latex = whole is not None and whole.startswith("\\")
    for match in _LEFT.finditer(text):
        name = match[1]
        if has_path(columns, name) or (name == "input" and not is_latex):
            remedy = f"{{{{{{{name}}}}}}} there" if is_latex else f"{{{name}}}"
            yield f'"{whole or match[0]}" does not show the column "{name}"; write {remedy} if it should'


def show_value(variable: PromptVariable, task: Task) -> str:
    """Return a variable's text. Raises InputError with the reason only, where the task lacks the column."""
    columns = task.columns
    name = variable.name
    value = value_at(columns, name)
    if value is None and not has_path(columns, name) and name in OF_THE_TASK:
        value = OF_THE_TASK[name](task)
    if value is None:
        raise InputError(_lacks(variable, columns))
    try:
        return FORMS[variable.form](value) if variable.form else _as_text(value)
    except ValueError as error:
        raise InputError(f'the column "{name}" cannot be shown as {variable}: {error}') from error


def _lacks(variable: PromptVariable, columns: Mapping[str, JSON]) -> str:
    name = variable.name
    if name in columns:
        return f'the column "{name}" is empty, which the prompt shows as {variable}; fill it, or exclude the task with task_types'
    if has_path(columns, name):
        return f'has no value at "{name}", which the prompt shows as {variable}; fill it, or correct the path'
    known = suggestion(name, {*columns, *OF_THE_TASK, "input"})
    return f'has no column "{name}", which the prompt shows as {variable}; {known} (write {{{variable}}} if braces are meant)'


def _as_text(value: JSON) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return _as_json(value)
    return str(value)


def _as_json(value: JSON) -> str:
    return orjson.dumps(value, default=str).decode()


def _labelled(value: JSON) -> list[tuple[str, str]]:
    """Return choices with their labels: of a list, of {label, text} as ARC has it, or of {A: …, B: …}. Raises ValueError."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = parse_listed(value)
    if isinstance(value, Mapping) and isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        labels, texts = value["label"], value["text"]
        return [(str(label), _as_text(text)) for label, text in zip(labels, texts, strict=True)]  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return [(str(label), _as_text(text)) for label, text in value.items() if text is not None]
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"it is no list of choices, but {value!r:.60}; name the column that holds the list")
    if len(value) > len(ascii_uppercase):
        raise ValueError(f"it has {len(value)} choices, and there are {len(ascii_uppercase)} letters; use :numbers")
    return [(letter, _as_text(text)) for letter, text in zip(ascii_uppercase, value, strict=False)]


def _letters(value: JSON) -> str:
    return "\n".join(f"{label}. {text}" for label, text in _labelled(value))


def _listed(value: JSON) -> list[str]:
    if isinstance(value, list | tuple) and value:
        return [_as_text(item) for item in value]
    return [text for _, text in _labelled(value)]


FORMS: Mapping[str, Callable[[JSON], str]] = {
    "letters": _letters,
    "numbers": lambda value: "\n".join(f"{number}. {text}" for number, text in enumerate(_listed(value), start=1)),
    "bullets": lambda value: "\n".join(f"- {text}" for text in _listed(value)),
    "lines": lambda value: "\n".join(_listed(value)),
    "json": _as_json,
}
"""The forms of a list: `A. …` lines, numbered lines, bullets, plain lines; json for any value."""
