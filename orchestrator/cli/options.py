"""Options that several commands share. Each sets one setting of the sweep file; `--set` can set any other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from ..config.environment import SettingOverride
from ..config.sections.flags import Flag
from ..config.setting_index import Setting, fixed_settings, setting_at
from ..ui.terminal import say

CommandFunction = Callable[..., int]
"""The function of a command. It returns the exit code."""
Decorator = Callable[[CommandFunction], CommandFunction]

_SET = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Any setting of the file, e.g. run.grace_s=5."
)


def setting_option(path: str, help: str | None = None) -> Decorator:  # noqa: A002 - as click names it
    """Build the option of a setting that has a flag; `help` replaces the setting's own description."""
    setting = setting_at(path)
    if setting.flag is None:
        raise ValueError(f"{path} has no flag")
    return _option(setting, setting.flag, help)


def setting_options_of(settings: Iterable[Setting]) -> list[Decorator]:
    """Build the options of those that have a flag."""
    return [_option(setting, flag) for setting in settings if (flag := setting.flag) is not None]


def _option(setting: Setting, flag: Flag, text: str | None = None) -> Decorator:
    names = [flag.name, *([flag.short] if flag.short else [])]
    text = text or flag.help or setting.help
    if flag.sets is not None or setting.number_type is bool:
        return click.option(*names, is_flag=True, help=text)
    if flag.is_optional is not None:
        choices = click.Choice(setting.choices)
        return click.option(
            *names,
            cls=OptionalValue,
            type=choices,
            is_flag=False,
            flag_value=flag.is_optional,
            metavar="[=MODE]",
            help=text,
        )
    return click.option(
        *names, type=_value_type(setting, flag), multiple=flag.is_repeatable, metavar=flag.metavar, help=text
    )


class OptionalValue(click.Option):
    """A flag that may have one of a few words as its value: `--cache`, `--cache=read`. What follows it and is none of them is no value."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Give back a word that is not a choice, which click would take as the value."""
        super().add_to_parser(parser, ctx)
        assert isinstance(self.type, click.Choice)
        choices = self.type.choices
        for name in self.opts:
            option = parser._long_opt[name]  # noqa: SLF001 - click has no other way
            process = option.process

            def take(value: object, state: Any, process: Callable[[Any, Any], None] = process) -> None:
                if isinstance(value, str) and value not in choices:
                    state.rargs.insert(0, value)
                    value = self.flag_value
                process(value, state)

            option.process = take


def _value_type(setting: Setting, flag: Flag) -> click.Choice[str] | click.Path | type:
    """Choose the type that click reads. The configuration file validates the value: its message names the setting and the flag."""
    if flag.is_path:
        return click.Path()
    return click.Choice(setting.choices) if setting.choices else setting.number_type or str


trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Run the code and send the keys that the run names, though you did not start it on this machine.",
)


def config_argument(function: CommandFunction) -> CommandFunction:
    """Add the sweep file, as an argument or as --config."""
    function = click.option("--config", "-c", "config_option", type=click.Path(), help="The sweep file.")(function)
    return click.argument("config", required=False, type=click.Path())(function)


def sweep_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a new run."""
    return decorate(function, *setting_options_of(fixed_settings()), _SET)


def run_options(function: CommandFunction) -> CommandFunction:
    """Add the options of a new or resumed run."""
    resumable = [setting for setting in fixed_settings() if setting.flag and setting.flag.is_resumable]
    return decorate(function, *setting_options_of(resumable), _SET)


def decorate(function: CommandFunction, *options: Decorator) -> CommandFunction:
    """Add options; the help shows them in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def chosen_config(config: str | None, config_option: str | None) -> str:
    """Return the sweep file. Raises UsageError unless exactly one is named."""
    if bool(config) == bool(config_option):
        raise click.UsageError("name one sweep file, e.g. python -m orchestrator run sweep.yaml")
    return str(config or config_option)


def settings_of(options: Mapping[str, object]) -> list[SettingOverride]:
    """Return the given options as settings."""
    overrides = [
        SettingOverride(setting.path, _said(setting, flag, given), flag.name)
        for setting in fixed_settings()
        if (flag := setting.flag) is not None and _is_given(given := options.get(flag.parameter))
    ]
    sets = options.get("sets", ())
    return overrides + [_set(text) for text in (sets if isinstance(sets, tuple) else ())]


def show_warnings(warnings: Iterable[str]) -> None:
    """Print warnings on standard error, so that the output of --json stays one document."""
    for warning in warnings:
        say(f"warning: {warning}", err=True)


def _is_given(value: object) -> bool:
    """Return whether a flag was given. Zero counts as given; click's values for a missing flag do not."""
    return value is not None and value is not False and value != ()


def _said(setting: Setting, flag: Flag, given: object) -> object:
    """Return what a flag sets: its own value, the opposite of the default, or what was given."""
    if flag.sets is not None:
        return flag.sets
    if setting.number_type is bool:
        return not setting.field.default
    return ",".join(given) if isinstance(given, tuple) else given


def _set(text: str) -> SettingOverride:
    path, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--set {text}: write KEY=VALUE, e.g. --set run.max_retries=3")
    return SettingOverride(path.strip(), value, f"--set {path.strip()}")
