"""Loads a user's file as a Config: file < .env < environment < flags, with one sentence for an error."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from providers.adapters.registry import adapter_type
from providers.adapters.settings import WireSettings
from providers.errors import InputError
from providers.suggestion import suggestion
from sharding.yaml_text import UNREADABLE, load_yaml, yaml_place

from .environment import Environment, SettingOverride
from .given_tasks import write_given_tasks
from .key_shapes import named_like_key, shaped_like_key
from .sections.task_settings import TAGS
from .setting_text import apply, part_at
from .settings import Config


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A validated configuration, with its source as merged and the settings of its providers."""

    config: Config
    raw: Mapping[str, object]
    """As merged, before defaults: what the manifest keeps. Holds names of variables, never keys."""
    base: Path
    """The folder that relative paths in the file start from."""
    providers: Mapping[str, BaseModel]
    """Each provider's settings, validated by its own class."""
    is_stored: bool = False
    """Whether it is that of a run that has begun."""
    is_trusted: bool = True
    """False for a run of somebody else: no function that its task files name is run."""

    def warnings(self) -> list[str]:
        """Return warnings about settings that are allowed but may be unintended."""
        used = {
            route.provider for model in self.config.swept_models() for route in self.config.models[model].all_routes()
        }
        return [
            *self._no_locks(),
            *self._idle_rates(),
            *self._idle_sample_seed(),
            *self._idle_prompts(),
            *self._notes(used),
        ]

    def _no_locks(self) -> list[str]:
        if self.config.run.lock:
            return []
        return [
            "run.lock is off: nothing keeps a second process from running this run, which would pay for its samples twice, "
            "or another run from using the same keys"
        ]

    def _idle_prompts(self) -> list[str]:
        """Return a warning where the file has prompt types of its own and names none for the sweep."""
        own, sweep = list(self.config.prompts), self.config.sweep
        if not own or "prompt_types" in sweep.model_fields_set or set(own) & set(sweep.prompt_types):
            return []
        return [
            f"prompts: {', '.join(own)} not used, because sweep.prompt_types names none; add sweep: {{prompt_types: [{own[0]}]}}"
        ]

    def _idle_sample_seed(self) -> list[str]:
        sweep = self.config.sweep
        if sweep.sample_seed is None or sweep.num_instances is not None or sweep.limit is not None:
            return []
        return ["sweep.sample_seed changes nothing: it draws the tasks of num_instances or limit, and neither is set"]

    def _idle_rates(self) -> list[str]:
        rates = [f"{rate:g}" for rate in self.config.sweep.tool_success_rates if rate < 1]
        if not rates or self.config.run.solver != "single_turn":
            return []
        return [
            f"sweep.tool_success_rates: {', '.join(rates)} changes nothing: the solver single_turn calls no tools, "
            "run.solver: tool_loop does"
        ]

    def _notes(self, used: Collection[str]) -> list[str]:
        return [
            f"providers.{name}: {note}"
            for name, settings in self.providers.items()
            if name in used and isinstance(settings, WireSettings)
            for note in settings.notes()
        ]


ConfigSource = str | Path | Mapping[str, object]


def load_config(
    source: ConfigSource,
    environment: Environment,
    flags: Sequence[SettingOverride] = (),
    *,
    base: Path | None = None,
    tasks: object = None,
    fields: Mapping[str, object] | None = None,
    is_stored: bool = False,
) -> LoadedConfig:
    """Read, merge and validate. `base` is where relative paths start: the file's folder if None. Raises InputError naming the key.

    `tasks` are rows from Python in place of the file's tasks, `fields` name their columns. Where the `source` is that of a run that has
    begun (`is_stored`), only the overrides are searched for keys.
    """
    raw, folder, name = _read(source)
    settings = [*environment.settings(), *flags]
    places = [apply(raw, setting) for setting in settings]
    searched = {"allow": raw.get("allow"), **part_at(raw, places)} if is_stored else raw
    write_given_tasks(raw, tasks, fields)
    _require_json(raw, name)
    said_by = {setting.path: setting.source for setting in settings}
    _refuse_key(shaped_like_key(searched), name, said_by)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise InputError(_sentence(error, name, said_by, raw)) from error
    _check_models(config, name)
    providers = provider_settings(config, name, base or folder)
    _refuse_key(named_like_key(searched), name, said_by)
    return LoadedConfig(config, raw, base or folder, providers, is_stored)


