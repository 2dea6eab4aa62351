"""From the user's options, a preset or single values, to the workload and the setting of a load test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from providers.errors import InputError
from providers.messages import Generation
from providers.suggestion import suggestion
from runners.load.run_load import ClosedLoop, OpenLoop, Volume

from ...config.loading import LoadedConfig
from ...config.settings import Config
from ...open_sweep import open_sweep
from ..workload.presets import PURPOSES, WORKLOADS, PurposePreset, WorkloadPreset
from ..workload.prompts import (
    MOST_PROMPTS,
    Lengths,
    SyntheticPrompts,
    read_conversations,
    read_lengths,
    shuffled,
    sweep_prompts,
)
from ..workload.workload import Prompt, Workload
from .measures import MINUTE_S, Trim
from .trial import LoadSetting

TASKS = "tasks"
"""The name of the workload that consists of the sweep's own tasks."""
SYNTHETIC = "synthetic"
INPUT = Lengths(256, 768)
"""Of different lengths, so that a token quota can be recognized."""
OUTPUT = Lengths(128, 128)


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """The requested workload; None takes the default of the workload."""

    name: str | None = None
    """A preset, `tasks`, `synthetic` (the same as None) or a file of conversations."""
    input: str | None = None
    output: str | None = None
    range_ratio: float = 0.0
    prefix_ratio: float = 0.0
    stream: bool = True

    @property
    def preset(self) -> WorkloadPreset | None:
        """The preset of that name, if any."""
        return WORKLOADS.get(self.name or "")

    @property
    def is_synthetic(self) -> bool:
        """Whether the prompts are random words."""
        return self.name in {None, SYNTHETIC} or self.preset is not None

    @property
    def has_lengths(self) -> bool:
        """Whether it sets the lengths or the common prefix of synthetic prompts."""
        return bool(self.input or self.output or self.range_ratio or self.prefix_ratio)


def build_workload(spec: WorkloadSpec, loaded: LoadedConfig, model: str) -> Workload:
    """Build the workload. Raises InputError where the file or a value is wrong."""
    config = loaded.config
    generation = replace(config.generation_of(model).as_generation(), stream=spec.stream)
    if spec.is_synthetic:
        return _synthetic(spec, config.run.seed, generation)
    if spec.has_lengths:
        raise InputError(f"--workload {spec.name} has lengths of its own: omit --random-… and --prefix-ratio")
    if spec.name == TASKS:
        return _listed(TASKS, _tasks(loaded, model, generation.max_tokens), config, generation)
    path = Path(str(spec.name))
    if not path.is_file():
        known = suggestion(str(spec.name), [*WORKLOADS, TASKS, SYNTHETIC])
        raise InputError(f"--workload {spec.name} is neither a file nor a known workload; {known}")
    return _listed(path.name, read_conversations(path, generation.max_tokens), config, generation)


def with_prompts(workload: Workload, prompts: SyntheticPrompts) -> Workload:
    """Replace the prompts of a workload."""
    return replace(workload, prompt=prompts, input_tokens=prompts.expected_tokens)


def in_contrast(workload: Workload) -> Workload | None:
    """Return requests of twice the tokens and half the output; None where the lengths are not ours to choose."""
    if not isinstance(workload.prompt, SyntheticPrompts):
        return None
    prompts = workload.prompt.in_contrast()
    return _bounded(replace(with_prompts(workload, prompts), max_output_tokens=prompts.output.mean))


def _synthetic(spec: WorkloadSpec, seed: int, generation: Generation) -> Workload:
    if not 0 <= spec.prefix_ratio <= 1:
        raise InputError(f"--prefix-ratio {spec.prefix_ratio:g} must lie in [0, 1]")
    preset = spec.preset
    prompts = SyntheticPrompts(
        _lengths(spec.input, spec.range_ratio, preset.input if preset else INPUT),
        _lengths(spec.output, spec.range_ratio, preset.output if preset else OUTPUT),
        seed,
        spec.prefix_ratio,
    )
    return _bounded(Workload(spec.name or SYNTHETIC, prompts.expected_tokens, prompts.output.mean, prompts, generation))


def _bounded(workload: Workload) -> Workload:
    """Apply a bound from `extra_body`, which overrides that of the prompts, as it does in the request."""
    limit = replace(workload.generation, max_tokens=None).output_limit
    return workload if limit is None else replace(workload, max_output_tokens=limit)


def _lengths(text: str | None, ratio: float, otherwise: Lengths) -> Lengths:
    if text is None:
        text = f"{round(otherwise.mean)}" if ratio else f"{otherwise.least}:{otherwise.most}"
    return read_lengths(text, ratio)


