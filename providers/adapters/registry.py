"""Provider types by name: ours in plain sight, others through the entry-point group `orchestrator.providers`.

Nothing heavy is imported here or by validating settings; opening an adapter imports its transport.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from pydantic import BaseModel

from ..credentials import ApiKey
from ..errors import InputError
from ..network import DIRECT, Network
from ..provider import Adapter
from ..suggestion import suggestion
from ..wire.adaptation import OnAdapted

ENTRY_POINT_GROUP = "orchestrator.providers"

BUILT_IN = {
    "azure": ".azure:AZURE",
    "gateway": ".gateway:GATEWAY",
    "openai": ".openai_compatible:OPENAI",
    "simulator": "..simulator.adapter:SIMULATOR",
}

Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """What an adapter takes from the run that it serves: nothing below the orchestrator reads the environment."""

    key: Callable[[str], ApiKey]
    """Reads a key by the name of its environment variable. Raises InputError where there is none."""
    connections: int = 0
    """Most open connections; 0 leaves it to the requests in flight."""
    simulator_url: str | Callable[[], str] | None = None
    """Where the run's simulator listens; a function where it may start later: it is called at an instance's first request."""
    network: Network = DIRECT
    """Proxies and certificates that the environment names."""
    on_adapted: OnAdapted = lambda _instance, _adaptation: None
    """Told of what an instance refuses of a request's generation and what it is sent instead, once for each field."""


@dataclass(frozen=True, slots=True)
class AdapterType(Generic[Settings]):
    """A row of the registry: how a provider's part of the file is checked, and how it is opened under its name there."""

    settings: type[Settings]
    open: Callable[[str, Settings, AdapterContext], Adapter]


def adapter_type(name: str) -> AdapterType[BaseModel]:
    """Look up a provider type. Raises InputError with the known ones and the nearest."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return _checked(getattr(import_module(module, __package__), attribute), name)
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            return _checked(point.load(), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"provider type {name!r} ({point.value}) cannot be imported: {error}") from error
    known = {*BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names}
    raise InputError(f"there is no provider type {name!r}; {suggestion(name, known)}")


def _checked(found: object, name: str) -> AdapterType[BaseModel]:
    if not isinstance(found, AdapterType):
        raise InputError(f"provider type {name!r} is not an AdapterType but {type(found).__name__}")
    return found
