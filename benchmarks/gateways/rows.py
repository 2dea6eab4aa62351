"""One row per client of a trial, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .cases import Draw
from .meter import Count


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """What one client reached."""

    case: str
    client: str
    seed: int
    limit: float
    window_s: int
    truth_per_min: float | None
    answers: int
    answers_per_min: float
    refused: int
    refused_share: float
    """Of all requests."""
    failed: int
    """Requests with another status than 200 and 429."""
    seconds: float
    ratio_to_truth: float | None
    ratio_to_plain: float | None = None
    """Relative to the better plain loop of the trial."""
    first_refusal: dict[str, object] | None = None
    server: str = ""
    machine: str = ""

    @classmethod
    def of(cls, draw: Draw, client: str, count: Count, seconds: float) -> GatewayRow:
        """Build the row of a client."""
        per_min = 60 * count.answers / seconds if seconds > 0 else 0.0
        return cls(
            case=draw.case.name,
            client=client,
            seed=draw.seed,
            limit=draw.limit,
            window_s=draw.window_s,
            truth_per_min=draw.truth_per_min,
            answers=count.answers,
            answers_per_min=per_min,
            refused=count.refused,
            refused_share=count.refused / max(1, count.statuses.total()),
            failed=count.failed,
            seconds=seconds,
            ratio_to_truth=per_min / draw.truth_per_min if draw.truth_per_min else None,
            first_refusal=count.first_refusal,
        )


def compared(rows: Sequence[GatewayRow]) -> list[GatewayRow]:
    """Return the rows with their ratios to the better plain loop of the same case, where there is one."""
    best: dict[str, float] = {}
    for row in rows:
        if row.client.startswith("plain"):
            best[row.case] = max(best.get(row.case, 0.0), row.answers_per_min)
    return [
        replace(row, ratio_to_plain=row.answers_per_min / best[row.case]) if best.get(row.case) else row for row in rows
    ]


HEADER = (
    "case", "client", "limit", "window s", "truth/min", "answers/min", "× truth", "× plain", "answers", "refused",
    "share", "failed", "seconds",
)  # fmt: skip
_TEXTS = 2
"""Columns that are aligned to the left."""


def table(rows: Sequence[GatewayRow]) -> str:
    """Format the rows as a text table."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < _TEXTS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def cells(row: GatewayRow) -> tuple[str, ...]:
    """Format the columns of one row."""
    return (
        row.case,
        row.client,
        f"{row.limit:g}",
        f"{row.window_s}" if row.window_s else "–",
        _shown(row.truth_per_min, ",.1f"),
        f"{row.answers_per_min:,.1f}",
        _shown(row.ratio_to_truth, ".2f"),
        _shown(row.ratio_to_plain, ".2f"),
        f"{row.answers}",
        f"{row.refused}",
        f"{row.refused_share:.1%}",
        f"{row.failed}",
        f"{row.seconds:.1f}",
    )


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
