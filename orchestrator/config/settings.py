"""The user's file as values: every setting, its default, its unit and its reason. Unknown keys are errors.

A field declares all of a setting. Its docstring is the documentation, the first sentence of it the help of the flag; a `Flag` beside the
type gives it a flag, a `Variable` a short environment variable. The command line, the environment and `docs/reference` follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from providers.pricing import Price
from providers.route import Adapt
from providers.suggestion import suggestion
from runners.event_loop.shutdown import GRACE_S
from runners.tools.formats import NATIVE, ToolFormat
from runners.tools.text_format import TextFormat, TextProtocol

from .sections.cache_settings import CacheConfig
from .sections.fields import (
    Amount,
    Count,
    Delays,
    Duration,
    Names,
    NamesOrAll,
    PositiveSeconds,
    Rates,
    Seconds,
    Section,
    Share,
    Text,
    Weight,
)
from .sections.flags import Flag, Variable
from .sections.model_settings import GenerationConfig, ModelConfig
from .sections.scenarios import contradiction, scenario_name, spell_out
from .sections.task_settings import Prompt, TaskFileConfig
from .sections.tool_settings import ToolsConfig

LONGEST_NAME = 50


class SweepConfig(Section):
    """What is asked: every combination of these axes is a cell of the results."""

    scenario: Annotated[
        Annotated[Text, AfterValidator(scenario_name)] | None, Flag("--scenario", is_resumable=False)
    ] = None
    """baseline, scale, flawed, tool-reliability or prompt-sensitivity; also 5.1 to 5.5. It sets prompt types, tool success rates and
    difficulties where they are not spelt out, and the solver."""
    models: Annotated[Names, Flag("--model", is_repeatable=True, is_resumable=False)] = ()
    """A model of the file; repeat it or separate with commas. Empty: all of them."""
    prompt_types: Annotated[Names, Flag("--prompt-types", is_resumable=False)] = ("baseline",)
    """Prompt types, separated by commas. Each asks the same tasks in another way."""
    tool_success_rates: Annotated[Rates, Flag("--tool-success-rate", is_resumable=False)] = (1.0,)
    """Rates in [0, 1], separated by commas; they run one after another. A rate is the share of simulated tool calls that work."""
    difficulties: Annotated[NamesOrAll, Flag("--difficulty", is_resumable=False)] = None
    """Difficulties, separated by commas, or all."""
    task_types: Annotated[NamesOrAll, Flag("--task-types", is_resumable=False)] = None
    """Task types, separated by commas, or all."""
    num_instances: Annotated[Count | None, Flag("--num-instances", is_resumable=False)] = None
    """Tasks per task type and difficulty. The first ones of the file are taken, or a sample with `sample_seed`; None takes all."""
    sample_seed: Annotated[int | None, Flag("--sample-seed", is_resumable=False)] = None
    """Draw the tasks of `num_instances` and `limit` at random with this seed. A larger number contains the tasks of a smaller one."""
    epochs: Annotated[Count, Flag("--epochs", is_resumable=False)] = 1
    """Repetitions of every sample."""
    limit: Annotated[Count | None, Flag("--limit", is_resumable=False)] = None
    """Most tasks taken."""

    @model_validator(mode="after")
    def _keeps_to_its_scenario(self) -> SweepConfig:
        if self.scenario and (sentence := contradiction(self.scenario, dict(self))):
            raise ValueError(sentence)
        return self


class WeightsConfig(Section):
    """What the weighted score of a summary is made of; results do not depend on it."""

    grades: dict[Literal["full", "partial", "failed"], Share] = Field(default_factory=dict)
    """What a grade is worth in place of the answer's score: {partial: 0.5}."""
    error_classes: dict[str, Share] = Field(default_factory=dict)
    """What an answer with this class is worth: {sequence_order: 0.8}; wins over its grade."""
    task_types: dict[str, Weight] = Field(default_factory=dict)
    """How much a sample counts: {parallel: 2}; what is not named counts 1."""
    difficulties: dict[str, Weight] = Field(default_factory=dict)
    """As `task_types`, by difficulty; both are multiplied."""


class ScoringConfig(Section):
    """How scores are summed up."""

    weights: WeightsConfig = WeightsConfig()
    """What the weighted score is made of."""


