"""Configurations of runs that an older version began, with the defaults of that version, so that a resume asks as the run did."""

from __future__ import annotations

from collections.abc import Mapping

AZURE_V1_SINCE = (0, 2)
"""From this version on, Azure's API is v1 unless the file says otherwise; before, it was classic."""


def with_old_defaults(raw: Mapping[str, object], version: str) -> Mapping[str, object]:
    """Return the configuration `raw` with the defaults of the `version` that wrote it, where they have changed since."""
    providers = raw.get("providers")
    if _numbers(version) >= AZURE_V1_SINCE or not isinstance(providers, Mapping):
        return raw
    return {**raw, "providers": {name: _classic_azure(entry) for name, entry in providers.items()}}


def _numbers(version: str) -> tuple[int, ...]:
    """Return major and minor number; a version that cannot be read counts as the present one."""
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else AZURE_V1_SINCE


def _classic_azure(entry: object) -> object:
    if isinstance(entry, Mapping) and entry.get("type") == "azure" and "api" not in entry:
        return {**entry, "api": "classic"}
    return entry
