"""Parameters of generation that a task brings along, as a line of an OpenAI Batch file does.

They win over the run's `generation`. What a model sets for itself wins over them: it says what that model can be asked with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from providers.messages import JSON, OUTPUT_LIMITS, Generation

FIELDS = frozenset(
    {
        "temperature",
        "top_p",
        "seed",
        "reasoning_effort",
        "verbosity",
        "response_format",
        "tool_choice",
        "parallel_tool_calls",
    }
)
"""Parameters that are fields of `Generation`; every other one is sent as it is."""


def with_parameters(generation: Generation, parameters: Mapping[str, JSON], own: Collection[str]) -> Generation:
    """Return the generation with the parameters of a task, but for the fields in `own`, which the model sets for itself."""
    if "max_tokens" in own:
        parameters = {name: value for name, value in parameters.items() if name not in OUTPUT_LIMITS}
    parameters = {name: value for name, value in parameters.items() if name not in own}
    changes: dict[str, JSON] = {name: value for name, value in parameters.items() if name in FIELDS}
    rest = {name: value for name, value in parameters.items() if name not in FIELDS and value is not None}
    if "max_tokens" in rest:
        changes["max_tokens"] = rest.pop("max_tokens")
    stop = rest.pop("stop", None)
    if stop is not None:
        changes["stop"] = (stop,) if isinstance(stop, str) else stop
    extra = {**rest, **(generation.extra_body or {})} if rest else generation.extra_body
    return replace(generation, **changes, extra_body=extra)  # type: ignore[arg-type]  # the wire takes what the line holds
