"""The user's file as values: every setting, its default, its unit and its reason. Unknown keys are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from providers.messages import Generation
from providers.pricing import Price
from providers.route import Adapt
from providers.simulator.settings import EndpointSettings
from runners.calls.retry import RETRY_SHARE
from runners.shutdown import GRACE_S

from .durations import seconds_of
from .scenarios import contradiction, scenario_name, spell_out

LONGEST_NAME = 50
NAMES_OF_KEYS = frozenset({"api_key", "apikey", "x_api_key", "authorization", "access_token", "password", "secret"})


def _listed(value: object) -> object:
    """A comma-separated text or a single value where a list is wanted."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int | float) else value


def _named(value: object) -> object:
    """Names, where YAML may have read numbers: `difficulties: [1, 2]`."""
    listed = _listed(value)
    return [_text(one) for one in listed] if isinstance(listed, list | tuple) else listed


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _all_or_listed(value: object) -> object:
    return None if value == "all" else _named(value)


def _off_if_null(value: object) -> object:
    """A null takes the inherited value away."""
    return False if value is None else value


Names = Annotated[tuple[str, ...], BeforeValidator(_named)]
NamesOrAll = Annotated[tuple[str, ...] | None, BeforeValidator(_all_or_listed)]
Rates = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], BeforeValidator(_listed)]
Seconds = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteConfig(Section):
    """One way to a model: a provider, and which of its deployments or keys."""

    provider: str
    deployments: Names = ()
    keys: Names = ()
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
"""Fields of `GenerationConfig` that a fingerprint leaves out where they say nothing, as it was before there were any."""


