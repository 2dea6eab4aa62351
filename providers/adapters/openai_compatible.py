"""Any other server that speaks OpenAI's chat completions: vLLM, SGLang, Ollama, llama.cpp, LiteLLM, OpenAI itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..provider import Adapter, RouteSpec
from ..route import Route
from .registry import AdapterContext, AdapterType
from .routed import open_routed, plain_instance, unique_deployments
from .settings import BASE_URL_HINT, Address, VariableName, WireSettings, check_key


class OpenAISettings(WireSettings):
    """An address, and a key where the server wants one."""

    type: Literal["openai"]
    base_url: Address
    """Up to and with its /v1."""
    api_key_env: VariableName | None = None

    @property
    def address(self) -> str:
        return self.base_url


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
                operation=spec.operation,
                address_hint=BASE_URL_HINT,
            )
            for deployment in unique_deployments(model, spec)
        ]

    return open_routed(find_routes, settings, adapter_context)


OPENAI = AdapterType(OpenAISettings, open_openai)
