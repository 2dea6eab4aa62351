"""Every status that servers and proxies answer with, in the styles that their bodies have, and the branch that it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from providers.errors import (
    AuthFailed,
    ContextTooLong,
    DeploymentMissing,
    OutOfQuota,
    ProviderError,
    Refused,
    ServerFault,
    Throttled,
    TimedOut,
)

from .answers import error, http
from .table import PAGE, Fault

_SAID = "it went wrong"
STYLES: dict[str, Callable[[int], tuple[bytes, str]]] = {
    "azure": lambda status: (orjson.dumps({"error": {"code": str(status), "message": _SAID}}), "application/json"),
    "openai": lambda status: (error(_SAID, None, type="some_error", param=None), "application/json"),
    "anthropic": lambda status: (
        orjson.dumps({"type": "error", "error": {"type": "some_error", "message": _SAID}}),
        "application/json",
    ),
    "text": lambda status: (_SAID.encode(), "text/plain"),
    "page": lambda status: (PAGE, "text/html"),
}

STATUSES: dict[type[ProviderError], Sequence[int]] = {
    Refused: (400, 405, 406, 409, 411, 415, 418, 422, 431, 451),
    AuthFailed: (401, 403),
    OutOfQuota: (402,),
    DeploymentMissing: (404, 410),
    TimedOut: (408,),
    ContextTooLong: (413,),
    Throttled: (429,),
    ServerFault: (407, 424, 425, 498, 499, 500, 501, 502, 503, 504, 507, 520, 522, 524, 529, 599),
}
PAGES = dict.fromkeys((400, 403, 405, 406, 409, 411, 413, 415, 418, 422, 431, 451), ServerFault)
"""Where a page for people means something else than the API's own refusal: somebody in between sent it."""


def status_faults() -> dict[str, Sequence[Fault]]:
    """Every status by the style of its body; one style over both transports, which share what reads it."""
    return {
        style: [_status_fault(style, status, ends) for ends, statuses in STATUSES.items() for status in statuses]
        for style in STYLES
    }


def _status_fault(style: str, status: int, ends: type[ProviderError]) -> Fault:
    body, content_type = STYLES[style](status)
    means = PAGES.get(status, ends) if style == "page" else ends
    over = ("native", "sdk") if style == "openai" else ("native",)
    return Fault(
        f"{status} as {style}",
        (http(body, f"{status} Whatever", content_type),),
        means,
        status,
        f"(HTTP {status})",
        over=over,
    )
