"""Settings of flags and variables, put into the configuration. Names, paths and other texts are what was typed; all others are YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin

from pydantic import BaseModel

from providers.adapters.registry import adapter_type
from providers.errors import InputError
from sharding.yaml_text import UNREADABLE, is_quoted, load_yaml, yaml_place

from .environment import SettingOverride
from .settings import Config

NULL = frozenset({"null", "Null", "NULL", "~"})
"""What stands for null where a setting may be null."""


Place = tuple[str, ...]


def apply(raw: dict[str, Any], setting: SettingOverride) -> Place:
    """Put one dotted setting into the nested mapping, and return its place."""
    section, rest, kind = raw, setting.path, cast("object", Config)
    place: Place = ()
    while True:
        part, rest = _step(section, rest)
        kind, place = type_within(kind, part, section), (*place, part)
        if not rest:
            section[part] = _value(setting, kind)
            return place
        below = section[part] = {} if section.get(part) is None else section[part]
        if not isinstance(below, dict):
            raise InputError(f"{setting.source}: {setting.path} goes through {part}, which is not a mapping")
        section = below


def part_at(raw: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """Return of a configuration what stands at `places`, in its sections."""
    below: dict[str, list[Place]] = {}
    for part, *rest in places:
        below.setdefault(part, []).append(tuple(rest))
    return {
        part: raw[part] if () in inner or not isinstance(raw[part], Mapping) else part_at(raw[part], inner)
        for part, inner in below.items()
        if part in raw
    }


def _step(section: Mapping[str, Any], path: str) -> tuple[str, str]:
    """Return the next key of a dotted path and the rest. A key may contain dots (qwen2.5): the longest one in the section wins."""
    dotted = [key for key in section if "." in str(key) and (path == key or path.startswith(f"{key}."))]
    key = max(dotted, key=len) if dotted else path.partition(".")[0]
    return key, path[len(key) + 1 :]


def _value(setting: SettingOverride, kind: object) -> object:
    """Return the value of a setting of type `kind`: text as it stands where it is one, else what it says as YAML."""
    if not isinstance(setting.value, str):
        return setting.value
    if not setting.value.isascii() and _is_cut(setting.value):
        raise InputError(f"{setting.source}: the value is not UTF-8 text; choose a name that is")
    if takes_text(kind, setting.value):
        return setting.value
    try:
        return load_yaml(setting.value)
    except UNREADABLE as error:
        shown = "the value" if setting.path.startswith("providers.") else repr(setting.value)  # a key may stand there
        raise InputError(f"{setting.source}: {shown} is not a YAML value: {yaml_place(error)}") from error


def _is_cut(text: str) -> bool:
    """Return whether a text holds bytes that are no UTF-8, as Python keeps them in arguments and variables."""
    return any("\ud800" <= character <= "\udfff" for character in text)


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

    Text in a pair of quotes is YAML, and so is what begins like a mapping or a list where a setting may also be one.
    """
    found = members(kind)
    if not text or str not in found or found & {int, float, bool}:
        return False
    if (type(None) in found and text in NULL) or is_quoted(text):
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
