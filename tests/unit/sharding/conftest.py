"""Task sets written for one test and closed after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from sharding.tasks.sources import SourceSpec, TaskPool, open_tasks

OpenText = Callable[..., TaskPool]
OpenRows = Callable[[Sequence[Mapping[str, object]]], TaskPool]


@pytest.fixture
def active() -> Iterator[Callable[..., TaskPool]]:
    """Open specs; the pools are closed when the test ends."""
    with ExitStack() as stack:

        def open_specs(*specs: SourceSpec) -> TaskPool:
            pool = open_tasks(specs)
            stack.callback(pool.close)
            return pool

        yield open_specs


@pytest.fixture
def open_text(tmp_path: Path, active: Callable[..., TaskPool]) -> OpenText:
    """Write `content` to a file of that name and open it, with `fields` where given."""

    def open_content(name: str, content: str | bytes, **fields: str) -> TaskPool:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return active(SourceSpec(path, fields))

    return open_content


@pytest.fixture
def open_rows(open_text: OpenText) -> OpenRows:
    """Open rows as JSON Lines."""
    return lambda rows: open_text("tasks.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
