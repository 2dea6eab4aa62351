"""DEBUG_LOG and DEBUG_PROCESS_NUM: a log in the run directory, of every shard or of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Books, Program

Sweep = Callable[..., dict[str, Any]]


def test_debug_log_follows_every_sample(program: Program, sweep: Sweep, books: Books) -> None:
    program.write(sweep(program.folder, tasks=6))
    program.variables = {"DEBUG_LOG": "true"}
    path = program.path(program.run("sweep.yaml"))
    lines = (path / "debug.log").read_text().splitlines()
    for row in books.rows(path):
        assert any(row["sample_id"] in line and row["outcome"] in line for line in lines)


@pytest.mark.matrix
@pytest.mark.parametrize(("number", "instance"), [(1, "sim/m-1"), (2, "sim/m-2")])
def test_debug_process_num_follows_one_shard_alone(
    program: Program, sweep: Sweep, books: Books, number: int, instance: str
) -> None:
    program.write(sweep(program.folder, tasks=6))
    program.variables = {"DEBUG_PROCESS_NUM": str(number)}
    path = program.path(program.run("sweep.yaml"))
    text = (path / "debug.log").read_text()
    followed = {row["planned_instance"] for row in books.rows(path) if row["sample_id"] in text}
    assert followed == {instance}
    books.require_each_once(path, 6)


@pytest.mark.matrix
def test_there_is_no_log_unless_asked(program: Program, sweep: Sweep) -> None:
    program.write(sweep(program.folder, tasks=2))
    assert not (program.path(program.run("sweep.yaml")) / "debug.log").exists()
