"""Which settings take a flag's or a variable's text as it is: names, paths and other texts. All other values are read as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from providers.adapters.registry import adapter_type
from providers.errors import InputError

from .settings import Config

NULL = frozenset({"null", "~"})
"""What stands for null where a setting may be null."""


def type_within(kind: object, key: str, section: Mapping[str, Any]) -> object:
    """Return the type of what stands under `key` in a section of type `kind`; None where it is unknown.

    An entry of `providers` has the type of its adapter's settings, which its own `type` names.
    """
    for part in members(kind):
        if isinstance(part, type) and issubclass(part, BaseModel):
            field = part.model_fields.get(key)
            return None if field is None else field.annotation
        if get_origin(part) in (dict, Mapping):
            entry = section.get(key)
            is_provider = kind == Config.model_fields["providers"].annotation
            return _adapter_settings(entry) if is_provider else get_args(part)[1]
    return None


def takes_text(kind: object, text: str) -> bool:
    """Return whether a setting of type `kind` is `text` as it stands, with all its signs.

    Where a setting may also be a mapping or a list, text that begins like one is YAML.
    """
    found = members(kind)
    if not text or str not in found or found & {int, float, bool}:
        return False
    if type(None) in found and text in NULL:
        return False
    return len(found - {str, type(None)}) == 0 or not text.lstrip().startswith(("{", "["))


def members(kind: object) -> frozenset[Any]:
    """Return the types of a union without their bounds and validators; of any other type itself."""
    if get_origin(kind) in (Union, UnionType):
        return frozenset().union(*map(members, get_args(kind)))
    if hasattr(kind, "__metadata__"):
        return members(get_args(kind)[0])
    return frozenset({kind})


def _adapter_settings(entry: object) -> object:
    kind = entry.get("type") if isinstance(entry, Mapping) else None
    try:
        return adapter_type(kind).settings if isinstance(kind, str) else None
    except InputError:  # said where the whole configuration is checked
        return None
