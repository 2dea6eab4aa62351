"""The wordings in which servers say which limit refused a request, and for whom it counts, in lower case. `spoken_limits` applies them.

WORDINGS is searched from the top, and the first row that occurs decides: wordings that name a limit, then the load of others, then
single words. No row looks far, so that a long text costs little. The named groups are

- `kind`: the word for what is counted; a row with a fixed kind has none;
- `limit`, `used`, `left`: numbers; `every` and `window`: the window's length and its unit of time;
- `quota`: the server's name of the quota, which may state kind, window and scope itself.
"""

from __future__ import annotations

import re

from ...messages import LimitKind, LimitScope
from .spoken_waits import UNIT

_LIMIT = r"(?P<limit>\d{1,24}(?:,\d{3}){0,8})"
_USED = r"(?P<used>\d{1,24}(?:,\d{3}){0,8})"
_COUNTED = r"(?:input |output )?(?P<kind>tokens|requests)"
_SHORT = r"(?P<kind>[rt]p[smhd])"
"""RPM, TPD and so on."""
_AT_ONCE = r"(?:concurrent|parallel|simultaneous) (?:request|connection|call)"
_PER = rf"per[ -](?P<window>{UNIT})\b"
_COLON = r"\\{0,6}[\"']\s{0,4}:\s{0,4}\\{0,6}[\"']?"
"""Between a name and its value in JSON, which may itself be in a string."""


def _row(kind: LimitKind | None, *words: str) -> tuple[LimitKind | None, re.Pattern[str]]:
    return kind, re.compile("|".join(words))


WORDINGS = (
    # LiteLLM
    _row(None, rf"limit type: (?P<kind>requests|tokens|max_parallel_requests)\. current limit: {_LIMIT}"
               r"(?:, remaining: (?P<left>\d{1,24}))?"),
    _row(None, rf"{_SHORT} limit={_LIMIT}[.,] current usage={_USED}"),
    _row("concurrency", r"max parallel requests? limit reached"),
    # OpenAI, Groq
    _row(None, rf"on {_COUNTED} {_PER}(?: \(\w{{3,4}}\))?[:.] limit:? {_LIMIT}(?: / \w{{1,6}})?"
               rf"(?:(?:,? used:? |\..{{0,60}}? current: ){_USED})?"),
    # Azure OpenAI, AI Foundry
    _row(None, rf"rate limit of {_LIMIT} per (?P<every>\d{{1,6}}) ?(?P<window>{UNIT})\b"
               r"(?: exceeded for (?P<quota>\w{1,80}))?"),
    _row("concurrency", r"concurrent request limit exceeded for (?P<quota>\w{1,80})"),
    _row(None, r"exceeded (?:the |your )?(?P<kind>call|token|concurrent request) (?:rate )?limit"),
    # Anthropic
    _row(None, rf"rate limit\b.{{0,100}}? of {_LIMIT} {_COUNTED} {_PER}"),
    _row(None, rf"rate limit\b.{{0,100}}? of {_LIMIT} (?P<kind>concurrent (?:requests|connections))"),
    _row(None, rf"number of (?:request |input |output )?(?P<kind>tokens|requests|concurrent (?:connections|requests)) has exceeded your"
               rf"(?: per-(?P<window>{UNIT})\b)?"),
    # Google: a violation of QuotaFailure, or the metric in words
    _row(None, rf"quotaid{_COLON}(?P<quota>[\w-]{{1,120}})(?:(?:(?!quotaid).){{1,400}}?quotavalue{_COLON}{_LIMIT})?"),
    _row(None, rf"quota exceeded for (?:metric:? )?\S{{0,60}}googleapis\.com/(?P<quota>\w{{1,120}})(?:, limit: {_LIMIT})?"),
    # OpenRouter
    _row(None, rf"limited to {_LIMIT} {_COUNTED} {_PER}"),
    _row("requests", rf"free-models-{_PER}(?:.{{0,300}}?x-ratelimit-limit{_COLON}{_LIMIT})?"),
    _row(None, rf"\blimit_{_SHORT}/(?:.{{0,300}}?x-ratelimit-limit{_COLON}{_LIMIT})?"),
    # Moonshot
    _row(None, rf"\bmax (?:organization )?(?P<kind>concurrency|[rt]p[smhd])(?:: {_LIMIT})?"),
    _row(None, rf"\b(?P<kind>concurrency|[rt]p[smhd]) (?:rate )?limit, current: {_USED}, limit: {_LIMIT}"),
    # Mistral, Alibaba, Kong, Azure API Management, Amazon
    _row("tokens", r"throttling\.allocationquota|token rate limit exceeded|token limit is exceeded|too many tokens, please wait"),
    _row("requests", r"throttling\.(?:ratequota|burstrate)|out of call volume quota"),
    _row(None, r"\b(?P<kind>requests|tokens) rate limit (?:is |was )?(?:exceeded|reached)"),
    # The load of others
    _row(
        "overload",
        r"\boverloaded(?:\b|_)|(?:high|heavy) (?:demand|load|traffic)|peak load",
        r"\b(?:at|no|out of|insufficient|over) capacity\b|capacity[ _](?:is |was )?(?:exceeded|exhausted)",
        r"\b(?:queue|engine|server) is full|maximum pending requests",
        r"\b(?:server|service|system|model|engine) (?:is )?(?:too |currently )?busy",
        r"rate[- ]limited upstream|not your usage limit|resource exhausted\. please try again later\..{0,100}error-code-429",
        "负载|繁忙|访问量过大",
    ),
    # Single words, also of the simulator
    _row(
        "concurrency",
        r"max_parallel_requests|concurrency (?:limit|quota)",
        rf"(?:too many|maximum(?: number of)?|limit of \d{{1,9}}|\bmax|\bon) {_AT_ONCE}",
        rf"{_AT_ONCE}s? (?:limit|exceed|is exceeded|has been)",
        "并发.{0,6}(?:超|过)",
    ),
    _row(None, rf"(?<![\w.,-]){_LIMIT} {_COUNTED} {_PER}"),
    _row(None, rf"\b{_COUNTED}[ -]{_PER}"),
    _row(None, rf"(?<![a-z/])(?<!/ ){_SHORT}(?! ?/|[a-z])"),
    _row(None, r"account(?P<kind>[rt]pm)ratelimit"),
    _row(None, rf"(?:\btype|rate_limit_type){_COLON}(?P<kind>tokens|requests|max_parallel_requests|concurrency)\b"),
)  # fmt: skip

