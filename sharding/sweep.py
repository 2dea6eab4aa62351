"""The sweep: all samples of a run by ordinal; a sample is built only on access.

Ordinals increase by task, then epoch, prompt type, model and stage (tool success rate). A sample's id and seed depend on its content,
never on where or when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InputError

from .grid import Grid, lay_out_cells
from .plan import Cell, Sample
from .prompts.templates import PromptTemplate
from .segments import bound_segments, write_segments
from .selection import Selection, select_rows
from .tasks.task import TaskSet


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """The axes of a sweep. Raises InputError where an axis is empty or names a value twice."""

    models: Sequence[str]
    prompt_types: Sequence[str]
    tool_success_rates: Sequence[float] = (1.0,)
    difficulties: Sequence[str] | None = None
    """None: all difficulties."""
    task_types: Sequence[str] | None = None
    """None: all task types."""
    num_instances: int | None = None
    """Most tasks of every (task type, difficulty), the first ones in file order; None: all tasks."""
    epochs: int = 1
    limit: int | None = None
    """Most tasks in total; None: all tasks."""
    seed: int = 0
    sample_seed: int | None = None
    """The seed of a random choice of tasks for `num_instances` and `limit`; None takes the first ones."""

    def __post_init__(self) -> None:
        _refuse_repeats("models", self.models)
        _refuse_repeats("prompt_types", self.prompt_types)
        _refuse_repeats("tool_success_rates", self.tool_success_rates)
        for rate in self.tool_success_rates:
            if not 0 <= rate <= 1:
                raise InputError(f"tool_success_rates must lie between 0 and 1, not {rate:g}")
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, not {self.epochs}")

    @property
    def selection(self) -> Selection:
        """The criteria for tasks."""
        return Selection(self.difficulties, self.task_types, self.num_instances, self.limit, self.sample_seed)


def _refuse_idle_models(models: Sequence[str], grid: Grid) -> None:
    for model in models if grid.segments is not None else ():
        if not any(segment.models is None or model in segment.models for segment in grid.segments or ()):
            raise InputError(
                f"the model {model} gets no task: every task file names other models; leave it out, or add it to models of a task file"
            )


def _refuse_repeats(name: str, values: Sequence[object]) -> None:
    if not values:
        raise InputError(f"{name} is empty; name at least one")
    for value in values:
        if list(values).count(value) > 1:
            raise InputError(f"{name} names {value} twice")


class Sweep:
    """The samples of a run by ordinal. It keeps the selected rows and the grid, and no tasks."""

    def __init__(self, spec: SweepSpec, tasks: TaskSet, prompt_types: Mapping[str, PromptTemplate]) -> None:
        """Select the tasks. `prompt_types` must have every name of the spec. Raises InputError where no task is left."""
        self.spec = spec
        self.tasks = tasks
        self.stages = tuple(spec.tool_success_rates)
        """The tool success rates, one stage each."""
        self.prompts = [prompt_types[name] for name in spec.prompt_types]
        self.rows = select_rows(tasks, spec.selection)
        """The rows of the selected tasks in the task set."""
        cells = lay_out_cells(self.stages, spec.models, spec.prompt_types)
        self._grid = Grid(cells, spec.epochs, len(self.rows), spec.seed, bound_segments(tasks, self.rows))
        _refuse_idle_models(spec.models, self._grid)

    def __len__(self) -> int:
        return len(self._grid)

    def sample(self, ordinal: int) -> Sample:
        """Read the task of an ordinal and apply the cell's prompt type."""
        grid = self._grid
        number, epoch, place = grid.locate(ordinal)
        task = self.prompts[number % len(self.prompts)].apply(self.tasks[self.rows[place]])
        sample_id = grid.digest(number, task.task_id, epoch).hex()
        return Sample(ordinal, sample_id, task, grid.cells[number], epoch, grid.seed(task.task_id, epoch))

    def check_prompts(self) -> None:
        """Apply every prompt type that needs a plan or a column to every task. Raises InputError with file and row where it is missing."""
        needing = [prompt for prompt in self.prompts if prompt.needs_task]
        for row in self.rows if needing else ():
            task = self.tasks[row]
            for prompt in needing:
                try:
                    prompt.apply(task)
                except InputError as error:
                    raise InputError(f"{self.tasks.origin(row)}: {error}") from error

    def cell(self, ordinal: int) -> Cell:
        """Return the cell of an ordinal."""
        return self._grid.cells[self._grid.locate(ordinal)[0]]

    def prompt(self, ordinal: int) -> PromptTemplate:
        """Return the prompt type of an ordinal."""
        return self.prompts[self._grid.locate(ordinal)[0] % len(self.prompts)]

    def row(self, ordinal: int) -> int:
        """Return the row of an ordinal's task in the task set."""
        return self.rows[self._grid.locate(ordinal)[2]]

    def block(self, stage: int, model: str) -> range:
        """Return all ordinals of one model in one stage."""
        size = len(self.prompts)
        first = (stage * len(self.spec.models) + list(self.spec.models).index(model)) * size
        return range(self._grid.start_of(first), self._grid.start_of(first + size))

    def index_ids(self) -> dict[bytes, int]:
        """Map the digest of every sample (its id in bytes) to its ordinal, in about 140 bytes a sample.

        Reads every task once, independent of the number of cells and epochs.
        """
        grid, index = self._grid, dict[bytes, int]()
        for place, row in enumerate(self.rows):
            task_id = self.tasks[row].task_id
            for epoch in range(grid.epochs):
                for number in range(len(grid.cells)):
                    ordinal = grid.ordinal(number, epoch, place)
                    if ordinal is not None:
                        index[grid.digest(number, task_id, epoch)] = ordinal
        return index

    @property
    def fingerprint_parts(self) -> Mapping[str, str]:
        """The values that identify the samples; the user can compare them when a resume is refused."""
        spec = self.spec
        return {
            "tasks": self.tasks.fingerprint[:16],
            "task_count": str(len(self.rows)),
            "prompt_types": ", ".join(f"{prompt.name} ({prompt.digest})" for prompt in self.prompts),
            "models": ", ".join(spec.models),
            "tool_success_rates": ", ".join(f"{rate:g}" for rate in self.stages),
            "difficulties": _listed(spec.difficulties),
            "task_types": _listed(spec.task_types),
            "num_instances": _or_all(spec.num_instances),
            "limit": _or_all(spec.limit),
            "epochs": str(spec.epochs),
            "seed": str(spec.seed),
            **({} if spec.sample_seed is None else {"sample_seed": str(spec.sample_seed)}),
            **({} if self._grid.segments is None else {"task_models": write_segments(self._grid.segments)}),
        }


def _listed(names: Sequence[str] | None) -> str:
    return "all" if names is None else ", ".join(sorted(names))


def _or_all(number: int | None) -> str:
    return "all" if number is None else str(number)
