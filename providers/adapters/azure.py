"""Azure OpenAI and AI Foundry: every deployment is an instance. Classic addresses carry it and an api-version, v1 ones neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator

from ..credentials import Credential, entra_token
from ..provider import Adapter, Route, RouteSpec
from .registry import AdapterContext, AdapterType
from .routed import RoutedAdapter, open_transport, plain_instance, unique_deployments
from .settings import Address, VariableName, WireSettings, check_key


def _resource_only(endpoint: str) -> str:
    """People paste the endpoint with the API's path; the path is ours to add."""
    return endpoint.removesuffix("/v1").removesuffix("/openai")


class AzureSettings(WireSettings):
    """A resource and how it is signed in to."""

    type: Literal["azure"]
    endpoint: Annotated[Address, AfterValidator(_resource_only)]
    api_key_env: VariableName | None = None
    auth: Literal["key", "entra"] = "key"
    api: Literal["classic", "v1"] = "classic"
    api_version: str = Field(default="2024-10-21", pattern=r"^[A-Za-z0-9.-]+$")
    """The latest stable one of the classic API."""

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> AzureSettings:
        if self.auth == "key" and self.api_key_env is None:
            raise ValueError("give api_key_env (the name of an environment variable) or auth: entra")
        if self.auth == "entra" and self.api_key_env is not None:
            raise ValueError("auth: entra takes no api_key_env; remove one of them")
        return self


def open_azure(name: str, settings: AzureSettings, adapter_context: AdapterContext) -> Adapter:
    """Open a resource under its name in the user's file. Raises InputError where the key is missing."""
    key_name = settings.api_key_env
    credential: Credential = entra_token() if key_name is None else check_key(adapter_context.key(key_name))

    def find_routes(model: str, spec: RouteSpec) -> Sequence[Route]:
        return [_route(settings, credential, name, model, deployment) for deployment in unique_deployments(model, spec)]

    return RoutedAdapter(find_routes, open_transport(settings, adapter_context.connections))


def _route(settings: AzureSettings, credential: Credential, provider: str, model: str, deployment: str) -> Route:
    classic = settings.api == "classic"
    path = f"deployments/{quote(deployment, safe='')}" if classic else "v1"
    return Route(
        instance=plain_instance(provider, model, deployment, f"{provider}/{deployment}"),
        base_url=f"{settings.endpoint}/openai/{path}",
        credential=credential,
        auth="api-key",
        api_version=settings.api_version if classic else None,
    )


AZURE = AdapterType(AzureSettings, open_azure)
