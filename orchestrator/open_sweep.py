"""The sweep of a configuration: its task files read, its axes laid out, and what its results belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion
from runners.samples.solvers import SOLVERS
from sharding.prompts.templates import load_prompt_types
from sharding.sweep import Sweep, SweepSpec
from sharding.tasks.locations.files import as_typed, find_files, find_readable
from sharding.tasks.sources import STORES, SourceSpec, TaskPool, open_tasks, read_rows
from sharding.tasks.tool_registry import RegistrySpec

from .config.loading import LoadedConfig
from .config.own_code import Function
from .config.sections.task_settings import PromptConfig, TaskFileConfig
from .config.sections.tool_settings import RegistryConfig, TextToolsConfig
from .config.settings import Config
from .config.user_code import load_function
from .scoring.registry import judge_of, spelt_out
from .scoring.setting import ScorerSetting
from .ui.scan_progress import scan_shown

PROMPTS = "prompts"
"""The folder beside the configuration file whose YAML files are prompt types, each named after its file."""


FILES = (".yaml", ".yml")
"""Endings of a file with a prompt type."""


@dataclass(frozen=True, slots=True)
class OpenSweep:
    """A sweep with the task pool that it was opened over."""

    tasks: TaskPool
    sweep: Sweep
    notes: Sequence[str] = ()
    """What was found beside the tasks and is not used."""


def open_sweep(loaded: LoadedConfig, *, is_shown: bool = True) -> OpenSweep:
    """Read the task files, which is shown if it takes long, and lay out the sweep. Raises InputError naming file and row."""
    config, axes = loaded.config, loaded.config.sweep
    prompts = {name: _prompt(name, given, loaded.base) for name, given in config.prompts.items()}
    dropped = {path.stem: path for path in sorted((loaded.base / PROMPTS).glob("*.yaml"))}
    prompt_types = load_prompt_types(axes.prompt_types, {**dropped, **prompts}, _read_rows, loaded.base)
    needs_input = any(prompt.shows_input for prompt in prompt_types.values())
    found = [_sources(entry, loaded, needs_input=needs_input) for entry in _swept_entries(config)]
    with scan_shown(config.run.display if is_shown else "none") as on_progress:
        tasks = open_tasks([spec for specs, _ in found for spec in specs], on_progress)
    notes = [*(note for _, own in found for note in own), *tasks.notes]
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
        sample_seed=axes.sample_seed,
    )
    try:
        sweep = Sweep(spec, tasks, prompt_types)
    except InputError as error:
        if axes.scenario is None:
            raise
        raise InputError(
            f"scenario {axes.scenario}: {error}; spell out what does not fit, e.g. --difficulty all"
        ) from error
    first = tasks[sweep.rows[0]]
    return OpenSweep(tasks, sweep, [*notes, *(note for prompt in sweep.prompts for note in prompt.notes(first))])


def _swept_entries(config: Config) -> list[TaskFileConfig]:
    """Return the task files that a model of the sweep gets. Raises InputError where there is none."""
    swept = set(config.swept_models())
    entries = [entry for entry in config.tasks if not entry.models or swept & set(entry.models)]
    if not entries:
        raise InputError(
            f"tasks: every task file is for other models than {', '.join(sorted(swept))}; add one to its models"
        )
    return entries


def _sources(
    entry: TaskFileConfig, loaded: LoadedConfig, *, needs_input: bool
) -> tuple[list[SourceSpec], Sequence[str]]:
    """Return the files of an entry, and what was found beside them."""
    scorer = spelt_out(entry.scorer or loaded.config.run.scorer)
    fields = {
        name: value if isinstance(value, str) else value.model_dump(exclude_unset=True)
        for name, value in entry.fields.items()
    }
    found = (
        find_files(entry.path, loaded.base, STORES) if entry.reader is None else find_readable(entry.path, loaded.base)
    )
    registry = _registry(entry.tools, loaded.base)
    specs = [
        SourceSpec(
            file.path, fields, scorer, entry.reader, entry.rows, entry.models or None, file.shown, needs_input, registry
        )
        for file in found.files
    ]
    return specs, found.notes


def _registry(entry: RegistryConfig | None, base: Path) -> RegistrySpec | None:
    return None if entry is None else RegistrySpec(as_typed(base / entry.registry), entry.names, entry.offer)


def _read_rows(path: Path) -> Sequence[Mapping[str, JSON]]:
    return read_rows(path)


def _prompt(name: str, given: str | PromptConfig, base: Path) -> Path | Mapping[str, object]:
    """Return the file of a prompt type, or its template. A text that is no file and has a placeholder or a space is the user message."""
    if not isinstance(given, str):
        return given.model_dump(exclude_none=True)
    is_text = "{" in given or any(sign.isspace() for sign in given.strip())
    if not given.lower().endswith(FILES) and is_text and not _is_file(base / given):
        return {"user": given}
    if not _is_file(base / given):
        raise InputError(
            f"prompts.{name}: {given!r} is neither a file beside the configuration nor a text with a placeholder; "
            'correct the path, or write the text, such as "Question: {input}"'
        )
    return base / given


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text may be longer than a name can be
        return False


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


def own_functions(
    config: Config, solver: Function | None = None, scorer: Function | None = None
) -> dict[str, Function]:
    """Return the person's own functions that results depend on, by what they are. Those that are given replace the file's."""
    solvers = {"your solver": solver} if solver else _loaded("solver", [config.run.solver])
    readers = _loaded("reader", [entry.reader or "" for entry in config.tasks])
    return {**solvers, **own_scorers(config, scorer), **readers}


def own_scorers(config: Config, scorer: Function | None = None) -> dict[str, Function]:
    """Return the person's own scorers by what they are; one that is given replaces the file's."""
    if scorer is not None:
        return {"your scorer": scorer}
    return _loaded("scorer", [_scorer_name(entry.scorer or config.run.scorer) for entry in config.tasks])


def _loaded(role: str, names: Sequence[str]) -> dict[str, Function]:
    return {f"the {role} {name}": load_function(name, role) for name in names if ":" in name}


def _scorer_name(setting: ScorerSetting) -> str:
    return setting if isinstance(setting, str) else str(setting.get("name", ""))


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
