"""Endpoints of the simulator: deployments share one key, and each gateway key has one endpoint per model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..errors import InputError
from .limits.gate import QuotaGate
from .limits.quota import QuotaRefusal
from .limits.service import Service
from .protocol.dialects import Denial
from .protocol.limit_headers import QuotaState, limit_headers, retry_headers
from .protocol.vendor_errors import (
    WRONG_KEYS,
    credit_used_up,
    throttled_by_gateway,
    throttled_by_google,
    throttled_by_shared_quota,
    throttled_without_words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .protocol.dialects import Dialect, ErrorAnswer
    from .settings.provider import EndpointSettings, FaultSettings, SimulatorSettings

DEPLOYMENT_KEY = "SIMULATOR_KEY"
"""Name of the key of all deployments."""

Closed = Literal["dead", "unauthorized", "out_of_credit"]


@dataclass(slots=True)
class Lifetime:
    """The admitted requests of a deployment, or of a key over all its models, and the limits after which it fails."""

    unauthorized_after: int | None
    refuses_connections_after: int | None
    credit_after: int | None
    outages: Sequence[tuple[float, float]]
    """Pairs of start and end, in seconds since the first request."""
    admitted: int = 0
    begun_at: float | None = None
    """Time of the first request."""

    def closed(self, now: float) -> Closed | None:
        """Return why requests are not admitted at `now`; None where they are."""
        if self.begun_at is None:
            self.begun_at = now
        if any(since_s <= now - self.begun_at < until_s for since_s, until_s in self.outages):
            return "dead"
        if self.refuses_connections_after is not None and self.admitted >= self.refuses_connections_after:
            return "dead"
        if self.unauthorized_after is not None and self.admitted >= self.unauthorized_after:
            return "unauthorized"
        if self.credit_after is not None and self.admitted >= self.credit_after:
            return "out_of_credit"
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server side of an instance: a deployment or model with its own limits."""

    name: str
    """The requested name of the deployment or model."""
    key: str
    """Name of its key."""
    settings: EndpointSettings
    faults: FaultSettings
    provider: SimulatorSettings = field(repr=False)
    lifetime: Lifetime
    gate: QuotaGate = field(repr=False)
    service: Service = field(repr=False)

    @property
    def model(self) -> str:
        """Return the model name in answers."""
        return self.settings.model or self.name

    async def admit(self, tokens: int) -> Closed | QuotaRefusal | None:
        """Admit a request and return None, or return the reason of refusal. Call `gate.leave` once after each None."""
        loop = asyncio.get_running_loop()
        barred = self.lifetime.closed(loop.time()) or await self.gate.enter(tokens)
        if barred is not None:
            return barred
        closed = self.lifetime.closed(loop.time())
        if closed is not None:  # the endpoint closed while the request was held
            self.gate.leave(0)
            return closed
        self.lifetime.admitted += 1
        return None

    def refusal(
        self, barred: Closed | QuotaRefusal, dialect: Dialect, request_id: str
    ) -> tuple[ErrorAnswer, dict[str, str]]:
        """Build the error and its headers, in `dialect` where the settings name no vendor."""
        if isinstance(barred, QuotaRefusal):
            headers = {**self.limits(), **retry_headers(barred, self.settings)}
            return self._throttled(barred, dialect, request_id), headers
        if barred == "out_of_credit" and self.settings.credit is not None:
            return credit_used_up(self.settings.credit.status), {}
        return denial(self.provider, "unauthorized", self.name, dialect), {}

    def _throttled(self, refusal: QuotaRefusal, dialect: Dialect, request_id: str) -> ErrorAnswer:
        if self.settings.throttle_style == 400:
            return throttled_by_gateway(refusal, self.provider.seed, request_id)
        if self.settings.quota_group is not None:
            return throttled_by_shared_quota(refusal, self.settings)
        if self.settings.wait_in == "retry_info":
            return throttled_by_google(refusal)
        if self.settings.wait_in == "zero_ms":
            return throttled_without_words(self.name)
        return dialect.throttled(refusal, self.name)

    def limits(self) -> dict[str, str]:
        """Build the headers with the current state of the quota."""
        quota, now = self.gate.quota, asyncio.get_running_loop().time()
        return limit_headers(QuotaState(quota.levels(now), quota.day_level(now), self.settings.window_s), self.settings)