def _refuse_key(place: str | None, name: str, said_by: Mapping[str, str]) -> None:
    """Raise InputError where a key stands at `place`; its value is never shown."""
    if place is not None:
        said = f" (from {said_by[place]})" if place in said_by else ""
        raise InputError(
            f"{name}: {place}{said}: looks like a key, which the run directory would keep; put it into a variable and name that under "
            f"`providers` (api_key_env, header_envs), or list the place under `allow` where it is none"
        )


def provider_settings(config: Config, name: str, base: Path) -> dict[str, BaseModel]:
    """Validate each entry of `providers` with its adapter's own settings class; relative paths in it start at `base`."""
    found = {}
    for key, entry in config.providers.items():
        kind = entry.get("type")
        if not isinstance(kind, str):
            raise InputError(f"{name}: providers.{key}.type is missing; say azure, gateway, openai or simulator")
        try:
            found[key] = adapter_type(kind).settings.model_validate(entry, context={"base": base})
        except ValidationError as error:
            raise InputError(_sentence(error, name, {}, entry, prefix=f"providers.{key}.")) from error
        except InputError as error:
            raise InputError(f"{name}: providers.{key}.type: {error}") from error
    return found


def _read(source: ConfigSource) -> tuple[dict[str, Any], Path, str]:
    if isinstance(source, Mapping):
        return _copied(source), Path.cwd(), "the configuration"
    path = Path(source)
    try:
        raw = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text") from error
    except UNREADABLE as error:
        raise InputError(f"{path} is not valid YAML: {yaml_place(error)}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path} must hold a mapping with providers, models, tasks and sweep")
    return raw, path.resolve().parent, str(path)


def _copied(section: Mapping[str, object]) -> dict[str, Any]:
    """Copy a configuration; rows of tasks in it stay the caller's own, because they may be large and are only read."""
    return {
        key: list(value) if key == "tasks" and isinstance(value, list | tuple) else copy.deepcopy(value)
        for key, value in section.items()
    }


def _require_json(raw: Mapping[str, object], name: str) -> None:
    """Raise InputError if a value is no JSON, because the manifest keeps the configuration as JSON."""
    try:
        orjson.dumps(raw, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise InputError(f"{name}: holds a value that JSON cannot hold: {error}") from error


def _check_models(config: Config, name: str) -> None:
    for model in config.sweep.models:
        if model not in config.models:
            raise InputError(f"{name}: no model {model!r}; {suggestion(model, config.models)}")


def _sentence(
    error: ValidationError, name: str, said_by: Mapping[str, str], raw: Mapping[str, object], prefix: str = ""
) -> str:
    """Describe the first problem and count the others; a misspelt key is reported before the key that is missing because of it."""
    problems = error.errors(include_url=False)
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    key = prefix + ".".join(str(part) for part in _keys(first["loc"], raw))
    said = f" (from {said_by[key]})" if key in said_by else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    reason = _reason(first, error, shows_input=not key.startswith("providers."))
    return f"{name}: {key}{said}: {reason}{more}".replace(": : ", ": ")


def _keys(place: Sequence[int | str], raw: Any) -> Iterable[int | str]:
    """Return the parts of an error's location that are keys in the user's file or missing from it, without names of our types."""
    for number, part in enumerate(place, start=1):
        if isinstance(part, int) and isinstance(raw, list | tuple) and part < len(raw):
            yield part
            raw = raw[part]
        elif isinstance(raw, Mapping) and (part in raw or (number == len(place) and part not in TAGS)):
            yield part
            raw = raw.get(part)


def _reason(problem: Any, error: ValidationError, *, shows_input: bool) -> str:
    """Describe what is wrong, without the input if a key may have been written in place of its variable's name."""
    if problem["type"] == "extra_forbidden":
        *parents, last = problem["loc"]
        return f"unknown key; {suggestion(str(last), _known_keys(error.title, parents))}"
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "too_short":
        return "is empty; name at least one"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    message = f"{str(problem['msg'])[0].lower()}{str(problem['msg'])[1:]}"
    return f"{message}, not {problem['input']!r}" if shows_input else message


def _known_keys(title: str, parents: Sequence[int | str]) -> list[str]:
    """Return the fields of the model at `parents`."""
    kinds = {kind.__name__: kind for kind in _models(BaseModel)}
    kind: type[BaseModel] | None = kinds.get(title)
    for part in parents:
        if kind is not None and part in kind.model_fields:
            kind = _model_within(kind.model_fields[str(part)].annotation)
    return list(kind.model_fields) if kind else []


def _models(kind: type[BaseModel]) -> Iterable[type[BaseModel]]:
    for below in kind.__subclasses__():
        yield below
        yield from _models(below)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside `dict[str, M]`, `tuple[M, ...]` or `M | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_within(inner)
        if found is not None:
            return found
    return None