class RunConfig(Section):
    """How the sweep is carried out."""

    seed: Annotated[int, Flag("--seed", is_resumable=False)] = 0
    """The seed of the run's own random draws. They choose the steps of a plan that are spoilt and the simulated tools that fail."""
    rate_mode: Annotated[Literal["adaptive", "fixed"], Flag("--rate-mode"), Variable("RATE_MODE")] = "adaptive"
    """How requests are limited. adaptive: by what the answers tell of the limits. fixed: by the workers and the rate of the profile."""
    max_workers: Annotated[Count | None, Flag("--max-workers")] = None
    """Most samples in flight per instance. Wins over the profile where that has more."""
    max_retries: Annotated[int, Field(ge=0), Flag("--max-retries")] = 5
    """Further attempts of one call after the first; a throttled request is not an attempt."""
    attempt_timeout_s: Annotated[PositiveSeconds, Flag("--attempt-timeout")] = 300
    """Seconds for one request. From the send to the end of its answer; `models.NAME.timeouts` wins, as over the next."""
    sample_timeout_s: Annotated[PositiveSeconds, Flag("--sample-timeout")] = 1800
    """Seconds for one sample, its retries and waits included."""
    cost_limit_usd: Annotated[Amount | None, Flag("--cost-limit", metavar="USD")] = None
    """Most that the run may cost, resumes included. US dollars; then the run drains and can be resumed with a higher limit."""
    token_limit: Annotated[Count | None, Flag("--token-limit")] = None
    """Most tokens, input and output, resumes included. Then the run drains and can be resumed with a higher limit."""
    time_limit_s: Annotated[Duration | None, Flag("--time-limit", metavar="DURATION")] = None
    """Wall time of this execution: seconds, or 90m, 2h30m. Then the run drains, and requests in flight have `grace_s` to end."""
    stagger_s: Annotated[Delays, Flag("--no-stagger", sets=[0], help="Start all shards at once.")] = (0, 30, 20)
    """Seconds from the start of the shard before to that of each shard; a shorter list repeats its last value, [0] starts all at once."""
    rebalance: Annotated[bool, Flag("--no-rebalance", help="Keep to the plan: nobody takes over another's work.")] = (
        True
    )
    """Whether an instance that runs dry takes over work of the one that would finish last."""
    cold: Annotated[bool, Flag("--cold")] = False
    """Ignore what earlier runs have learnt about limits."""
    share: Annotated[bool, Flag("--share")] = False
    """Use keys that another run is using, too. Without it a run refuses keys that a run of this machine holds."""
    lock: Annotated[bool, Flag("--no-lock", help="Run without locks, on a file system that has none.")] = True
    """Whether the run directory and the keys are locked against other processes. off: where a file system has no locks; then nothing
    keeps a second process from running the same run, which pays for its samples twice, or two runs from throttling each other."""
    drift_check: Annotated[Count | None, Flag("--drift-check", metavar="N")] = None
    """Ask N tasks at every instance first: is it one model? Only of a model with several instances, once in a run; an instance that
    answers otherwise is reported. None: no such requests; 5 find most drifts, with a generation.temperature of 0."""
    rehearse: Annotated[bool, Flag("--rehearse")] = False
    """Rehearse on a virtual clock first; shown against what happened."""
    notify: Annotated[str | None, Flag("--notify", metavar="COMMAND")] = None
    """Run COMMAND for every alert; it gets JSON on standard input."""
    display: Annotated[Literal["full", "plain", "none"] | None, Flag("--display")] = None
    """How progress is shown. None: full on a terminal, plain elsewhere."""
    output_dir: Annotated[Text, Flag("--output-dir", "-o", is_path=True, is_resumable=False)] = "runs"
    """The folder in which run directories are created."""
    share_files: Annotated[bool, Flag("--share-files", is_resumable=False)] = False
    """Let others of this machine read the run directory. As far as the umask allows; without it the directory is yours alone (0700)."""
    storage_format: Annotated[Literal["parquet", "json"], Variable("STORAGE_FORMAT")] = "parquet"
    """What results are written as: Parquet parts, or one results.jsonl."""
    part_records: Count = 20_000
    """Records after which a part of the results is written, or 16 MB of them; each waits in the journal until then, just as safe."""
    solver: str = "single_turn"
    """single_turn, tool_loop, or `module:function` of your own."""
    scorer: str | dict[str, object] = "includes"
    """For task files that name none: a scorer's name, a mapping with its options, or `module:function` of your own. The names are exact,
    exact_any, includes, regex, numeric, choice, f1, json_schema, tool_calls and model_graded. Options are written as
    {name: numeric, tolerance: 0.01}, {name: choice, index_base: 1} or {name: tool_calls, arguments: ignore}."""
    adapt: Adapt = "rename"
    """Where an instance refuses a field of `generation` in its own words. rename: max_tokens and max_completion_tokens stand in for each
    other, which changes nothing that is asked. drop: a temperature, seed or other field is left out as well. never: neither. What was sent
    stands in the column `adaptation` of every record."""
    retry_budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    """Retries as a share of the calls of an execution, beside the first 500; what fails beyond is not tried again until a resume."""
    grace_s: Seconds = GRACE_S
    """Seconds that a draining run waits for what is in flight; less than the time between a SIGTERM and its SIGKILL."""
    max_user_errors: Count = 1
    """Exceptions of your own solver or scorer after which the run drains."""
    stall_after_s: PositiveSeconds = 300
    """Seconds without a finished sample after which a run counts as stalled and says so. While a model with its own attempt deadline
    (`timeouts`) may still answer, the run is not stalled."""
    debug_log: Annotated[bool, Variable("DEBUG_LOG")] = False
    """Whether every step of every sample is logged in the run directory."""
    debug_process_num: Annotated[Count | None, Variable("DEBUG_PROCESS_NUM")] = None
    """Log the n-th shard alone, counted from 1."""


