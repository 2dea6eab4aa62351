"""A task set in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sharding.tasks.task import Task


class ListedTasks:
    """Tasks of a list, as of a file named "listed"."""

    fingerprint = "listed"

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, row: int) -> Task:
        return self._tasks[row]

    def kind(self, row: int) -> tuple[str, str]:
        return self._tasks[row].task_type, self._tasks[row].difficulty

    def kinds(self) -> Iterator[tuple[str, str]]:
        return map(self.kind, range(len(self)))

    def scorer(self, row: int) -> str | None:
        return None

    is_bound = False
    declares_results = False
    notes = ()

    def models(self, row: int) -> None:
        return None

    def unusual_targets(self) -> range:
        return range(len(self._tasks))

    def origin(self, row: int) -> str:
        return f"listed, item {row + 1}"

    def close(self) -> None:
        pass
