"""Any other server with OpenAI's chat completions API: vLLM, SGLang, Ollama, llama.cpp, LiteLLM, OpenAI itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..provider import Adapter, RouteSpec
from ..route import Route
from .registry import AdapterContext, AdapterType
from .routed import open_routed, plain_instance, unique_deployments
from .settings import BASE_URL_HINT, Address, VariableName, WireSettings, check_key


class OpenAISettings(WireSettings):
    """Settings of a server: its address, and its key where it needs one."""

    type: Literal["openai"]
    """Any server that speaks OpenAI's chat completions."""
    base_url: Address
    """The address including its final /v1."""
    api_key_env: VariableName | None = None
    """Name of the environment variable that holds the key; None: the server wants none."""

    @property
    def address(self) -> str:
        """The base address of the server."""
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
