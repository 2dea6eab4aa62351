"""Plots as SVG images: light and dark, wide and narrow. Only this module imports matplotlib, when it draws."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .facts.gather import Facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a plot."""

    ink: str
    faint: str
    line: str
    accent: str
    bad: str
    series: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """All colours, in a fixed order."""
        return (self.ink, self.faint, self.line, self.accent, self.bad, *self.series)


LIGHT = Theme(
    *("#24282e", "#6b7280", "#d9dce1", "#2f5d8a", "#b5473c"),
    ("#c3c8d0", "#d8a75b", "#b97a4b", "#9db8a0", "#7aa6c9", "#2f5d8a", "#8a8fb0", "#b5473c", "#8fa3a0"),
)
DARK = Theme(
    *("#e4e6ea", "#9aa1ac", "#3a3f47", "#7fb0de", "#e5877c"),
    ("#5a616c", "#c99a4f", "#a86d42", "#7d9c82", "#5f8fb5", "#7fb0de", "#7c82a8", "#e5877c", "#73878a"),
)
WIDTHS_IN = {"wide": 8.6, "narrow": 4.1}


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure; `images` are data URIs by width and theme: "wide light", "narrow dark" …"""

    title: str
    caption: str
    images: Mapping[str, str]


Draw = Callable[["Figure", Facts, Theme], None]


@dataclass(frozen=True, slots=True)
class PlotSpec:
    """How one plot is drawn, and when it has data."""

    title: str
    caption: str
    draw: Draw
    height_in: Callable[[Facts], float]
    has_something: Callable[[Facts], bool]


def render_plot(plot_spec: PlotSpec, facts: Facts) -> Plot:
    """Draw a plot in every width and theme."""
    images = {}
    for width, width_in in WIDTHS_IN.items():
        light = _render(plot_spec, facts, width_in)
        images[f"{width} light"] = _data_uri(light)
        images[f"{width} dark"] = _data_uri(_COLOUR.sub(lambda matched: _DARKENED.get(matched[0], matched[0]), light))
    return Plot(plot_spec.title, plot_spec.caption, images)


_DARKENED = dict(zip(LIGHT.colours, DARK.colours, strict=True))
_COLOUR = re.compile(r"(?<=: )#[0-9a-f]{6}(?=[;\"])")


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


def _render(plot_spec: PlotSpec, facts: Facts, width_in: float) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_settings(LIGHT)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's fonts draw it, not ours
        figure = Figure(figsize=(width_in, plot_spec.height_in(facts)), layout="constrained")
        plot_spec.draw(figure, facts, LIGHT)
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return file.getvalue().decode()


def _settings(theme: Theme) -> dict[RcKeyType, Any]:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": theme.ink,
        "axes.labelcolor": theme.faint,
        "axes.edgecolor": theme.line,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": theme.line,
        "ytick.color": theme.line,
        "xtick.labelcolor": theme.faint,
        "ytick.labelcolor": theme.ink,
        "ytick.major.size": 0,
        "grid.color": theme.line,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.labelcolor": theme.ink,
    }
