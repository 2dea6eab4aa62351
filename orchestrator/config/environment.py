"""The environment, read in one place: variables win over `.env`; secrets are looked up by the name that the file gives."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from providers.credentials import ApiKey
from providers.errors import InputError
from providers.masking import Secret
from providers.transport.network import Network

from .setting_index import ENVIRONMENT_PREFIX, fixed_settings

TRUST = f"{ENVIRONMENT_PREFIX}TRUST"
"""Trusts every run directory, as `--trust` does one. It counts in the environment itself only: an `.env` may come with a run directory."""


@dataclass(frozen=True, slots=True)
class SettingOverride:
    """One value that wins over the file: a dotted path, the value, and where it was said."""

    path: str
    value: object
    """Text is read as YAML, unless the setting is a text itself; anything else is taken as it is."""
    source: str


def not_set(names: Sequence[str]) -> str:
    """Build the message about variables that are missing."""
    noun, them = ("variable", "it") if len(names) == 1 else ("variables", "them")
    be = "is" if len(names) == 1 else "are"
    return f"the environment {noun} {', '.join(names)} {be} not set; export {them} or write {them} into .env"


class Environment(Secret):
    """Variables by name. Its repr shows none of them."""

    def __init__(self, variables: Mapping[str, str], warnings: Sequence[str] = ()) -> None:
        self._variables = variables
        self.warnings = warnings
        """Sentences about where the variables came from."""

    def key(self, name: str) -> ApiKey:
        """Return the API key in variable `name`. Raises InputError if it is missing or empty."""
        secret = self._variables.get(name, "").strip()
        if not secret:
            raise InputError(not_set([name]))
        return ApiKey(name, secret)

    def key_or(self, name: str, otherwise: str) -> ApiKey:
        """Return the API key in variable `name`, or `otherwise` if it is missing or empty."""
        return ApiKey(name, self._variables.get(name, "").strip() or otherwise)

    def network(self) -> Network:
        """Read proxies and certificates; the lower-case name of a proxy wins, as in curl."""
        return Network(
            http_proxy=self._either("http_proxy"),
            https_proxy=self._either("https_proxy"),
            no_proxy=self._either("no_proxy") or "",
            cert_file=self._variables.get("SSL_CERT_FILE") or None,
            cert_dir=self._variables.get("SSL_CERT_DIR") or None,
        )

    def _either(self, name: str) -> str | None:
        return self._variables.get(name) or self._variables.get(name.upper()) or None

    def settings(self) -> list[SettingOverride]:
        """Return the settings that the environment overrides, most general first; an empty variable overrides nothing."""
        aliased = [
            SettingOverride(setting.path, self._variables[name], name)
            for setting in fixed_settings()
            if (name := setting.short_variable) is not None and self._variables.get(name)
        ]
        prefixed = [
            SettingOverride(name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", "."), value, name)
            for name, value in sorted(self._variables.items())
            if name.startswith(ENVIRONMENT_PREFIX) and value and name != TRUST
        ]
        return aliased + prefixed


def flags_of(
    model: Sequence[str] | str | None, limit: int | None, settings: Mapping[str, object] | None
) -> list[SettingOverride]:
    """Return the settings that a call from Python overrides."""
    said: dict[str, object] = dict(settings or {})
    if model is not None:
        said["sweep.models"] = [model] if isinstance(model, str) else list(model)
    if limit is not None:
        said["sweep.limit"] = limit
    return [SettingOverride(path, value, f"settings[{path!r}]") for path, value in said.items()]


def read_environment(config: object = None) -> Environment:
    """Read the process environment over the current folder's `.env` over the one beside the sweep file. Raises InputError."""
    folders = [Path.cwd(), *([Path(config).resolve().parent] if isinstance(config, str | Path) else [])]
    variables: dict[str, str] = {}
    for folder in reversed(folders):
        variables |= _read_dotenv(folder / ".env")
    found = dict.fromkeys(folder / ".env" for folder in folders)
    warnings = [warning for path in found if (warning := dotenv_warning(path))]
    if TRUST in variables:
        warnings.append(f"{TRUST} in .env counts for nothing, because an .env may come with a run directory; export it")
    return Environment({**variables, **os.environ}, warnings)


def is_all_trusted() -> bool:
    """Return whether the environment of this process trusts every run directory."""
    return os.environ.get(TRUST, "").strip().lower() in {"1", "true", "yes"}


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path}: {error.__class__.__name__}; it must be UTF-8 text that you may read"
        ) from error


def dotenv_warning(dotenv: Path) -> str | None:
    """Return a warning if other users of this machine can read `.env`."""
    if dotenv.is_file() and os.name == "posix" and stat.S_IMODE(dotenv.stat().st_mode) & 0o077:
        return f"{dotenv} can be read by others; run: chmod 600 {dotenv}"
    return None
