"""The grid of a sweep as a heat map: a row per model and prompt type, a column per combination of the other axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .facts.gather import Facts
from .facts.group_scores import GroupScore, shown
from .tables import NOTHING, percent, span

STEPS = 10
ROW_AXES = ("model", "prompt_type")


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One cell of the heat map."""

    text: str
    words: str
    """The full text, with interval and count."""
    step: int | None
    """0 (nothing passed) to STEPS (everything passed); None where nothing is scored."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The cells of a sweep by row and column."""

    row_axes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[HeatCell, ...]], ...]
    """Levels and cells of each row; a level that repeats the row above is blank."""


EMPTY = HeatCell(NOTHING, "no sample", None)


def build_heat_map(facts: Facts) -> HeatMap | None:
    """Build the heat map; None where fewer than two axes have several levels, because the headline shows everything."""
    if len(facts.axes) < 2:
        return None
    across = tuple(axis for axis in facts.axes if axis not in ROW_AXES) or facts.axes[-1:]
    down = tuple(axis for axis in facts.axes if axis not in across)
    if not down:
        down, across = across[:1], across[1:]
    cells = {(_levels(score, down), _levels(score, across)): score for score in facts.cells}
    rows, columns = (list(dict.fromkeys(key[side] for key in cells)) for side in (0, 1))
    columns.sort()
    body = [(row, tuple(_cell(cells.get((row, column))) for column in columns)) for row in rows]
    return HeatMap(down, tuple(" · ".join(column) for column in columns), tuple(_unrepeated(body)))


def _levels(standing: GroupScore, axes: Sequence[str]) -> tuple[str, ...]:
    group: Mapping[str, object] = standing.group
    return tuple(shown(group[axis]) for axis in axes)


def _cell(score: GroupScore | None) -> HeatCell:
    if score is None or score.success_rate is None:
        return EMPTY if score is None else HeatCell(NOTHING, f"{score.name}: none of {score.total} scored", None)
    words = f"{score.name}: {percent(score.success_rate)} ({span(score.low, score.high)}), {score.scored} of {score.total} scored"
    return HeatCell(f"{100 * score.success_rate:.0f}", words, round(STEPS * score.success_rate))


def _unrepeated(
    body: Sequence[tuple[tuple[str, ...], tuple[HeatCell, ...]]],
) -> list[tuple[tuple[str, ...], tuple[HeatCell, ...]]]:
    rows, before = [], ""
    for levels, cells in body:
        rows.append((("", *levels[1:]) if levels[0] == before and len(levels) > 1 else levels, cells))
        before = levels[0]
    return rows
