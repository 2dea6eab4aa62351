"""Azure OpenAI and AI Foundry: every deployment is an instance. Where its requests go is `azure_address`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from ..credentials import Credential, entra_token
from ..errors import InputError
from ..instance import Instance
from ..provider import Adapter, RouteSpec
from ..route import Route
from .azure_address import DEFAULT_VERSIONS, AzureApi, base_url, forms, read_address
from .registry import AdapterContext, AdapterType
from .routed import open_routed, plain_instance, unique_deployments
from .settings import Address, VariableName, WireSettings, check_key


class AzureSettings(WireSettings):
    """A resource and how it is signed in to."""

    type: Literal["azure"]
    endpoint: Address
    """The resource, or any address that a portal shows for it: its path and api-version are understood."""
    api_key_env: VariableName | None = None
    auth: Literal["key", "entra"] = "key"
    api: AzureApi | None = None
    """v1: the deployment stands in the body. classic: it stands in the path, with an api_version. models: AI Foundry's inference API.
    None: what the endpoint names, else classic where an api_version is given, else v1."""
    api_version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    """None: 2024-10-21 for classic, 2024-05-01-preview for models, none for v1."""
    _pasted_deployment: str | None = PrivateAttr(default=None)
    """The deployment that the endpoint's path named; `models` says which are used."""

    @model_validator(mode="wrap")
    @classmethod
    def _understand_pasted_address(cls, raw: object, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(raw, Mapping) or not isinstance(raw.get("endpoint"), str):
            return validate(raw)
        pasted = read_address(raw["endpoint"])
        named = {"api": pasted.api, "api_version": pasted.api_version}
        settings = validate({**{k: v for k, v in named.items() if v}, **raw, "endpoint": pasted.resource})
        settings._pasted_deployment = pasted.deployment  # noqa: SLF001 - its own class
        return settings

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> AzureSettings:
        if self.auth == "key" and self.api_key_env is None:
            raise ValueError("give api_key_env (the name of an environment variable) or auth: entra")
        if self.auth == "entra" and self.api_key_env is not None:
            raise ValueError("auth: entra takes no api_key_env; remove one of them")
        return self

    @property
    def address(self) -> str:
        return self.endpoint

    @property
    def chosen_api(self) -> AzureApi:
        """The API that is called."""
        return self.api or ("classic" if self.api_version else "v1")

    @property
    def version(self) -> str | None:
        """The api-version of the query; None where there is none."""
        return self.api_version or DEFAULT_VERSIONS[self.chosen_api]

    def notes(self) -> Sequence[str]:
        notes = list(super().notes())
        if self.api is None and self.api_version:
            notes.append(
                f"api_version {self.api_version} without api means api: classic (/openai/deployments/…), which Microsoft replaces "
                "by api: v1; say api: classic to keep it, or remove api_version"
            )
        if self._pasted_deployment:
            notes.append(
                f"the deployment {self._pasted_deployment} in the endpoint is not read; deployments stand under models"
            )
        return notes


def open_azure(name: str, settings: AzureSettings, adapter_context: AdapterContext) -> Adapter:
    """Open a resource under its name in the user's file. Raises InputError where the key is missing."""
    key_name = settings.api_key_env
    credential: Credential = entra_token() if key_name is None else check_key(adapter_context.key(key_name))

    def find_routes(model: str, spec: RouteSpec) -> Sequence[Route]:
        if spec.operation == "responses" and settings.chosen_api == "models":
            raise InputError(f"models.{model}: {name} has api: models, which has no responses; say api: v1")
        return [
            _route(settings, credential, plain_instance(name, model, deployment, f"{name}/{deployment}"), spec)
            for deployment in unique_deployments(model, spec)
        ]

    return open_routed(find_routes, settings, adapter_context)


def _route(settings: AzureSettings, credential: Credential, instance: Instance, spec: RouteSpec) -> Route:
    api = settings.chosen_api
    return Route(
        instance=instance,
        base_url=base_url(settings.endpoint, api, instance.deployment, spec.operation),
        credential=credential,
        auth="api-key",
        api_version=settings.version,
        operation=spec.operation,
        address_hint=forms(api),
    )


AZURE = AdapterType(AzureSettings, open_azure)
