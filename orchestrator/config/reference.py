"""The reference of the user's file, made of the classes: `python -m orchestrator.config.reference` writes it into docs/reference.

`settings.md` is for readers, `sweep.schema.json` for editors that complete and check YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from providers.adapters.registry import BUILT_IN, adapter_type
from providers.adapters.settings import WireSettings

from .schema_words import default_words, type_words
from .setting_index import ENVIRONMENT_PREFIX, Setting, fixed_settings
from .settings import Config

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
INTRODUCTION = f"""# Settings

Every setting of the file that `run` reads. The file is made by `python -m orchestrator.config.reference`; change the docstrings, not this.

A setting has one value: a flag wins over the environment, the environment over `.env`, that over the file, and the file over the default.
`--set KEY=VALUE` reaches settings without a flag, and so does `{ENVIRONMENT_PREFIX}` with the key in capitals and `__` for each dot.
NAME stands for a name of yours, [] for each entry of a list. Unknown keys are errors. Names that end in `_s` are seconds.
An editor checks the file as you type when its first line is `# yaml-language-server: $schema=PATH/docs/reference/sweep.schema.json`.
"""


@dataclass(frozen=True, slots=True)
class ReferenceSection:
    """One table of the reference."""

    path: str
    """Dotted, without the setting's own name; empty for the file's top level."""
    words: str
    """What the section is about."""
    model: type[BaseModel]
    fields: Mapping[str, FieldInfo]

    @property
    def heading(self) -> str:
        """What a link points to."""
        return self.path or "The file"


def write_reference(folder: Path = FOLDER) -> None:
    """Write both documents."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "sweep.schema.json").write_text(editor_schema(), encoding="utf-8")


def editor_schema() -> str:
    """Return the JSON schema of the file. What a provider may hold depends on its type and is left open."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(),
        "title": "sweep",
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def settings_page() -> str:
    """Return the Markdown page."""
    named = {setting.path: setting for setting in fixed_settings()}
    return INTRODUCTION + "".join(f"\n{_section_text(section, named)}" for section in all_sections())


@cache
def all_sections() -> Sequence[ReferenceSection]:
    """Return every section; each class appears once, at its first position."""
    sections: dict[type[BaseModel], ReferenceSection] = {}
    _visit("", Config, sections)
    return tuple(sections.values())


def _visit(path: str, model: type[BaseModel], sections: dict[type[BaseModel], ReferenceSection]) -> None:
    if model in sections:
        return
    shared = WireSettings.model_fields if issubclass(model, WireSettings) and model is not WireSettings else {}
    own = {name: field for name, field in model.model_fields.items() if name not in shared}
    sections[model] = ReferenceSection(path, _first_paragraph(model), model, own)
    for name, field in sorted(own.items(), key=lambda item: not _is_section(item[1])):
        if model is Config and name == "providers":
            _visit_providers(sections)
        for inner, suffix in models_within(field.annotation):
            _visit(f"{path}.{name}{suffix}".lstrip("."), inner, sections)


def _is_section(field: FieldInfo) -> bool:
    """Return whether the field is one mapping of a class: `generation` is described at the top level, not under each model."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _visit_providers(sections: dict[type[BaseModel], ReferenceSection]) -> None:
    _visit("providers.NAME", WireSettings, sections)
    for kind in BUILT_IN:
        model = adapter_type(kind).settings
        _visit(f"providers.NAME (type: {kind})", model, sections)


def models_within(annotation: object, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Find the classes that a field holds, each with what stands between its path and the field's."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    added = ".NAME" if get_origin(annotation) is dict else "[]" if get_origin(annotation) in (tuple, list) else ""
    for inner in get_args(annotation):
        yield from models_within(inner, suffix + added)


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _section_text(section: ReferenceSection, named: Mapping[str, Setting]) -> str:
    properties = section.model.model_json_schema()["properties"]
    has_names = "NAME" in section.path or "[]" in section.path
    heads = ["Key", "Type", "Default", *([] if has_names else ["Flag", "Environment"]), "What it is"]
    rows = [heads, ["---"] * len(heads)]
    for name, field in section.fields.items():
        setting = named.get(f"{section.path}.{name}".lstrip("."))
        ways = [] if has_names else _ways(setting)
        rows.append(
            [f"`{name}`", _type_cell(field, properties[name]), default_words(field), *ways, _documentation(field)]
        )
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([f"## {section.heading}", "", section.words, "", *lines, ""])


def _ways(setting: Setting | None) -> list[str]:
    """Name the flag and the variables of a setting."""
    if setting is None:
        return ["", ""]
    flag = setting.flag
    names = [f"`{name}`" for name in (flag.name, flag.short) if name] if flag else []
    variables = [f"`{name}`" for name in (setting.short_variable, setting.variable) if name]
    return [", ".join(names), ", ".join(variables)]


def _type_cell(field: FieldInfo, schema: Mapping[str, object]) -> str:
    places = {section.model: section.heading for section in all_sections()}
    headings = {model.__name__: places[model] for model, _suffix in models_within(field.annotation)}
    return type_words(schema, {name: f"[{heading}](#{_anchor(heading)})" for name, heading in headings.items()})


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return "".join(sign for sign in heading.lower().replace(" ", "-") if sign.isalnum() or sign in "-_")


def _documentation(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("<", "&lt;")


if __name__ == "__main__":
    write_reference()
