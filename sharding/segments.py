"""Which models get which tasks: a sweep's selected tasks as runs of neighbours, because a task file is bound to models as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import orjson

from .tasks.task import TaskSet


@dataclass(frozen=True, slots=True)
class BoundTasks:
    """Neighbouring tasks that the same models get."""

    places: int
    """The number of tasks."""
    models: tuple[str, ...] | None
    """None: every model."""


def bound_segments(tasks: TaskSet, rows: Sequence[int]) -> Sequence[BoundTasks] | None:
    """Group the selected rows by their models; None where every model gets every task."""
    if not tasks.is_bound:
        return None
    runs = groupby(map(tasks.models, rows))
    return [BoundTasks(sum(1 for _ in run), None if models is None else tuple(models)) for models, run in runs]


def write_segments(segments: Sequence[BoundTasks]) -> str:
    """Write segments as text, for the manifest."""
    return orjson.dumps([[segment.places, segment.models] for segment in segments]).decode()


def read_segments(text: str) -> Sequence[BoundTasks]:
    """Read what `write_segments` wrote. Raises ValueError."""
    return [BoundTasks(places, None if models is None else tuple(models)) for places, models in orjson.loads(text)]


def places_of(model: str, segments: Sequence[BoundTasks]) -> Iterator[range]:
    """Yield the places of a model's tasks as ranges."""
    start = 0
    for segment in segments:
        if segment.models is None or model in segment.models:
            yield range(start, start + segment.places)
        start += segment.places
