"""What the user's file may say about a simulated provider: its endpoints, their hidden limits, latencies, faults and answers.

Rates are per minute and times are seconds, as people write them; a window's limit is `rpm * window_s / 60`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..adapters.settings import WireSettings
from .protocol_settings import (
    CreditSettings,
    HeaderFamily,
    QuirkSettings,
    ReasoningForm,
    ReasoningUsage,
    RefusedField,
    WaitPlace,
    WrongKey,
)

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Total = Annotated[int, Field(ge=0)]


SHARED_BY_A_GROUP = (
    "rpm",
    "tpm",
    "rpd",
    "window_s",
    "quota",
    "burst_s",
    "tokens",
    "on_limit",
    "concurrency",
    "retry_after",
)
"""Settings of a quota: alike in all endpoints of a quota_group."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LatencySettings(_Frozen):
    """An answer of n tokens takes `ttft_s + n * itl_s` of service, times a factor of its own."""

    ttft_s: NotNegative = 0.2
    itl_s: NotNegative = 0.01
    """Between two output tokens."""
    noise: NotNegative = 0.0
    """Sigma of a log-normal factor, drawn from the request's id; its median is 1."""
    saturates_at: Count | None = None
    """Beyond K answers in service each gets K/n of full speed (processor sharing): the throughput stays, the latency grows."""
    seats: Count | None = None
    """Most answers in service; the rest wait, first come, first served."""
    long: Probability = 0.0
    """Share of answers that take `long_s` more, all of it before the first token: a model that reasons for minutes."""
    long_s: NotNegative = 150.0
    """Longer than the two minutes that many clients wait for the first byte."""


Fault = Literal[
    "error_500", "empty", "stall", "reset", "malformed", "content_filter", "length", "error_in_200", "early_end"
]
"""What can go wrong with an answer; `FaultSettings` has a share for each."""


class FaultSettings(_Frozen):
    """Shares of admitted requests that end badly; a request has one fault at most."""

    error_500: Probability = 0.0
    empty: Probability = 0.0
    """Status 200, finish reason "stop", no content."""
    stall: Probability = 0.0
    """Silence: before a whole answer, in the middle of a streamed one."""
    reset: Probability = 0.0
    """The connection is reset before any header."""
    malformed: Probability = 0.0
    """Truncated JSON under a correct content-length; streamed: one event of it."""
    content_filter: Probability = 0.0
    """Azure refuses with 400, others answer 200 with finish reason "content_filter"."""
    length: Probability = 0.0
    """Finish reason "length" and no text, as when reasoning eats all of max_tokens."""
    error_in_200: Probability = 0.0
    """Status 200 around an error object."""
    early_end: Probability = 0.0
    """The body is shorter than it says; a stream ends without finish reason or [DONE]."""
    stall_s: NotNegative = 600.0

    @model_validator(mode="after")
    def _fits_into_one(self) -> FaultSettings:
        total = sum(value for name, value in self if name != "stall_s")
        if total > 1 + 1e-9:
            raise ValueError(
                f"the shares of all faults add up to {total:g}: a request has one fault at most, keep them within 1"
            )
        return self


