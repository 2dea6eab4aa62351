"""Provider types by name: the built-in ones, and others from the entry-point group `orchestrator.providers`.

Neither this module nor the validation of settings imports an HTTP client; opening an adapter imports its transport.
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
from ..provider import Adapter
from ..suggestion import suggestion
from ..transport.network import DIRECT, Network
from ..wire.operations.adaptation import OnAdapted

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
    """The values that a run gives to an adapter; the orchestrator package alone reads the environment."""

    key: Callable[[str], ApiKey]
    """Reads a key by the name of its environment variable. Raises InputError where the variable is not set."""
    connections: int = 0
    """Most open connections; 0 means no limit beyond the requests in flight."""
    simulator_url: str | Callable[[], str] | None = None
    """The address of the run's simulator."""
    network: Network = DIRECT
    """Proxies and certificates that the environment names."""
    on_adapted: OnAdapted = lambda _instance, _adaptation: None
    """Called once for each field that an instance refuses, with the adaptation that is sent instead."""


@dataclass(frozen=True, slots=True)
class AdapterType(Generic[Settings]):
    """A provider type: the model that validates its part of the user's file, and the function that opens it."""

    settings: type[Settings]
    open: Callable[[str, Settings, AdapterContext], Adapter]


def adapter_type(name: str) -> AdapterType[BaseModel]:
    """Look up a provider type. Raises InputError that names the known types and the most similar one."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return _checked(getattr(import_module(module, __package__), attribute), name)
    for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            return _checked(entry_point.load(), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"provider type {name!r} ({entry_point.value}) cannot be imported: {error}") from error
    known_types = {*BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names}
    raise InputError(f"there is no provider type {name!r}; {suggestion(name, known_types)}")


def _checked(loaded: object, name: str) -> AdapterType[BaseModel]:
    if not isinstance(loaded, AdapterType):
        raise InputError(f"provider type {name!r} is not an AdapterType but {type(loaded).__name__}")
    return loaded
