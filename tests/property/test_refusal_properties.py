"""Words that nobody has seen before are never the model's failure, and never cost an instance."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import InstanceGone, ProviderError, Refused, Rejected
from providers.messages import ChatRequest
from providers.wire.errors.refusals import classify_failure
from providers.wire.received import Received

SUBJECTS = (
    "the field",
    "parameter",
    "this value",
    "your organization",
    "the tool list",
    "role",
    "字段",
    "этот параметр",
    "modality",
)
NAMES = ("top_k", "logit_bias", "messages[0]", "reasoning", "stream_options", "tools.3", "n", "seed", "store")
VERBS = (
    "is deprecated",
    "may not be used here",
    "must be one of",
    "could not be validated",
    "is reserved",
    "不支持",
    "is forbidden",
)
TAILS = ("", ".", " for this endpoint", " in this tier", " (ref 8f2c)", " since 2026-01", ": 17 > 3", " — see the docs")
SENTENCES = st.builds(
    "{} {} {}{}".format, *(st.sampled_from(words) for words in (SUBJECTS, NAMES, VERBS, TAILS))
) | st.text(st.characters(categories=["Nd", "Po", "Sm"]), max_size=80)  # fmt: skip
_SHAPES: list[Callable[[str], object]] = [
    lambda words: {"error": {"message": words, "type": "invalid_request_error", "param": None, "code": None}},
    lambda words: {"error": words},
    lambda words: {"detail": [{"msg": words, "loc": ["body", "x"], "type": "value_error"}]},
    lambda words: {"success": False, "message": words, "code": "XY-17"},
    lambda words: [{"error": {"code": 400, "message": words, "status": "INVALID_ARGUMENT"}}],
    lambda words: {"error": {"message": "Provider returned error", "metadata": {"raw": words}}},
    lambda words: words,
]
SHAPES = st.sampled_from(_SHAPES)
STATUSES = st.sampled_from([400, 405, 406, 409, 411, 412, 415, 416, 418, 421, 422, 423, 426, 428, 431, 451])


def classified(status: int, raw: bytes) -> ProviderError:
    return classify_failure(Received("i", "s/1/1", ChatRequest([]), status, {}, raw))


@given(STATUSES, SHAPES, SENTENCES)
def test_unknown_words_are_a_refusal_and_nothing_else(status: int, shape: Callable[[str], object], words: str) -> None:
    error = classified(status, orjson.dumps(shape(words)))
    assert type(error) is Refused
    assert not isinstance(error, Rejected | InstanceGone)


@given(st.integers(400, 599), st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["error", "message", "code", "detail", "metadata", "raw", "detailMessage"]), inner, max_size=3),
).map(orjson.dumps))  # fmt: skip
def test_any_body_is_some_error(status: int, raw: bytes) -> None:
    assert isinstance(classified(status, raw), ProviderError)
