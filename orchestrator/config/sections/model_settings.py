"""The part of the user's file about models: their routes, how their answers are generated, and their timeouts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from providers.messages import Generation
from providers.route import Adapt
from providers.simulator.settings.provider import EndpointSettings

from .fields import Count, Names, PositiveSeconds, Section


def _off_if_null(value: object) -> object:
    """Return False for a null, which removes the inherited value."""
    return False if value is None else value


class RouteConfig(Section):
    """One way to a model: a provider, and which of its deployments or keys."""

    provider: str
    """A name under `providers`."""
    deployments: Names = ()
    """Deployments, or models of a server, each an instance; empty: the model's own name."""
    keys: Names = ()
    """Names of the key variables of a gateway, each an instance; empty: all of its keys."""
    limiter_group: str | None = None
    """Instances of one group share one limiter: keys or deployments of one account. By default each has its own."""


def _one_text_listed(value: object) -> object:
    return [value] if isinstance(value, str) else () if value is None else value


NEW_SINCE_FINGERPRINTS = (
    "top_p",
    "stop",
    "reasoning_effort",
    "verbosity",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
    "logprobs",
)
"""Fields of `GenerationConfig` that a fingerprint omits if they are unset, so that older fingerprints stay valid."""


class GenerationConfig(Section):
    """How answers are generated. What is null is not sent."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Randomness of the choice of tokens; 0 is the most repeatable."""
    max_tokens: Count | None = None
    """Most tokens of an answer, in whichever spelling the instance takes: max_tokens or max_completion_tokens."""
    stream: Annotated[bool, BeforeValidator(_off_if_null, json_schema_input_type=bool | None)] = False
    """Whether answers come token by token, which measures the time to the first one."""
    seed: int | None = None
    """Sent plus the epoch; None sends no seed."""
    extra_body: dict[str, object] | None = None
    """Fields that go to the wire as they are and win over ours. A bound on the answer's tokens counts as `max_tokens` does."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the probability that tokens are chosen from."""
    stop: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(_one_text_listed, json_schema_input_type=str | list[str] | None),
    ] = ()
    """Texts that end an answer: one, or a list."""
    reasoning_effort: str | None = None
    """As the model names them: none, minimal, low, medium, high."""
    verbosity: str | None = None
    """low, medium or high, where the model knows it."""
    response_format: dict[str, object] | None = None
    """As the API takes it: {type: json_object}, or {type: json_schema, json_schema: …}."""
    tool_choice: str | dict[str, object] | None = None
    """auto, none, required, or one function; sent where the task has tools."""
    parallel_tool_calls: bool | None = None
    """Whether one reply may call several tools; sent where the task has tools."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Alternatives per token; 0 asks for the chosen tokens' own."""

    def over(self, inherited: GenerationConfig) -> GenerationConfig:
        """Return `inherited` with what is written here in its place; a null takes a value away."""
        return GenerationConfig.model_validate({**inherited.model_dump(), **self.model_dump(exclude_unset=True)})

    def as_generation(self) -> Generation:
        """Return the value that crosses the layers."""
        return Generation(**dict(self))

    def as_written(self) -> str:
        """Return what results belong to."""
        return self.model_dump_json(exclude={name for name in NEW_SINCE_FINGERPRINTS if not _says(getattr(self, name))})


def _says(value: object) -> bool:
    return value is not None and value != ()


REASONING = {"attempt_s": 900, "sample_s": 4 * 3600, "first_token_s": 900}
"""Seconds: one answer may take a quarter of an hour, and ten turns of five minutes fit a sample."""


def _known_timeouts(value: object) -> object:
    if isinstance(value, str):
        if value != "reasoning":
            raise ValueError("say `reasoning`, or a mapping such as {attempt_s: 900, first_token_s: 900}")
        return REASONING
    return value


class ModelTimeoutsConfig(Section):
    """Seconds, for one model; what is not said is the provider's (connect, first_token, between_tokens) or the run's (attempt, sample)."""

    connect_s: PositiveSeconds | None = None
    """Until a connection is open."""
    first_token_s: PositiveSeconds | None = None
    """From the send to the first token of a streamed answer."""
    between_tokens_s: PositiveSeconds | None = None
    """Between two tokens of a streamed answer."""
    attempt_s: PositiveSeconds | None = None
    """One request, from the send to the end of its answer; the only bound of an answer that is not streamed."""
    sample_s: PositiveSeconds | None = None
    """All turns, attempts and waits of one sample."""


class ModelConfig(Section):
    """A model of the sweep: one route spelt out here, or several under `routes`."""

    provider: str | None = None
    """The provider of a model with one route; either this or `routes`."""
    deployments: Names = ()
    """As in a route, for the one spelt out here."""
    keys: Names = ()
    """As in a route, for the one spelt out here."""
    routes: tuple[RouteConfig, ...] = ()
    """Several ways to the same model; its samples are shared among all of them."""
    limiter_group: str | None = None
    """As in a route, for the one spelt out here."""
    profile: str | None = None
    """Row of the profile table; by default that of the provider's kind."""
    workers: Count | Literal["auto"] | None = None
    """Samples in flight per instance; wins over the profile and is not multiplied."""
    qps: Annotated[float, Field(gt=0)] | None = None
    """Requests per second and instance in fixed mode."""
    tool_format: Literal["native", "text"] = "native"
    """How the built-in solvers speak of tools: OpenAI function calling, or `<tool_call>` in the text for models without it."""
    operation: Literal["chat", "responses"] = "chat"
    """chat: chat completions. responses: OpenAI's Responses API, for models that are only there, or reason between tool calls only
    there; `extra_body` then speaks its language."""
    generation: GenerationConfig | None = None
    """What differs from `generation` of the file; null takes a value away."""
    adapt: Adapt | None = None
    """As `run.adapt`, for this model."""
    timeouts: Annotated[
        ModelTimeoutsConfig,
        BeforeValidator(_known_timeouts, json_schema_input_type=ModelTimeoutsConfig | Literal["reasoning"]),
    ] = ModelTimeoutsConfig()
    """`reasoning` (attempt 900 s, sample 4 h, first token 900 s), or a mapping; wins over `run` and the provider."""
    rehearse_as: EndpointSettings | None = None
    """Quota and latency that a rehearsal believes in, per instance; simulators have their own."""

    @model_validator(mode="after")
    def _has_one_kind_of_route(self) -> ModelConfig:
        if bool(self.provider) == bool(self.routes):
            raise ValueError("give either `provider` or `routes`")
        return self

    def all_routes(self) -> tuple[RouteConfig, ...]:
        """Return the routes, also where the only one is spelt out in the model itself."""
        if self.provider is None:
            return self.routes
        spelt_out = {"provider": self.provider, "deployments": self.deployments, "keys": self.keys}
        return (RouteConfig.model_validate({**spelt_out, "limiter_group": self.limiter_group}),)