def _tasks(loaded: LoadedConfig, model: str, max_tokens: int | None) -> list[Prompt]:
    opened = open_sweep(loaded)
    try:
        return sweep_prompts(opened.sweep, model, max_tokens)
    finally:
        opened.tasks.close()


def _listed(name: str, prompts: Sequence[Prompt], config: Config, generation: Generation) -> Workload:
    from providers.usage.estimates import TokenEstimator

    estimator = TokenEstimator()
    input_tokens = [estimator.estimate(prompt.messages, prompt.tools) for prompt in prompts[:MOST_PROMPTS]]
    bounds = [prompt.max_tokens for prompt in prompts if prompt.max_tokens is not None]
    mean_bound = sum(bounds) / len(bounds) if len(bounds) == len(prompts) else None
    order = shuffled(prompts, config.run.seed)
    return _bounded(Workload(name, sum(input_tokens) / len(input_tokens), mean_bound, order, generation))


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """The requested load and duration; None leaves a value to the preset."""

    purpose: str | None = None
    max_concurrency: int | None = None
    request_rate: float | None = None
    burstiness: float = 1.0
    num_prompts: int | None = None
    duration_s: float | None = None
    warmup_s: float = 0.0
    cooldown_s: float = 0.0


PLAIN = PurposePreset("as requested")


def build_setting(spec: LoadSpec, traffic: WorkloadPreset | None, config: Config) -> LoadSetting:
    """Build the one requested setting. Raises InputError where the options give none, or several."""
    purpose = _purpose(spec.purpose)
    _check(spec)
    scheduled = spec.max_concurrency or (traffic and traffic.max_concurrency) or purpose.max_concurrency
    concurrency = purpose.concurrency(scheduled) if scheduled else None
    rate = purpose.rate_per_s(_aimed_rate(spec, traffic))
    if concurrency is None and spec.request_rate is None and math.isinf(rate):
        raise InputError("state the load: --max-concurrency, --request-rate, a --preset or a --workload that has both")
    if math.isinf(rate) and concurrency is not None:
        load: ClosedLoop | OpenLoop = ClosedLoop(concurrency)
    else:
        load = OpenLoop(rate, spec.burstiness, concurrency)
    volume = _volume(spec, purpose, traffic, load)
    trim = Trim(spec.warmup_s, spec.cooldown_s)
    if volume.duration_s is not None and volume.duration_s <= (cut_s := spec.warmup_s + spec.cooldown_s):
        raise InputError(
            f"--warmup and --cooldown, {cut_s:g} s, leave nothing of {volume.duration_s:g} s to measure: increase --duration"
        )
    return LoadSetting(load, volume, config.run.attempt_timeout_s, trim, config.run.seed)


def _purpose(name: str | None) -> PurposePreset:
    purpose = PLAIN if name is None else PURPOSES[name]
    if purpose.climbs:
        raise InputError(f"the preset {name} needs a ladder of settings: use `bench ladder --preset {name}`")
    return purpose


def _check(spec: LoadSpec) -> None:
    for name, value in (
        ("--request-rate", spec.request_rate),
        ("--burstiness", spec.burstiness),
        ("--duration", spec.duration_s),
    ):
        if value is not None and not value > 0:
            raise InputError(f"{name} {value:g} must be above 0")
    for name, value in (("--warmup", spec.warmup_s), ("--cooldown", spec.cooldown_s)):
        if not 0 <= value < math.inf:
            raise InputError(f"{name} {value:g} must be 0 or more")


def _aimed_rate(spec: LoadSpec, traffic: WorkloadPreset | None) -> float:
    if spec.request_rate is not None:
        return spec.request_rate
    return traffic.rate_per_s if traffic else math.inf


def _volume(
    spec: LoadSpec, purpose: PurposePreset, traffic: WorkloadPreset | None, load: ClosedLoop | OpenLoop
) -> Volume:
    """Return the requested volume, else the preset's, else ten requests per worker slot or one minute of arrivals."""
    if spec.num_prompts is not None or spec.duration_s is not None:
        return Volume(spec.num_prompts, spec.duration_s)
    if purpose.requests is not None or purpose.duration_s is not None:
        return Volume(purpose.requests, purpose.duration_s)
    if traffic is not None:
        return Volume(traffic.requests)
    if isinstance(load, ClosedLoop):
        return Volume(10 * load.concurrency)
    if math.isinf(load.rate_per_s):
        raise InputError(
            "--request-rate inf without --max-concurrency sends all requests at once: give their number with --num-prompts"
        )
    return Volume(duration_s=MINUTE_S)