class GenerationConfig(Section):
    """How answers are generated. What is null is not sent."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of an answer, in whichever spelling the instance takes: max_tokens or max_completion_tokens."""
    stream: Annotated[bool, BeforeValidator(_off_if_null)] = False
    seed: int | None = None
    """Sent plus the epoch; None sends no seed."""
    extra_body: dict[str, Any] | None = None
    """Fields that go to the wire as they are and win over ours. A bound on the answer's tokens counts as `max_tokens` does."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_text_listed)] = ()
    """Texts that end an answer: one, or a list."""
    reasoning_effort: str | None = None
    """As the model names them: none, minimal, low, medium, high."""
    verbosity: str | None = None
    """low, medium or high, where the model knows it."""
    response_format: dict[str, Any] | None = None
    """As the API takes it: {type: json_object}, or {type: json_schema, json_schema: …}."""
    tool_choice: str | dict[str, Any] | None = None
    """auto, none, required, or one function; sent where the task has tools."""
    parallel_tool_calls: bool | None = None
    """Sent where the task has tools."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Alternatives per token; 0 asks for the chosen tokens' own."""

    @field_validator("extra_body")
    @classmethod
    def _holds_no_key(cls, body: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in body or ():
            if name.lower().replace("-", "_") in NAMES_OF_KEYS:
                raise ValueError(
                    f"{name!r} looks like a key, which results would keep; name its variable under `providers`"
                )
        return body

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


PositiveSeconds = Annotated[float, Field(gt=0)]


class ModelTimeoutsConfig(Section):
    """Seconds, for one model; what is not said is the provider's (connect, first_token, between_tokens) or the run's (attempt, sample)."""

    connect_s: PositiveSeconds | None = None
    first_token_s: PositiveSeconds | None = None
    between_tokens_s: PositiveSeconds | None = None
    attempt_s: PositiveSeconds | None = None
    """One request, from the send to the end of its answer; the only bound of an answer that is not streamed."""
    sample_s: PositiveSeconds | None = None
    """All turns, attempts and waits of one sample."""


class ModelConfig(Section):
    """A model of the sweep: one route spelt out here, or several under `routes`."""

    provider: str | None = None
    deployments: Names = ()
    keys: Names = ()
    routes: tuple[RouteConfig, ...] = ()
    limiter_group: str | None = None
    """As in a route, for the one spelt out here."""
    profile: str | None = None
    """Row of the profile table; by default that of the provider's kind."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
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
    timeouts: Annotated[ModelTimeoutsConfig, BeforeValidator(_known_timeouts)] = ModelTimeoutsConfig()
    """`reasoning` (attempt 900 s, sample 4 h, first token 900 s), or a mapping; wins over `run` and the provider."""
    rehearse_as: EndpointSettings | None = None
    """Quota and latency that a rehearsal believes in, per instance; simulators have their own."""

    @model_validator(mode="after")
    def _has_one_kind_of_route(self) -> ModelConfig:
        if bool(self.provider) == bool(self.routes):
            raise ValueError("give either `provider` or `routes`")
        return self

    def all_routes(self) -> tuple[RouteConfig, ...]:
        if self.provider is None:
            return self.routes
        spelt_out = {"provider": self.provider, "deployments": self.deployments, "keys": self.keys}
        return (RouteConfig.model_validate({**spelt_out, "limiter_group": self.limiter_group}),)


class TaskFileConfig(Section):
    path: str
    """A file or a glob, relative to the configuration file."""
    fields: dict[str, str] = {}
    """Our names to the file's columns: input, messages, target, id, tools, task_type, difficulty, family, system."""
    scorer: str | dict[str, Any] | None = None
    reader: str | None = None
    """`bfcl`, or `module:function` for formats of your own."""


class SweepConfig(Section):
    scenario: Annotated[str, BeforeValidator(_text), AfterValidator(scenario_name)] | None = None
    """Name or number in `sharding/scenarios.py`: prompt types, tool success rates and difficulties where they are not spelt out."""
    models: Names = ()
    """Which of `models` take part; empty: all."""
    prompt_types: Names = ("baseline",)
    tool_success_rates: Rates = (1.0,)
    difficulties: NamesOrAll = None
    task_types: NamesOrAll = None
    num_instances: Annotated[int, Field(ge=1)] | None = None
    """Tasks per task type and difficulty; the first ones of the file."""
    epochs: Annotated[int, Field(ge=1)] = 1
    limit: Annotated[int, Field(ge=1)] | None = None
    """Most tasks taken."""

    @model_validator(mode="after")
    def _keeps_to_its_scenario(self) -> SweepConfig:
        if self.scenario and (sentence := contradiction(self.scenario, dict(self))):
            raise ValueError(sentence)
        return self


class ToolsConfig(Section):
    """Of the solver `tool_loop`."""

    max_turns: Annotated[int, Field(ge=1)] = 10
    """Replies of the model in one sample; an answer that needs more is scored as it stands, with the error class max_turns."""
    failure_kinds: Annotated[
        tuple[Literal["error", "timeout", "empty", "malformed", "stale"], ...],
        BeforeValidator(_listed),
        Field(min_length=1),
    ] = ("error", "timeout", "empty", "malformed", "stale")
    """How tools fail where the sweep's tool success rate makes them; one is drawn for every failing call."""


Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


class WeightsConfig(Section):
    """What the weighted score of a summary is made of; results do not depend on it."""

    grades: dict[Literal["full", "partial", "failed"], Share] = {}
    """What a grade is worth in place of the answer's score: {partial: 0.5}."""
    error_classes: dict[str, Share] = {}
    """What an answer with this class is worth: {sequence_order: 0.8}; wins over its grade."""
    task_types: dict[str, Weight] = {}
    """How much a sample counts: {parallel: 2}; what is not named counts 1."""
    difficulties: dict[str, Weight] = {}


class ScoringConfig(Section):
    weights: WeightsConfig = WeightsConfig()


class RunConfig(Section):
    rate_mode: Literal["adaptive", "fixed"] = "adaptive"
    storage_format: Literal["parquet", "json"] = "parquet"
    part_records: Annotated[int, Field(ge=1)] = 20_000
    """Records after which a part of the results is written; each waits in the journal until then, just as safe."""
    stagger_s: Annotated[tuple[Seconds, ...], BeforeValidator(_listed), Field(min_length=1)] = (0, 30, 20)
    """Start of each shard after the shard before; a shorter list repeats its last value; [0] starts all at once."""
    output_dir: Annotated[str, BeforeValidator(_text)] = "runs"
    seed: int = 0
    solver: str = "single_turn"
    """single_turn, tool_loop, or `module:function` of your own."""
    scorer: str | dict[str, Any] = "includes"
    """For task files that name none."""
    max_workers: Annotated[int, Field(ge=1)] | None = None
    """Most samples in flight per instance, whatever the profile says."""
    max_retries: Annotated[int, Field(ge=0)] = 5
    attempt_timeout_s: Annotated[float, Field(gt=0)] = 300
    """One request, from the send to the end of its answer; `models.X.timeouts` wins, as over the next."""
    sample_timeout_s: Annotated[float, Field(gt=0)] = 1800
    adapt: Adapt = "rename"
    """Where an instance refuses a field of `generation` in its own words. rename: max_tokens and max_completion_tokens stand in for each
    other, which changes nothing that is asked. drop: a temperature, seed or other field is left out as well. never: neither. What was sent
    stands in the column `adaptation` of every record."""
    retry_budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] = RETRY_SHARE
    """Retries as a share of the calls of an execution, beside the first 500; what fails beyond is not tried again until a resume."""
    cost_limit_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """US dollars over all executions of a run; then it drains and can be resumed with a higher limit. As the next two."""
    token_limit: Annotated[int, Field(ge=1)] | None = None
    """Input and output tokens over all executions of a run."""
    time_limit_s: Annotated[float, BeforeValidator(seconds_of), Field(gt=0, allow_inf_nan=False)] | None = None
    """Wall time of one execution: seconds, or a text such as 90m or 2h30m. What is in flight then has `grace_s` to end."""
    grace_s: Seconds = GRACE_S
    """How long a draining run waits for what is in flight; less than the time between a SIGTERM and its SIGKILL."""
    rebalance: bool = True
    """Whether an instance that runs dry takes over work of the one that would finish last."""
    max_user_errors: Annotated[int, Field(ge=1)] = 1
    """Exceptions of your own solver or scorer after which the run drains."""
    display: Literal["full", "plain", "none"] | None = None
    """None: full on a terminal, plain elsewhere."""
    cold: bool = False
    """Start without what earlier runs have learnt about limits."""
    share: bool = False
    """Use keys that another run on this machine is using."""
    drift_check: Annotated[int, Field(ge=1)] | None = None
    """Tasks asked at every instance of a model that has several, once in a run, before its samples are pooled: who answers otherwise is
    told of. None: no such requests; 5 find most drifts, with a generation.temperature of 0."""
    rehearse: bool = False
    """Rehearse on a virtual clock first and show rehearsed against actual at the end."""
    notify: str | None = None
    """A command that gets every alert as a JSON line on standard input."""
    stall_after_s: Annotated[float, Field(gt=0)] = 300
    """Without a finished sample for so long, a run counts as stalled and says so."""
    debug_log: bool = False
    debug_process_num: Annotated[int, Field(ge=1)] | None = None
    """Log the n-th shard alone, counted from 1."""


