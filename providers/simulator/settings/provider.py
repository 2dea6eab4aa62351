"""Settings of a simulated provider in the user's file: its endpoints, their hidden limits, latencies and faults.

Rates are per minute and times are in seconds; a window's limit is `rpm * window_s / 60`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ...adapters.settings import WireSettings
from .answers import AnswerSettings
from .fields import Count, NotNegative, Positive, Probability, SimulatorSection, Total
from .protocol import (
    CreditSettings,
    HeaderFamily,
    QuirkSettings,
    ReasoningForm,
    ReasoningUsage,
    RefusedField,
    WaitPlace,
    WrongKey,
)

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
"""Settings of a quota, which must be equal in all endpoints of a quota_group."""


class LatencySettings(SimulatorSection):
    """The latency of an endpoint: an answer of n tokens takes `ttft_s + n * itl_s` seconds of service, times a random factor."""

    ttft_s: NotNegative = 0.2
    """Seconds to the first token."""
    itl_s: NotNegative = 0.01
    """Seconds between two output tokens."""
    noise: NotNegative = 0.0
    """Sigma of the log-normal factor, which is drawn from the request's id; its median is 1."""
    saturates_at: Count | None = None
    """With n > K answers in service, each runs at K/n of full speed (processor sharing): throughput is constant, latency grows."""
    seats: Count | None = None
    """Most answers in service; the others wait in order of arrival."""
    long: Probability = 0.0
    """Share of answers that take `long_s` longer before the first token, as a model that reasons for minutes."""
    long_s: NotNegative = 150.0
    """Extra seconds of a long answer; the default exceeds the two minutes that many clients wait for the first byte."""


Fault = Literal[
    "error_500", "empty", "stall", "reset", "malformed", "content_filter", "length", "error_in_200", "early_end"
]
"""What can go wrong with an answer; `FaultSettings` has a share for each."""


class FaultSettings(SimulatorSection):
    """Shares of admitted requests that fail, by kind of fault; a request has at most one fault."""

    error_500: Probability = 0.0
    """Status 500."""
    empty: Probability = 0.0
    """Status 200, finish reason "stop", no content."""
    stall: Probability = 0.0
    """No data for `stall_s`: before a whole answer, or in the middle of a streamed one."""
    reset: Probability = 0.0
    """The connection is reset before any header."""
    malformed: Probability = 0.0
    """Truncated JSON with a correct content-length; streamed: one truncated event."""
    content_filter: Probability = 0.0
    """Azure refuses with 400; others answer 200 with finish reason "content_filter"."""
    length: Probability = 0.0
    """Finish reason "length" and no text, as when reasoning uses up max_tokens."""
    error_in_200: Probability = 0.0
    """Status 200 with an error object as the body."""
    early_end: Probability = 0.0
    """The body is shorter than its content-length; a stream ends without finish reason or [DONE]."""
    stall_s: NotNegative = 600.0
    """Seconds that a stall lasts."""

    @model_validator(mode="after")
    def _fits_into_one(self) -> FaultSettings:
        total = sum(value for name, value in self if name != "stall_s")
        if total > 1 + 1e-9:
            raise ValueError(
                f"the shares of all faults add up to {total:g}: a request has one fault at most, keep them within 1"
            )
        return self


