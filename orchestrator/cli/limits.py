"""`limits`: what runs and capacity tests have learned about instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from providers.messages import JSON


@click.group("limits")
def command() -> None:
    """Show or clear the learned limits, which the next run starts with."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def show(as_json: bool) -> int:
    """Print every learned limit: endpoint, deployment, name of the key's variable, when, what."""
    from ..execution.user_state import user_state
    from ..ui.terminal import say, say_json
    from .tables import print_table

    known = user_state().limits()
    if as_json:
        say_json(known)
    elif known:
        rows = [[name, entry["learned_at"], *learnt(entry["limits"])] for name, entry in known.items()]
        print_table("", ("instance", "learned at", "in flight", "requests", "tokens", "per"), rows)
    else:
        say("no limits have been learned yet; embedded simulators are never remembered")
    return 0


def learnt(limits: Mapping[str, JSON]) -> list[object]:
    """In flight, requests, tokens, and the time that the two are counted over."""
    window_s = {0: "second", 1: "10 s", 2: "60 s"}
    counts, level = limits.get("limits"), limits.get("level")
    counts = counts if isinstance(counts, Mapping) else {}
    values = [counts.get(unit) for unit in ("requests", "tokens")]
    shown = [round(value, 1) if isinstance(value, int | float) and value else "" for value in values]
    window = window_s.get(level, "") if isinstance(level, int) and counts else ""
    sharing = limits.get("quota_group")
    shared = f", shared by {len(sharing)}" if isinstance(sharing, Sequence) and sharing else ""
    return [limits.get("cap", ""), *shown, f"{window}{shared}"]


@command.command("clear")
@click.argument("matching", default="")
def clear(matching: str) -> int:
    """Forget the limits of instances whose name contains MATCHING; all of them without it."""
    from ..execution.user_state import user_state
    from ..ui.terminal import say

    say(f"{user_state().forget(matching)} forgotten")
    return 0
