"""The scorer `json_schema`: answers must be JSON that is valid against a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from providers.errors import InputError
from providers.messages import JSON
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score, Scorer
from sharding.plan import Sample

from .patterns import with_bounded_patterns
from .text import FULL, NO_ANSWER

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_FENCED = re.compile(r"```(?:json)?(?>\s*\n)(.*?)```", re.DOTALL | re.IGNORECASE)


def json_schema(schema: Mapping[str, object]) -> Scorer:
    """Build a scorer that requires JSON which is valid against `schema`. Raises InputError where the schema is invalid."""
    validator = _validator(dict(schema))

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - only the text is needed
        return _validated(answer.text, validator)

    return score


def _validator(schema: dict[str, object]) -> Validator:
    from jsonschema import SchemaError  # 90 ms to import
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    kind = validator_for(schema)
    registry: Registry[Any] = Registry()  # empty: it fetches nothing
    try:
        kind.check_schema(schema)
        resolver = registry.resolver_with_root(Resource.from_contents(schema, DRAFT202012))
        for reference in _references(schema):
            resolver.lookup(reference)
    except SchemaError as error:
        raise InputError(f"the json_schema scorer's schema is not valid: {error.message}") from error
    except Unresolvable as error:
        raise InputError(f"the json_schema scorer's schema refers to {error.ref}, which is not in it") from error
    validator: Validator = with_bounded_patterns(kind)(schema, registry=registry)
    return validator


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        yield from chain.from_iterable(map(_references, schema.values()))
    elif isinstance(schema, Sequence) and not isinstance(schema, str):
        yield from chain.from_iterable(map(_references, schema))


def _validated(text: str, validator: Validator) -> Score:
    parsed = read_json(text)
    if parsed is None:
        return NO_ANSWER
    try:
        errors = sorted(validator.iter_errors(parsed[0]), key=lambda error: list(map(str, error.absolute_path)))
    except RecursionError:  # a schema that refers to itself follows the answer down
        return Score(0.0, "failed", "schema", {"at": "$", "message": "nested too deeply"})
    error = next(iter(errors), None)
    if error is None:
        return FULL
    return Score(0.0, "failed", "schema", {"at": error.json_path, "message": error.message[:200]})


def read_json(text: str) -> tuple[JSON] | None:
    """Parse an answer, or its last valid fenced block, as JSON; None where there is none. The tuple distinguishes null from None."""
    for candidate in (text, *reversed(_FENCED.findall(text))):
        try:
            return (orjson.loads(candidate),)
        except orjson.JSONDecodeError:
            continue
    return None
