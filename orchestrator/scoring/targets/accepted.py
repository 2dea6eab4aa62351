"""The texts that a target accepts. A list holds alternatives; the objects of published question sets hold them in their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from providers.messages import JSON

LARGEST_WHOLE = 10**15
"""Whole floats beyond have lost digits."""


def is_absent(target: JSON) -> bool:
    """Return whether a task has no target: null, or the NaN of a table with gaps."""
    return target is None or target != target


def accepted_texts(target: JSON) -> Sequence[str]:
    """Return every accepted answer as text; none where the target is absent. Raises ValueError for an object of unknown form."""
    if isinstance(target, str):
        return [target]
    return list(_texts(target))


def _texts(target: JSON) -> Iterator[str]:
    if is_absent(target):
        return
    if isinstance(target, str):
        yield target
    elif isinstance(target, float) and target.is_integer() and abs(target) < LARGEST_WHOLE:
        yield str(int(target))
    elif isinstance(target, Mapping):
        for alternative in _of_object(target):
            yield from _texts(alternative)
    elif isinstance(target, Sequence):
        for alternative in target:
            yield from _texts(alternative)
    else:
        yield str(target)


def _of_object(target: Mapping[str, JSON]) -> Sequence[JSON]:
    """Return the answers in an object of SQuAD ({text, answer_start}) or TriviaQA ({value, aliases, ...})."""
    if "text" in target and target.keys() <= {"text", "answer_start", "answer_end", "answer_id", "id"}:
        return [target["text"]]
    if "value" in target and "aliases" in target:
        return [target["value"], target["aliases"]]
    known = ", ".join(list(target)[:6])
    raise ValueError(
        f"it is an object with the fields {known}; name the field that holds the answer, as in fields: {{target: answer.text}}"
    )
