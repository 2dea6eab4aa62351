"""A scenario in a user's file: its axes and its solver apply if the file does not set them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from providers.errors import InputError
from sharding.scenarios import SOLVER, SweepScenario, find_scenario


def scenario_name(said: str) -> str:
    """Return the scenario's name; the user may give its number."""
    try:
        return find_scenario(said).name
    except InputError as error:
        raise ValueError(str(error)) from error


def spell_out(raw: object) -> object:
    """Return the file with the settings of its scenario. Unreadable parts are left unchanged: validation reports them."""
    if not isinstance(raw, Mapping):
        return raw
    sweep, run = raw.get("sweep"), raw.get("run") or {}
    if not isinstance(sweep, Mapping) or not isinstance(run, Mapping) or (scenario := _asked(sweep)) is None:
        return raw
    axes = {name: "all" if values is None else values for name, values in scenario.axes.items()}
    return {**raw, "sweep": {**axes, **sweep}, "run": {"solver": SOLVER, **run}}


def _asked(sweep: Mapping[str, object]) -> SweepScenario | None:
    try:
        return find_scenario(str(sweep["scenario"])) if sweep.get("scenario") is not None else None
    except InputError:
        return None


def contradiction(name: str, axes: Mapping[str, Sequence[str] | Sequence[float] | None]) -> str | None:
    """Return a message if the explicit settings leave no value of the axis that the scenario varies."""
    scenario = find_scenario(name)
    if scenario.varies is None:
        return None
    wanted, found = scenario.axes[scenario.varies] or (), axes[scenario.varies] or ()
    if set(wanted) & set(found):
        return None
    return (
        f"the scenario {name} is about {scenario.varies} {_listed(wanted)}, and {_listed(found)} is none of them; "
        f"leave out scenario or {scenario.varies}"
    )


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
