"""Which options a target of multiple choice accepts: a letter, "C) Paris", an option's text, a label of the row, or an index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from providers.messages import JSON
from sharding.tasks.formats.listed_text import parse_listed
from sharding.tasks.task import Task

from ..answers.option_labels import LETTERS, USUAL, OptionLabels, numbered
from .accepted import accepted_texts
from .shown_numbers import first_shown_number

_LETTER = re.compile(r"\s*[(\[*\"']*([A-Za-z])[)\]*.:\"']*\s*|\s*[(\[]?([A-Z])(?:[)\].:]|\s[-–])\s*\S.*", re.DOTALL)
_INDEX = re.compile(r"\s*(\d{1,2})(?:\.0+)?\s*")

LETTER_OR_INDEX = re.compile(r"\s*[(\[]?(?:[A-Za-z]|\d{1,2}(?:\.0+)?)[)\].:]?\s*")
"""A text that is only the letter or the number of an option."""


@dataclass(frozen=True, slots=True)
class RowChoices:
    """The options of a row: their texts, and the row's own labels where it has them."""

    texts: Sequence[str] = ()
    labels: Sequence[str] = ()

    @property
    def size(self) -> int:
        """The number of options; 0 where it is not known."""
        return len(self.texts) or len(self.labels)


def row_choices(task: Task) -> RowChoices:
    """Read the options of a task: a list of texts, {text, label} as in ARC, objects with both, or a mapping from label to text."""
    choices = task.columns.get("choices")
    if choices is None:
        choices = task.columns.get("options")
    if isinstance(choices, str) and choices[:1] in {"[", "{"}:
        choices = _parsed(choices)
    if isinstance(choices, Mapping):
        texts, labels = choices.get("text"), choices.get("label")
        if isinstance(texts, list) and isinstance(labels, list):
            return RowChoices([*map(str, texts)], [*map(_label, labels)])
        return RowChoices([*map(str, choices.values())], [*map(str, choices)])
    if not isinstance(choices, Sequence) or isinstance(choices, str):
        return RowChoices()
    objects = [choice for choice in choices if isinstance(choice, Mapping)]
    if choices and len(objects) == len(choices):
        return RowChoices(
            [str(one.get("text", "")) for one in objects], [_label(one["label"]) for one in objects if "label" in one]
        )
    return RowChoices([*map(str, choices)])


def _parsed(text: str) -> JSON:
    try:
        return parse_listed(text)
    except ValueError:
        return None


def _label(label: JSON) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label).strip()


def needs_base(task: Task) -> list[int]:
    """Return the numbers in a target that are an index of unknown base: the row has no such label, and no option with this text."""
    choices = row_choices(task)
    found = []
    for text in accepted_texts(task.target):
        index = _INDEX.fullmatch(text)
        if index and not _by_label(index.group(1), choices) and not _by_own_text(task.target, text, choices):
            found.append(int(index.group(1)))
    return found


def is_number_of_an_option(task: Task) -> bool:
    """Return whether a number in the target is, as it stands, the text of an option."""
    choices = row_choices(task)
    texts = [text for text in accepted_texts(task.target) if _INDEX.fullmatch(text)]
    return any(_by_own_text(task.target, text, choices) for text in texts)


def index_base(indices: Iterable[tuple[int, int]]) -> tuple[bool, bool]:
    """Return whether a 0 occurs, and whether the number of options does. `indices` are pairs of an index and the number of options."""
    has_zero = has_size = False
    for index, size in indices:
        has_zero = has_zero or index == 0
        has_size = has_size or (size > 0 and index == size)
    return has_zero, has_size


def accepted_choices(task: Task, base: int | None) -> tuple[frozenset[str], OptionLabels]:
    """Return the letters that the target accepts, and how an answer may name the options of the task. `base` is that of indices.

    A number in an answer is the text of an option if one has this text, else a label of the row, else a position if the prompt numbers
    the options. Where the row does not list them, it is a position if the target is one.
    """
    choices = row_choices(task)
    texts = accepted_texts(task.target)
    letters = frozenset(letter for text in texts if (letter := _letter(text, task.target, choices, base)))
    size = choices.size or max([USUAL, *(LETTERS.index(letter) + 1 for letter in letters)])
    labels: Mapping[str, str] = _own_labels(choices)
    if not labels:
        first = _first_number(task, choices, texts, base)
        labels = {} if first is None else numbered(first, size)
    if any(label.isdigit() for label in labels):
        labels = {**labels, **_numbers_as_text(choices)}
    return letters, OptionLabels(size, labels, choices.texts)


def _first_number(task: Task, choices: RowChoices, accepted: Sequence[str], base: int | None) -> int | None:
    """Return the number that an answer means the first option by; None where a number is no position."""
    shown = first_shown_number(task.messages, choices.texts)
    if shown is None and not (choices.texts and task.messages) and any(map(_INDEX.fullmatch, accepted)):
        return base
    return shown


def _numbers_as_text(choices: RowChoices) -> Mapping[str, str]:
    """Return the letters of the options whose text is a number, by this number; none of those that occur twice."""
    texts = [text.strip() for text in choices.texts]
    return {
        text: letter for text, letter in zip(texts, LETTERS, strict=False) if text.isdigit() and texts.count(text) == 1
    }


def _own_labels(choices: RowChoices) -> Mapping[str, str]:
    labels = {label.strip("().").upper(): letter for label, letter in zip(choices.labels, LETTERS, strict=False)}
    return {} if list(labels) == list(LETTERS[: len(labels)]) else labels


def _letter(text: str, target: JSON, choices: RowChoices, base: int | None) -> str | None:
    """Return the letter of the option that a text of the target means."""
    index = _INDEX.fullmatch(text)
    plain = index.group(1) if index else text
    found = _by_label(plain, choices)
    if found is None and (index is None or base is None):
        found = _by_own_text(target, text, choices)
    if found is not None:
        return found
    if index is not None:
        place = int(plain) - base if base is not None else -1
        return LETTERS[place] if 0 <= place < (choices.size or len(LETTERS)) else None
    match = _LETTER.fullmatch(text)
    if match is None:
        return OptionLabels(texts=choices.texts).with_text(text)
    letter = (match.group(1) or match.group(2)).upper()
    own = _by_label(letter, choices)
    return own if choices.labels else letter if letter in LETTERS[: choices.size or len(LETTERS)] else None


def _by_label(text: str, choices: RowChoices) -> str | None:
    labels = [label.strip("().").upper() for label in choices.labels]
    wanted = text.strip(" ().").upper()
    return LETTERS[labels.index(wanted)] if wanted in labels and len(labels) <= len(LETTERS) else None


def _by_own_text(target: JSON, text: str, choices: RowChoices) -> str | None:
    """Return the option with exactly this text; a number that is no text is an index."""
    if not choices.texts or isinstance(target, int | float) or _LETTER.fullmatch(text):
        return None
    return OptionLabels(texts=choices.texts).with_text(text)
