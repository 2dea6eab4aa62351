"""The tables of the rate-control benchmark, from its rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from providers.messages import JSON

from .rivals import PLAIN

Row = dict[str, JSON]


def add_of_plain(rows: Sequence[Row]) -> None:
    """Add to each row its goodput as a share of that of the best plain loop on the same server with the same requests."""
    best: dict[tuple[JSON, ...], float] = {}
    for row in rows:
        if str(row["controller"]).startswith(PLAIN):
            best[_run_of(row)] = max(best.get(_run_of(row), 0.0), *_values([row], "efficiency"))
    for row in rows:
        plain = best.get(_run_of(row), 0.0)
        row["of_plain"] = round(_values([row], "efficiency")[0] / plain, 4) if plain > 0 else None


def _run_of(row: Row) -> tuple[JSON, ...]:
    return row["part"], row["server"], row["seed"], row["n"]


def show(rows: Sequence[Row]) -> None:
    """Print the tables."""
    _show_groups(
        [row for row in rows if row["part"] != "held-out"], lambda row: (str(row["server"]), str(row["controller"]))
    )
    held_out_rows = [row for row in rows if row["part"] == "held-out"]
    if held_out_rows:
        _show_held_out(held_out_rows)


def _show_groups(rows: Sequence[Row], key: Callable[[Row], tuple[str, str]]) -> None:
    print(
        f"{'server':<20} {'controller':<17} {'eff':>6} {'worst':>6} {'refused':>8} {'p99':>7} {'peak':>5}"
        f" {'settled':>8} {'converged':>9} {'cap':>5} {'of_plain':>8}"
    )
    for (server, controller), group in _grouped(rows, key):
        efficiency, caps = _values(group, "efficiency"), _values(group, "final_cap")
        converged = _values(group, "converged_s")
        print(
            f"{server:<20} {controller:<17} {statistics.mean(efficiency):6.3f} {min(efficiency):6.3f}"
            f" {100 * statistics.mean(_values(group, 'refused')):7.2f}% {statistics.mean(_values(group, 'p99_inflation')):6.2f}x"
            f" {max(_values(group, 'peak_in_flight')):5.0f} {_settled(group):>8}"
            f" {f'{statistics.mean(converged):.0f} s' if converged else 'never':>9}"
            f" {f'{statistics.mean(caps):.0f}' if caps else '':>5} {_median(_values(group, 'of_plain'), '8.3f'):>8}"
        )


def _settled(group: Sequence[Row]) -> str:
    """Return requests in flight in the second half of the run: median and p95 of the worst seed."""
    return f"{max(_values(group, 'in_flight_median')):.0f}/{max(_values(group, 'in_flight_p95')):.0f}"


def _show_held_out(rows: Sequence[Row]) -> None:
    print(
        f"\n{'held-out family':<20} {'controller':<10} {'draws':>5} {'median':>7} {'p10':>6} {'worst':>6} {'refused':>8} {'p90':>7}"
        f" {'chance':>7} {'>= 0.97':>8} {'of_plain':>8} {'worst':>6} {'rise':>6}"
    )
    for (family, controller), group in _grouped(rows, lambda row: (str(row["family"]), str(row["controller"]))):
        efficiency, refused = sorted(_values(group, "efficiency")), sorted(_values(group, "refused"))
        tenth, of_plain = len(group) // 10, _values(group, "of_plain")
        print(
            f"{family:<20} {controller:<10} {len(group):>5} {statistics.median(efficiency):7.3f} {efficiency[tenth]:6.3f}"
            f" {efficiency[0]:6.3f} {100 * statistics.median(refused):7.2f}% {100 * refused[-1 - tenth]:6.2f}%"
            f" {100 * statistics.median(_values(group, 'refused_by_chance')):6.2f}% {sum(e >= 0.97 for e in efficiency):>8}"
            f" {_median(of_plain, '8.3f'):>8} {f'{min(of_plain):6.3f}' if of_plain else '':>6} {_rise(group):>6}"
        )


def _rise(group: Sequence[Row]) -> str:
    """Return the median of the seconds after which a risen limit is used, with the number of runs that never use it."""
    if not any(row.get("rises") for row in group):
        return ""
    used = _values(group, "rise_used_s")
    return f"{_median(used, '.0f')} s" + (f" -{len(group) - len(used)}" if len(used) < len(group) else "")


def _median(values: Sequence[float], form: str) -> str:
    return format(statistics.median(values), form) if values else ""


def _grouped(rows: Iterable[Row], key: Callable[[Row], tuple[str, str]]) -> Iterable[tuple[tuple[str, str], list[Row]]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups.items()


def _values(rows: Iterable[Row], name: str) -> list[float]:
    return [float(value) for row in rows if isinstance(value := row.get(name), (int, float))]