class PromptConfig(Section):
    """As in the files of `sharding/prompts/prompt_types`."""

    system: str | None = None
    user: str | None = None
    user_with_plan: str | None = None
    flaw: str | None = None
    like: str | None = None


def _prompt_kind(value: object) -> str:
    return "file" if isinstance(value, str) else "template"


Prompt = Annotated[Annotated[str, Tag("file")] | Annotated[PromptConfig, Tag("template")], Discriminator(_prompt_kind)]


def _check_name(name: str) -> str:
    """It becomes part of file names and of every instance's name."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
        raise ValueError(f"a provider's name has 1 to {LONGEST_NAME} printable characters and no slash")
    return name


ProviderName = Annotated[str, AfterValidator(_check_name)]


class Config(Section):
    providers: Annotated[dict[ProviderName, dict[str, Any]], Field(min_length=1)]
    """Validated by the provider's own settings class."""
    models: Annotated[dict[str, ModelConfig], Field(min_length=1)]
    tasks: Annotated[tuple[TaskFileConfig, ...], Field(min_length=1)]
    prompts: dict[str, Prompt] = {}
    """Prompt types of your own: a YAML file, or the text itself. Files in the folder `prompts` need no entry."""
    prices: dict[str, Price] = {}
    """US dollars per million tokens, by model; wins over the list that ships with genai-prices."""
    sweep: SweepConfig = SweepConfig()
    generation: GenerationConfig = GenerationConfig()
    tools: ToolsConfig = ToolsConfig()
    scoring: ScoringConfig = ScoringConfig()
    run: RunConfig = RunConfig()

    @model_validator(mode="before")
    @classmethod
    def _spells_its_scenario_out(cls, raw: Any) -> Any:
        return spell_out(raw)

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Config:
        for name, model in self.models.items():
            for route in model.all_routes():
                if route.provider not in self.providers:
                    raise ValueError(
                        f"models.{name} names the provider {route.provider!r}, which is not under `providers`"
                    )
        return self

    def generation_of(self, model: str) -> GenerationConfig:
        """How the answers of a model are generated: its own over the file's."""
        own = self.models[model].generation
        return self.generation if own is None else own.over(self.generation)

    def swept_models(self) -> tuple[str, ...]:
        return self.sweep.models or tuple(self.models)