class EndpointSettings(_Frozen):
    """One deployment, or one key for each model that it serves. What is None does not limit."""

    rpm: Positive | None = None
    tpm: Positive | None = None
    rpd: Positive | None = None
    """Requests per day, refilled evenly; `header_family: openai` then tells of the day, as OpenAI does (10000: one in 8.64 s)."""
    window_s: Positive = 60.0
    quota: Literal["sliding", "fixed", "bucket"] = "sliding"
    burst_s: Positive | None = None
    """What a full bucket holds, in seconds of its rate; `window_s` where it is not said. Only for `quota: bucket`."""
    tokens: Literal["estimate", "actual"] = "estimate"
    """estimate: prompt + max_tokens when it comes (Azure); actual: what was used, when it is done (LiteLLM)."""
    on_limit: Literal["refuse", "hold"] = "refuse"
    """hold: the answer waits, unsaid, until the limit lets it through."""
    concurrency: Count | None = None
    """Most requests inside at once."""
    retry_after: Literal["exact", "window", "none"] = "exact"
    """exact: to the millisecond; window: always window_s, whatever is true (LiteLLM); none: not said."""
    wait_in: WaitPlace = "everywhere"
    """Where a refusal says the wait. everywhere: in headers and words; words: in words alone; retry_info: in Google's RetryInfo alone;
    zero_ms: `retry-after` in seconds, contradicted by `retry-after-ms: 0` (Azure Foundry)."""
    throttle_style: Literal[429, 400] = 429
    """400: a refusal has the status and the body of a gateway (MPE-429 or PL-002) and never says a wait."""
    quota_group: str | None = None
    """Endpoints of one group share one quota, whatever their names: a quota per user and model. Refusals name it and the wait."""
    credit: CreditSettings | None = None
    """None: it never ends."""
    rate_limit_headers: bool = True
    header_family: HeaderFamily = "openai"
    """The names under which headers tell the limits."""
    dialect: Literal["openai", "azure"] = "openai"
    """The URLs that this provider's own adapter uses; the server speaks the dialect of the URL that it is called by."""
    latency: LatencySettings = LatencySettings()
    faults: FaultSettings | None = None
    """In place of the provider's."""
    unauthorized_after: Total | None = None
    """Requests admitted before every other one is answered 401: a key revoked mid-run."""
    refuses_connections_after: Total | None = None
    """Requests admitted before every other connection is cut: a deployment dying mid-run."""
    outages: tuple[tuple[NotNegative, Positive], ...] = ()
    """From when until when every connection is cut, in seconds since its first request: a deployment that flaps."""
    model: str | None = None
    """The model that answers name; what was asked for where it is not said."""
    refuses: tuple[RefusedField, ...] = ()
    """Fields of a request that are answered 400 in the words of OpenAI and Azure; `system` is the role of a message. A value that is
    the field's default (temperature 1) is taken."""
    reasoning: ReasoningForm | None = None
    """Answers show their reasoning. field: `reasoning_content` beside the content; think: a <think> block inside it; list: Mistral's
    thinking parts, the content being a list."""
    reasoning_tokens: Count = 64
    """Mean length of the reasoning; a request's own lies between half and one and a half of it, and uses up max_tokens first."""
    reasoning_usage: ReasoningUsage = "inside"
    """inside: counted in completion_tokens and said apart; outside: said apart and left out of completion_tokens, not of total_tokens
    (xAI); unsaid: counted in completion_tokens, nothing more."""
    wants_back: Literal["reasoning_content"] | None = None
    """A turn of the assistant that called tools is refused with 400 where this field did not come back with it (Kimi, DeepSeek)."""
    quirks: QuirkSettings = QuirkSettings()

    @model_validator(mode="after")
    def _windows_have_room(self) -> EndpointSettings:
        if self.rpm and self.quota != "bucket" and self.rpm * self.window_s / 60 < 1:
            raise ValueError(
                f"rpm {self.rpm:g} leaves no whole request in a window of {self.window_s:g} s: "
                f"set window_s to {60 / self.rpm:g} or more"
            )
        for since_s, until_s in self.outages:
            if since_s >= until_s:
                raise ValueError(f"the outage [{since_s:g}, {until_s:g}] ends before it begins: give [from, until]")
        if self.burst_s is not None and self.quota != "bucket":
            raise ValueError(f"burst_s belongs to 'quota: bucket', this quota is {self.quota!r}: remove one of them")
        return self

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> EndpointSettings:
        if self.throttle_style == 400 and self.wait_in != "everywhere":
            raise ValueError(f"throttle_style 400 never says a wait: remove wait_in {self.wait_in!r}")
        if self.quota_group is not None and self.wait_in in ("retry_info", "zero_ms"):
            raise ValueError(f"a quota_group says the wait in words: remove wait_in {self.wait_in!r}")
        if self.wants_back is not None and self.reasoning != "field":
            raise ValueError(
                f"wants_back {self.wants_back!r} needs 'reasoning: field': nobody can give back what never came"
            )
        return self


