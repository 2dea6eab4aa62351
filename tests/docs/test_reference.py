"""The reference of settings: what is committed is what the classes say, and the schema takes what the program takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import yaml

from orchestrator.config.reference import FOLDER, editor_schema, settings_page

EXAMPLES = [path for path in sorted((FOLDER.parents[1] / "examples").rglob("*.yaml")) if path.name != "capacity.yaml"]
REMEDY = "run: python -m orchestrator.config.reference"
SCHEMA = orjson.loads(editor_schema())


@pytest.mark.parametrize(("name", "text"), [("settings.md", settings_page()), ("sweep.schema.json", editor_schema())])
def test_the_committed_reference_is_up_to_date(name: str, text: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == text, REMEDY


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_schema_takes_every_example(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize(
    "part",
    [
        {"run": {"time_limit_s": "90m", "stagger_s": 0, "max_retries": 0}},
        {
            "sweep": {
                "prompt_types": "baseline,cot",
                "tool_success_rates": "0.5,1",
                "difficulties": [1, 2],
                "scenario": 5.1,
            }
        },
        {"generation": {"stop": "END", "stream": None}},
        {"models": {"m": {"provider": "p", "timeouts": "reasoning", "workers": "auto"}}},
        {"prompts": {"own": "own.yaml", "other": {"user": "{input}"}}},
        {"tools": {"failure_kinds": "error", "text": {"body": "name", "search": "tool_search"}}},
        {"tasks": [{"path": "t", "tools": {"registry": "tools.json", "names": "needs"}}]},
    ],
)
def test_the_schema_takes_what_people_may_write(part: dict[str, Any]) -> None:
    file = {"providers": {"p": {"type": "openai"}}, "models": {"m": {"provider": "p"}}, "tasks": [{"path": "t"}]}
    jsonschema.validate({**file, **part}, SCHEMA)


@pytest.mark.parametrize("part", [{"run": {"max_retry": 3}}, {"run": {"max_retries": -1}}, {"sweeps": {}}])
def test_the_schema_refuses_what_the_program_refuses(part: dict[str, Any]) -> None:
    file = {"providers": {"p": {"type": "openai"}}, "models": {"m": {"provider": "p"}}, "tasks": [{"path": "t"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**file, **part}, SCHEMA)
