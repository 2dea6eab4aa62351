"""Keys that stand in a configuration itself, found by their known shapes and by the names that they bear. The manifest would keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .sections.fields import listed

_SHAPE = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?:[A-Za-z0-9]*[_-])*(?=[A-Za-z]*\d)[A-Za-z0-9]{16}"  # OpenAI, Anthropic, OpenRouter, DeepSeek, gateways
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|(?:gh[pousr]_|hf_|gsk_|xai-|pplx-|r8_)[A-Za-z0-9]{30}"  # no separator within
    r"|(?:github_pat_|nvapi-|glpat-)(?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{20,}"
    r"|xox[abps]-[A-Za-z0-9-]{20,}"  # Slack
    r"|A(?:KIA|SIA)[A-Z0-9]{16}"  # AWS
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # a JSON Web Token
    r"|[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}"  # Azure
    r"|(?i:bearer)[ :]+(?=\S*\d)[A-Za-z0-9._~+/=-]{16,}"
    r")"
)
_IN_ADDRESS = re.compile(
    r"://[^/\s:@]+:[^/\s@]+@|[?&](?:[\w-]*(?<![a-z])(?:access|account|api|app|auth|client|private|secret|sharedaccess|subscription)?key|code|sig|signature|[\w-]*token|[\w-]*secret|password)=[^&\s]{6,}",
    re.IGNORECASE,
)
"""A user with a password, and parameters of a query that bear secrets. Prompts may show such addresses."""
_IN_HEADER = re.compile(r"[0-9a-fA-F]{32}|[A-Za-z0-9]{84}")
"""Azure's keys. Elsewhere 32 hexadecimal digits are an account, a trace or a digest."""
_HEADER_OF_ID = re.compile(
    r"id\b|id$|trace|span|session|request|project|organi[sz]ation|tenant|deployment|hash|digest|etag", re.IGNORECASE
)
_NAMES = frozenset({
    "access_token", "api_key", "apikey", "auth_token", "authorization", "client_secret", "cookie", "ocp_apim_subscription_key", "password",
    "proxy_authorization", "secret", "secret_key", "subscription_key", "x_access_token", "x_api_key", "x_auth_token", "x_functions_key",
    "x_goog_api_key",
})  # fmt: skip
"""Names of settings and headers that bear secrets, in small letters with underscores."""
_NAMES_OF_VARIABLES = "header_envs"
_OF_ONES_OWN = ("prompts", "models", "prices", "providers")
"""Sections whose keys are names of the person's choice."""

Place = tuple[str, ...]


def shaped_like_key(raw: Mapping[str, object]) -> str | None:
    """Return the place of the first text that looks like a key, or that holds one; None where there is none."""
    return _first(raw, (place for place, value in _texts(raw, ()) if _looks_like_key(place, value)))


def named_like_key(raw: Mapping[str, object]) -> str | None:
    """Return the place of the first text that bears the name of a key or of a header with one; None where there is none."""
    return _first(raw, (place for place, value in _texts(raw, ()) if value and _is_named_like_key(place)))


def _first(raw: Mapping[str, object], places: Iterator[Place]) -> str | None:
    allowed = listed(raw.get("allow"))
    free = [str(place) for place in allowed] if isinstance(allowed, list | tuple) else []
    names = (".".join(place) for place in places)
    return next(
        (name for name in names if not any(name == place or name.startswith(f"{place}.") for place in free)), None
    )


def _texts(value: object, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield every text with its place, the names of keys at the place of their mapping."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            is_secret = isinstance(key, str) and _SHAPE.search(key)
            if is_secret:
                yield place, str(key)
            yield from _texts(inner, (*place, "…" if is_secret else str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*place, str(number)))


def _looks_like_key(place: Place, value: str) -> bool:
    if _SHAPE.search(value) or ("://" in value and place[:1] != ("prompts",) and _IN_ADDRESS.search(value)):
        return True
    is_header = len(place) > 1 and place[-2].lower() == "headers" and not _HEADER_OF_ID.search(place[-1])
    return is_header and _IN_HEADER.fullmatch(value) is not None


def _is_named_like_key(place: Place) -> bool:
    if not place or _NAMES_OF_VARIABLES in place or (len(place) == 2 and place[0] in _OF_ONES_OWN):
        return False
    return place[-1].lower().replace("-", "_") in _NAMES
