"""Verbose logging of every shard, or of the n-th alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.execution.components import no_key
from orchestrator.execution.context import RunContext
from orchestrator.execution.debug import LOGGERS, ShardFilter, debug_log
from orchestrator.execution.prepare import prepare
from orchestrator.results.run_directory.directory import RunDirectory

Load = Callable[..., LoadedConfig]


@pytest.fixture
def prepared(load: Load) -> Callable[..., RunContext]:
    def made(**run: Any) -> RunContext:
        deployments: dict[str, dict[str, Any]] = {"m": {}, "m-2": {}}
        sections = {
            "providers": {"sim": {"type": "simulator", "deployments": deployments}},
            "models": {"m": {"provider": "sim", "deployments": list(deployments)}},
            "run": run,
        }
        return prepare(load(sections), no_key)

    return made


def said(prepared: RunContext, folder: Path) -> list[str] | None:
    """What is in the log after each shard, and nobody in particular, said something."""
    with debug_log(prepared, RunDirectory(folder)):
        for name in LOGGERS:
            logging.getLogger(name).debug("%s in general", name)
        for shard in ("sim/m", "sim/m-2"):
            logging.getLogger("runners.x").debug("of %s", shard, extra={"planned": shard})
    path = folder / "debug.log"
    return [line.partition(": ")[2] for line in path.read_text().splitlines()] if path.exists() else None


GENERAL = [f"{name} in general" for name in LOGGERS]


def test_nothing_is_logged_unless_asked(prepared: Callable[..., RunContext], tmp_path: Path) -> None:
    assert said(prepared(), tmp_path) is None


def test_debug_log_holds_every_shard(prepared: Callable[..., RunContext], tmp_path: Path) -> None:
    assert said(prepared(debug_log=True), tmp_path) == [*GENERAL, "of sim/m", "of sim/m-2"]


@pytest.mark.parametrize(("number", "shard"), [(1, "sim/m"), (2, "sim/m-2")])
def test_debug_process_num_holds_the_nth_shard_alone(
    prepared: Callable[..., RunContext], tmp_path: Path, number: int, shard: str
) -> None:
    assert said(prepared(debug_process_num=number), tmp_path) == [*GENERAL, f"of {shard}"]


def test_loggers_are_left_as_they_were(prepared: Callable[..., RunContext], tmp_path: Path) -> None:
    said(prepared(debug_log=True), tmp_path)
    for name in LOGGERS:
        assert (logging.getLogger(name).handlers, logging.getLogger(name).level) == ([], logging.NOTSET)


def test_a_line_of_no_shard_passes_the_filter() -> None:
    record = logging.LogRecord("runners", logging.DEBUG, "", 0, "x", None, None)
    assert ShardFilter("sim/m").filter(record)
    record.planned = "sim/m-2"
    assert not ShardFilter("sim/m").filter(record)