CROSSED = re.compile(
    r"rate limit type = \w{1,40}\. crossed [^.]{0,60}\. current rpm: (\d{1,24}), rpm limit: (-?\d{1,24}), "
    r"current tpm: (\d{1,24}), tpm limit: (-?\d{1,24})"
    r"(?:, current max_parallel_requests: (\d{1,24}), max_parallel_requests: (-?\d{1,24}))?"
)
"""LiteLLM's older message, which lists three limits and does not say which one was reached."""
CROSSED_KINDS: tuple[tuple[LimitKind, float | None], ...] = (
    ("requests", 60.0),
    ("tokens", 60.0),
    ("concurrency", None),
)
"""The kinds of its limits, in order, and their windows."""

MENTIONS = (
    *("limit", "quota", "concurren", "parallel", "simultan", "token", "per ", "per-", "per_", "load", "capacity", "demand", "traffic"),
    *("busy", "is full", "pending", "throttl", "exhausted", "request", "并发", "负载", "繁忙", "访问量"),
    *(unit + "p" + window for unit in "rt" for window in "smhd"),
)  # fmt: skip
"""A text without any of these matches no row."""


def _scope(scope: LimitScope, *words: str) -> tuple[LimitScope, re.Pattern[str]]:
    return scope, re.compile("|".join(words))


_OF = r"(?:exceeded for|rate limit type =) (?:\w{1,20}_per_)?"
_ORGANISATION = r"organi[sz]ation\b"
SCOPES = (
    _scope("key", rf"{_OF}(?:api[ _]?key|key)\b", r"\bper[ _-](?:api[ _-]?)?key\b"),
    _scope("user", rf"{_OF}(?:user|team_member|end_user|customer)\b", r"\bper[ _-]user\b"),
    _scope("team", rf"{_OF}(?:team|team_member)\b", r"\bper[ _-]team\b"),
    _scope(
        "account",
        rf"{_OF}(?:organization|project)\b|\b(?:in|max|your|reached) {_ORGANISATION}|{_ORGANISATION} rate limit",
        r"\byour account(?:'s rate limit| \S{1,200} request reached)|account[rt]pmratelimit",
        r"per[ _-]?(?:project|organi[sz]ation|subscription)|\buserby",
        r"\blimit_[rt]p[smhd]/|free-models-per",
    ),
    _scope(
        "model",
        r"(?:exceeded for|rate limit type =) model(?:_per_|\b)|\bmodel rate limit|for this model\b|modelaccount",
        r"per[ _-]?(?:base[ _-]?)?model|bymodel|with base model",
        rf"reached for (?:model )?\S{{1,200}} in {_ORGANISATION}|\blimit_[rt]p[smhd]/",
    ),
    _scope("deployment", r"\bdeployment over|(?:this|your) deployment\b|your requests to \S{1,200} for \S{1,200} in "),
)
"""All rows that occur count."""
