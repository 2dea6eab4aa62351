"""A comparison as a table for the terminal, Markdown and LaTeX, and as rows for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from providers.messages import JSON

from ...ui.text_table import TextTable
from ..stats.paired import PairedDifference
from .contrast import AxisLevel, Contrast
from .stages import FIGURES, GapRow, StageFigures, as_row, changes


# ------------------------------------------------------------------ contrasts
def contrast_table(axis: str, contrasts: Sequence[Contrast]) -> TextTable:
    """Build a table with one row per contrast and the baseline's own figures."""
    by = tuple(contrasts[0].stratum) if contrasts else ()
    title = f"{axis}: against {contrasts[0].baseline.name}" if contrasts else axis
    columns = (*by, axis, "n", "baseline", "value", "difference", "95 % interval", "p (Holm)", "detectable", "verdict")
    return TextTable(title, columns, tuple(_contrast_cells(contrast) for contrast in contrasts), keys=len(by) + 1)


def _contrast_cells(contrast: Contrast) -> tuple[str, ...]:
    paired = contrast.paired
    return (
        *contrast.stratum.values(),
        contrast.level.name,
        str(paired.n) if paired else "0",
        _level_cell(contrast.baseline),
        _level_cell(contrast.level),
        *(_difference_cells(paired) if paired else ("n/a", "n/a")),
        "n/a" if math.isnan(contrast.adjusted_p) else f"{contrast.adjusted_p:.3g}",
        "n/a" if math.isnan(contrast.detectable) else f"{100 * contrast.detectable:.1f}",
        f"{contrast.verdict} ({contrast.reason})" if contrast.reason else contrast.verdict,
    )


def _difference_cells(paired: PairedDifference) -> tuple[str, str]:
    low, high = paired.interval.low, paired.interval.high
    return f"{100 * paired.difference:+.1f}", f"[{100 * low:+.1f}, {100 * high:+.1f}]"


def _level_cell(level: AxisLevel) -> str:
    if level.estimate is None:
        return "n/a"
    interval = level.estimate.interval
    return f"{100 * level.estimate.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def contrast_row(contrast: Contrast) -> dict[str, JSON]:
    """Build a row for JSON; a figure that does not exist is null."""
    paired = contrast.paired
    return {
        **contrast.stratum,
        "measure": contrast.measure,
        "baseline": _level_row(contrast.baseline),
        "level": _level_row(contrast.level),
        "pairs": paired.n if paired else 0,
        "clusters": paired.clusters if paired else 0,
        "difference": paired.difference if paired else None,
        "interval": [paired.interval.low, paired.interval.high] if paired else None,
        "p_value": paired.p_value if paired else None,
        "p_holm": None if math.isnan(contrast.adjusted_p) else contrast.adjusted_p,
        "method": paired.method if paired else None,
        "wins": paired.wins if paired else 0,
        "losses": paired.losses if paired else 0,
        "minimum_detectable_effect": None if math.isnan(contrast.detectable) else contrast.detectable,
        "verdict": contrast.verdict,
        "reason": contrast.reason,
    }


def _level_row(level: AxisLevel) -> dict[str, JSON]:
    estimate = level.estimate
    return {
        "name": level.name,
        "total": level.total,
        "missing": level.missing,
        "value": estimate.value if estimate else None,
        "interval": [estimate.interval.low, estimate.interval.high] if estimate else None,
        "clusters": estimate.clusters if estimate else 0,
        "worst_case": level.bounds[0],
        "best_case": level.bounds[1],
    }


# ------------------------------------------------------------------ stages
def stage_table(stages: Sequence[StageFigures]) -> TextTable:
    """Build the table of every stage's figures, and the change from the first to the last."""
    rows = [_stage_cells(stage) for stage in stages]
    if len(stages) > 1:
        change = changes(stages)
        rows.append(
            ("change", f"{100 * change['success rate']:+.1f} points", *(_share(change[f.title]) for f in FIGURES[1:]))
        )
    return TextTable("Stages", ("stage", "success rate", "mean response", "throughput", "total time"), tuple(rows))


def _stage_cells(stage: StageFigures) -> tuple[str, ...]:
    return (
        stage.name,
        f"{100 * stage.success_rate:.1f} %",
        f"{stage.mean_response_s:.2f} s",
        f"{stage.tokens_per_s:.2f} tokens/s",
        f"{stage.total_s:.2f} s",
    )


def gap_table(competitor: str, stages: Sequence[StageFigures], gaps: Sequence[GapRow]) -> TextTable:
    """Build the table of every stage's gap to the competitor, and the closed share of the first gap."""
    rows = []
    for row in gaps:
        cells = [f"{100 * gap:+.1f} points" if row.figure.unit == "points" else _share(gap) for gap in row.gaps]
        rows.append((row.figure.title, *cells, "n/a" if row.closed is None else f"{100 * row.closed:.1f} %"))
    columns = ("figure", *(stage.name for stage in stages), "gap closed")
    return TextTable(f"Behind {competitor}", columns, tuple(rows))


def stages_row(
    stages: Sequence[StageFigures], competitor: StageFigures | None, gaps: Sequence[GapRow]
) -> dict[str, JSON]:
    """Build the JSON document of a comparison of stages."""
    document: dict[str, JSON] = {"stages": [dict(as_row(stage)) for stage in stages]}
    if competitor is not None:
        document["competitor"] = dict(as_row(competitor))
        document["gaps"] = [_gap_row(row) for row in gaps]
    return document


def _gap_row(row: GapRow) -> Mapping[str, JSON]:
    return {"figure": row.figure.title, "unit": row.figure.unit, "gaps": list(row.gaps), "closed": row.closed}


def _share(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{100 * value:+.1f} %"
