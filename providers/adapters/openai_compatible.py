"""Any other server that speaks OpenAI's chat completions: vLLM, SGLang, Ollama, llama.cpp, LiteLLM, OpenAI itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..provider import Adapter, Route, RouteSpec
from .registry import AdapterContext, AdapterType
from .routed import RoutedAdapter, open_transport, plain_instance, unique_deployments
from .settings import Address, VariableName, WireSettings, check_key


class OpenAISettings(WireSettings):
    """An address, and a key where the server wants one."""

    type: Literal["openai"]
    base_url: Address
    """Up to and with its /v1."""
    api_key_env: VariableName | None = None


def open_openai(name: str, settings: OpenAISettings, adapter_context: AdapterContext) -> Adapter:
    """Open a server under its name in the user's file. Raises InputError where the key is missing."""
    key_name = settings.api_key_env
    credential = None if key_name is None else check_key(adapter_context.key(key_name))

    def find_routes(model: str, spec: RouteSpec) -> Sequence[Route]:
        return [
            Route(
                instance=plain_instance(name, model, deployment, f"{name}/{deployment}"),
                base_url=settings.base_url,
                credential=credential,
            )
            for deployment in unique_deployments(model, spec)
        ]

    return RoutedAdapter(find_routes, open_transport(settings, adapter_context.connections))


OPENAI = AdapterType(OpenAISettings, open_openai)
