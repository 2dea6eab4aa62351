"""The plots of a report, each drawn from its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..ui.terminal import printable
from .facts.decisions import Decision, lanes
from .facts.gather import Facts
from .facts.group_scores import GroupScore
from .facts.stage_times import STAGES, TITLES
from .plots_as_svg import Plot, PlotSpec, Theme, render_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 60
LONGEST_LABEL = 34


def label(text: str) -> str:
    """Format a label in one line without characters that XML forbids, shortened for an axis."""
    plain = printable(text)
    return plain if len(plain) <= LONGEST_LABEL else f"…{plain[-LONGEST_LABEL + 1 :]}"


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


# ------------------------------------------------------------------ how good
def _ranked(facts: Facts) -> Sequence[GroupScore]:
    return (facts.by_prompt or facts.standings)[:MOST_ROWS]


def _draw_intervals(figure: Figure, facts: Facts, theme: Theme) -> None:
    axes, rows = figure.subplots(), _ranked(facts)
    for place, score in enumerate(rows):
        if score.missing_rate and score.worst_case is not None and score.best_case is not None:
            ends = [100 * score.worst_case, 100 * score.best_case]
            axes.plot(ends, [place, place], color=theme.bad, lw=7, alpha=0.25, solid_capstyle="butt")
        if score.success_rate is not None and score.low is not None and score.high is not None:
            axes.plot([100 * score.low, 100 * score.high], [place, place], color=theme.accent, lw=1.6)
            axes.plot([100 * score.success_rate], [place], "o", color=theme.accent, ms=5.5)
    _rows(axes, [score.name for score in rows])
    axes.set_xlim(0, 100)
    axes.set_xlabel("success rate, %")


# ------------------------------------------------------------------ how it went
def _draw_throughput(figure: Figure, facts: Facts, theme: Theme) -> None:
    throughput = facts.throughput
    at_s = [throughput.step_s * step for step in range(len(throughput.answered) + 1)]
    samples, tokens = figure.subplots(2, 1, sharex=True)
    samples.stairs(throughput.answered, at_s, fill=True, color=theme.accent, alpha=0.85, label="answered")
    if any(throughput.infra_failures):
        samples.stairs(throughput.infra_failures, at_s, color=theme.bad, lw=1.6, label="failed by the infrastructure")
        samples.legend(loc="upper right", fontsize=8)
    tokens.stairs(throughput.output_tokens, at_s, color=theme.faint, lw=1.2)
    samples.set_ylabel("samples/s")
    tokens.set_ylabel("output tokens/s")
    tokens.set_xlabel(_running(facts))
    for axes in (samples, tokens):
        axes.grid(axis="y")
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, at_s[-1])
        axes.tick_params(axis="y", labelcolor=theme.faint)


def _running(facts: Facts) -> str:
    return "seconds of running" if facts.running_time.pauses else "seconds"


STATES = {
    "healthy": 3,
    "suspect": 1,
    "refusing": 1,
    "down": 7,
    "revoked": 7,
    "key not accepted": 7,
    "out of quota": 7,
    "deployment missing": 7,
    "unusable": 7,
}
"""Index of each health state's colour in a theme's series."""
MARKS = {
    "throttle": ("v", "refused"),
    "rate": ("D", "limit learned"),
    "cap": ("|", "cap changed"),
    "conc": ("|", "cap changed"),
    "knee": ("|", "cap changed"),
    "breaker": ("x", "failures in a row"),
    "instance_lost": ("s", "lost"),
}


def _draw_decisions(figure: Figure, facts: Facts, theme: Theme) -> None:
    axes, by_instance = figure.subplots(), list(lanes(facts.decisions.kept).items())[:MOST_ROWS]
    end_s = max((at_s for _name, lane in by_instance for at_s in _at(facts, lane)), default=1.0)
    for place, (_name, lane) in enumerate(by_instance):
        _draw_lane(axes, place, [*zip(_at(facts, lane), lane, strict=True)], (theme, end_s))
    _rows(axes, [name for name, _lane in by_instance])
    axes.set_xlim(0, max(end_s, 1e-3))
    axes.set_xlabel(_running(facts))
    handles, names = axes.get_legend_handles_labels()
    first = dict(zip(reversed(names), reversed(handles), strict=True))
    if first:
        figure.legend(first.values(), first.keys(), loc="outside upper left", ncols=3, fontsize=8)


def _at(facts: Facts, lane: Sequence[Decision]) -> list[float]:
    return facts.running_time.at_each([decision.at for decision in lane])


def _draw_lane(axes: Axes, place: int, lane: Sequence[tuple[float, Decision]], style: tuple[Theme, float]) -> None:
    """Draw the health as a bar and the decisions as marks on it."""
    theme, end_s = style
    changes = [(0.0, "healthy"), *((at_s, decision.state) for at_s, decision in lane if decision.state)]
    for (since_s, state), (until_s, _next) in zip(changes, [*changes[1:], (end_s, "")], strict=True):
        colour = theme.series[STATES.get(state, 1)]
        axes.plot([since_s, until_s], [place, place], color=colour, lw=3.5, alpha=0.55, solid_capstyle="butt")
    for event, (mark, words) in MARKS.items():
        at_s = [at for at, decision in lane if decision.event == event]
        if at_s:
            colour = theme.bad if event in {"throttle", "breaker", "instance_lost"} else theme.accent
            axes.plot(at_s, [place] * len(at_s), mark, color=colour, ms=6, label=words, ls="none")


def _draw_bars(
    figure: Figure, rows: Mapping[str, Sequence[float]], titles: Sequence[str], colours: Sequence[str]
) -> None:
    axes = figure.subplots()
    begins = [0.0] * len(rows)
    for place, title in enumerate(titles):
        widths = [values[place] for values in rows.values()]
        if any(widths):
            axes.barh(range(len(rows)), widths, left=begins, height=0.62, color=colours[place], label=title)
        begins = [begin + width for begin, width in zip(begins, widths, strict=True)]
    _rows(axes, list(rows))
    axes.set_xlabel("seconds")
    figure.legend(loc="outside upper left", ncols=3, fontsize=8)


def _draw_stages(figure: Figure, facts: Facts, theme: Theme) -> None:
    rows = {model_time.model: model_time.mean_s for model_time in facts.model_times[:MOST_ROWS]}
    _draw_bars(figure, rows, [TITLES[stage] for stage in STAGES], theme.series)


def _draw_gates(figure: Figure, facts: Facts, theme: Theme) -> None:
    under = dict(sorted(facts.decisions.ledger.time_under_s.items())[:MOST_ROWS])
    gates = list(dict.fromkeys(gate for spent in under.values() for gate in spent))
    rows = {name: [spent.get(gate, 0.0) for gate in gates] for name, spent in under.items()}
    colours = [theme.series[place] for place in (7, 5, 4, 1, 2, 0, 3, 6, 8)]
    _draw_bars(figure, rows, gates, [colours[place % len(colours)] for place in range(len(gates))])


def _height_in(rows: int, more_in: float = 0.75) -> float:
    return more_in + 0.3 * min(rows, MOST_ROWS)


PLOTS: Mapping[str, PlotSpec] = {
    "intervals": PlotSpec(
        "Success rate with its 95 % interval",
        "Dot and line: the rate and its interval over what the models answered or failed. "
        "Red band: where the rate could lie if the missing samples had all failed, or all passed.",
        _draw_intervals,
        lambda facts: _height_in(len(_ranked(facts))),
        lambda facts: bool(facts.standings),
    ),
    "stages": PlotSpec(
        "Mean time of a sample, stage by stage",
        "From waiting in the queue to the disk.",
        _draw_stages,
        lambda facts: _height_in(len(facts.model_times), 1.2),
        lambda facts: bool(facts.model_times),
    ),
    "throughput": PlotSpec(
        "Throughput over time",
        "Finished samples and the tokens of their answers, per second.",
        _draw_throughput,
        lambda _facts: 3.4,
        lambda facts: bool(facts.throughput.answered),
    ),
    "decisions": PlotSpec(
        "Decisions over time",
        "One row per instance: green is healthy, amber suspect, red down or lost. Marks are decisions of its limiter.",
        _draw_decisions,
        lambda facts: _height_in(len(lanes(facts.decisions.kept)), 1.2),
        lambda facts: bool(facts.decisions.kept),
    ),
    "gates": PlotSpec(
        "Time under each gate",
        "What delayed an instance's next request; idle means that there was none. The parts add up to its time in use.",
        _draw_gates,
        lambda facts: _height_in(len(facts.decisions.ledger.time_under_s), 1.2),
        lambda facts: bool(facts.decisions.ledger.time_under_s),
    ),
}


def draw_plots(facts: Facts) -> dict[str, Plot]:
    """Draw all plots that have data, by name."""
    return {name: render_plot(spec, facts) for name, spec in PLOTS.items() if spec.has_something(facts)}