class CorruptionSettings(_Frozen):
    """Shares of answers that are spoilt in one way, drawn by sample and turn; a way that a task has no room for leaves it as it is.

    The first six spoil calls of tools (and `format` a judge's verdict); `refusal` spoils any answer.
    """

    tool_selection: Probability = 0.0
    """Another tool is called."""
    parameter: Probability = 0.0
    """One argument is wrong."""
    sequence_order: Probability = 0.0
    """Two calls change places, where the order matters."""
    missing: Probability = 0.0
    """One call is left out."""
    redundant: Probability = 0.0
    """The last call is made twice."""
    format: Probability = 0.0
    """Arguments that are no JSON."""
    refusal: Probability = 0.0

    @model_validator(mode="after")
    def _fits_into_one(self) -> CorruptionSettings:
        total = sum(share for _name, share in self)
        if total > 1 + 1e-9:
            raise ValueError(
                f"the shares of all corruptions add up to {total:g}: an answer is spoilt once, keep them within 1"
            )
        return self


class AnswerSettings(_Frozen):
    """How good and how long the answers are; the AnswerSource decides what to make of it."""

    skill: Probability | dict[str, Probability] = 1.0
    """Share of right answers, by model or deployment."""
    spread: NotNegative = 0.0
    """How much tasks differ in difficulty, in logits."""
    gain: dict[str, float] = {}
    """What a prompt type or a difficulty adds to the chance of being right, in logits: {cot: 0.5, optimal: 1, hard: -1}."""
    output_tokens: Count | None = None
    """Mean length."""
    template: str = "{target}"
    """What stands around the answer: "Answer: {target}"."""
    corruptions: CorruptionSettings = CorruptionSettings()

    @model_validator(mode="after")
    def _template_has_a_place(self) -> AnswerSettings:
        if "{target}" not in self.template:
            raise ValueError(f"template {self.template!r} has no {{target}}: the answer would not be in it")
        return self

    def skill_of(self, name: str) -> float:
        """Return the share of right answers of a model or deployment."""
        return self.skill.get(name, 1.0) if isinstance(self.skill, dict) else self.skill


class SimulatorSettings(WireSettings):
    """An entry of `providers:` with `type: simulator`."""

    type: Literal["simulator"] = "simulator"
    deployments: dict[str, EndpointSettings] = Field(default_factory=dict)
    keys: dict[str, EndpointSettings] = Field(default_factory=dict)
    models: list[str] | None = None
    """What keys serve; everything where it is not said."""
    answers: AnswerSettings = AnswerSettings()
    faults: FaultSettings = FaultSettings()
    wrong_key: WrongKey = 401
    """How a key that is not accepted is answered: 401, or 400 in the words of a gateway (CE-003), Google (API_KEY_INVALID) or xAI
    (invalid-argument)."""
    seed: int = 0

    @model_validator(mode="after")
    def _has_endpoints(self) -> SimulatorSettings:
        if not self.deployments and not self.keys:
            raise ValueError("a simulator needs 'deployments' or 'keys': one entry for each endpoint that it plays")
        return self

    @model_validator(mode="after")
    def _groups_agree(self) -> SimulatorSettings:
        first_of: dict[str, tuple[str, EndpointSettings]] = {}
        for name, endpoint in (*self.deployments.items(), *self.keys.items()):
            if endpoint.quota_group is None:
                continue
            first_name, first = first_of.setdefault(endpoint.quota_group, (name, endpoint))
            for setting in SHARED_BY_A_GROUP:
                if getattr(first, setting) != getattr(endpoint, setting):
                    raise ValueError(
                        f"{first_name} and {name} are in the quota_group {endpoint.quota_group!r}, a single quota, but differ in "
                        f"{setting}: give them the same"
                    )
        return self
