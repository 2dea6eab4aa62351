"""What follows from a field of the settings: its flag, its help, its environment variables and its place in the reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from orchestrator.cli.options import setting_options_of, settings_of
from orchestrator.cli.sweeps.resume import command as resume_command
from orchestrator.cli.sweeps.run import command as run_command
from orchestrator.config.environment import Environment, SettingOverride
from orchestrator.config.loading import load_config
from orchestrator.config.reference import all_sections, settings_page
from orchestrator.config.sections.flags import Flag, Variable
from orchestrator.config.setting_index import Setting, fixed_settings, settings_within
from orchestrator.config.settings import RunConfig

FLAGGED = [setting for setting in fixed_settings() if setting.flag is not None]
FILE: dict[str, Any] = {
    "providers": {"p": {"type": "openai", "base_url": "http://127.0.0.1:1/v1"}},
    "models": {"m": {"provider": "p"}},
    "tasks": [{"path": "t.jsonl"}],
}
SAID = {
    "cache": "read",
    "scenario": "scale",
    "model": "m",
    "tool_success_rate": "0.5",
    "rate_mode": "fixed",
    "time_limit": "90m",
    "notify": "mail",
    "display": "none",
}
"""Where not any number would do."""


def by_path(setting: Setting) -> str:
    return setting.path


def typed(setting: Setting) -> list[str]:
    """The flag as a person types it."""
    assert setting.flag is not None
    takes_none = setting.flag.sets is not None or setting.number_type is bool
    return [setting.flag.name] if takes_none else [setting.flag.name, SAID.get(setting.flag.parameter, "2")]


def given_to(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    with command.make_context(command.name, arguments, resilient_parsing=False) as context:
        return dict(context.params)


@pytest.mark.parametrize("setting", FLAGGED, ids=by_path)
def test_a_flag_stands_in_the_help_with_the_first_sentence_of_its_setting(setting: Setting) -> None:
    shown = " ".join(CliRunner().invoke(run_command, ["--help"]).output.split())
    assert setting.flag is not None
    said = setting.flag.help or setting.help
    assert re.search(rf"{setting.flag.name} (\S+ )?{re.escape(said)}", shown), said
    assert said.endswith((".", "?"))


@pytest.mark.parametrize("setting", FLAGGED, ids=by_path)
def test_a_flag_changes_its_setting_and_no_other(setting: Setting, tmp_path: Path) -> None:
    flags = settings_of(given_to(run_command, ["sweep.yaml", *typed(setting)]))
    assert [flag.path for flag in flags] == [setting.path]
    section, name = setting.path.split(".")
    changed = load_config(FILE, Environment({}), flags, base=tmp_path).config
    assert getattr(getattr(changed, section), name) != setting.field.default


@pytest.mark.parametrize("setting", [one for one in fixed_settings() if "." in one.path], ids=by_path)
def test_every_setting_has_an_environment_variable(setting: Setting) -> None:
    for name in filter(None, (setting.variable, setting.short_variable)):
        assert Environment({name: "x"}).settings() == [SettingOverride(setting.path, "x", name)]


@pytest.mark.parametrize(("flag", "path"), [("--max-retries", "run.max_retries"), ("--seed", "run.seed")])
def test_zero_is_a_value(flag: str, path: str) -> None:
    assert settings_of(given_to(run_command, ["sweep.yaml", flag, "0"])) == [SettingOverride(path, 0, flag)]


def test_no_flag_sets_nothing() -> None:
    assert settings_of(given_to(run_command, ["sweep.yaml"])) == []


def test_a_resume_takes_the_flags_that_results_do_not_depend_on(tmp_path: Path) -> None:
    names = {name for parameter in resume_command.params for name in parameter.opts}
    assert {setting.path for setting in FLAGGED if setting.flag and setting.flag.name not in names} == {
        *(setting.path for setting in FLAGGED if setting.path.startswith("sweep.")),
        "run.seed",
        "run.output_dir",
        "run.share_files",
    }


@pytest.mark.parametrize("section", all_sections(), ids=lambda section: section.heading)
def test_every_setting_is_documented_and_in_the_reference(section: Any) -> None:
    page = settings_page()
    rows = page[page.index(f"\n## {section.heading}\n") :]
    assert section.words
    for name, field in section.fields.items():
        assert field.description, name
        assert f"| `{name}` |" in rows


class NewRunConfig(RunConfig):
    """How the sweep is carried out, in a version to come."""

    patience: Annotated[int, Field(ge=0), Flag("--patience"), Variable("PATIENCE")] = 3
    """How often to sigh. Nobody knows why."""


def test_a_new_field_needs_no_other_file() -> None:
    (setting,) = (one for one in settings_within(NewRunConfig, "run.") if one.path == "run.patience")
    (option,) = setting_options_of([setting])
    (parameter,) = click.command("run")(option(lambda patience: int(patience))).params
    assert (parameter.opts, parameter.type.name) == (["--patience"], "integer")
    assert getattr(parameter, "help", "") == "How often to sigh."
    assert (setting.variable, setting.short_variable) == ("ORCHESTRATOR_RUN__PATIENCE", "PATIENCE")
    assert setting.documentation == "How often to sigh. Nobody knows why."
