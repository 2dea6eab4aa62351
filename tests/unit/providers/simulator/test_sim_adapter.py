from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from providers.adapters.registry import AdapterContext
from providers.credentials import ApiKey
from providers.errors import InputError
from providers.messages import ChatRequest
from providers.provider import RouteSpec
from providers.simulator.adapter import open_simulator
from providers.simulator.settings.provider import SimulatorSettings


async def names(file: dict[str, Any], model: str, spec: RouteSpec) -> Sequence[tuple[str, str]]:
    """Names and deployments of the instances that a model gets."""
    adapter_context = AdapterContext(lambda name: ApiKey(name, ""), simulator_url="http://127.0.0.1:9")
    adapter = open_simulator("sim", SimulatorSettings.model_validate(file), adapter_context)
    try:
        return [(each.name, each.deployment) for each in adapter.instances(model, spec)]
    finally:
        await adapter.aclose()


BOTH: dict[str, Any] = {"deployments": {"m": {}, "m-2": {}}, "keys": {"K0": {}, "K1": {}}}
KEYS: dict[str, Any] = {"keys": {"K0": {}, "K1": {}}}


@pytest.mark.parametrize(
    ("file", "spec", "expected"),
    [
        (BOTH, RouteSpec(), [("sim/m", "m")]),
        (BOTH, RouteSpec(deployments=["m-2", "m"]), [("sim/m-2", "m-2"), ("sim/m", "m")]),
        (BOTH, RouteSpec(keys=["K1"]), [("sim/K1/m", "m")]),
        (KEYS, RouteSpec(), [("sim/K0/m", "m"), ("sim/K1/m", "m")]),
        (KEYS, RouteSpec(deployments=["m-awq"], keys=["K0"]), [("sim/K0/m", "m-awq")]),
    ],
)
async def test_a_model_gets_the_instances_that_its_route_names(
    file: dict[str, Any], spec: RouteSpec, expected: list[tuple[str, str]]
) -> None:
    assert await names(file, "m", spec) == expected


async def test_a_model_that_no_deployment_has_goes_to_every_key() -> None:
    assert await names(BOTH, "other", RouteSpec()) == [("sim/K0/other", "other"), ("sim/K1/other", "other")]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (RouteSpec(deployments=["m-3"]), "no deployment 'm-3'; did you mean \"m-2\""),
        (RouteSpec(keys=["K7"]), "no key 'K7'; Known: none"),
        (RouteSpec(), "no deployment 'n' and no keys"),
    ],
)
async def test_what_is_not_there_is_named_with_the_nearest(spec: RouteSpec, message: str) -> None:
    with pytest.raises(InputError, match=message):
        await names({"deployments": {"m-2": {}, "x": {}}}, "n", spec)


def test_an_adapter_without_a_server_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="start it"):
        open_simulator("sim", SimulatorSettings.model_validate(KEYS), AdapterContext(lambda name: ApiKey(name, "")))


async def test_an_adapter_names_its_instances_before_its_server_has_an_address_or_keys() -> None:
    asked: list[str] = []

    def key(name: str) -> ApiKey:
        asked.append(name)
        raise InputError("no key yet")

    def address() -> str:
        asked.append("address")
        raise InputError("no address yet")

    adapter = open_simulator("sim", SimulatorSettings.model_validate(KEYS), AdapterContext(key, simulator_url=address))
    instances = adapter.instances("m", RouteSpec())
    assert ([each.name for each in instances], asked) == (["sim/K0/m", "sim/K1/m"], [])
    with pytest.raises(InputError, match="no address yet"):
        await adapter.complete(instances[1], ChatRequest([]), request_id="s/1/1", deadline=0.0)
    await adapter.aclose()
