"""A command group that imports the module of a command only when the command is called, so that `--help` is fast."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A command group that knows only the names and help lines of its commands until one is called."""

    def __init__(self, *arguments: Any, rows: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        """Take `rows`: for every command name, its module below `orchestrator.cli` and one line of help."""
        super().__init__(*arguments, **settings)
        self._rows = rows

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command; return None where the name is unknown."""
        if cmd_name not in self._rows:
            return None
        command = importlib.import_module(f"orchestrator.cli.{self._rows[cmd_name][0]}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the help lines without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in self._rows.items()])
