"""`cache`: show, clear or fill the cache of answers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import trust_option

if TYPE_CHECKING:
    from runners.cache.answer_store import AnswerStore

LEFT_OUT = "they have no answer, or several turns, tools, reasoning, or an answer from the cache"

_FOLDER = click.option("--dir", "folder", type=click.Path(), help="The folder, where the sweep file sets cache.dir.")


@click.group("cache")
def command() -> None:
    """Show, clear or fill the cache of answers. `run --cache` uses it."""


@command.command("info")
@_FOLDER
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def info(folder: str | None, as_json: bool) -> int:
    """Print what is kept: answers, bytes, ages, and the number of answers of each model."""
    import time
    from contextlib import closing
    from dataclasses import asdict

    from ..config.sections.durations import told
    from ..ui.terminal import say, say_json

    with closing(_open(folder)) as store:
        figures = store.figures()
    if as_json:
        say_json({"path": str(store.path), **asdict(figures), "by_model": dict(figures.by_model)})
    elif figures.oldest is None or figures.newest is None:
        say(f"no answers are kept in {store.path}; `run --cache` keeps them")
    else:
        now = time.time()
        say(f"{store.path}: {figures.entries:,} answers, {figures.size / 2**20:,.1f} MB")
        say(f"the oldest is {told(round(now - figures.oldest))} old, the newest {told(round(now - figures.newest))}")
        for model, entries in figures.by_model:
            say(f"  {model}: {entries:,}")
    return 0


@command.command("clear")
@_FOLDER
@click.option("--older-than", metavar="DURATION", default="0", help="Only what is older, e.g. 12h or 7d.")
def clear(folder: str | None, older_than: str) -> int:
    """Delete the answers that are kept."""
    from contextlib import closing

    from ..config.sections.durations import seconds_of
    from ..ui.terminal import say

    try:
        seconds = seconds_of(older_than)
    except ValueError as error:
        raise click.UsageError(f"--older-than: {error}") from error
    assert isinstance(seconds, float)
    with closing(_open(folder)) as store:
        say(f"{store.clear(seconds):,} answers deleted")
    return 0


@command.command("import")
@click.argument("run", type=click.Path())
@trust_option
def import_(run: str, trust: bool) -> int:
    """Keep the answers of an earlier RUN: those of samples with one question, without tools and reasoning."""
    from ..api import stored_config
    from ..config.environment import read_environment
    from ..execution.history.trust import SCORERS, require_trusted
    from ..rescoring.keeping import keep_answers
    from ..results.run_directory.directory import RunDirectory
    from ..ui.terminal import say

    directory = RunDirectory(Path(run))
    require_trusted(directory, "cache import", SCORERS, is_given=trust)
    environment = read_environment(Path(directory.read_manifest().base) / "sweep.yaml")
    kept = keep_answers(directory.path, stored_config(directory, environment))
    say(f"{kept.answers:,} answers kept in {kept.path}; {kept.others:,} samples left out: {LEFT_OUT}")
    return 0


def _open(folder: str | None) -> AnswerStore:
    """Open the answers on disk, without a bound: commands drop only what they are told to."""
    from runners.cache.answer_store import AnswerStore

    from ..execution.answer_cache import default_folder

    return AnswerStore(default_folder() if folder is None else Path(folder), 2**62, math.inf)