class EndpointSettings(SimulatorSection):
    """Settings of one deployment, or of one key for each model that it serves. A limit that is None does not exist."""

    rpm: Positive | None = None
    """Requests per minute."""
    tpm: Positive | None = None
    """Tokens per minute, input and output."""
    rpd: Positive | None = None
    """Requests per day, refilled evenly; `header_family: openai` then reports the limit per day, as OpenAI does (10000: one in 8.64 s)."""
    window_s: Positive = 60.0
    """Length of the quota's window in seconds: its limit is rpm × window_s / 60."""
    quota: Literal["sliding", "fixed", "bucket"] = "sliding"
    """How the quota is counted: over the last window_s, in windows that begin anew, or as a bucket that refills evenly."""
    burst_s: Positive | None = None
    """Capacity of a bucket, in seconds of its rate; None means `window_s`. Only for `quota: bucket`."""
    tokens: Literal["estimate", "actual"] = "estimate"
    """estimate: counts prompt + max_tokens on arrival (Azure); actual: counts the tokens used at the end (LiteLLM)."""
    on_limit: Literal["refuse", "hold"] = "refuse"
    """refuse: answers with an error at once; hold: delays the answer without notice until the limit admits the request."""
    concurrency: Count | None = None
    """Most requests in progress at once."""
    retry_after: Literal["exact", "window", "none"] = "exact"
    """exact: to the millisecond; window: always window_s, which may be wrong (LiteLLM); none: not reported."""
    wait_in: WaitPlace = "everywhere"
    """Where a refusal reports the wait. everywhere: in headers and message; words: in the message only; retry_info: in Google's RetryInfo
    only; zero_ms: `retry-after` in seconds, contradicted by `retry-after-ms: 0` (Azure Foundry)."""
    throttle_style: Literal[429, 400] = 429
    """400: a refusal has the status and the body of a gateway (MPE-429 or PL-002) and never reports a wait."""
    quota_group: str | None = None
    """Endpoints of one group share one quota, as a quota per user and model. Refusals name the quota and the wait."""
    credit: CreditSettings | None = None
    """None: unlimited credit."""
    rate_limit_headers: bool = True
    """Whether headers tell the limits and what is left of them."""
    header_family: HeaderFamily = "openai"
    """The naming scheme of the rate limit headers."""
    dialect: Literal["openai", "azure"] = "openai"
    """The URLs that the simulator's adapter uses; the server answers in the dialect of the URL that is called."""
    latency: LatencySettings = LatencySettings()
    """How long answers take."""
    faults: FaultSettings | None = None
    """Replaces the provider's faults; None keeps them."""
    unauthorized_after: Total | None = None
    """Requests admitted before all later ones are answered 401, as after a key is revoked during a run."""
    refuses_connections_after: Total | None = None
    """Requests admitted before all later connections are cut, as after a deployment fails during a run."""
    outages: tuple[tuple[NotNegative, Positive], ...] = ()
    """Pairs of start and end between which every connection is cut, in seconds since the first request."""
    model: str | None = None
    """The model name in answers; None means the requested name."""
    refuses: tuple[RefusedField, ...] = ()
    """Fields of a request that are refused with 400 and the messages of OpenAI and Azure; `system` is the role of a message. A field
    with its default value (temperature 1) is accepted."""
    reasoning: ReasoningForm | None = None
    """Where answers hold their reasoning. field: in `reasoning_content`; think: in a <think> block of the content; list: in Mistral's
    thinking parts of a content list. None: there is no reasoning."""
    reasoning_tokens: Count = 64
    """Mean length of the reasoning; a request draws between 0.5 and 1.5 times that. Reasoning counts towards max_tokens first."""
    reasoning_usage: ReasoningUsage = "inside"
    """inside: counted in completion_tokens and also reported separately; outside: reported separately and counted in total_tokens only
    (xAI); unsaid: counted in completion_tokens and not reported."""
    wants_back: Literal["reasoning_content"] | None = None
    """A field that the assistant's messages with tool calls must contain; otherwise the request is refused with 400 (Kimi, DeepSeek)."""
    quirks: QuirkSettings = QuirkSettings()
    """Peculiarities of the vendor whose endpoint is simulated."""

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
            raise ValueError(f"throttle_style 400 never reports a wait: remove wait_in {self.wait_in!r}")
        if self.quota_group is not None and self.wait_in in ("retry_info", "zero_ms"):
            raise ValueError(f"a quota_group reports the wait in the message: remove wait_in {self.wait_in!r}")
        if self.wants_back is not None and self.reasoning != "field":
            raise ValueError(
                f"wants_back {self.wants_back!r} needs 'reasoning: field': a client cannot send back a field that it never received"
            )
        return self


class SimulatorSettings(WireSettings):
    """An entry of `providers:` with `type: simulator`."""

    type: Literal["simulator"] = "simulator"
    """A server of this program that needs no key and no network."""
    deployments: dict[str, EndpointSettings] = Field(default_factory=dict)
    """Endpoints that are called by the name of a deployment."""
    keys: dict[str, EndpointSettings] = Field(default_factory=dict)
    """Endpoints that are called by a key, by the name of its variable; each serves every model on its own."""
    models: list[str] | None = None
    """The models that the keys serve; None means every name."""
    answers: AnswerSettings = AnswerSettings()
    """How good and how long the answers are."""
    faults: FaultSettings = FaultSettings()
    """Faults of every endpoint that has none of its own."""
    wrong_key: WrongKey = 401
    """The answer to a wrong key: 401, or 400 with the error of a gateway (CE-003), Google (API_KEY_INVALID) or xAI (invalid-argument)."""
    seed: int = 0
    """Of all draws: latencies, faults and answers."""

    @model_validator(mode="after")
    def _has_endpoints(self) -> SimulatorSettings:
        if not self.deployments and not self.keys:
            raise ValueError("a simulator needs 'deployments' or 'keys': one entry for each endpoint that it simulates")
        return self

    @model_validator(mode="after")
    def _groups_agree(self) -> SimulatorSettings:
        first_by_group: dict[str, tuple[str, EndpointSettings]] = {}
        for name, endpoint in (*self.deployments.items(), *self.keys.items()):
            if endpoint.quota_group is None:
                continue
            first_name, first = first_by_group.setdefault(endpoint.quota_group, (name, endpoint))
            for setting in SHARED_BY_A_GROUP:
                if getattr(first, setting) != getattr(endpoint, setting):
                    raise ValueError(
                        f"{first_name} and {name} are in the quota_group {endpoint.quota_group!r}, a single quota, but differ in "
                        f"{setting}: give them the same"
                    )
        return self
