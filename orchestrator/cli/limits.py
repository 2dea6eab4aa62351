"""`limits`: show or clear the rate limits that runs and load tests have learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from providers.messages import JSON

WINDOWS = {0: "second", 1: "10 s", 2: "60 s"}
"""By the level that is stored."""


@click.group("limits")
def command() -> None:
    """Show or clear the learned limits. The next run starts with them."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def show(as_json: bool) -> int:
    """Print every learned limit: instance (endpoint, deployment, variable of the key), time, and values."""
    from ..execution.limits.user_state import user_state
    from ..ui.terminal import say, say_json
    from .tables import print_table

    known = {name: entry for name, entry in user_state().limits().items() if entry["limits"]}
    if as_json:
        say_json(known)
    elif known:
        rows = [[name, entry["learned_at"], *limit_cells(entry["limits"])] for name, entry in known.items()]
        print_table("", ("instance", "learned at", "in flight", "requests", "tokens", "per"), rows)
    else:
        say("no limits have been learned yet; limits of embedded simulators are not stored")
    return 0


def limit_cells(limits: Mapping[str, JSON]) -> list[object]:
    """Return the cells of one instance: requests in flight, requests, tokens, and the time window of the latter two."""
    counts, level, window_s = limits.get("limits"), limits.get("level"), limits.get("window_s")
    counts = counts if isinstance(counts, Mapping) else {}
    window = WINDOWS.get(level, "") if isinstance(level, int) and counts else ""
    times = 1.0
    if level == 0 and isinstance(window_s, int | float):  # a window of another length is stored per second
        window, times = f"{window_s:.3g} s", float(window_s)
    values = [counts.get(unit) for unit in ("requests", "tokens")]
    shown = [round(times * value, 1) if isinstance(value, int | float) and value else "" for value in values]
    quota_group = limits.get("quota_group")
    shared = f", shared by {len(quota_group)}" if isinstance(quota_group, Sequence) and quota_group else ""
    return [limits.get("cap", ""), *shown, f"{window}{shared}"]


@command.command("clear")
@click.argument("matching", default="")
def clear(matching: str) -> int:
    """Delete the learned limits of instances whose name contains MATCHING; without MATCHING, those of all instances."""
    from ..execution.limits.user_state import user_state
    from ..ui.terminal import say

    say(f"{user_state().forget(matching)} forgotten")
    return 0