def denial(provider: SimulatorSettings, reason: Denial, name: str, dialect: Dialect) -> ErrorAnswer:
    """Build the answer to an unknown key, or to a name that does not exist."""
    if reason == "unauthorized" and provider.wrong_key != 401:
        return WRONG_KEYS[provider.wrong_key]
    return dialect.denied(reason, name)


class EndpointRegistry:
    """All endpoints of a provider, by key and name."""

    def __init__(self, settings: SimulatorSettings, secrets: Mapping[str, str]) -> None:
        self._settings = settings
        self._key_names = _names_by_secret(settings, secrets)
        lifetimes = {DEPLOYMENT_KEY: settings.deployments, **{key: {key: settings.keys[key]} for key in settings.keys}}
        self._lifetimes = {
            (key, name): _lifetime(entry) for key, endpoints in lifetimes.items() for name, entry in endpoints.items()
        }
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._shared_gates: dict[str, QuotaGate] = {}
        """By quota group."""

    def key_name(self, secret: str | None) -> str | None:
        """Return the name of the key with this secret; None for an unknown secret."""
        return None if secret is None else self._key_names.get(secret)

    def find(self, key: str | None, name: str) -> Endpoint | Denial:
        """Find the endpoint of a deployment or model for a key, both by name."""
        if key is None:
            return "unauthorized"
        endpoint = self._endpoints.get((key, name))
        if endpoint is None and (settings := self._settings_of(key, name)) is not None:
            endpoint = self._endpoints[(key, name)] = self._build(key, name, settings)
        return endpoint or "not_found"

    def models(self, key: str) -> list[str]:
        """List the models of a key."""
        return list(self._settings.deployments) if key == DEPLOYMENT_KEY else list(self._settings.models or ())

    def close(self) -> None:
        """Stop the timers of all endpoints."""
        for endpoint in self._endpoints.values():
            endpoint.gate.close()
            endpoint.service.close()

    def _settings_of(self, key: str, name: str) -> EndpointSettings | None:
        if key == DEPLOYMENT_KEY:
            return self._settings.deployments.get(name)
        served = self._settings.models
        return self._settings.keys[key] if served is None or name in served else None

    def _build(self, key: str, name: str, settings: EndpointSettings) -> Endpoint:
        return Endpoint(
            name=name,
            key=key,
            settings=settings,
            faults=settings.faults or self._settings.faults,
            provider=self._settings,
            lifetime=self._lifetimes[(key, name if key == DEPLOYMENT_KEY else key)],
            gate=self._gate(settings),
            service=Service(settings.latency),
        )

    def _gate(self, settings: EndpointSettings) -> QuotaGate:
        group = settings.quota_group
        if group is None:
            return QuotaGate(settings)
        return self._shared_gates.setdefault(group, QuotaGate(settings))


def _lifetime(settings: EndpointSettings) -> Lifetime:
    credit_after = None if settings.credit is None else settings.credit.after
    return Lifetime(settings.unauthorized_after, settings.refuses_connections_after, credit_after, settings.outages)


def _names_by_secret(settings: SimulatorSettings, secrets: Mapping[str, str]) -> dict[str, str]:
    wanted = [*settings.keys, *([DEPLOYMENT_KEY] if settings.deployments else [])]
    names: dict[str, str] = {}
    for name in wanted:
        if not secrets.get(name):
            raise InputError(f"the simulator has no secret for {name}: pass a value under that name")
        if secrets[name] in names:
            raise InputError(
                f"{names[secrets[name]]} and {name} have the same value, so the simulator cannot distinguish them: use two values"
            )
        names[secrets[name]] = name
    return names
