"""Reads from an error which fields of the generation an instance refuses, and adapts the request.

A refusal counts where the server's code or message states that a field is not supported, and names a field of the request. An output
limit is renamed, which does not change its meaning. Every other field is dropped, and only where the user allows it. There is no list
of models, because the fields that a model supports change from version to version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import orjson

from ...messages import Adaptation
from ...route import Adapt

OnAdapted = Callable[[str, Adaptation], None]
"""Called with the name of an instance and the adaptation that was added."""

RENAMES: Mapping[str, str] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""The two names of the output limit."""
WORDS_LIMIT = 300
"""Characters of the server's message that are kept."""

_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"})
_REFUSES = re.compile(
    r"not support|unsupported|n't support|deprecated|not permitted|not allowed|unrecogni[sz]ed|extra_forbidden|unknown parameter",
    re.IGNORECASE,
)
_COMMON_WORDS = frozenset({"n", "seed", "stop", "stream", "user", "store", "verbosity", "metadata"})
"""Fields whose names are common words: they count only in quotes, or after words such as "field:"."""
_PARTNERS: Mapping[str, str] = {"stream": "stream_options", "logprobs": "top_logprobs"}
"""Fields that are dropped together with another one."""
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Codes, fields and messages of an error body, collected from its nested objects."""

    codes: frozenset[str]
    fields: tuple[str, ...]
    """Fields that `param` or `loc` name."""
    texts: tuple[str, ...]


def find_adaptation(
    body: str, sent: Collection[str], known: Adaptation | None, adapt: Adapt = "rename"
) -> Adaptation | None:
    """Find the refused fields among those `sent`, and what to send instead.

    `known` has been applied already. None where the body refuses no such field, or one that may not be changed.
    """
    if adapt == "never":
        return None
    refusal = _read_refusal(body)
    refused = _refused_fields(refusal, sent)
    tried = set(known.renamed.values()) if known else set()
    renamed = {name: RENAMES[name] for name in refused if name in RENAMES and name not in tried}
    dropped = [name for name in refused if name not in RENAMES]
    if not refused or len(renamed) + len(dropped) < len(refused) or (dropped and adapt != "drop"):
        return None
    partners = [_PARTNERS[name] for name in dropped if name in _PARTNERS]
    dropped += [name for name in partners if name in sent and name not in dropped]
    return Adaptation(renamed, tuple(dropped), _sentence(refusal, body))


def extend_adaptation(known: Adaptation, news: Adaptation) -> Adaptation:
    """Return the union of two adaptations."""
    words = known.words if news.words in known.words else f"{known.words} {news.words}"
    return Adaptation({**known.renamed, **news.renamed}, (*known.dropped, *news.dropped), words)


Value = TypeVar("Value")


def adapt_fields(fields: Mapping[str, Value], adaptation: Adaptation) -> dict[str, Value]:
    """Rename and drop fields of a body as the adaptation requires."""
    renamed, dropped = adaptation.renamed, adaptation.dropped
    return {renamed.get(name, name): value for name, value in fields.items() if name not in dropped}


def describe_adaptation(adaptation: Adaptation) -> str:
    """Describe in one line what is sent instead, and the server's message."""
    changes = [f"{old} is sent as {new}" for old, new in adaptation.renamed.items()]
    changes += [f"{', '.join(adaptation.dropped)} left out"] if adaptation.dropped else []
    return f"{'; '.join(changes)}, because the server says: {adaptation.words}"


def _refused_fields(refusal: _Refusal, sent: Collection[str]) -> list[str]:
    """List the refused fields: those in `param` or `loc`, else those that the message names."""
    text = " ".join(" ".join(refusal.texts).split())
    if not (_CODES & refusal.codes or _REFUSES.search(text)):
        return []
    if refusal.fields:
        return [name for name in sent if name in refusal.fields]
    return [name for name in sent if _names(text, name)]


def _names(text: str, name: str) -> bool:
    word = re.escape(name)
    quoted = rf"['\"`]{word}['\"`]|\b{word}=|\b(?:argument|parameter|field|param)s?\b[^.:]{{0,60}}:\s*{word}\b"
    pattern = quoted if name in _COMMON_WORDS else rf"\b{word}\b"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _read_refusal(body: str) -> _Refusal:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _Refusal(frozenset(), (), (body,))
    codes: list[str] = []
    fields: list[str] = []
    texts: list[str] = [parsed] if isinstance(parsed, str) else []
    for part in _objects(parsed):
        codes += [value.lower() for key in ("code", "type") if isinstance(value := part.get(key), str)]
        fields += _placed_fields(part)
        messages = [value for key in ("message", "msg", "detail", "error") if isinstance(value := part.get(key), str)]
        texts += [text for text in messages if not _is_json(text)]
    return _Refusal(frozenset(codes), tuple(fields), tuple(texts))


def _objects(value: object, levels: int = _DEEPEST) -> Iterator[Mapping[str, object]]:
    """Yield every object of an error body, also of JSON in a string (Foundry), the outermost last."""
    if not levels:
        return
    if isinstance(value, str) and _is_json(value):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return
    if isinstance(value, list):
        for part in value:
            yield from _objects(part, levels - 1)
    elif isinstance(value, dict):
        for key in ("error", "innererror", "inner_error", "detail", "message"):
            yield from _objects(value.get(key), levels - 1)
        yield value


def _placed_fields(part: Mapping[str, object]) -> list[str]:
    """List top-level fields: `messages` for `param: "messages[0].role"`, `stream_options` for `loc: [body, stream_options, …]`."""
    param, loc = part.get("param"), part.get("loc")
    fields = [re.split(r"[.\[]", param)[0]] if isinstance(param, str) and param else []
    if isinstance(loc, list):
        fields += [name for name in loc if isinstance(name, str) and name != "body"][:1]
    return fields


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in {"{", "["}


def _sentence(refusal: _Refusal, body: str) -> str:
    """Return the server's message on one line, at most WORDS_LIMIT characters."""
    text = refusal.texts[0] if refusal.texts else body
    if refusal.fields and refusal.fields[0] not in text:
        text = f"{text} ({refusal.fields[0]})"
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * WORDS_LIMIT]).split())
    return words if len(words) <= WORDS_LIMIT else words[: WORDS_LIMIT - 1] + "…"
