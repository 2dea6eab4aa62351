"""Patterns that a person wrote, over a model's text, bounded in time: the scorer `regex`, and the patterns of a JSON schema.

Nobody can promise that a person's pattern is linear. It runs on the package `regex`, whose matching can be stopped: first in the event
loop, and where that takes too long, again in a thread, so that the other samples go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import regex as bounded
from regex import Pattern

from providers.errors import InputError
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score, Scorer
from runners.user_code_error import UserCodeError
from sharding.plan import Sample

from .text import NO_ANSWER, exact

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

AT_ONCE_S = 0.05
"""Seconds of CPU for a match in the event loop: a linear pattern reads a million characters in that time."""
LONGEST_S = 2.0
"""Seconds of CPU after which a pattern is given up. Under load these are several seconds of wall time."""


def regex(pattern: str) -> Scorer:
    """Build a scorer that compares the first group (or the whole) of the last match with the target.

    It raises UserCodeError where the pattern does not come to an end: that says nothing about the answer. Raises InputError where the
    pattern is not valid.
    """
    try:
        compiled = bounded.compile(pattern, bounded.MULTILINE)
    except bounded.error as error:
        raise InputError(f"the regex scorer's pattern is not valid: {error}") from error

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        try:
            found = await _found(compiled, answer.text)
        except TimeoutError:
            raise _endless(pattern, f"the answer to task {sample.task.task_id}", answer.text) from None
        return NO_ANSWER if found is None else exact(found, sample.task.target)

    return score


async def _found(compiled: Pattern[str], text: str) -> str | None:
    """Return what the last match captured; None without a match. Raises TimeoutError."""
    try:
        return _last(compiled, text, AT_ONCE_S)
    except TimeoutError:
        return await asyncio.to_thread(_last, compiled, text, LONGEST_S)


def _last(compiled: Pattern[str], text: str, timeout_s: float) -> str | None:
    last = None
    for match in compiled.finditer(text, timeout=timeout_s, concurrent=True):
        last = match
    return None if last is None else last.group(1 if compiled.groups else 0) or ""


def _endless(pattern: str, where: str, text: str) -> UserCodeError:
    return UserCodeError(
        f"the pattern {pattern!r:.80} had not ended after {LONGEST_S:g} s of CPU on {where} ({len(text):,} characters); "
        "rewrite it without repetitions inside repetitions"
    )


def with_bounded_patterns(kind: type[Validator]) -> type[Validator]:
    """Return a class of JSON schema validators whose `pattern` and `patternProperties` raise UserCodeError where they do not end."""
    from jsonschema.validators import extend

    extended: type[Validator] = extend(  # type: ignore[no-untyped-call]
        kind, {"pattern": _pattern, "patternProperties": _pattern_properties}
    )
    return extended


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[ValidationError]:  # noqa: ARG001 - jsonschema's signature
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any,
    properties: Mapping[str, object],
    instance: object,
    schema: object,  # noqa: ARG001 - jsonschema's signature
) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping):
        return
    for pattern, subschema in properties.items():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _matches(pattern: str, text: str) -> bool:
    try:
        return bounded.search(pattern, text, timeout=LONGEST_S) is not None
    except TimeoutError:
        raise _endless(pattern, "a text of the answer", text) from None
