"""`limits`: what runs and capacity tests have learned about instances."""

from __future__ import annotations

import click


@click.group("limits")
def command() -> None:
    """Show or clear the learned limits, which the next run starts with."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def show(as_json: bool) -> int:
    """Print every learned limit: endpoint, deployment, name of the key's variable, when, what."""
    import orjson

    from ..state import user_state
    from .tables import print_table

    known = user_state().limits()
    if as_json:
        click.echo(orjson.dumps(known, option=orjson.OPT_INDENT_2).decode())
    elif known:
        rows = [[name, entry["learned_at"], orjson.dumps(entry["limits"]).decode()] for name, entry in known.items()]
        print_table("", ("instance", "learned at", "limits"), rows)
    else:
        click.echo("no limits have been learned yet")
    return 0


@command.command("clear")
@click.argument("matching", default="")
def clear(matching: str) -> int:
    """Forget the limits of instances whose name contains MATCHING; all of them without it."""
    from ..state import user_state

    click.echo(f"{user_state().forget(matching)} forgotten")
    return 0
