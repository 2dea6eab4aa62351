"""Azure's addresses: what people paste from a portal becomes a resource and an API; each API has its own path below the resource."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

from ..route import Operation

AzureApi = Literal["v1", "classic", "models"]

DEFAULT_VERSIONS: dict[AzureApi, str | None] = {
    "v1": None,
    "classic": "2024-10-21",  # the latest stable one
    "models": "2024-05-01-preview",  # the only one that Foundry documents
}

_PATH = re.compile(
    r"(?P<prefix>.*?)(?:/api/projects/[^/]+)?"
    r"(?P<api>/openai/deployments/(?P<deployment>[^/]+)|/openai/deployments|(?:/openai)?/v1|/openai|/models)?"
    r"(?:/chat/completions|/chat|/completions|/responses|/embeddings)?/*"
)


@dataclass(frozen=True, slots=True)
class PastedAddress:
    """What an address says: the resource alone, and the API, version and deployment where it names them."""

    resource: str
    api: AzureApi | None = None
    api_version: str | None = None
    deployment: str | None = None


def read_address(address: str) -> PastedAddress:
    """Split a pasted address. What is no address, or has another query, comes back as it is: the check of addresses refuses it."""
    try:
        parts = urlsplit(address.strip())
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        return PastedAddress(address)
    path = _PATH.fullmatch(parts.path)
    if path is None or set(query) - {"api-version"} or parts.fragment:
        return PastedAddress(address)
    resource = f"{parts.scheme}://{parts.netloc}{path['prefix']}" if parts.scheme else address
    return PastedAddress(resource, _named_api(path["api"]), query.get("api-version"), path["deployment"])


def _named_api(path: str | None) -> AzureApi | None:
    if path is None or path == "/openai":
        return None
    if path.startswith("/openai/deployments"):
        return "classic"
    return "models" if path == "/models" else "v1"


def base_url(resource: str, api: AzureApi, deployment: str, operation: Operation = "chat") -> str:
    """Build the address that `/chat/completions` (or `/responses`) follows; only the classic API carries the deployment in it."""
    if api == "v1":
        return f"{resource}/openai/v1"
    if api == "models":
        return f"{resource}/models"
    if operation == "responses":
        return f"{resource}/openai"
    return f"{resource}/openai/deployments/{quote(deployment, safe='')}"


def forms(api: AzureApi) -> str:
    """Say which addresses Azure has, and which one was asked: the answer to a 404."""
    known: Sequence[tuple[AzureApi, str]] = (
        ("v1", "RESOURCE.openai.azure.com/openai/v1 or RESOURCE.services.ai.azure.com/openai/v1"),
        ("classic", "RESOURCE.openai.azure.com/openai/deployments/DEPLOYMENT"),
        ("models", "RESOURCE.services.ai.azure.com/models"),
    )
    listed = "; ".join(f"api: {name} is {address}" for name, address in known)
    return f"asked with api: {api}. {listed}"
