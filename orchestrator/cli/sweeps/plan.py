"""`plan`: print the plan of a sweep without sending anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import chosen_config, config_argument, settings_of, show_warnings, sweep_options

if TYPE_CHECKING:
    from ...execution.context import RunContext


@click.command("plan")
@config_argument
@sweep_options
@click.option(
    "--prompts",
    metavar="TASK_ID",
    help="Print the first messages of a task for every prompt type, as they are sent; `each`: one task of every task type.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(
    config: str | None, config_option: str | None, prompts: str | None, as_json: bool, **options: object
) -> int:
    """Print the shards of a sweep: instance, samples, workers, rate and start. Needs no keys and sends nothing.

    With --rehearse, the sweep is run on a virtual clock against simulated instances; its time, requests and cost are printed.
    """
    from ...config.environment import read_environment
    from ...config.loading import load_config
    from ...execution.components import no_key
    from ...execution.prepare import prepare

    path = chosen_config(config, config_option)
    loaded = load_config(path, read_environment(path), settings_of(options))
    show_warnings(loaded.warnings())
    prepared = prepare(loaded, no_key)
    if prompts:
        _show_prompts(prepared, prompts, as_json)
    else:
        _show_plan(prepared, as_json)
    return 0


def _show_prompts(prepared: RunContext, wanted: str, as_json: bool) -> None:
    """Print the messages of tasks for every prompt type."""
    from ...ui.terminal import say_json
    from .prompt_view import print_prompts, prompt_documents

    documents = prompt_documents(prepared.sweep, prepared.config, wanted)
    prepared.sweep.tasks.close()
    if as_json:
        say_json({"prompts": documents})
    else:
        print_prompts(documents)


def _show_plan(prepared: RunContext, as_json: bool) -> None:
    """Print the plan, and the forecast where `run.rehearse` is set."""
    from dataclasses import asdict

    from ...execution.forecast.rehearsal import rehearse_now
    from ...ui.terminal import say_json
    from .plan_view import assumed, plan_document, print_forecast, print_plan

    document = plan_document(prepared)
    rehearsal = rehearse_now(prepared) if prepared.loaded.config.run.rehearse else None
    prepared.sweep.tasks.close()
    if as_json:
        say_json({**document, "rehearsal": asdict(rehearsal)} if rehearsal else document)
        return
    print_plan(document)
    if rehearsal:
        print_forecast(rehearsal, assumed(prepared))
