"""Groups that know their commands by name and one line, and import a command's module when it is called: `--help` is quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    def __init__(self, *arguments: Any, rows: Mapping[str, str], module_prefix: str = "", **settings: Any) -> None:
        """`rows` are names and what they do; the module of `name` is `orchestrator.cli.{module_prefix}{name}`."""
        super().__init__(*arguments, **settings)
        self._rows = rows
        self._module_prefix = module_prefix

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in self._rows:
            return None
        command = importlib.import_module(f"orchestrator.cli.{self._module_prefix}{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(self._rows.items()))
