"""The grid of a sweep at one glance: a row per model and prompt type, a column per point of the other axes."""

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
    text: str
    words: str
    """The same in full, with its interval and count."""
    step: int | None
    """0 (nothing passed) to STEPS (everything did); None where nothing is scored."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    row_axes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[HeatCell, ...]], ...]
    """The row's levels and its cells; a level that the row above has already is blank."""


EMPTY = HeatCell(NOTHING, "no sample", None)


def build_heat_map(facts: Facts) -> HeatMap | None:
    """None where fewer than two axes have levels: the headline says it all."""
    if len(facts.axes) < 2:
        return None
    across = tuple(axis for axis in facts.axes if axis not in ROW_AXES) or facts.axes[-1:]
    down = tuple(axis for axis in facts.axes if axis not in across)
    if not down:
        down, across = across[:1], across[1:]
    cells = {(_levels(one, down), _levels(one, across)): one for one in facts.cells}
    rows, columns = (list(dict.fromkeys(key[side] for key in cells)) for side in (0, 1))
    columns.sort()
    body = [(row, tuple(_cell(cells.get((row, column))) for column in columns)) for row in rows]
    return HeatMap(down, tuple(" · ".join(column) for column in columns), tuple(_unrepeated(body)))


def _levels(standing: GroupScore, axes: Sequence[str]) -> tuple[str, ...]:
    group: Mapping[str, object] = standing.group
    return tuple(shown(group[axis]) for axis in axes)


def _cell(one: GroupScore | None) -> HeatCell:
    if one is None or one.success_rate is None:
        return EMPTY if one is None else HeatCell(NOTHING, f"{one.name}: none of {one.total} scored", None)
    words = f"{one.name}: {percent(one.success_rate)} ({span(one.low, one.high)}), {one.scored} of {one.total} scored"
    return HeatCell(f"{100 * one.success_rate:.0f}", words, round(STEPS * one.success_rate))


def _unrepeated(
    body: Sequence[tuple[tuple[str, ...], tuple[HeatCell, ...]]],
) -> list[tuple[tuple[str, ...], tuple[HeatCell, ...]]]:
    found, before = [], ""
    for levels, cells in body:
        found.append((("", *levels[1:]) if levels[0] == before and len(levels) > 1 else levels, cells))
        before = levels[0]
    return found
