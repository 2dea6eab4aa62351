"""What the user's file may say about a simulated provider: its endpoints, their hidden limits, latencies, faults and answers.

Rates are per minute and times are seconds, as people write them; a window's limit is `rpm * window_s / 60`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..adapters.settings import WireSettings

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Total = Annotated[int, Field(ge=0)]


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
    rate_limit_headers: bool = True
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
    seed: int = 0

    @model_validator(mode="after")
    def _has_endpoints(self) -> SimulatorSettings:
        if not self.deployments and not self.keys:
            raise ValueError("a simulator needs 'deployments' or 'keys': one entry for each endpoint that it plays")
        return self
