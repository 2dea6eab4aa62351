"""The sweep of a configuration: its task files read, its axes laid out, and what its results belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.suggestion import suggestion
from runners.samples.solvers import SOLVERS
from sharding.prompts.templates import load_prompt_types
from sharding.sweep import Sweep, SweepSpec
from sharding.tasks.sources import SourceSpec, TaskPool, open_tasks
from sharding.tasks.tool_registry import RegistrySpec

from .config.loading import LoadedConfig
from .config.settings import Config, PromptConfig, TaskFileConfig
from .config.tool_settings import RegistryConfig, TextToolsConfig
from .scoring.registry import judge_of, spelt_out

PROMPTS = "prompts"
"""The folder beside the configuration file whose YAML files are prompt types, each named after its file."""


@dataclass(frozen=True, slots=True)
class OpenSweep:
    """A sweep with the task pool that it was opened over."""

    tasks: TaskPool
    sweep: Sweep


def open_sweep(loaded: LoadedConfig) -> OpenSweep:
    """Read the task files and lay out the sweep. Raises InputError naming file and row."""
    config, axes = loaded.config, loaded.config.sweep
    tasks = open_tasks([spec for entry in config.tasks for spec in _sources(entry, loaded)])
    prompts = {name: _prompt(given, loaded.base) for name, given in config.prompts.items()}
    dropped = {path.stem: path for path in sorted((loaded.base / PROMPTS).glob("*.yaml"))}
    spec = SweepSpec(
        models=config.swept_models(),
        prompt_types=axes.prompt_types,
        tool_success_rates=axes.tool_success_rates,
        difficulties=axes.difficulties,
        task_types=axes.task_types,
        num_instances=axes.num_instances,
        epochs=axes.epochs,
        limit=axes.limit,
        seed=config.run.seed,
    )
    prompt_types = load_prompt_types(axes.prompt_types, {**dropped, **prompts})
    try:
        return OpenSweep(tasks, Sweep(spec, tasks, prompt_types))
    except InputError as error:
        if axes.scenario is None:
            raise
        raise InputError(
            f"scenario {axes.scenario}: {error}; spell out what does not fit, e.g. --difficulty all"
        ) from error


def _sources(entry: TaskFileConfig, loaded: LoadedConfig) -> list[SourceSpec]:
    scorer = spelt_out(entry.scorer or loaded.config.run.scorer)
    pattern = str(loaded.base / entry.path)
    paths = sorted(glob(pattern, recursive=True)) if has_magic(pattern) else [pattern]  # noqa: PTH207 - also absolute patterns
    if not paths:
        raise InputError(f"tasks: no file matches {entry.path} under {loaded.base}")
    registry = _registry(entry.tools, loaded.base)
    return [SourceSpec(_as_people_say(Path(path)), entry.fields, scorer, entry.reader, registry) for path in paths]


def _registry(entry: RegistryConfig | None, base: Path) -> RegistrySpec | None:
    return None if entry is None else RegistrySpec(_as_people_say(base / entry.registry), entry.names, entry.offer)


def _as_people_say(path: Path) -> Path:
    """Return the path relative to the current folder if it lies below it: messages name files as they were typed."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _prompt(given: str | PromptConfig, base: Path) -> Path | Mapping[str, str]:
    if isinstance(given, str):
        return base / given
    return {name: text for name, text in given if text is not None}


def needed_models(config: Config) -> tuple[str, ...]:
    """Return the models of the sweep and those that judge it. Raises InputError if a judge is no model of the file."""
    judges = (judge_of(entry.scorer or config.run.scorer) for entry in config.tasks)
    names = dict.fromkeys([*config.swept_models(), *(judge for judge in judges if judge is not None)])
    for name in names:
        if name not in config.models:
            raise InputError(f"the judge {name!r} is not under models; {suggestion(name, config.models)}")
    return tuple(names)


def method_parts(config: Config, scorer: str | None = None) -> dict[str, str]:
    """Return what results depend on beside the sweep: generation, solver and scorers. `scorer` overrides the file's."""
    return {
        "generation": config.generation.as_written(),
        "solver": config.run.solver,
        "scorers": scorer or ", ".join(spelt_out(entry.scorer or config.run.scorer) for entry in config.tasks),
        **_own_generations(config),
        **_tool_parts(config),
        **_operation_parts(config),
    }


def _operation_parts(config: Config) -> dict[str, str]:
    """Return the models whose operation is not chat."""
    other = [f"{name}: {model.operation}" for name, model in config.models.items() if model.operation != "chat"]
    return {"operations": ", ".join(other)} if other else {}


def _own_generations(config: Config) -> dict[str, str]:
    """Return the generation settings of the models that have their own."""
    models = {name: config.models[name].generation for name in needed_models(config)}
    written = {name: own.model_dump(mode="json", exclude_unset=True) for name, own in models.items() if own is not None}
    return {"model_generation": orjson.dumps(written, option=orjson.OPT_SORT_KEYS).decode()} if written else {}


def _tool_parts(config: Config) -> dict[str, str]:
    """Return how tools are used, if a built-in solver uses them in a way that can be changed."""
    parts = {"tools": config.tools.as_written()} if config.run.solver == "tool_loop" else {}
    text = [model for model in config.swept_models() if config.models[model].tool_format == "text"]
    if text and config.run.solver in SOLVERS:
        parts["tools_as_text"] = ", ".join(text)
        parts |= (
            {"text_protocol": config.tools.text.model_dump_json()} if config.tools.text != TextToolsConfig() else {}
        )
    return parts