def _check_name(name: str) -> str:
    """Check a provider's name, which becomes part of file names and of every instance's name."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
        raise ValueError(f"a provider's name has 1 to {LONGEST_NAME} printable characters and no slash")
    return name


ProviderName = Annotated[str, AfterValidator(_check_name)]


class Config(Section):
    """The whole file."""

    providers: Annotated[dict[ProviderName, dict[str, object]], Field(min_length=1)]
    """The providers, by names of your choice. `type` determines which other settings an entry may hold."""
    models: Annotated[dict[str, ModelConfig], Field(min_length=1)]
    """What is tested, by a name of yours."""
    tasks: Annotated[tuple[TaskFileConfig, ...], Field(min_length=1)]
    """What is asked: files of tasks."""
    prompts: dict[str, Prompt] = Field(default_factory=dict)
    """Prompt types of your own: a YAML file, a text with a placeholder ("{question} Answer briefly.", the user message), or a mapping.
    Files in the folder `prompts` need no entry."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """US dollars per million tokens, by model; wins over the list that ships with genai-prices."""
    sweep: SweepConfig = SweepConfig()
    """The models, tasks and variants of the sweep."""
    generation: GenerationConfig = GenerationConfig()
    """How answers are generated."""
    tools: ToolsConfig = ToolsConfig()
    """How tools are offered, called and simulated."""
    scoring: ScoringConfig = ScoringConfig()
    """How scores are summed up."""
    run: RunConfig = RunConfig()
    """How the sweep is carried out."""
    cache: CacheConfig = CacheConfig()
    """Answers of earlier runs in place of requests."""
    allow: Names = ()
    """Places of this file that look like keys and are none, such as generation.extra_body.session; all below them is allowed, too."""

    @model_validator(mode="before")
    @classmethod
    def _spells_its_scenario_out(cls, raw: object) -> object:
        return spell_out(raw)

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Config:
        for name, model in self.models.items():
            for route in model.all_routes():
                if route.provider not in self.providers:
                    raise ValueError(
                        f"models.{name} names the provider {route.provider!r}, which is not under `providers`"
                    )
        for number, entry in enumerate(self.tasks):
            for name in entry.models:
                if name not in self.models:
                    raise ValueError(f"tasks.{number}.models names {name!r}; {suggestion(name, self.models)}")
        return self

    def generation_of(self, model: str) -> GenerationConfig:
        """Return how the answers of a model are generated: the model's own settings override those of the file."""
        own = self.models[model].generation
        return self.generation if own is None else own.over(self.generation)

    def tool_formats(self) -> Mapping[str, ToolFormat]:
        """Return the tool format of every model."""
        text = TextFormat(TextProtocol(**dict(self.tools.text)))
        return {name: text if model.tool_format == "text" else NATIVE for name, model in self.models.items()}

    def swept_models(self) -> tuple[str, ...]:
        """Return the models of the sweep: those that it names, or else all models of the file."""
        return self.sweep.models or tuple(self.models)
