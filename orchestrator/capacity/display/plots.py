"""Curves of a ladder as PNG and SVG images. matplotlib comes with the extra `report` and is imported when an image is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from ...report.plots_as_svg import LIGHT, Theme
from .curves import Curve, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN, DPI = 5.0, 3.9, 120
WIDE_IN = 8.6
"""Width of a panel that is drawn alone."""

Form = Literal["png", "svg"]


def draw(curves: Curves, form: Form, theme: Theme = LIGHT, panels: Sequence[str] = ()) -> bytes:
    """Draw one image of the named panels side by side; all panels where none is named."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = panels or tuple(PANELS)
    size = (WIDE_IN if len(names) == 1 else WIDTH_IN * len(names), HEIGHT_IN)
    figure = Figure(figsize=size, layout="constrained", facecolor="none" if panels else "white")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        PANELS[name](axes, curves, theme)
        _finish(axes, curves, theme)
        if not panels:
            axes.set_title(name, color=theme.ink)
    if not panels:
        figure.suptitle(f"{curves.title}: {len(curves.concurrency)} levels of concurrency", color=theme.ink)
    picture = BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "curves"}):  # the same names within it each time
        figure.savefig(picture, format=form, dpi=DPI, metadata=metadata)
    return picture.getvalue()


def _draw_throughput(axes: Axes, curves: Curves, theme: Theme) -> None:
    axes.plot(curves.concurrency, curves.throughput, "o-", color=theme.accent, markersize=4)
    if curves.throughput_bounds:
        low, high = zip(*curves.throughput_bounds, strict=True)
        axes.fill_between(curves.concurrency, low, high, color=theme.accent, alpha=0.15, label="95 % interval")
    failing = [i for i, share in enumerate(curves.success) if share < 1]
    if failing:
        at = [curves.concurrency[i] for i in failing]
        axes.plot(at, [curves.throughput[i] for i in failing], "x", color=theme.bad, label="some failed")
    axes.set_ylabel("successful requests per second")


def _draw_efficiency(axes: Axes, curves: Curves, theme: Theme) -> None:
    axes.plot(curves.concurrency, curves.efficiency, "o-", color=theme.accent, markersize=4)
    axes.set_ylabel("requests per second and connection")


def _draw_latency(axes: Axes, curves: Curves, theme: Theme) -> None:
    for curve, colour in zip(
        curves.latencies, (theme.accent, theme.series[3], theme.series[1], theme.bad), strict=False
    ):
        _draw_curve(axes, curves, curve, colour, "-")
    for curve in curves.first_tokens:
        _draw_curve(axes, curves, curve, theme.faint, "--")
    axes.set_ylabel("seconds")


PANELS: Mapping[str, Callable[[Axes, Curves, Theme], None]] = {
    "Throughput": _draw_throughput,
    "Efficiency": _draw_efficiency,
    "Latency": _draw_latency,
}


def _draw_curve(axes: Axes, curves: Curves, curve: Curve, colour: str, style: str) -> None:
    points = [(at, value) for at, value in zip(curves.concurrency, curve.values, strict=True) if value is not None]
    axes.plot(*zip(*points, strict=True), f"o{style}", color=colour, markersize=3, label=curve.name)


def _finish(axes: Axes, curves: Curves, theme: Theme) -> None:
    colours = {"knee": theme.series[2], "limit": theme.bad, "recommended": theme.series[3]}
    for at in sorted(set(curves.marks.values())):
        names = [name for name, level in curves.marks.items() if level == at]
        colour = colours.get(names[0], theme.faint)
        axes.axvline(at, color=colour, linewidth=1.2, linestyle=":", label=f"{at}: {', '.join(names)}")
    if len(curves.concurrency) > 2:
        axes.set_xscale("log")
    axes.set_xticks(curves.concurrency, [str(at) for at in curves.concurrency])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("concurrent requests", color=theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.set_facecolor("none")
    axes.grid(visible=True, color=theme.line)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(theme.line)
    axes.tick_params(colors=theme.ink, labelsize=8)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, labelcolor=theme.ink)
