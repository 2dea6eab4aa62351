"""What a run is graded with: its stored configuration or another file, with another scorer, other targets or settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.messages import JSON
from runners.samples.answer import ScorerFunction

from ..config.environment import Environment, SettingOverride
from ..config.loading import LoadedConfig, load_config
from ..results.run_directory.directory import RunDirectory
from ..scoring.setting import ScorerSetting


@dataclass(frozen=True, slots=True)
class Request:
    """What to grade a run with."""

    loaded: LoadedConfig
    """The configuration with the new scorers and weights."""
    targets: Mapping[str, JSON]
    """Targets by task id, in place of those of the task files."""
    scorer: ScorerFunction | None = None
    """Code that was passed from Python; `loaded` holds its name."""
    output_dir: Path | None = None
    """None: beside the run."""


def load_for_rescoring(
    directory: RunDirectory,
    environment: Environment,
    flags: Sequence[SettingOverride],
    config: str | None = None,
    scorer: ScorerSetting | None = None,
) -> LoadedConfig:
    """Load the stored configuration, or the file `config`. A `scorer` replaces those of all task sets."""
    manifest = directory.read_manifest()
    base = None if config else Path(manifest.base)
    loaded = load_config(config or manifest.raw, environment, flags, base=base, is_stored=config is None)
    if scorer is None:
        return loaded
    return load_config(_with_scorer(loaded.raw, scorer), environment, base=loaded.base, is_stored=loaded.is_stored)


def _with_scorer(raw: Mapping[str, Any], scorer: ScorerSetting) -> dict[str, Any]:
    tasks = [{name: value for name, value in entry.items() if name != "scorer"} for entry in raw["tasks"]]
    return {**raw, "tasks": tasks, "run": {**(raw.get("run") or {}), "scorer": scorer}}
