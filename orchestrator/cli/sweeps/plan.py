"""`plan`: who would do what; nothing is sent."""

from __future__ import annotations

from typing import Any

import click

from ..options import chosen_config, config_argument, settings_of, show_warnings, sweep_options


@click.command("plan")
@config_argument
@sweep_options
@click.option(
    "--prompts", metavar="TASK_ID", help="Print how a task is asked, by prompt type; each: one task of every task type."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def command(config: str | None, config_option: str | None, prompts: str | None, as_json: bool, **options: Any) -> int:
    """Print the shards of a sweep: instance, samples, workers, rate and start. Needs no keys and sends nothing.

    With --rehearse the sweep is run on a virtual clock against simulated instances, and what it would take is printed.
    """
    from ...config.environment import read_environment
    from ...config.loading import load_config
    from ...execution.components import no_key
    from ...execution.prepare import prepare
    from ...execution.rehearsal import rehearse_now
    from ...ui.terminal import say_json
    from .plan_view import assumed, forecast_document, plan_document, print_forecast, print_plan
    from .prompt_view import print_prompts, prompt_documents

    path = chosen_config(config, config_option)
    loaded = load_config(path, read_environment(path), settings_of(options))
    show_warnings(loaded.warnings())
    prepared = prepare(loaded, no_key)
    asked = prompt_documents(prepared.sweep, prompts) if prompts else []
    document: dict[str, Any] = {"prompts": asked} if prompts else plan_document(prepared)
    if loaded.config.run.rehearse and not prompts:
        document["rehearsal"] = forecast_document(rehearse_now(prepared))
    prepared.sweep.tasks.close()
    if as_json:
        say_json(document)
    elif prompts:
        print_prompts(asked)
    else:
        print_plan(document)
        if "rehearsal" in document:
            print_forecast(document["rehearsal"], assumed(prepared))
    return 0
