"""Curves of a ladder as pictures: PNG and SVG. matplotlib comes with the extra `report` and is imported when something is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from providers.errors import InputError

from .curves import Curve, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#9aa5b1"
COLOURS = ("#2364aa", "#3d9970", "#d9822b", "#b33951")
MARK_COLOURS: Mapping[str, str] = {"knee": "#d9822b", "limit": "#b33951", "recommended": "#3d9970"}
"""Of the first name that stands at a place."""
WIDTH_IN, HEIGHT_IN, DPI = 13.0, 4.2, 120

Form = Literal["png", "svg"]


def draw(curves: Curves, form: Form) -> bytes:
    """One picture of three panels. Raises InputError where matplotlib is not installed."""
    figure = _figure()
    left, middle, right = figure.subplots(1, 3)
    _draw_throughput(left, curves)
    _draw_efficiency(middle, curves)
    _draw_latency(right, curves)
    for axes in (left, middle, right):
        _finish(axes, curves)
    figure.suptitle(
        f"{curves.title}: what {len(curves.concurrency)} levels of concurrency carried", color=INK, fontsize=12
    )
    picture = BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "curves"}):  # the same names within it each time
        figure.savefig(picture, format=form, dpi=DPI, metadata=metadata)
    return picture.getvalue()


def _figure() -> Figure:
    """A figure of its own: no global state, no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib: pip install 'llm-batch-orchestrator[report]'") from error
    return Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")


def _draw_throughput(axes: Axes, curves: Curves) -> None:
    axes.plot(curves.concurrency, curves.throughput, "o-", color=COLOURS[0], markersize=4)
    failing = [i for i, share in enumerate(curves.success) if share < 1]
    if failing:
        at = [curves.concurrency[i] for i in failing]
        axes.plot(at, [curves.throughput[i] for i in failing], "x", color=COLOURS[3], label="some failed")
    axes.set(title="Throughput", ylabel="successful requests per second")


def _draw_efficiency(axes: Axes, curves: Curves) -> None:
    axes.plot(curves.concurrency, curves.efficiency, "o-", color=COLOURS[1], markersize=4)
    axes.set(title="Efficiency", ylabel="requests per second and connection")


def _draw_latency(axes: Axes, curves: Curves) -> None:
    for curve, colour in zip(curves.latencies, COLOURS, strict=False):
        _draw_curve(axes, curves, curve, colour, "-")
    for curve, colour in zip(curves.first_tokens, COLOURS, strict=False):
        _draw_curve(axes, curves, curve, colour, "--")
    axes.set(title="Latency", ylabel="seconds")


def _draw_curve(axes: Axes, curves: Curves, curve: Curve, colour: str, style: str) -> None:
    points = [(at, value) for at, value in zip(curves.concurrency, curve.values, strict=True) if value is not None]
    axes.plot(*zip(*points, strict=True), f"o{style}", color=colour, markersize=3, label=curve.name)


def _finish(axes: Axes, curves: Curves) -> None:
    for at in sorted(set(curves.marks.values())):
        names = [name for name, level in curves.marks.items() if level == at]
        colour = MARK_COLOURS.get(names[0], FAINT)
        axes.axvline(at, color=colour, linewidth=1, linestyle="--", label=f"{at}: {', '.join(names)}")
    if len(curves.concurrency) > 2:
        axes.set_xscale("log")
    axes.set_xticks(curves.concurrency, [str(at) for at in curves.concurrency])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("concurrent requests", color=INK)
    axes.grid(visible=True, color=FAINT, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)
